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
    """Chance that a sample of the label has the higher probability, draws halved (Mann-Whitney).

    Parts are (2, bin), absent and present, by rising probability; what shares a bin is a draw. Few absent or few
    present samples are ranked one by one, where the parts have points behind the `BINS` coarse bins. NaN where
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
        "Probability that a pixel or voxel of the label is given a higher probability than one that is "
        "not."
    ),
    family="ranking",
    needs=frozenset({"classes", "probabilities"}),
    place=180,
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


def _one_by_one(known: Ranks, weights: np.ndarray, few: int) -> np.ndarray:
    times = weights[:, known.case] * known.times
    below = weights @ ((known.below + known.upto) / 2)
    pairs = times.sum(axis=1) * (weights @ known.others)
    won = (times * below).sum(axis=1)
    won = won if few else pairs - won
    return np.asarray(np.divide(won, pairs, out=np.full(len(won), np.nan), where=pairs != 0))
