"""What is known of a metric beyond its numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeVar

Function = TypeVar("Function", bound=Callable[..., dict[str, float]])

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


@dataclass(frozen=True)
class Traits:
    """How the scores of a metric are to be read, and what it needs to see.

    lower_is_better: a distance or an error.
    unit: "" for a pure number; "length" for the unit of the grid, mm or px.
    range: the least and largest score, where there are such.
    needs: what must be on the finding besides its label map, or "things": a label that is counted one by one.
    pooled_only: one case says little (mask AP): the score of all cases together is the one to read.
    exclusive: judges labels that exclude each other, and refuses those that include others.
    one_on_itself: a finding that equals its truth scores `best`.
    signed: an error to either side: 0 is best, and neither more nor less is better.
    empty: what it gives where truth or prediction is empty; None where its author does not say.
    """

    lower_is_better: bool = False
    unit: Literal["", "length"] = ""
    range: tuple[float, float] | None = (0.0, 1.0)
    needs: Literal["", "probabilities", "scores", "things"] = ""
    pooled_only: bool = False
    exclusive: bool = False
    one_on_itself: bool = True
    signed: bool = False
    empty: Empty | None = None

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


def traits(
    *,
    lower_is_better: bool = False,
    unit: Literal["", "length"] = "",
    range: tuple[float, float] | None = (0.0, 1.0),
    needs: Literal["", "probabilities", "scores", "things"] = "",
    pooled_only: bool = False,
    exclusive: bool = False,
    one_on_itself: bool = True,
    signed: bool = False,
    empty: Empty | None = None,
) -> Callable[[Function], Function]:
    """Say of a metric what `Traits` holds; one without this decorator is a ratio, and more is better."""
    known = Traits(
        lower_is_better, unit, range, needs, pooled_only, exclusive, one_on_itself, signed, empty
    )  # fmt: skip

    def note(metric: Function) -> Function:
        metric.traits = known  # type: ignore[attr-defined]
        return metric

    return note


def traits_of(metric: Callable[..., Any]) -> Traits:
    """What is known of a metric, also where arguments are bound to it."""
    while isinstance(metric, partial):
        metric = metric.func
    found = getattr(metric, "traits", Traits())
    assert isinstance(found, Traits)
    return found


def empty_rules(metrics: Mapping[str, Traits]) -> dict[Empty, list[str]]:
    """The metrics by what they give where masks are empty; those whose authors do not say are in none."""
    found: dict[Empty, list[str]] = {}
    for name, known in metrics.items():
        if known.empty is not None:
            found.setdefault(replace(known.empty, note=""), []).append(name)
    return found


def empty_rule(metrics: Mapping[str, Traits]) -> str:
    """What these metrics give where a mask is empty, in one line.

    >>> print(empty_rule({"dice": Traits(empty=Empty(truth=0, prediction=0, both=None))}))
    Empty masks (only truth / only prediction / both empty; – is left out of the mean): dice 0/0/–.
    """
    short = {None: "–", "diagonal": "diagonal", "scored": "scored"}
    rules = []
    short_named = {metric.partition("(")[0].strip(): known for metric, known in metrics.items()}
    for rule, names in empty_rules(short_named).items():
        three = [
            short[of] if of is None or isinstance(of, str) else f"{of:g}"
            for of in (rule.truth, rule.prediction, rule.both)
        ]
        told = "as any case" if set(three) == {"scored"} else "/".join(three)
        rules.append(f"{', '.join(names)} {told}")
    silent = [name for name, known in short_named.items() if known.empty is None]
    if silent:
        rules.append(f"{', '.join(silent)} not stated")
    return (
        "Empty masks (only truth / only prediction / both empty; – is left out of the mean): "
        f"{'; '.join(rules)}."
    )


def _said(outcome: Outcome) -> str:
    words = {None: "left out of the mean", "diagonal": "diagonal of the image", "scored": "scored"}
    return words[outcome] if outcome is None or isinstance(outcome, str) else f"{outcome:g}"
