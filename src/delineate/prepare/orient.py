"""Reorient a scan."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from delineate.arguments import Text
from delineate.core import Geometry
from delineate.prepare._step import Carry, GridStep

_DIRECTIONS = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}


def orient(axes: Text = "SPL") -> GridStep:
    """Permute and flip the axes of a scan to the given orientation. Oblique scans go to the nearest one.

    Args:
        axes: for each axis of the array, the direction in which its index grows: L or R, P or A, S or I. "SPL" is a
            stack of axial slices from feet to head, each in the usual radiological view; "PL" is one such slice.
    """
    if any(a not in _DIRECTIONS for a in axes) or len({_DIRECTIONS[a][0] for a in axes}) != len(
        axes
    ):
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
        if before.to_patient is None:
            raise ValueError(
                "orient: the orientation of the image in the patient is unknown. Leave orient out."
            )
        steps = before.to_patient[:3, :-1] / np.array(before.spacing)
        nearest = max(
            permutations(range(3), before.ndim),
            key=lambda p: sum(abs(steps[p[axis], axis]) for axis in range(before.ndim)),
        )
        wanted = [_DIRECTIONS[letter] for letter in self.axes]
        if sorted(nearest) != sorted(anatomical for anatomical, _ in wanted):
            raise ValueError(
                f"orient: axes is {self.axes!r}, but the axes of the image run along "
                f"{', '.join(('L-R', 'P-A', 'S-I')[a] for a in nearest)}."
            )
        order = [nearest.index(anatomical) for anatomical, _ in wanted]
        flips = [
            bool(steps[anatomical, axis] * sign < 0)
            for (anatomical, sign), axis in zip(wanted, order, strict=True)
        ]
        return order, flips


def _reversals(flips: list[bool]) -> tuple[slice, ...]:
    return (slice(None), *[slice(None, None, -1 if flip else 1) for flip in flips])
