"""The two ends of a confidence interval."""

from __future__ import annotations

import math
from typing import NamedTuple


class Interval(NamedTuple):
    """A confidence interval; both ends are NaN if the spread is not known."""

    low: float = math.nan
    high: float = math.nan

    @property
    def known(self) -> bool:
        """Whether both ends are numbers."""
        return self.low == self.low and self.high == self.high

    def __contains__(self, value: object) -> bool:
        """Whether a number lies within, ends included.

        >>> 0.5 in Interval(0.4, 0.5), 0.5 in Interval()
        (True, False)
        """
        return isinstance(value, (int, float)) and self.low <= value <= self.high
