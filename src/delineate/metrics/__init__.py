"""Segmentation x Segmentation -> number per label: one metric per file, prediction before truth.

A metric's own file says all that is known of it, in its `traits`: what it is called, what it means, what it needs, what
it gives where masks are empty, how cases are pooled. Reports, tables, scores.json, the reference pages and the checks
of a recipe read it there. NaN says that the question does not arise: such a case is left out of the mean, and counted.
Samples that the truth marks to be ignored are judged by none.
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
"""What is loaded when it is first asked for, so that one metric loads what it needs and no more."""


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
"""What a metric may need of a segmentation, by the names that `Task.gives` uses, in words."""

Family = Literal[
    "", "overlap", "tubular", "rates", "boundary", "volume", "objects", "detection", "ranking", "calibration",
    "accuracy", "confidence", "image-level",
]  # fmt: skip
"""The property of a segmentation that a metric judges; "" where its author does not say."""

Role = Literal["compared", "beside", "on top", "empty means"]
"""A place that a metric has in reports. compared: in a comparison where no metric is named. beside: told of each case
in the gallery. on top: among the figures on top of the page. empty means: two further means are published, since tools
differ in what they do with empty masks."""

Outcome = float | Literal["diagonal", "scored"] | None
"""A number: that score. None: no score (NaN), and the case is left out of the mean. "diagonal": the diagonal of the
image. "scored": a score as in any other case."""


@dataclass(frozen=True)
class Empty:
    """What a metric gives for a label that has no sample on one side or on both.

    truth: only the truth is empty: all that was predicted is false.
    prediction: only the prediction is empty: all was missed.
    both: there is nothing, and nothing was predicted.
    note: where else it depends on, or what a mean without these cases hides.

    >>> print(Empty(truth=0, prediction=0, both=None))
    0 where only the truth is empty, 0 where only the prediction is, left out of the mean where both are
    """

    truth: Outcome
    prediction: Outcome
    both: Outcome
    note: str = ""

    @property
    def words(self) -> tuple[str, str, str]:
        """The three outcomes as they are read: truth, prediction, both."""
        return _said(self.truth), _said(self.prediction), _said(self.both)

    def __str__(self) -> str:
        truth, prediction, both = self.words
        told = f"{truth} where only the truth is empty, {prediction} where only the prediction is"
        told = f"{told}, {both} where both are"
        if {self.truth, self.prediction, self.both} == {"scored"}:
            told = "scored as any other case"
        return f"{told} ({self.note})" if self.note else told


def _said(outcome: Outcome) -> str:
    words = {None: "left out of the mean", "diagonal": "diagonal of the image", "scored": "scored"}
    return words[outcome] if outcome is None or isinstance(outcome, str) else f"{outcome:g}"


@dataclass(frozen=True)
class Traits:
    """All that is known of a metric besides its numbers; as a decorator it says so of a metric.

    title: its name in a report. Arguments in braces are always told, with their defaults: "F{beta}"; `{unit}` is the
        unit of lengths. "" is the name of the function.
    meaning: one sentence on what it says, for a reader of a report.
    family: the property that it judges.
    lower_is_better: a distance or an error.
    signed: an error to either side: 0 is best, and neither more nor less is better.
    unit: "" for a pure number; "length" for the unit of the grid, mm or px.
    range: the least and largest score, where there are such.
    one_on_itself: a finding that equals its truth scores `best`.
    needs: the parts of a segmentation that it reads, by the names in `PARTS`; none where nothing is known of it.
    things: judges labels of the kind thing only.
    exclusive: judges labels that exclude each other only.
    place: where it stands in the full set, which is in rising order; None where it is not part of it.
    roles: places that it has in reports.
    expects: the metric whose score it predicts without seeing the truth; such a metric is no judgement.
    curve: what the parts of its tallies draw, summed over cases.
    pooled: how the score of all cases together is read from the parts of their tallies; None: a ratio of sums.
    pooled_only: one case says little (mask AP): the score of all cases together is the one to read.
    empty: what it gives where truth or prediction is empty; None where its author does not say.
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
        """Say it of a metric."""
        metric.traits = self  # type: ignore[attr-defined]
        return metric

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arguments without which a score says nothing: those that the title names."""
        return tuple(
            name for _, name, _, _ in Formatter().parse(self.title) if name and name != "unit"
        )

    @property
    def best(self) -> float:
        """The best score there is: 1, or 0 for errors and distances."""
        return 0.0 if self.lower_is_better or self.signed else 1.0

    @property
    def bounds(self) -> tuple[float, float]:
        """What no score can exceed: the range, or 0 and infinity for a length; infinite where nothing is known."""
        if self.range is not None:
            return self.range
        return (0.0 if self.unit == "length" and not self.signed else -math.inf), math.inf


traits = Traits
"""The decorator of a metric. One without it is read as a ratio of which more is better, under its own name."""


def traits_of(metric: Callable[..., Any]) -> Traits:
    """What is known of a metric, also where arguments are bound to it."""
    while isinstance(metric, partial):
        metric = metric.func
    found = getattr(metric, "traits", Traits())
    assert isinstance(found, Traits)
    return found


CASES = 1024
"""Cases added at a time, so that large parts of many cases are never all at hand as float64."""


class Tally(float):
    """The score of one case, which remembers the numbers it was read from so that cases can be pooled.

    kind: how a score is read from the parts of one case or of many: "ratio", or the name of the metric whose `traits`
        hold the pooled form.
    parts: the numbers of this case; what they mean, the pooled form says.

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
    if reader is None and kind.isidentifier():  # read from a table, which may be a stranger's
        try:
            metric = getattr(import_module(f"delineate.metrics.{kind}"), kind)
        except (ImportError, AttributeError):
            metric = None
        reader = None if metric is None else traits_of(metric).pooled
    if reader is None:
        raise ValueError(f"tallies of the kind {kind!r} cannot be read.")
    return reader(parts, weights)
