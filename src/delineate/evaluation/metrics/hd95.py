"""95th percentile of the Hausdorff distance."""

from delineate.core import Segmentation
from delineate.evaluation.metrics._traits import Empty, traits
from delineate.evaluation.metrics.hausdorff import hausdorff


@traits(
    lower_is_better=True,
    unit="length",
    range=None,
    empty=Empty(truth="diagonal", prediction="diagonal", both=None),
)
def hd95(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Hausdorff distance without the worst 5 %: the larger of the 95th percentiles of the two directions, in mm or px.

    As MONAI and Metrics Reloaded define it. `hd95_pooled` and `hd95_surfel` are other definitions, up to 30 % off.
    Of two and three slices see `hausdorff`: most samples are on the border, so that the percentile falls.
    """
    return hausdorff(prediction, truth, percentile=95.0)
