"""Expected calibration error of the likeliest class."""

import numpy as np

from delineate.core import Segmentation
from delineate.metrics._near_truth import near_truth
from delineate.metrics._pair import check_pair
from delineate.metrics._probabilities import checked
from delineate.metrics._reliability import reliability
from delineate.metrics._traits import Empty, traits


@traits(
    needs="probabilities",
    lower_is_better=True,
    empty=Empty(
        truth=None, prediction="scored", both=None, note="scored where the truth has another label"
    ),
)
def ece_top(
    found: Segmentation, truth: Segmentation, *, bins: int = 15, margin: float | None = 10.0
) -> dict[str, float]:
    """Gap between the probability of the likeliest class and how often it is right: one number, under "all".

    Background is a class (Guo et al., ICML 2017: "confidence"). Another number than `ece`, which asks of each
    label's own probability; `margin` is as there.
    """
    check_pair(found, truth)
    where = near_truth(truth, margin)
    likely = checked(found)[:, where]
    top = likely.argmax(axis=0)
    channel = np.zeros(top.shape, top.dtype)
    for place, name in enumerate(found.labels.names, start=1):
        channel[truth.mask(name)[where]] = place
    return {"all": reliability(likely.max(axis=0), top == channel, bins)}
