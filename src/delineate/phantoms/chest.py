"""A chest radiograph: what the beam meets on its way, summed up, with a pneumothorax now and then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from delineate.core import Geometry
from delineate.phantoms import Drawing, Scene
from delineate.phantoms.texture import (
    blur,
    branches,
    draw_lines,
    fill,
    fractal_noise,
    smooth_noise,
    smoothstep,
)

# Outlines are drawn for a plane whose rows run from 0 to 1 downwards and whose columns run from -0.5 to 0.5;
# the patient faces the viewer, so the heart's apex points to the right of the picture.
_LUNG = np.array([  # of the side that carries less of the heart, from the apex outwards and around
    (0.13, 0.13), (0.15, 0.19), (0.21, 0.25), (0.32, 0.305), (0.45, 0.34), (0.58, 0.36), (0.72, 0.37),
    (0.73, 0.32), (0.685, 0.25), (0.66, 0.18), (0.665, 0.11), (0.66, 0.065), (0.54, 0.07), (0.42, 0.065),
    (0.30, 0.055), (0.20, 0.065), (0.145, 0.09),
])  # fmt: skip
_HEART = np.array([
    (0.36, -0.03), (0.44, -0.065), (0.54, -0.085), (0.63, -0.075), (0.71, -0.03), (0.73, 0.06), (0.725, 0.15),
    (0.69, 0.195), (0.61, 0.175), (0.53, 0.125), (0.45, 0.075), (0.38, 0.05),
])  # fmt: skip


@dataclass(frozen=True)
class _Build:
    """A patient's build; lengths as parts of the height of the picture."""

    wide: float
    long: float
    heart: float
    fat: float
    breasts: float
    calcium: float
    slant: float


def _draw(
    patient: np.random.Generator, film: np.random.Generator, shape: tuple[int, ...]
) -> Drawing:
    build = _Build(
        wide=patient.uniform(0.9, 1.12),
        long=patient.uniform(0.86, 1.08),
        heart=patient.uniform(0.85, 1.3),
        fat=patient.uniform(0.02, 0.12),
        breasts=max(patient.uniform(-0.12, 0.12), 0.0),
        calcium=patient.uniform(0.6, 1.2),
        slant=patient.uniform(0.06, 0.16),
    )
    frame = _Frame(film, shape)
    lungs = [_lung(film, frame, build, side) for side in (-1, 1)]
    heart = fill(shape, frame(_heart(film, build)))
    fields = [fill(shape, frame(outline)) & ~heart for outline in lungs]
    air = _dome(fields[0] | fields[1], frame.unit)
    collapsed = film.random() < 0.23
    side = int(film.integers(2))
    margin = fields[side] & ~_shrunken(film, frame, lungs[side])
    if not collapsed:
        margin = np.zeros(shape, bool)

    density = _soft_tissue(film, frame, build)
    density -= 0.6 * air
    density += _vessels(film, frame, lungs, fields[0] | fields[1]) * ~margin
    density -= 0.06 * margin
    if collapsed:
        pleura = cv2.morphologyEx(margin.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((2, 2)))
        inner = blur((pleura > 0) & fields[side] & ~_rim(fields[side], frame.unit), 0.6)
        density += 0.15 * inner
    density += film.uniform(0.1, 0.2) * _dome(heart, 1.8 * frame.unit)
    density += build.calcium * _bones(film, frame, build, lungs)
    density += _hardware(film, frame)

    objects = [("lung", field) for field in fields]
    objects += [("heart", heart)]
    if collapsed:
        objects += [("pneumothorax", margin)]
    return Drawing(_expose(film, frame, density)[None], Geometry.in_pixels(shape), tuple(objects))


chest_scene = Scene(
    draw=_draw,
    names=("lung", "heart", "pneumothorax"),
    shape=(256, 256),
    per_patient=(1, 2, 1),
)


class _Frame:
    """From the plane of the outlines to rows and columns: position and tilt of the patient on the film."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.unit = min(shape)
        angle = rng.normal(0, 0.02)
        self._turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        self._shift = np.array([0.5, 0.0]) + rng.normal(0, 0.015, 2)
        self._middle = (np.array(shape) - 1) / 2
        rows, columns = (np.arange(n, dtype=np.float32) - (n - 1) / 2 for n in shape)
        self.rows = 0.5 + rows[:, None] / self.unit
        self.columns = columns[None, :] / self.unit

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Rows and columns (n, 2) of points of the plane."""
        turned = (points - [0.5, 0]) @ self._turn.T + self._shift
        return np.asarray((turned - [0.5, 0]) * self.unit + self._middle)


def _closed(points: np.ndarray, samples: int = 200) -> np.ndarray:
    """A smooth closed curve through points: a trigonometric interpolation with its highest tones damped."""
    spectrum = np.fft.fft(points[:, 0] + 1j * points[:, 1])
    tones = np.fft.fftfreq(len(points), 1 / len(points))
    t = np.arange(samples) / samples
    curve = np.exp(2j * np.pi * t[:, None] * tones) @ (
        spectrum * np.exp(-((tones / (0.45 * len(points))) ** 4))
    )
    curve /= len(points)
    return np.stack([curve.real, curve.imag], axis=1)


def _lung(rng: np.random.Generator, frame: _Frame, build: _Build, side: int) -> np.ndarray:
    """Outline of one lung field; side -1 is the patient's right, which lies left in the picture."""
    points = _LUNG + rng.normal(0, 0.006, _LUNG.shape)
    points[:, 0] = 0.13 + (points[:, 0] - 0.13) * build.long + rng.normal(0, 0.01)
    dome = np.isin(np.arange(len(points)), [8, 9, 10])
    points[dome, 0] += rng.normal(0, 0.02) + (0.02 if side > 0 else -0.015)
    points[:, 1] *= build.wide * side
    return _closed(points)


def _heart(rng: np.random.Generator, build: _Build) -> np.ndarray:
    """Outline of the heart down to the diaphragm."""
    points = _HEART + rng.normal(0, 0.005, _HEART.shape)
    points[:, 0] = 0.13 + (points[:, 0] - 0.13) * build.long
    points[:, 1] *= build.heart * build.wide
    return _closed(points)


def _dome(mask: np.ndarray, unit: float) -> np.ndarray:
    """How thick a rounded body with this outline is, 0 to 1: steep at the edge, level in the middle."""
    inward = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    depth = np.clip(inward / (0.14 * unit), 0, 1)
    return np.asarray(np.sqrt(1 - (1 - depth) ** 2), np.float32)


def _shrunken(rng: np.random.Generator, frame: _Frame, outline: np.ndarray) -> np.ndarray:
    """What a collapsed lung still fills: drawn in from the apex and the side, held at the hilum."""
    hilum = np.array([0.42, 0.07 * np.sign(outline[:, 1].mean())])
    away = outline - hilum
    upwards = smoothstep(-away[:, 0], -0.25, 0.25)
    sidewards = smoothstep(np.abs(away[:, 1]), 0.0, 0.2)
    amount = rng.uniform(0.1, 0.38)
    shrink = 1 - amount * (0.25 + 0.75 * upwards) * np.maximum(sidewards, upwards)
    return fill(frame.shape, frame(hilum + away * shrink[:, None]))


def _rim(mask: np.ndarray, unit: float) -> np.ndarray:
    """The outermost samples of a mask."""
    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3) < 0.012 * unit


def _soft_tissue(rng: np.random.Generator, frame: _Frame, build: _Build) -> np.ndarray:
    """Trunk, neck, shoulders, belly and breasts, as density; 0 is air beside the patient."""
    rows, columns = frame.rows, np.abs(frame.columns)
    flank = (0.405 + build.fat * 0.8) * build.wide
    shoulder = 0.095 + 2.4 * np.maximum(rows + 0.01, 0) ** 1.1
    across = smoothstep(columns, 1, 0.985) * smoothstep(
        columns - np.minimum(flank, shoulder), 0.012, 0
    )
    arm = smoothstep(columns - shoulder, 0.012, 0) * smoothstep(columns, 0.36, 0.4)
    arm *= smoothstep(columns - 0.4 - 0.25 * rows, -0.015, 0.0) + smoothstep(rows, 0.3, 0.2)
    thick = 0.62 + 0.25 * smoothstep(rows, 0.55, 0.9) - 0.25 * (columns / 0.5) ** 2
    tissue = across * thick + 0.45 * np.minimum(arm, 1) * (1 - across)
    for side in (-1, 1):
        middle = (0.55 + 0.3 * build.fat, 0.2 * side * build.wide)
        reach = np.hypot((rows - middle[0]) / 0.15, (frame.columns - middle[1]) / 0.15)
        tissue += (
            build.breasts
            * smoothstep(reach, 1.05, 0.9)
            * smoothstep(rows, middle[0] - 0.12, middle[0] + 0.1)
        )
    mediastinum = 0.22 * np.exp(-((columns / 0.075) ** 4)) * smoothstep(rows, 0.95, 0.55)
    knob = np.hypot((rows - 0.3) / 0.045, (frame.columns - 0.055) / 0.035)
    tissue += across * (mediastinum + 0.14 * smoothstep(knob, 1.1, 0.8))
    windpipe = smoothstep(columns - 0.02, 0.008, -0.004) * smoothstep(rows, 0.4, 0.3)
    tissue -= 0.13 * windpipe
    bubble = np.hypot((rows - 0.78) / 0.05, (frame.columns - rng.uniform(0.12, 0.2)) / 0.07)
    gas = rng.uniform(0, 0.25) * smoothstep(
        bubble + 0.15 * smooth_noise(rng, frame.shape, 0.1 * frame.unit), 1, 0.7
    )
    return np.asarray(
        tissue - gas + 0.015 * fractal_noise(rng, frame.shape, 0.3 * frame.unit), np.float32
    )


def _vessels(
    rng: np.random.Generator, frame: _Frame, lungs: list[np.ndarray], inside: np.ndarray
) -> np.ndarray:
    """Pulmonary vessels that leave the hilum and thin out, and the fine mesh between them."""
    lines: list[tuple[np.ndarray, float]] = []
    for outline in lungs:
        side = np.sign(outline[:, 1].mean())
        for angle in np.linspace(-1.25, 1.35, 12) + rng.normal(0, 0.1, 12):
            tree = branches(
                rng,
                (0.42 + rng.normal(0, 0.025), side * 0.075),
                (np.sin(angle), side * np.cos(angle)),
                length=rng.uniform(0.12, 0.17),
                width=frame.unit * rng.uniform(0.006, 0.012),
                bend=0.35,
                forks=3,
            )
            lines += [(frame(points), width) for points, width in tree]
    drawn = blur(draw_lines(frame.shape, lines), max(frame.unit / 350, 0.5))
    mesh = 0.014 * smooth_noise(rng, frame.shape, max(frame.unit / 60, 1.5))
    hila = sum(
        np.exp(-((frame.rows - 0.43) ** 2 + (frame.columns - s * 0.085) ** 2) / 0.0022)
        for s in (-1, 1)
    )
    return np.asarray((0.11 * drawn + mesh + 0.11 * hila) * inside, np.float32)


def _bones(
    rng: np.random.Generator, frame: _Frame, build: _Build, lungs: list[np.ndarray]
) -> np.ndarray:
    """Ribs from the spine round to the front, collar bones, shoulder blades and the spine itself."""
    shape, unit = frame.shape, frame.unit
    cage = np.zeros(shape, bool)
    for outline in lungs:
        middle = outline.mean(axis=0)
        cage |= fill(shape, frame(middle + (outline - middle) * [1.5, 1.06] + [0.06, 0.0]))
    ribs = np.zeros(shape, np.float32)
    for points, width, weight in _ribs(rng, build):
        ribs += weight * _tube(shape, frame(points), width * unit)
    total = blur(ribs, max(unit / 400, 0.5)) * blur(cage | _beside(cage, unit), 1.0)
    for side in (-1, 1):
        t = np.linspace(0, 1, 20)
        collar = np.stack(
            [0.185 - 0.055 * t + 0.018 * np.sin(2 * np.pi * t), side * (0.03 + 0.3 * t)], 1
        )
        total += 0.2 * blur(_tube(shape, frame(collar), 0.022 * unit), 0.6)
        blade = np.array([(0.15, 0.30), (0.2, 0.38), (0.33, 0.375), (0.46, 0.345), (0.3, 0.31)])
        plate = fill(shape, frame(_closed(blade * [1, side * build.wide])))
        total += 0.07 * blur(plate, 0.006 * unit)
        socket = np.hypot(frame.rows - 0.165, frame.columns - side * 0.42 * build.wide)
        total += 0.12 * smoothstep(socket, 0.05, 0.02)
    level = frame.rows * rng.uniform(19, 22)
    discs = 0.75 + 0.25 * smoothstep(np.abs(level % 1 - 0.5), 0.45, 0.3)
    waist = 0.032 + 0.006 * np.abs(level % 1 - 0.5)
    spine = smoothstep(np.abs(frame.columns) - waist, 0.008, -0.004) * discs
    spine = spine + 0.5 * smoothstep(
        np.hypot((level % 1 - 0.5) / 0.35, frame.columns / 0.007), 1, 0.5
    )
    return np.asarray(total + 0.09 * spine, np.float32)


def _ribs(rng: np.random.Generator, build: _Build) -> Iterator[tuple[np.ndarray, float, float]]:
    """Each rib as (points, width, density): the back part arches outwards, the front part falls to the middle."""
    t = np.linspace(0, 1, 24)
    for i in range(10):
        top = 0.10 + 0.062 * i * build.long + rng.normal(0, 0.003)
        reach = (0.19 + 0.19 * np.sin(min(0.35 + i * 0.16, 1.57))) * build.wide
        for side in (-1, 1):
            out = 0.035 + (reach - 0.035) * np.sin(t * np.pi / 2)
            down = (
                top
                - 0.03 * np.sin(np.pi * np.minimum(1.6 * t, 1))
                + (build.slant + 0.01 * i) * t**2.2
            )
            yield np.stack([down, side * out], 1), 0.026, 0.17
            if i < 7:
                front = reach - (reach - 0.11) * t**1.4
                fall = down[-1] + (0.10 + 0.012 * i) * t**0.8
                yield np.stack([fall, side * front], 1), 0.028, 0.09


def _tube(shape: tuple[int, ...], points: np.ndarray, width: float) -> np.ndarray:
    """A bone along a line, its two edges denser than its middle."""
    whole = draw_lines(shape, [(points, max(width, 2.0))])
    core = draw_lines(shape, [(points, max(0.6 * width, 1.0))])
    return np.asarray(whole - 0.45 * core)


def _beside(cage: np.ndarray, unit: float) -> np.ndarray:
    """The strip outside a mask in which ribs are seen edge-on."""
    return cv2.distanceTransform((~cage).astype(np.uint8), cv2.DIST_L2, 3) < 0.02 * unit


def _hardware(rng: np.random.Generator, frame: _Frame) -> np.ndarray:
    """Sometimes leads across the chest, and the marker of the patient's left."""
    plane = np.zeros(frame.shape, np.float32)
    for _ in range(int(rng.integers(1, 4)) if rng.random() < 0.25 else 0):
        start = np.array([rng.uniform(0.0, 0.3), rng.choice([-0.45, 0.45])])
        end = np.array([rng.uniform(0.35, 0.9), rng.uniform(-0.3, 0.3)])
        t = np.linspace(0, 1, 30)[:, None]
        sag = np.sin(np.pi * t) * rng.normal(0, 0.08, 2)
        lead = frame(start + (end - start) * t + sag)
        plane += 0.22 * blur(draw_lines(frame.shape, [(lead, max(0.006 * frame.unit, 1.0))]), 0.5)
    if rng.random() < 0.5:
        top, left = rng.uniform(0.05, 0.12), rng.uniform(0.4, 0.44)
        letter = np.array([(top, left), (top + 0.04, left), (top + 0.04, left + 0.025)])
        plane += 0.7 * draw_lines(frame.shape, [(frame(letter), max(frame.unit / 130, 1.0))])
    return plane


def _expose(rng: np.random.Generator, frame: _Frame, density: np.ndarray) -> np.ndarray:
    """Twelve-bit values from density: scatter, quantum noise, and a technician's choice of window."""
    sharp = blur(density, max(frame.unit / 420, 0.5))
    veil = rng.uniform(0.1, 0.35)
    seen = (1 - veil) * sharp + veil * blur(density, 0.08 * frame.unit)
    quanta = rng.standard_normal(frame.shape, dtype=np.float32)
    seen = seen + rng.uniform(0.006, 0.018) * quanta * np.exp(0.5 * seen)
    low, high = np.quantile(seen[::4, ::4], [0.03, 0.985])
    value = (seen - low) / (high - low) * rng.uniform(0.75, 0.95) + rng.uniform(0.03, 0.12)
    value = np.clip(value, 0, 1) ** rng.uniform(0.8, 1.35)
    return np.asarray(np.round(value * 4095), np.uint16)
