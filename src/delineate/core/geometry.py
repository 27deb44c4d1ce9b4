"""Geometry of an image grid: shape, spacing, and position in the patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np

Unit = Literal["mm", "px"]


@dataclass(frozen=True, eq=False)
class Geometry:
    """The grid an array is sampled on; 2D or 3D by the length of `shape`.

    Axes are in array order. `spacing` is in `unit`. A photograph has unit "px" and spacing 1, because its
    physical size is unknown. `to_patient` is the (4, ndim + 1) affine from array index to patient coordinates
    in mm, axes LPS as in DICOM. It is None where the orientation in the patient is unknown.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    unit: Unit = "px"
    to_patient: np.ndarray | None = None

    def __post_init__(self) -> None:
        if len(self.shape) != len(self.spacing):
            raise ValueError(f"shape {self.shape} and spacing {self.spacing} differ in length.")
        if any(n < 1 for n in self.shape):
            raise ValueError(f"shape is {self.shape}; every axis needs at least one sample.")
        if any(not s > 0 or not np.isfinite(s) for s in self.spacing):
            raise ValueError(f"spacing is {self.spacing}; it must be positive along every axis.")
        if self.to_patient is not None and self.to_patient.shape != (4, self.ndim + 1):
            raise ValueError(
                f"to_patient has shape {self.to_patient.shape}; expected (4, {self.ndim + 1}) "
                f"for {self.ndim} axes."
            )

    @classmethod
    def in_pixels(cls, shape: Sequence[int]) -> Geometry:
        """The geometry of an image without physical size, such as a photograph.

        >>> Geometry.in_pixels((480, 640)).spacing
        (1.0, 1.0)
        """
        return cls(tuple(int(n) for n in shape), (1.0,) * len(shape))

    @classmethod
    def in_patient(cls, shape: Sequence[int], to_patient: np.ndarray) -> Geometry:
        """The geometry of a scan from its index-to-LPS affine (4, ndim + 1); spacing is computed from it."""
        affine = np.asarray(to_patient, dtype=np.float64)
        spacing = tuple(float(s) for s in np.linalg.norm(affine[:3, :-1], axis=0))
        return cls(tuple(int(n) for n in shape), spacing, "mm", affine)

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.shape)

    @property
    def sample_size(self) -> float:
        """Area (2D) or volume (3D) of one sample, in `unit` ** ndim."""
        return float(np.prod(self.spacing))

    @property
    def size_unit(self) -> str:
        """The unit of `sample_size`: "px²", "mm²", "px³" or "mm³"."""
        return self.unit + {2: "²", 3: "³"}[self.ndim]

    @property
    def orientation(self) -> str:
        """The direction in the patient that is nearest to each axis, with growing index, such as "SPL"; "" if unknown.

        L or R, P or A, S or I for each axis, as in NiBabel's `aff2axcodes`. No two axes have the same line.
        """
        if self.to_patient is None:
            return ""
        steps = self.to_patient[:3, :-1] / np.array(self.spacing)
        nearest = max(
            permutations(range(3), self.ndim),
            key=lambda lines: sum(abs(steps[line, axis]) for axis, line in enumerate(lines)),
        )
        return "".join(
            ("LPS" if steps[line, axis] >= 0 else "RAI")[line] for axis, line in enumerate(nearest)
        )

    def resized(self, shape: Sequence[int]) -> Geometry:
        """The same extent with `shape` samples; sample centres follow the half-pixel convention."""
        scale = np.array(self.shape, dtype=np.float64) / np.array(shape, dtype=np.float64)
        return self._moved(shape, np.diag(scale), (scale - 1) / 2)

    def cropped(self, start: Sequence[int], shape: Sequence[int]) -> Geometry:
        """The grid of `shape` samples from index `start`; a negative start or a larger shape means padding."""
        return self._moved(shape, np.eye(self.ndim), np.array(start, dtype=np.float64))

    def reordered(self, axes: Sequence[int], flips: Sequence[bool]) -> Geometry:
        """The geometry of `array.transpose(axes)`, then reversed along each new axis whose flip is true."""
        matrix = np.zeros((self.ndim, self.ndim))
        offset = np.zeros(self.ndim)
        for new, (old, flip) in enumerate(zip(axes, flips, strict=True)):
            matrix[old, new] = -1.0 if flip else 1.0
            offset[old] = self.shape[old] - 1 if flip else 0.0
        return self._moved([self.shape[a] for a in axes], matrix, offset)

    def differences(self, other: Geometry, *, tolerance: float = 1e-3) -> list[str]:
        """Descriptions of the differences between two grids; empty if their samples coincide.

        `tolerance`: accepted difference in spacing and in corner position, in units of one sample.
        """
        if self.shape != other.shape:
            return [f"shape {self.shape} against {other.shape}"]
        differences = []
        if self.unit == other.unit and not np.allclose(self.spacing, other.spacing, rtol=tolerance):
            differences.append(
                f"spacing {_short(self.spacing)} against {_short(other.spacing)} {self.unit}"
            )
        if self.to_patient is not None and other.to_patient is not None:
            corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape])).reshape(
                self.ndim, -1
            )
            ends = np.vstack([corners, np.ones(corners.shape[1])])
            gap = float(np.linalg.norm((self.to_patient - other.to_patient) @ ends, axis=0).max())
            if gap > max(tolerance, 0.01) * max(self.spacing):
                differences.append(f"position in the patient, by up to {gap:.3g} mm")
        return differences

    def _moved(self, shape: Sequence[int], matrix: np.ndarray, offset: np.ndarray) -> Geometry:
        """The grid whose index x is at index `matrix @ x + offset` of this grid."""
        spacing = np.abs(matrix).T @ np.array(self.spacing)
        affine = None
        if self.to_patient is not None:
            step = np.eye(self.ndim + 1)
            step[:-1, :-1] = matrix
            step[:-1, -1] = offset
            affine = self.to_patient @ step
        return Geometry(
            tuple(int(n) for n in shape), tuple(float(s) for s in spacing), self.unit, affine
        )

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Geometry)
            and self.unit == other.unit
            and (self.to_patient is None) == (other.to_patient is None)
            and not self.differences(other, tolerance=1e-6)
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.unit))


def _short(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{v:.4g}" for v in values) + ")"
