"""What is known of a metric beyond its numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

Function = TypeVar("Function", bound=Callable[..., dict[str, float]])


@dataclass(frozen=True)
class Traits:
    """How the scores of a metric are to be read, and what it needs to see.

    lower_is_better: a distance or an error.
    unit: "" for a pure number; "length" for the unit of the grid, mm or px.
    range: the least and largest score, where there are such.
    needs: what must be on the finding besides its label map, or "things": a label that is counted one by one.
    pooled_only: one case says little (mask AP): the score of all cases together is the one to read.
    one_on_itself: a finding that equals its truth scores `best`.
    signed: an error to either side: 0 is best, and neither more nor less is better.
    """

    lower_is_better: bool = False
    unit: Literal["", "length"] = ""
    range: tuple[float, float] | None = (0.0, 1.0)
    needs: Literal["", "probabilities", "scores", "things"] = ""
    pooled_only: bool = False
    one_on_itself: bool = True
    signed: bool = False

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
    one_on_itself: bool = True,
    signed: bool = False,
) -> Callable[[Function], Function]:
    """Say of a metric what `Traits` holds; one without this decorator is a ratio, and more is better."""
    known = Traits(lower_is_better, unit, range, needs, pooled_only, one_on_itself, signed)

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
