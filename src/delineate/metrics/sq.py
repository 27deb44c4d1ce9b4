"""Segmentation quality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from delineate.metrics import Empty, Tally, added, traits
from delineate.metrics._panoptic import panoptic

if TYPE_CHECKING:
    from delineate.core import Segmentation


def _mean_of_matches(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """The mean IoU; parts are the summed IoU of matches, the matches, and the unmatched segments. NaN without any."""
    total, matched, unmatched = np.moveaxis(added(parts, weights), -1, 0)
    worst = np.where(unmatched > 0, 0.0, np.nan)
    return np.asarray(np.divide(total, matched, out=worst, where=matched != 0))


@traits(
    title="SQ",
    meaning="Segmentation quality: mean IoU of the objects that were matched.",
    family="objects",
    needs=frozenset({"classes"}),
    place=120,
    pooled=_mean_of_matches,
    empty=Empty(truth=0, prediction=0, both=None),
)
def sq(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Segmentation quality, the mean IoU of matched segments, per label; PQ = SQ x RQ.

    Segments match as in `pq`. If there are segments but no match it is 0, as in panopticapi, so that PQ is always the
    product.
    """
    n = panoptic(prediction, truth)
    return {
        name: Tally("sq", parts)
        for name, *parts in zip(n.names, n.iou, n.tp, n.fp + n.fn, strict=True)
    }
