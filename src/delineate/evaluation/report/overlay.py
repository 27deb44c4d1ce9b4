"""Draw a prediction over its image."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from delineate.core import Image, LabelSet, Segmentation
from delineate.evaluation.report._planes import Entry, montage, planes
from delineate.evaluation.report._view import view

FILL = 0.35
"""Opacity of the label's colour over the prediction."""


def overlay(
    image: Image, prediction: Segmentation, truth: Segmentation | None = None
) -> np.ndarray:
    """A picture (H, W, 3) uint8: the prediction tinted and outlined in its label's colour, the truth dashed white.

    A volume is shown in three planes with a legend: axial, coronal and sagittal slices through what was predicted or
    true, in radiological convention where the patient's axes are known (`planes`).

    Raises:
        ValueError: image, prediction and truth differ in shape.
    """
    shown = [prediction] if truth is None else [prediction, truth]
    for segmentation in shown:
        if segmentation.geometry.shape != image.geometry.shape:
            raise ValueError(
                f"the image is {image.geometry.shape}, the segmentation "
                f"{segmentation.geometry.shape}; they must lie on one grid."
            )
    if image.geometry.ndim == 3:
        return _three_planes(image, shown)
    picture, maps = view(image, shown)
    picture = fill(picture, maps[0], prediction.labels)
    return outline(picture, maps, [s.labels for s in shown])


def _three_planes(image: Image, shown: list[Segmentation]) -> np.ndarray:
    cuts = planes(image, shown)
    labels = [s.labels for s in shown]
    width = max(1, round(max(max(cut.picture.shape[:2]) for cut in cuts) / 400))
    panels = [
        outline(fill(cut.picture, cut.maps[0], labels[0]), cut.maps, labels, width) for cut in cuts
    ]
    legend = [
        Entry(label.rgb, label.name)
        for label in labels[0]
        if any(labels[0].mask(label.name, classes).any() for cut in cuts for classes in cut.maps)
    ]
    if len(shown) > 1:
        legend.append(Entry((255, 255, 255), "truth (dashed)"))
    return montage(panels, cuts, legend)


def fill(picture: np.ndarray, classes: np.ndarray, labels: LabelSet) -> np.ndarray:
    """The picture with each label tinted in its colour; where labels overlap, in that of the innermost."""
    tints = np.zeros((*classes.shape, 3), np.uint8)
    inside = np.zeros(classes.shape, bool)
    for label in labels:
        where = classes == label.value
        tints[where] = label.rgb
        inside |= where
    mixed = cv2.addWeighted(np.ascontiguousarray(picture), 1 - FILL, tints, FILL, 0)
    return np.where(inside[..., None], mixed, picture)


def outline(
    picture: np.ndarray, maps: list[np.ndarray], labels: list[LabelSet], width: int | None = None
) -> np.ndarray:
    """The picture with outlines, a label's around all that it includes.

    `maps` and `labels` are those of the prediction, then of the truth if it is known. `width` is that of the lines in
    pixels; None: by the size of the picture.
    """
    drawn = np.ascontiguousarray(picture).copy()
    if width is None:
        width = max(1, round(min(drawn.shape[:2]) / 240))
    for label in reversed(labels[0].inner_first):  # a part over what includes it
        curves = _outlines(labels[0].mask(label.name, maps[0]))
        _draw(drawn, curves, label.rgb, width, closed=True)
    for label in labels[1] if len(labels) > 1 else ():
        curves = _outlines(labels[1].mask(label.name, maps[1]))
        dashes = [dash for curve in curves for dash in _dashes(curve, 6 * width)]
        _draw(drawn, dashes, (255, 255, 255), width, closed=False)
    return drawn


def _draw(
    drawn: np.ndarray,
    curves: list[np.ndarray],
    colour: tuple[int, int, int],
    width: int,
    *,
    closed: bool,
) -> None:
    """Draw on a dark rim, so that a line shows on a highlight as on shadow; a thin line has no room for one."""
    if width > 1:
        cv2.polylines(drawn, curves, closed, (24, 24, 24), width + 2, cv2.LINE_AA)
    cv2.polylines(drawn, curves, closed, colour, width, cv2.LINE_AA)


def _outlines(mask: np.ndarray) -> list[np.ndarray]:
    curves, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return list(curves)


def _dashes(curve: np.ndarray, length: int) -> Iterator[np.ndarray]:
    """Every other run of `length` points of a closed curve, whose points are neighbours."""
    closed = np.concatenate([curve, curve[:1]])
    for start in range(0, len(closed), 2 * length):
        yield closed[start : start + length]
