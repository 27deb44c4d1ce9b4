"""Decide by a threshold of one's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from delineate.arguments import FractionBetween
from delineate.core import Image, Refinement, Segmentation


def threshold(probability: FractionBetween = 0.5) -> Refinement:
    """A pixel is foreground where all labels together reach `probability`; the likeliest label takes it.

    Without this step a pixel takes whatever is likeliest, which for one label is a threshold of 0.5.
    Place it first: it decides anew, and undoes steps before it.

    Args:
        probability: in (0, 1); lower finds more, higher is surer.
    """

    def step(found: Segmentation, image: Image) -> Segmentation:
        if found.probabilities is None:
            raise ValueError("threshold needs the probabilities, which this segmentation lacks.")
        values = np.array(found.labels.values, dtype=found.classes.dtype)
        likeliest = values[found.probabilities[1:].argmax(axis=0)]
        foreground = 1 - found.probabilities[0] >= probability
        return replace(found, classes=np.where(foreground, likeliest, 0).astype(values.dtype))

    return step
