"""Area under the ROC curve."""

from delineate.core import Segmentation
from delineate.evaluation.metrics._probability_histogram import histograms
from delineate.evaluation.metrics._readers.auroc import area
from delineate.evaluation.metrics._tally import Tally
from delineate.evaluation.metrics._traits import Empty, traits


@traits(
    needs="probabilities",
    empty=Empty(
        truth=None,
        prediction="scored",
        both=None,
        note="pooled over cases, what was predicted there counts",
    ),
)
def auroc(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Area under the ROC curve of a label's own probability against all else, per label.

    NaN where the label fills the image or is not in it: such a case says nothing of it. Exact up to 2**18 samples,
    above within about 1e-6 of a full sort. Its tally holds coarser bins to pool, and for `roc_curve`; up to 768 samples
    of the label, or of all else, in all cases are ranked one by one. Pooled it is within about 1e-4 of a full sort.
    """
    return {
        name: Tally.of(
            float(area(*histogram.fine[:, None].astype(float))[0]), "auroc", histogram.parts
        )
        for name, histogram in histograms(prediction, truth).items()
    }
