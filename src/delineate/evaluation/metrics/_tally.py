"""A score that can be pooled over cases."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence

import numpy as np

Reader = Callable[[Sequence[np.ndarray], np.ndarray], np.ndarray]
"""parts of each case, weights (resample, case) -> the score of each resample, (resample,)"""


CASES = 1024
"""Cases added at a time, so that large parts of many cases are never all at hand as float64."""


class Tally(float):
    """The score of one case, which remembers the numbers it was read from so that cases can be pooled.

    kind: how a score is read from the parts of one case or of many: a file in `metrics/_readers/`.
    parts: the numbers of this case; what they mean, the kind says.

    >>> half = Tally("ratio", [1, 2])
    >>> half, pool([half, Tally("ratio", [3, 3])])
    (0.5, 0.8)
    """

    kind: str
    parts: np.ndarray

    def __new__(cls, kind: str, parts: np.ndarray | Sequence[float]) -> Tally:
        """The score is read from the parts at once."""
        kept = np.asarray(parts)
        return cls.of(_read(kind, [kept], np.ones((1, 1)))[0], kind, kept)

    @classmethod
    def of(cls, score: float, kind: str, parts: np.ndarray) -> Tally:
        """A score that is known already, perhaps more finely than its parts can tell."""
        self = super().__new__(cls, score)
        self.kind = kind
        self.parts = parts
        return self

    def __reduce__(self) -> tuple[Callable[..., Tally], tuple[float, str, np.ndarray]]:
        return Tally.of, (float(self), self.kind, self.parts)


def pool(tallies: Iterable[Tally]) -> float:
    """The score of cases taken together, as if they were one; NaN of none.

    Raises:
        ValueError: the tallies are of several kinds.
    """
    tallies = list(tallies)
    return float(pool_weighted(tallies, np.ones((1, len(tallies))))[0])


def pool_weighted(tallies: Sequence[Tally], weights: np.ndarray) -> np.ndarray:
    """The pooled score of each resample, (resample,), for weights (resample, case): how often a case was drawn.

    Raises:
        ValueError: the tallies are of several kinds.
    """
    kinds = {tally.kind for tally in tallies}
    if len(kinds) > 1:
        raise ValueError(f"tallies of the kinds {', '.join(sorted(kinds))} cannot be pooled.")
    if not kinds:
        return np.full(len(weights), np.nan)
    return _read(kinds.pop(), [tally.parts for tally in tallies], weights)


def added(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Parts of one shape summed over cases: (resample, *shape of the parts)."""
    total = np.zeros((len(weights), *parts[0].shape))
    for i in range(0, len(parts), CASES):
        stacked = np.stack(parts[i : i + CASES]).astype(np.float64, copy=False)
        total += np.tensordot(weights[:, i : i + CASES], stacked, axes=1)
    return total


def _read(kind: str, parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    if not kind.isidentifier():  # read from a table, which may be a stranger's
        raise ValueError(f"tallies of the kind {kind!r} cannot be read.")
    reader: Reader = getattr(
        importlib.import_module(f"delineate.evaluation.metrics._readers.{kind}"), kind
    )
    return reader(parts, weights)
