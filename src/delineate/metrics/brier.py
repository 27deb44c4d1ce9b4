"""Brier score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from delineate.metrics import Empty, Tally, traits
from delineate.metrics._pair import probabilities

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Brier score",
    meaning="Mean squared difference of the stated probability from what is true.",
    family="calibration",
    needs=frozenset({"classes", "probabilities"}),
    place=220,
    lower_is_better=True,
    empty=Empty(truth="scored", prediction="scored", both="scored"),
)
def brier(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Mean squared error of the probability, (p - t)², over all samples, per label (Brier 1950).

    Small where the label is: an image that is nearly all background is easy. Compare models, not labels.
    """
    return {
        label.name: Tally(
            "ratio", (sum(np.square(p - there).sum(dtype=float) for p, there in samples), len(samples))
        )
        for label, samples in probabilities(prediction, truth)
    }  # fmt: skip
