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
    meaning="Mean squared difference between the predicted probability and the truth (0 or 1).",
    family="calibration",
    needs=frozenset({"classes", "probabilities"}),
    place=220,
    lower_is_better=True,
    empty=Empty(truth="scored", prediction="scored", both="scored"),
)
def brier(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Mean squared error of the probability, (p - t)², over all samples, per label (Brier 1950).

    It is small for a small label, since background is easy: use it to compare models, not labels.
    """
    return {
        label.name: Tally(
            "ratio", (sum(np.square(p - there).sum(dtype=float) for p, there in samples), len(samples))
        )
        for label, samples in probabilities(prediction, truth)
    }  # fmt: skip
