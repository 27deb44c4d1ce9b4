"""Expected calibration error, per label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from annotated_types import Le

from delineate.arguments import Count, NonNegative
from delineate.metrics import Empty, traits
from delineate.metrics._calibration import calibration_error, near_truth, reliability
from delineate.metrics._pair import probabilities, same_layout

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="ECE",
    meaning=(
        "Expected calibration error: mean gap between the predicted probability of the label and its "
        "observed frequency."
    ),
    family="calibration",
    needs=frozenset({"classes", "probabilities"}),
    place=200,
    curve="reliability",
    pooled=calibration_error,
    lower_is_better=True,
    empty=Empty(
        truth=None, prediction="scored", both=None, note="scored where the truth has another label"
    ),
)
def ece(
    prediction: Segmentation,
    truth: Segmentation,
    *,
    bins: Annotated[Count, Le(10_000)] = 15,
    margin: NonNegative | None = 10.0,
) -> dict[str, float]:
    """Gap between a label's own probability and how often it is there, per label (Naeini et al., AAAI 2015).

    It counts samples within `margin` (mm or px, as the grid) of any label of the truth, since easy background would
    dominate it; null counts all samples. NaN if no sample counts, because the truth is empty.
    """
    prediction, truth = same_layout(prediction, truth)
    where = near_truth(truth, margin)
    return {
        label.name: reliability(samples, bins, "ece")
        for label, samples in probabilities(prediction, truth, where)
    }
