"""A colonoscopy frame: wet mucosa lit from the camera, with polyps and with much that is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from delineate.core import Geometry
from delineate.phantoms import Drawing, Scene
from delineate.phantoms.colon import draw_colon
from delineate.phantoms.polyps import Polyp, draw_polyps
from delineate.phantoms.texture import (
    blur,
    branches,
    draw_lines,
    fractal_noise,
    smooth_noise,
    smoothstep,
)


@dataclass(frozen=True)
class _Look:
    """What stays the same from frame to frame of one patient: mucosa, preparation and device."""

    mucosa: np.ndarray
    blotches: float
    vessels: float
    wet: float
    stool: float
    cast: np.ndarray
    noise: float
    aperture: Literal["octagon", "round", "full"]
    panel: bool


def _draw(
    patient: np.random.Generator, frame: np.random.Generator, shape: tuple[int, ...]
) -> Drawing:
    look = _look(patient)
    colon = draw_colon(frame, shape)
    inside = _aperture(look, shape)
    polyps = draw_polyps(frame, colon, inside > 0.5)

    depth, colour = colon.depth, _mucosa(frame, look, shape)
    objects: list[tuple[str, np.ndarray]] = []
    for polyp in polyps:
        seen = polyp.mask & (inside > 0.5)
        objects = [(name, mask & ~polyp.mask) for name, mask in objects]
        objects += [("polyp", seen), (polyp.kind, seen)]
        depth = np.where(polyp.mask, polyp.depth, depth)
        colour = _cover(frame, colour, polyp)
    depth, colour = _soil(frame, look, depth, colour)

    shade, glint = _light(frame, look, colon.x, colon.y, depth)
    # light that has bounced inside the tissue on its way out of a shadow comes back redder
    light = shade[..., None]
    picture = 1 - np.exp(-2.2 * light * colour ** (1.5 - 0.5 * np.minimum(light, 1)))
    picture = _bubbles(frame, picture)
    picture += glint[..., None] * (1.05 - picture)
    picture = _camera(frame, look, picture) * inside[..., None]
    pixels = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    return Drawing(np.moveaxis(pixels, -1, 0), Geometry.in_pixels(shape), tuple(objects))


endoscopy_scene = Scene(
    draw=_draw,
    names=("polyp", "neoplastic", "non_neoplastic"),
    shape=(256, 256),
    per_patient=(2, 3, 4),
)


def _look(rng: np.random.Generator) -> _Look:
    pale, pink, ochre, red = (
        [0.84, 0.60, 0.52],
        [0.86, 0.38, 0.32],
        [0.86, 0.46, 0.20],
        [0.84, 0.30, 0.20],
    )
    return _Look(
        mucosa=rng.dirichlet([0.6, 1.2, 0.8, 0.8]) @ np.array([pale, pink, ochre, red]),
        blotches=rng.uniform(0.03, 0.1),
        vessels=rng.uniform(0.05, 0.4),
        wet=rng.uniform(0.3, 1.0),
        stool=rng.uniform(0, 1),
        cast=rng.uniform(0.9, 1.08, 3),
        noise=rng.uniform(0.004, 0.018),
        aperture=("octagon", "octagon", "round", "full")[int(rng.integers(4))],
        panel=bool(rng.random() < 0.25),
    )


def _aperture(look: _Look, shape: tuple[int, ...]) -> np.ndarray:
    """1 where the camera sees, 0 in the black frame; the edge is a sample wide."""
    half = np.array(shape) / 2
    y, x = (
        (np.arange(n, dtype=np.float32) - (n - 1) / 2).reshape(s)
        for n, s in zip(shape, ((-1, 1), (1, -1)), strict=True)
    )
    edge = np.minimum(half[0] - np.abs(y), half[1] - np.abs(x))
    if look.aperture == "octagon":
        edge = np.minimum(edge, (half.sum() * 0.73 - np.abs(x) - np.abs(y)) / np.sqrt(2))
    elif look.aperture == "round":
        edge = np.minimum(edge, half.min() * 1.08 - np.hypot(x, y))
    if look.panel:  # where a console draws the position of the endoscope
        edge = np.minimum(edge, np.maximum(x + 0.36 * half[1], 0.34 * half[0] - y))
    return np.asarray(np.clip(edge, 0, 1), np.float32)


def _mucosa(rng: np.random.Generator, look: _Look, shape: tuple[int, ...]) -> np.ndarray:
    """Colour of the bare wall (*shape, 3): blotches, grain, and vessels that come and go."""
    side = min(shape)
    blotch = look.blotches * fractal_noise(rng, shape, side / 4, octaves=5)
    grain = 0.05 * smooth_noise(rng, shape, max(side / 90, 1.5))
    lines = [
        line
        for _ in range(int(rng.integers(3, 8)))
        for line in branches(
            rng,
            rng.uniform(0, 1, 2) * shape,
            rng.normal(0, 1, 2),
            length=side * rng.uniform(0.15, 0.35),
            width=side * rng.uniform(0.004, 0.011),
            bend=0.9,
            forks=4,
        )
    ]
    vessel = blur(draw_lines(shape, lines), max(side / 300, 0.5))
    vessel *= look.vessels * smoothstep(smooth_noise(rng, shape, side / 4), -0.7, 1.0)
    red = np.array([0.25, 1.0, 0.8], np.float32)
    tint = (1 + grain - blotch)[..., None] ** red * (1 - vessel[..., None] * red)
    return np.asarray(look.mucosa * tint, np.float32)


def _cover(rng: np.random.Generator, colour: np.ndarray, polyp: Polyp) -> np.ndarray:
    """The colour with a polyp's surface: a shift of hue, pits or gyri, hardly any vessels, a shadow around."""
    if polyp.kind == "neoplastic":
        hue = np.array([rng.uniform(0.93, 1.1), *rng.uniform(0.78, 1.12, 2)])
        marks = np.exp(-((polyp.pattern / 0.3) ** 2)) * rng.uniform(0, 0.22)
    else:
        hue = np.array([rng.uniform(0.95, 1.08), *rng.uniform(0.95, 1.2, 2)])
        marks = np.where(polyp.pattern > 1.3, rng.uniform(0, 0.12), 0)
    own = blur(colour, 0.012 * min(colour.shape[:2]))
    own = 0.8 * own + 0.2 * colour
    own = own * hue * (1 - marks[..., None] * np.array([0.3, 1, 0.9]))
    cover = smoothstep(polyp.reach, 1.03, 0.85) * polyp.mask
    around = 1 - 0.3 * np.exp(-np.clip(polyp.reach - 1, 0, 5) / 0.1) * polyp.free * (1 - cover)
    mixed = colour * around[..., None] * (1 - cover[..., None]) + own * cover[..., None]
    return np.asarray(np.clip(mixed, 0.02, 0.97), np.float32)


def _soil(
    rng: np.random.Generator, look: _Look, depth: np.ndarray, colour: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Depth and colour with stool, a film of yellow mucus, or blood on the wall."""
    shape, side = depth.shape, min(depth.shape)
    stool, mucus, blood = [0.50, 0.33, 0.10], [0.78, 0.56, 0.16], [0.40, 0.03, 0.03]
    for paint, wide, chance, opaque, lift in (
        (stool, rng.uniform(0.03, 0.12), 0.5 * look.stool, 0.95, 0.04),
        (mucus, rng.uniform(0.15, 0.3), 0.8 * look.stool, 0.45, 0.0),
        (blood, rng.uniform(0.03, 0.1), 0.12, 0.6, 0.0),
    ):
        at = rng.uniform(0.1, 0.9, 2)
        lumps = fractal_noise(rng, shape, wide * side, octaves=4)
        if rng.random() > chance:
            continue
        y, x = (np.arange(n, dtype=np.float32) / n - a for n, a in zip(shape, at, strict=True))
        near = np.exp(-(np.hypot(y[:, None], x[None, :]) ** 2) / (2 * (1.3 * wide) ** 2))
        cover = smoothstep(lumps + 3.2 * near, 2.2, 3.2) * opaque
        depth = depth * (1 - lift * cover * (1 + 0.25 * lumps))
        grainy = (1 + 0.12 * lumps)[..., None] * np.array(paint)
        colour = colour * (1 - cover[..., None]) + grainy * cover[..., None]
    return np.asarray(depth, np.float32), np.asarray(np.clip(colour, 0.01, 0.97), np.float32)


def _light(
    rng: np.random.Generator, look: _Look, x: np.ndarray, y: np.ndarray, depth: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Diffuse light and mirror-like glints, both 0 to 1, from a lamp beside the lens at the origin.

    A surface of depth z over the picture plane has the normal (z_x, z_y, -(z + x z_x + y z_y)).
    """
    side = min(depth.shape)
    z = depth * (1 + 0.0016 * smooth_noise(rng, depth.shape, max(side / 70, 1.5)))
    ripple = look.wet * 0.004 * smooth_noise(rng, depth.shape, max(side / 60, 1.5))
    lamp = rng.normal(0, 0.12, 2)

    def facing(z: np.ndarray, lamp: np.ndarray) -> np.ndarray:
        zy, zx = (_slope(z, axis) * (side / 2) for axis in (0, 1))
        inward = z + x * zx + y * zy
        ray = (x - lamp[0]) * zx + (y - lamp[1]) * zy - inward
        length = np.sqrt(
            (zx**2 + zy**2 + inward**2) * ((x - lamp[0]) ** 2 + (y - lamp[1]) ** 2 + 1)
        )
        return np.asarray(np.abs(ray) / length)

    falloff = (z * np.sqrt(x**2 + y**2 + 1)) ** -rng.uniform(1.2, 2.2)
    shade = (0.12 + 0.88 * facing(z, lamp)) * falloff
    shade = cv2.medianBlur(shade.astype(np.float32), 3)  # single samples on the edge of a surface
    sunk = np.clip(z / blur(z, side / 40) - 1, 0, 0.3)  # light hardly reaches behind a fold
    shade *= 1 - 2 * sunk
    shade *= rng.uniform(0.5, 1.1) / np.quantile(shade[::4, ::4], 0.6)  # automatic exposure
    mirror = facing(z * (1 + ripple), lamp / 2)
    mirror = mirror + 0.06 * smooth_noise(rng, depth.shape, side / 8)
    bright = np.quantile(mirror[::2, ::2], 1 - rng.uniform(0.002, 0.022) * (0.3 + look.wet))
    glint = smoothstep(mirror, bright - 0.004, bright + 0.008) * smoothstep(z, 3.5, 2.0)
    return np.minimum(shade, 2.2), blur(glint.astype(np.float32), 0.6)


def _slope(z: np.ndarray, axis: int) -> np.ndarray:
    """Difference from sample to sample; at the edge of a fold, of the side that is one surface."""
    step = np.diff(z, axis=axis)
    before = np.concatenate([np.take(step, [0], axis), step], axis)
    after = np.concatenate([step, np.take(step, [-1], axis)], axis)
    smaller = np.where(np.abs(before) < np.abs(after), before, after)
    edge = smoothstep(np.abs(before - after) / z * min(z.shape), 1.0, 3.5)
    return np.asarray(edge * smaller + (1 - edge) * (before + after) / 2)


def _bubbles(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """The picture with now and then a cluster of bubbles: a bright rim, a spot of light."""
    shape = picture.shape[:2]
    side = min(shape)
    plane = np.zeros(shape, np.uint8)
    centre = rng.uniform(0.1, 0.9, 2) * shape
    for _ in range(int(rng.integers(4, 25)) if rng.random() < 0.25 else 0):
        row, column = centre + rng.normal(0, 0.06 * side, 2)
        radius = side * rng.uniform(0.006, 0.028)
        at = (round(column * 16), round(row * 16))
        cv2.circle(plane, at, round(radius * 16), 90, 1, cv2.LINE_AA, 4)
        spot = (round((column - 0.3 * radius) * 16), round((row - 0.35 * radius) * 16))
        cv2.circle(plane, spot, round(radius * 4), 230, -1, cv2.LINE_AA, 4)
    light = plane.astype(np.float32)[..., None] / 255
    return np.asarray(picture * (1 - light) + light)


def _camera(rng: np.random.Generator, look: _Look, picture: np.ndarray) -> np.ndarray:
    """What the camera makes of it: vignetting, colour cast, focus, sharpening, noise."""
    shape = picture.shape[:2]
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
    corner = y[:, None] ** 2 + x[None, :] ** 2
    picture = picture * (1 - rng.uniform(0, 0.22) * corner)[..., None] * look.cast
    soft = min(shape) / 256 * rng.choice([0.5, 0.7, 1.3], p=[0.45, 0.4, 0.15])
    picture = blur(np.asarray(picture, np.float32), soft)
    picture = picture + 0.35 * (picture - blur(picture, 2 * soft + 0.6))
    grain = rng.standard_normal((*shape, 3), dtype=np.float32)
    return np.asarray(picture + look.noise * (0.6 * grain + 0.7 * grain.mean(-1, keepdims=True)))
