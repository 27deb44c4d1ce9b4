"""Polyps that stand on the wall of a colon: sessile domes and heads on a stalk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from delineate.phantoms.colon import Colon
from delineate.phantoms.texture import blur, smooth_noise

Kind = Literal["neoplastic", "non_neoplastic"]


@dataclass(frozen=True, eq=False)
class Polyp:
    """One polyp.

    reach: 0 at its middle, 1 on its outline, larger outside.
    free: where no fold stands between it and the camera.
    pattern: the relief of its surface, mean 0 and variance 1.
    """

    kind: Kind
    reach: np.ndarray
    free: np.ndarray
    depth: np.ndarray
    pattern: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """Where it shows, before the frame and other polyps hide parts of it."""
        return np.asarray((self.reach < 1) & self.free)


def draw_polyps(rng: np.random.Generator, colon: Colon, inside: np.ndarray) -> list[Polyp]:
    """None to three polyps, most of them wholly in view, some behind a fold or cut by the frame `inside`."""
    count = int(rng.choice(4, p=[0.17, 0.58, 0.17, 0.08]))
    found: list[Polyp] = []
    for _ in range(count):
        for _ in range(12):  # a place that hides it is given up for another
            polyp = _draw(rng, colon)
            seen = polyp.mask & inside
            for other in found:
                seen &= other.reach > 1.3
            if (
                seen.sum() >= 0.4 * np.count_nonzero(polyp.reach < 1)
                and seen.sum() > 0.0005 * seen.size
            ):
                found.append(polyp)
                break
    return found


def _draw(rng: np.random.Generator, colon: Colon) -> Polyp:
    shape = colon.depth.shape
    half = min(shape) / 2
    places = rng.uniform(0.06, 0.94, (2, 2)) * shape
    # the nearer of two: who finds a polyp goes up to it
    row, column = min(places.astype(int).tolist(), key=lambda place: colon.depth[tuple(place)])
    room = float(colon.from_lumen[row, column])
    size = min(np.exp(rng.uniform(np.log(0.09), np.log(0.42))), 0.6 * room)  # of the width
    radius = max(size, 0.04)  # of half the width, which is the unit of x and y
    kind: Kind = "neoplastic" if rng.random() < 0.6 else "non_neoplastic"
    stalked = kind == "neoplastic" and radius < 0.3 and rng.random() < 0.35

    x0, y0 = float(colon.x[0, column]), float(colon.y[row, 0])
    outwards = np.arctan2(y0 - colon.lumen[1], x0 - colon.lumen[0])
    turn = outwards + np.pi / 2 + rng.normal(0, 0.5)
    dx, dy = colon.x - x0, colon.y - y0
    along = (dx * np.cos(turn) + dy * np.sin(turn)) * rng.uniform(0.75, 0.95)
    across = (dy * np.cos(turn) - dx * np.sin(turn)) * rng.uniform(1.05, 1.3)
    wobble = blur(smooth_noise(rng, shape, 0.9 * radius * half), max(0.1 * radius * half, 0.5))
    head = np.hypot(along, across) / radius * (1 + rng.uniform(0.07, 0.16) * wobble)
    reach, profile = head, np.clip(1 - head**2, 0, 1) ** rng.uniform(0.75, 1.1)
    if stalked:
        stalk = _stalk(rng, dx, dy, outwards, radius)
        profile = np.maximum(profile, 0.4 * np.clip(1 - stalk**2, 0, 1) ** 0.75)
        reach = np.minimum(head, stalk)

    lowest, highest = (0.5, 1.0) if kind == "neoplastic" else (0.35, 0.7)
    if stalked:
        lowest, highest = 0.8, 1.1
    near = float(colon.depth[row, column])
    tilt_y, tilt_x = _tilt(colon.depth, row, column, 0.5 * radius * half) * half
    ground = near + tilt_y * dy + tilt_x * dx
    pattern = smooth_noise(rng, shape, max(rng.uniform(0.25, 0.5) * radius * half, 2.5))
    rough = rng.uniform(0.03, 0.09) if kind == "neoplastic" else 0.02
    relief = rng.uniform(lowest, highest) * radius * near
    depth = ground - relief * profile * (1 + rough * 2 * pattern)
    free = colon.segment >= colon.segment[row, column]
    return Polyp(kind, reach.astype(np.float32), free, depth.astype(np.float32), pattern)


def _tilt(depth: np.ndarray, row: int, column: int, reach: float) -> np.ndarray:
    """How depth changes per sample along rows and columns, over `reach` samples either way; never steeply."""
    step = max(round(reach), 1)
    rows = np.clip([row - step, row + step], 0, depth.shape[0] - 1)
    columns = np.clip([column - step, column + step], 0, depth.shape[1] - 1)
    rise = np.array([np.diff(depth[rows, column]), np.diff(depth[row, columns])]).ravel()
    slope = rise / (2 * step)
    steepest = 0.15 * depth[row, column] / step
    return np.asarray(np.clip(slope, -steepest, steepest))


def _stalk(
    rng: np.random.Generator, dx: np.ndarray, dy: np.ndarray, outwards: float, radius: float
) -> np.ndarray:
    """Distance from the middle of a stalk that runs to the wall, in its half widths."""
    angle = outwards + rng.normal(0, 0.4)
    along = dx * np.cos(angle) + dy * np.sin(angle)
    across = dy * np.cos(angle) - dx * np.sin(angle)
    length, wide = rng.uniform(1.5, 2.1) * radius, rng.uniform(0.3, 0.42) * radius
    across = across + rng.normal(0, 0.25) * along**2 / radius
    past = np.maximum(along - length, 0) + np.maximum(-along, 0)
    flare = 1 + 0.5 * np.clip(along / length, 0, 1) ** 3
    return np.asarray(np.hypot(across / flare, past) / wide)
