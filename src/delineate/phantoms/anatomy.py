"""Bodies in millimetres, on any grid whose axes run along the patient's: a slice or a volume."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from delineate.core import Geometry
from delineate.phantoms.texture import smooth_noise


@dataclass(frozen=True, eq=False)
class Space:
    """A grid in the patient. `axes` are the LPS coordinates, each an array that broadcasts to `shape`."""

    geometry: Geometry
    axes: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def of(cls, geometry: Geometry) -> Space:
        """The space of a grid whose every axis is along one axis of the patient.

        Raises:
            ValueError: the grid has no place in the patient.
        """
        if geometry.to_patient is None:
            raise ValueError("the geometry has no to_patient; anatomy is drawn in millimetres.")
        index = np.ix_(*[np.arange(n, dtype=np.float32) for n in geometry.shape])
        steps, origin = geometry.to_patient[:3, :-1], geometry.to_patient[:3, -1]
        left, posterior, superior = (
            np.full((1,) * geometry.ndim, origin[a], np.float32)
            + sum(np.float32(steps[a, k]) * i for k, i in enumerate(index) if steps[a, k])
            for a in range(3)
        )
        return cls(geometry, (np.asarray(left), np.asarray(posterior), np.asarray(superior)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the grid."""
        return self.geometry.shape

    def noise(self, rng: np.random.Generator, wavelength: float) -> np.ndarray:
        """Smooth noise of mean 0 and variance 1; `wavelength` in mm."""
        finest = float(np.mean(self.geometry.spacing))
        return smooth_noise(rng, self.shape, max(wavelength / finest, 1.5))

    def ellipsoid(
        self, centre: ArrayLike, radii: ArrayLike, turn: float = 0.0, power: float = 2.0
    ) -> np.ndarray:
        """Reach from the centre: 1 on the surface, less inside.

        turn: about the patient's long axis, in radians, from left towards posterior.
        power: 2 is an ellipsoid, more is boxier.
        """
        centre, radii = np.asarray(centre, np.float32), np.asarray(radii, np.float32)
        x, y, z = (axis - c for axis, c in zip(self.axes, centre, strict=True))
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        along, across = x * cos + y * sin, y * cos - x * sin
        parts = [np.abs(d / r) for d, r in zip((along, across, z), radii, strict=True)]
        if power == 2.0:
            return np.asarray(np.sqrt(sum(p * p for p in parts)))
        return np.asarray(sum(p ** np.float32(power) for p in parts) ** np.float32(1 / power))

    def tube(
        self, lines: Iterable[tuple[np.ndarray, float]], limit: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Reach from the nearest of several lines of (points (n, 3), radius), and height above it, in radii.

        Beyond `limit` radii the reach is infinite. Height is towards the front, where gas gathers in a
        patient who lies on the back.
        """
        reach = np.full(self.shape, np.inf, np.float32)
        height = np.zeros(self.shape, np.float32)
        for points, radius in lines:
            for a, b in pairwise(points):
                box = self._box(
                    np.minimum(a, b) - limit * radius, np.maximum(a, b) + limit * radius
                )
                if box is None:
                    continue
                near, up = self._from_segment(box, a, b)
                near /= np.float32(radius)
                closer = near < np.minimum(reach[box], np.float32(limit))
                reach[box] = np.where(closer, near, reach[box])
                height[box] = np.where(closer, up / np.float32(radius), height[box])
        return reach, height

    def _box(self, low: np.ndarray, high: np.ndarray) -> tuple[slice, ...] | None:
        """The part of the grid between two corners, or None."""
        box = [slice(0, n) for n in self.shape]
        for axis, least, most in zip(self.axes, low, high, strict=True):
            inside = np.flatnonzero((axis.ravel() >= least) & (axis.ravel() <= most))
            if not inside.size:
                return None
            if axis.size > 1:
                along = int(np.argmax(axis.shape))
                box[along] = slice(int(inside[0]), int(inside[-1]) + 1)
        return tuple(box)

    def _from_segment(
        self, box: tuple[slice, ...], a: np.ndarray, b: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Distance from a segment, and height above it, in mm."""
        place = [
            axis[tuple(s if n > 1 else slice(None) for s, n in zip(box, axis.shape, strict=True))]
            for axis in self.axes
        ]
        offset = [p - np.float32(start) for p, start in zip(place, a, strict=True)]
        way = np.asarray(b - a, np.float32)
        t = sum(o * w for o, w in zip(offset, way, strict=True)) / max(float(way @ way), 1e-6)
        t = np.clip(t, 0, 1)
        gap = [o - t * w for o, w in zip(offset, way, strict=True)]
        return np.asarray(np.sqrt(sum(g * g for g in gap))), -gap[1]
