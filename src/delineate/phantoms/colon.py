"""The inside of a colon as a camera sees it: depth along every ray, from folds that hide one another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delineate.phantoms.texture import fractal_noise, smooth_noise


@dataclass(frozen=True, eq=False)
class Colon:
    """The bare wall.

    x, y: place on the picture; the shorter side runs from -1 to 1, and the focal length is 1.
    from_lumen: distance from the point where the lumen vanishes, in the same units.
    depth: distance along the optical axis; the nearest wall lies at about 1.
    segment: 0 before the first fold, 1 between the first and second ...
    """

    x: np.ndarray
    y: np.ndarray
    lumen: tuple[float, float]
    from_lumen: np.ndarray
    depth: np.ndarray
    segment: np.ndarray


def draw_colon(rng: np.random.Generator, shape: tuple[int, ...]) -> Colon:
    """A tube whose wall is thrown into folds; its lumen may lie far outside the picture."""
    half = min(shape) / 2
    y, x = (
        ((np.arange(n, dtype=np.float32) - (n - 1) / 2) / half).reshape(s)
        for n, s in zip(shape, ((-1, 1), (1, -1)), strict=True)
    )
    away = rng.choice([rng.uniform(0, 0.45), rng.uniform(0.6, 1.2), rng.uniform(1.6, 2.6)])
    angle = rng.uniform(0, 2 * np.pi)
    lumen = (float(away * np.cos(angle)), float(away * np.sin(angle)))
    radius = 1.05 + away  # of the tube; so the wall on the far side of the picture is at depth 1
    from_lumen = np.maximum(np.hypot(x - lumen[0], y - lumen[1]), 0.02)
    wall = radius / from_lumen

    spacing = rng.uniform(1.3, 1.65) if away < 1.5 else rng.uniform(1.2, 1.45)
    bend = rng.normal(0, 0.35, 2)
    depth = wall * rng.uniform(1.0, 1.3)
    rings = 6
    segment = np.full(shape, rings, np.uint8)
    lobes = rng.normal(0, 1, (5, 2)) @ [1, 1j] * [0.05, 0.04, 0.06, 0.03, 0.025]
    for k in reversed(range(rings)):  # far to near: a nearer fold hides what is behind it
        at = rng.uniform(0.9, 1.1) * spacing**k
        shift = bend * (1 - 1 / at) * radius * 0.3
        dx, dy = x - lumen[0] - shift[0], y - lumen[1] - shift[1]
        reach = np.maximum(np.hypot(dx, dy), 0.02)
        height = rng.uniform(0.06, 0.3)
        own = lobes * rng.uniform(0.5, 1.5) + rng.normal(0, 0.012, 5)
        hole = radius / at * (1 - height + _lobed(own, (dx + 1j * dy) / reach) + _knob(rng, dx, dy))
        beyond = reach / hole - 1  # from the crest of the fold outwards
        crest = rng.uniform(0.04, 0.12) * np.exp(-np.maximum(beyond, 0) / rng.uniform(0.05, 0.12))
        face = at / (1 - height) ** 0.5 * (1 + crest - 0.3 * beyond)
        outside = beyond > 0
        depth = np.where(outside, _soft_minimum(face, wall, 0.06 * at), depth)
        segment[outside] = k
    waves = 0.03 * fractal_noise(rng, shape, 0.5 * half) + 0.004 * smooth_noise(
        rng, shape, 0.09 * half
    )
    return Colon(x, y, lumen, from_lumen, (depth * (1 + waves)).astype(np.float32), segment)


def _lobed(weights: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """A smooth function of the angle: the real part of a polynomial in e^(i angle)."""
    total = np.zeros_like(direction)
    for weight in reversed(weights):
        total = (total + np.complex64(weight)) * direction
    return np.asarray(total.real)


def _knob(rng: np.random.Generator, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Sometimes a thickening of the fold towards the lumen: no polyp, though it bulges like one."""
    angle, wide, high = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.5), rng.uniform(0.04, 0.16)
    if rng.random() < 0.6:
        return np.zeros((1, 1), np.float32)
    along = dx * np.cos(angle) + dy * np.sin(angle)
    across = dy * np.cos(angle) - dx * np.sin(angle)
    return np.where(along > 0, -high * np.exp(-((across / (wide * along + 1e-3)) ** 2)), 0)


def _soft_minimum(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    """The smaller of two, rounded where they cross."""
    mix = np.clip(0.5 + (b - a) / (2 * width), 0, 1)
    return np.asarray(b + (a - b) * mix - width * mix * (1 - mix))
