"""Reorient a scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delineate.arguments import Text
from delineate.core import Geometry
from delineate.prepare._step import Carry, GridStep

_LINES = str.maketrans("RAI", "LPS")
"""Each direction -> the one of the two along its line that patient coordinates count."""


def orient(axes: Text = "SPL") -> GridStep:
    """Permute and flip the axes of a scan to the given orientation. Oblique scans go to the nearest one.

    Args:
        axes: for each axis of the array, the direction in which its index grows: L or R, P or A, S or I. "SPL" is a
            stack of axial slices from feet to head, each in the usual radiological view; "PL" is one such slice.
    """
    if not set(axes) <= set("LRPASI") or len(set(axes.translate(_LINES))) != len(axes):
        raise ValueError(
            f"orient: axes is {axes!r}; expected one letter of L/R, P/A and S/I for each axis, as in 'SPL'."
        )
    return _Orient(axes)


@dataclass(frozen=True)
class _Orient:
    axes: str

    def grid(self, before: Geometry) -> Geometry:
        return before.reordered(*self._turn(before))

    def forward(self, array: np.ndarray, before: Geometry, carry: Carry) -> np.ndarray:
        order, flips = self._turn(before)
        turned = array.transpose(0, *[axis + 1 for axis in order])
        return turned[_reversals(flips)]

    def backward(self, array: np.ndarray, before: Geometry, carry: Carry) -> np.ndarray:
        order, flips = self._turn(before)
        return array[_reversals(flips)].transpose(0, *[int(a) + 1 for a in np.argsort(order)])

    def _turn(self, before: Geometry) -> tuple[list[int], list[bool]]:
        """For each new axis, the old axis and whether it is flipped."""
        there = before.orientation
        if not there:
            raise ValueError(
                "orient: the orientation of the image in the patient is unknown. Leave orient out."
            )
        lines, wanted = (letters.translate(_LINES) for letters in (there, self.axes))
        if sorted(lines) != sorted(wanted):
            named = {"L": "L-R", "P": "P-A", "S": "S-I"}
            raise ValueError(
                f"orient: axes is {self.axes!r}, but the axes of the image run along "
                f"{', '.join(named[line] for line in lines)}."
            )
        order = [lines.index(line) for line in wanted]
        flips = [there[old] != letter for old, letter in zip(order, self.axes, strict=True)]
        return order, flips


def _reversals(flips: list[bool]) -> tuple[slice, ...]:
    return (slice(None), *[slice(None, None, -1 if flip else 1) for flip in flips])
