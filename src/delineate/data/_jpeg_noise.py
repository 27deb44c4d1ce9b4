"""Remove the noise of JPEG from masks that were stored as pictures of colours."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from delineate.components import components

DISTANCE = 100
"""Least distance of a colour from all named ones, Euclidean in RGB, that may be another colour."""
SQUARE = 5
"""Side of a square, in pixels, that is filled by a colour and not by the blur of an edge."""
SPECK = 25
"""Regions of one label with fewer pixels are noise of the compression."""
NEIGHBOURS = np.ones((3, 3), np.uint8)


def filled(mask: np.ndarray) -> np.ndarray:
    """The pixels of a boolean mask (row, column) that are the centre of a square inside it.

    Raises:
        ValueError: the mask has other than two axes.
    """
    if mask.ndim != 2:
        raise ValueError(
            f"has {mask.ndim} axes; tolerance: jpeg is for pictures of 2. Write a number."
        )
    square = np.ones((SQUARE, SQUARE), np.uint8)
    return cv2.erode(mask.view(np.uint8), square, borderType=cv2.BORDER_REPLICATE).view(bool)


def without_noise(classes: np.ndarray) -> np.ndarray:
    """A label map (row, column) without the noise of JPEG at its edges; `decode_mask` says how."""
    present = _values(classes)
    around = []
    for value in present:
        there = (classes == value).view(np.uint8)
        counted = cv2.boxFilter(there, -1, (3, 3), normalize=False, borderType=cv2.BORDER_REPLICATE)
        around.append(2 * counted + there)  # a pixel keeps its own value in a tie
    voted: np.ndarray = present[np.argmax(around, axis=0)].astype(classes.dtype)
    joined = _beside(voted, _seams(voted))
    return _beside(joined, _specks(joined))


def _beside(classes: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """The label map with the nearest other value in the pixels of `noise`."""
    if not noise.any() or noise.all():
        return classes
    beside = ndimage.distance_transform_edt(noise, return_distances=False, return_indices=True)
    return np.asarray(classes[tuple(beside)])


def _seams(classes: np.ndarray) -> np.ndarray:
    """Regions, also of background, that hold no square of 3 x 3 pixels and touch two other values.

    They are between two colours: one between red and green is nearest to a third.
    """
    masks = {value: classes == value for value in _values(classes)}
    grown = {value: cv2.dilate(mask.view(np.uint8), NEIGHBOURS) for value, mask in masks.items()}
    seams = np.zeros(classes.shape, bool)
    for value, mask in masks.items() if len(masks) > 2 else ():
        numbers, sizes = components(mask)
        inner = cv2.erode(mask.view(np.uint8), NEIGHBOURS, borderType=cv2.BORDER_REPLICATE)
        thin = np.bincount(numbers[inner.view(bool)], minlength=len(sizes)) == 0
        if not thin[1:].any():
            continue
        touched = np.zeros(len(sizes), int)
        for other in masks.keys() - {value}:
            beside = mask & grown[other].view(bool)
            touched += np.bincount(numbers[beside], minlength=len(sizes)) > 0
        seams |= (thin & (touched > 1))[numbers] & mask
    return seams


def _specks(classes: np.ndarray) -> np.ndarray:
    """Regions of one label that are too small."""
    specks = np.zeros(classes.shape, bool)
    for value in _values(classes[classes > 0]):
        numbers, sizes = components(classes == value)
        specks |= (sizes < SPECK)[numbers] & (numbers > 0)
    return specks


def _values(classes: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.bincount(classes.ravel()))
