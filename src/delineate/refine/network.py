"""Refine the border and the label of each region with a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

import numpy as np

from delineate.arguments import BundlePath
from delineate.core import Image, Network, Refinement, Segmentation
from delineate.progress import warn
from delineate.refine._crops import Crop, crops, given_probabilities, logits_of

AT_ONCE = 16
"""Crops in a batch; more do not make it faster on a CPU."""

ROUNDING = 1e-3
"""Corrections of a logit below this do not count: they come from rounding and resizing."""


def network(bundle: BundlePath, load: Callable[[str], tuple[Network, int]]) -> Refinement:
    """Correct the border and the label of each region with a small network that `delineate refine fit` trained.

    Our own definition, after CascadePSP (Cheng et al., CVPR 2020), which refines crops, and PointRend (Kirillov et al.,
    CVPR 2020), which leaves certain samples alone. A region is a connected component of the union of all labels; the 64
    largest are refined. The network sees a square around it: the image, the probabilities and the distance to its
    border. It corrects the logits within a band around the border, and those of the labels inside. Where it corrects
    nothing, nothing changes. For labels that exclude each other. A volume stays as it is, with a warning.

    Args:
        bundle: the folder of the network's bundle.
        load: loads the network of a bundle, with the number of channels of its input.
    """
    run, taken = load(bundle)

    def step(prediction: Segmentation, image: Image) -> Segmentation:
        if not prediction.classes.any():
            return prediction
        if prediction.classes.ndim != 2:
            warn("the refinement network is for images with two axes; this volume is not refined.")
            return prediction
        given = given_probabilities(prediction)
        corrections = np.zeros_like(given)
        cut = crops(prediction, image, taken - len(given) - 1)
        for batch in _batched(cut, AT_ONCE):
            pixels = np.stack([crop.pixels for crop in batch])
            logits = run(pixels).logits
            if logits.shape[1] != len(given):
                raise ValueError(
                    f"{bundle}: gives {logits.shape[1]} logits, but {len(given)} are needed. It refines another model."
                )
            for crop, seen, found in zip(batch, pixels, logits, strict=True):
                moved = crop.back(found - logits_of(seen[-len(given) - 1 : -1]))
                there = corrections[:, *crop.place]
                # where crops overlap, the stronger correction holds
                np.copyto(there, moved, where=np.abs(moved) > np.abs(there))
        where = (np.abs(corrections) > ROUNDING).any(axis=0)
        if not where.any():
            return prediction
        return _corrected(prediction, given[:, where], corrections[:, where], where)

    return step


def _batched(items: Iterator[Crop], count: int) -> Iterator[list[Crop]]:
    """Lists of up to `count` items; `itertools.batched` needs Python 3.12."""
    while batch := list(islice(items, count)):
        yield batch


def _corrected(
    prediction: Segmentation, given: np.ndarray, corrections: np.ndarray, where: np.ndarray
) -> Segmentation:
    """The prediction with corrected logits at some samples: all three are (logit, sample) there."""
    before, logits = logits_of(given), logits_of(given) + corrections
    values = np.array([0, *prediction.labels.values], prediction.classes.dtype)
    if len(given) == 1:
        shares = 1 / (1 + np.exp(-logits))
        shares = np.concatenate([1 - shares, shares])
        was, now = (np.int64(maps[0] > 0) for maps in (before, logits))
    else:
        powers = np.exp(logits - logits.max(axis=0))
        shares = powers / powers.sum(axis=0)
        was, now = before.argmax(axis=0), logits.argmax(axis=0)
    classes = prediction.classes.copy()
    # a sample whose most probable label stays keeps its label, also where an earlier step changed it
    classes[where] = np.where(was == now, classes[where], values[now])
    result = prediction.changed(classes)
    maps = np.array(prediction.probabilities, order="C")
    maps[:, where] = shares
    return replace(result, probabilities=maps)
