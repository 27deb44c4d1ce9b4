"""Area under the ROC curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from delineate.metrics import Empty, Tally, added, traits
from delineate.metrics._probability_histogram import BINS, histograms
from delineate.metrics._ranks import Ranks, area, ranks

if TYPE_CHECKING:
    from delineate.core import Segmentation


def _pooled(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Probability that a sample with the label ranks above one without, ties counted half (Mann-Whitney).

    Parts are (2, bin), absent and present, by rising probability; samples in the same bin are ties. If absent or
    present samples are few, and the parts have points after the `BINS` coarse bins, these are ranked exactly. NaN if
    either is missing.
    """
    for few in (1, 0):
        if (known := ranks(parts, BINS, few)) is not None:
            return _one_by_one(known, weights, few)
    bins = [part[:, :BINS] for part in parts]
    absent, present = np.moveaxis(added(bins, weights), 1, 0)
    return area(absent, present)


@traits(
    title="AUROC",
    meaning=(
        "Probability that the model gives a pixel or voxel of the label a higher probability than one "
        "outside it."
    ),
    family="ranking",
    needs=frozenset({"classes", "probabilities"}),
    place=180,
    roles=frozenset({"overview"}),
    curve="roc",
    pooled=_pooled,
    empty=Empty(
        truth=None,
        prediction="scored",
        both=None,
        note="pooled over cases, what was predicted there counts",
    ),
)
def auroc(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Area under the ROC curve of a label's own probability against all else, per label.

    NaN if the label fills the image or is not in it. Exact up to 2**18 samples, above that within about 1e-6 of a full
    sort. Its tally contains coarser bins, for pooling and for `roc_curve`; up to 768 samples of the label, or of all
    else, in all cases are ranked exactly. Pooled, it is within about 1e-4 of a full sort.
    """
    return {
        name: Tally.of(
            float(area(*histogram.fine[:, None].astype(float))[0]), "auroc", histogram.parts
        )
        for name, histogram in histograms(prediction, truth).items()
    }


def _one_by_one(known: Ranks, weights: np.ndarray, few: int) -> np.ndarray:
    times = weights[:, known.case] * known.times
    below = weights @ ((known.below + known.upto) / 2)
    pairs = times.sum(axis=1) * (weights @ known.others)
    won = (times * below).sum(axis=1)
    won = won if few else pairs - won
    return np.asarray(np.divide(won, pairs, out=np.full(len(won), np.nan), where=pairs != 0))
