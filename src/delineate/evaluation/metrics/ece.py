"""Expected calibration error, per label."""

from delineate.arguments import NonNegative
from delineate.core import Segmentation
from delineate.evaluation.metrics._near_truth import near_truth
from delineate.evaluation.metrics._pair import same_layout
from delineate.evaluation.metrics._probabilities import probabilities
from delineate.evaluation.metrics._reliability import Bins, reliability
from delineate.evaluation.metrics._traits import Empty, traits


@traits(
    needs="probabilities",
    lower_is_better=True,
    empty=Empty(
        truth=None, prediction="scored", both=None, note="scored where the truth has another label"
    ),
)
def ece(
    prediction: Segmentation,
    truth: Segmentation,
    *,
    bins: Bins = 15,
    margin: NonNegative | None = 10.0,
) -> dict[str, float]:
    """Gap between a label's own probability and how often it is there, per label (Naeini et al., AAAI 2015).

    Judged within `margin` (mm or px, as the grid) of any label of the truth, since easy background would swamp
    it; null judges everywhere. NaN where the truth is empty and so has no such place.
    """
    prediction, truth = same_layout(prediction, truth)
    where = near_truth(truth, margin)
    return {
        label.name: reliability(samples, bins)
        for label, samples in probabilities(prediction, truth, where)
    }
