"""Segmentation x Segmentation -> number per label: one metric per file, prediction before truth.

The file of a metric contains all that is known of it, in its `traits`: its title, meaning and needs, its scores for
empty masks, and how cases are pooled. Reports, tables, scores.json, the reference pages and the checks of a recipe read
it there. NaN means that a metric is not defined for a case: the case is left out of the mean, and counted. No metric
counts samples that the truth marks as ignored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from string import Formatter
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

if TYPE_CHECKING:
    from delineate.metrics._counts import Counts, counts
    from delineate.metrics._image_level import ImageLevel, by_level, image_level
    from delineate.metrics._load import (
        Metric,
        empty_rule,
        empty_rules,
        family_of_metrics,
        fitting,
        full_set,
        load_metrics,
        refuse_unfit,
        traits_by_name,
    )
    from delineate.metrics._pair import forget, masks
    from delineate.metrics._probability_histogram import (
        PrecisionRecallCurve,
        RocCurve,
        precision_recall_curve,
        roc_curve,
    )

__all__ = [
    "PARTS",
    "Counts",
    "Empty",
    "ImageLevel",
    "Metric",
    "PrecisionRecallCurve",
    "RocCurve",
    "Tally",
    "Traits",
    "by_level",
    "counts",
    "empty_rule",
    "empty_rules",
    "family_of_metrics",
    "fitting",
    "forget",
    "full_set",
    "image_level",
    "load_metrics",
    "masks",
    "pool",
    "pool_weighted",
    "precision_recall_curve",
    "refuse_unfit",
    "roc_curve",
    "traits",
    "traits_by_name",
    "traits_of",
]

_HOMES = {
    "_counts": ("Counts", "counts"),
    "_image_level": ("ImageLevel", "by_level", "image_level"),
    "_load": (
        "Metric", "empty_rule", "empty_rules", "family_of_metrics", "fitting", "full_set", "load_metrics",
        "refuse_unfit", "traits_by_name",
    ),
    "_pair": ("forget", "masks"),
    "_probability_histogram": (
        "PrecisionRecallCurve", "RocCurve", "precision_recall_curve", "roc_curve",
    ),
}  # fmt: skip
"""Modules imported on first access, so that one metric imports only what it needs."""


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"delineate.metrics.{home}"), name)
    raise AttributeError(f"module 'delineate.metrics' has no attribute {name!r}")


Function = TypeVar("Function", bound=Callable[..., dict[str, float]])

Reader = Callable[[Sequence[np.ndarray], np.ndarray], np.ndarray]
"""parts of each case, weights (resample, case) -> the score of each resample, (resample,)"""

PARTS = {
    "classes": "a label map",
    "probabilities": "the probability of each label in each pixel or voxel",
    "present": "image-level labels",
    "instances": "objects one by one",
}
"""The parts of a segmentation that a metric may need, by their names in `Task.gives`, in words."""

Family = Literal[
    "", "overlap", "tubular", "rates", "boundary", "volume", "objects", "detection", "ranking", "calibration",
    "accuracy", "confidence", "image-level",
]  # fmt: skip
"""The property of a segmentation that a metric measures; "" if its author does not name one."""

Role = Literal["compared", "beside", "on top", "overview", "empty means"]
"""A place of a metric in reports. compared: in a comparison, if no metric is named. beside: shown beside each case in
the gallery. on top: among the figures at the top of the page. overview: in the table with a row per label. empty means:
two more means are reported, since tools treat empty masks differently."""

Outcome = float | Literal["diagonal", "scored"] | None
"""A number: this score. None: no score (NaN), and the case is left out of the mean. "diagonal": the diagonal of the
image. "scored": computed as for any other case."""


@dataclass(frozen=True)
class Empty:
    """The score of a label for which the truth, the prediction or both are empty.

    truth: only the truth is empty.
    prediction: only the prediction is empty.
    both: both are empty.
    note: an exception, or the effect on the mean.

    >>> print(Empty(truth=0, prediction=0, both=None))
    0 where only the truth is empty, 0 where only the prediction is, left out of the mean where both are
    """

    truth: Outcome
    prediction: Outcome
    both: Outcome
    note: str = ""

    @property
    def words(self) -> tuple[str, str, str]:
        """The three outcomes in words: truth, prediction, both."""
        return (
            _outcome_words(self.truth),
            _outcome_words(self.prediction),
            _outcome_words(self.both),
        )

    def __str__(self) -> str:
        truth, prediction, both = self.words
        rule = f"{truth} where only the truth is empty, {prediction} where only the prediction is"
        rule = f"{rule}, {both} where both are"
        if {self.truth, self.prediction, self.both} == {"scored"}:
            rule = "scored as any other case"
        return f"{rule} ({self.note})" if self.note else rule


def _outcome_words(outcome: Outcome) -> str:
    words = {None: "left out of the mean", "diagonal": "diagonal of the image", "scored": "scored"}
    return words[outcome] if outcome is None or isinstance(outcome, str) else f"{outcome:g}"


@dataclass(frozen=True)
class Traits:
    """The description of a metric, attached to it as a decorator.

    title: its name in a report. Arguments in braces are always shown, also with their defaults: "F{beta}"; `{unit}` is
        the unit of lengths. "" means the name of the function.
    meaning: one sentence for the reader of a report.
    family: the property that it measures.
    lower_is_better: a distance or an error.
    signed: an error with a sign: 0 is best.
    unit: "" for a pure number; "length" for the unit of the grid, mm or px.
    range: the least and largest possible score; None if there is no limit.
    one_on_itself: a prediction that equals the truth scores `best`.
    needs: the parts of a segmentation that it reads, by their names in `PARTS`.
    things: evaluates labels of the kind thing only.
    exclusive: needs labels that exclude each other.
    place: its position in the full set, in ascending order; None for a metric outside the full set.
    roles: its places in reports.
    expects: the metric whose score it estimates without the truth; such a metric does not evaluate a prediction.
    curve: the curve that the parts of its tallies give, summed over cases.
    pooled: computes the score of all cases together from the parts of their tallies; None: a ratio of sums.
    pooled_only: only the score of all cases together is meaningful (mask AP).
    empty: its scores if the truth or the prediction is empty; None if its author does not state them.
    """

    title: str = ""
    meaning: str = ""
    family: Family = ""
    lower_is_better: bool = False
    signed: bool = False
    unit: Literal["", "length"] = ""
    range: tuple[float, float] | None = (0.0, 1.0)
    one_on_itself: bool = True
    needs: frozenset[str] = frozenset()
    things: bool = False
    exclusive: bool = False
    place: int | None = None
    roles: frozenset[Role] = frozenset()
    expects: str = ""
    curve: Literal["", "roc", "precision-recall", "reliability"] = ""
    pooled: Reader | None = None
    pooled_only: bool = False
    empty: Empty | None = None

    def __call__(self, metric: Function) -> Function:
        """Attach this description to a metric."""
        metric.traits = self  # type: ignore[attr-defined]
        return metric

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arguments that are always shown with a score: those that the title names."""
        return tuple(
            name for _, name, _, _ in Formatter().parse(self.title) if name and name != "unit"
        )

    @property
    def best(self) -> float:
        """The best possible score: 1, or 0 for errors and distances."""
        return 0.0 if self.lower_is_better or self.signed else 1.0

    @property
    def bounds(self) -> tuple[float, float]:
        """The limits of a score: the range; 0 and infinity for a length; infinite if nothing is known."""
        if self.range is not None:
            return self.range
        return (0.0 if self.unit == "length" and not self.signed else -math.inf), math.inf


traits = Traits
"""The decorator of a metric. A metric without it has the defaults of `Traits`: higher is better, from 0 to 1."""


def traits_of(metric: Callable[..., Any]) -> Traits:
    """The traits of a metric, also of a `functools.partial` of one."""
    while isinstance(metric, partial):
        metric = metric.func
    known = getattr(metric, "traits", Traits())
    assert isinstance(known, Traits)
    return known


CASES = 1024
"""Cases added at a time, to limit the memory for parts as float64."""


class Tally(float):
    """The score of one case, with the numbers it was computed from, so that cases can be pooled.

    kind: how a score is computed from the parts of one or many cases: "ratio", or the name of the metric whose `traits`
        contain the pooled form.
    parts: the numbers of this case; the pooled form defines their meaning.

    >>> half = Tally("ratio", [1, 2])
    >>> half, pool([half, Tally("ratio", [3, 3])])
    (0.5, 0.8)
    """

    kind: str
    parts: np.ndarray

    def __new__(cls, kind: str, parts: np.ndarray | Sequence[float]) -> Tally:
        """Compute the score from the parts."""
        kept = np.asarray(parts)
        return cls.of(_read(kind, [kept], np.ones((1, 1)))[0], kind, kept)

    @classmethod
    def of(cls, score: float, kind: str, parts: np.ndarray) -> Tally:
        """A tally with a score that is already known, perhaps more precisely than the parts allow."""
        self = super().__new__(cls, score)
        self.kind = kind
        self.parts = parts
        return self

    def __reduce__(self) -> tuple[Callable[..., Tally], tuple[float, str, np.ndarray]]:
        return Tally.of, (float(self), self.kind, self.parts)


def pool(tallies: Iterable[Tally]) -> float:
    """The score of several cases together, as if they were one; NaN for no case.

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


def ratio(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Sum of the first number over sum of the second; NaN where the second sum is 0."""
    part, whole = np.moveaxis(added(parts, weights), -1, 0)
    return np.asarray(np.divide(part, whole, out=np.full(len(part), np.nan), where=whole != 0))


def added(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Parts of one shape summed over cases: (resample, *shape of the parts)."""
    total = np.zeros((len(weights), *parts[0].shape))
    for i in range(0, len(parts), CASES):
        stacked = np.stack(parts[i : i + CASES]).astype(np.float64, copy=False)
        total += np.tensordot(weights[:, i : i + CASES], stacked, axes=1)
    return total


def _read(kind: str, parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    reader: Reader | None = ratio if kind == "ratio" else None
    if reader is None and kind.isidentifier():  # the kind comes from a table, which is not trusted
        try:
            metric = getattr(import_module(f"delineate.metrics.{kind}"), kind)
        except (ImportError, AttributeError):
            metric = None
        reader = None if metric is None else traits_of(metric).pooled
    if reader is None:
        raise ValueError(
            f"tallies of the kind {kind!r} cannot be read; expected ratio, or a metric with a pooled form."
        )
    return reader(parts, weights)
