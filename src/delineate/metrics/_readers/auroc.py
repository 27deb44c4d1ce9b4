"""Area under the ROC curve of histograms summed over cases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from delineate.metrics._tally import added


def auroc(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Chance that a sample of the label has the higher probability, draws halved (Mann-Whitney).

    Parts are (2, bin), absent and present, by rising probability; what shares a bin is a draw. NaN where either
    is missing.
    """
    absent, present = np.moveaxis(added(parts, weights), 1, 0)
    below = absent.cumsum(axis=1) - absent / 2
    pairs = absent.sum(axis=1) * present.sum(axis=1)
    won = (present * below).sum(axis=1)
    return np.asarray(np.divide(won, pairs, out=np.full(len(won), np.nan), where=pairs != 0))
