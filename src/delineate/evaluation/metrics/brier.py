"""Brier score."""

import numpy as np

from delineate.core import Segmentation
from delineate.evaluation.metrics._probabilities import probabilities
from delineate.evaluation.metrics._tally import Tally
from delineate.evaluation.metrics._traits import Empty, traits


@traits(
    needs="probabilities",
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
