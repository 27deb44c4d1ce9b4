"""What every scene is drawn with: smooth noise, branching vessels, lines with soft edges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike


def smooth_noise(rng: np.random.Generator, shape: Sequence[int], wavelength: float) -> np.ndarray:
    """Gaussian noise of mean 0 and variance 1 whose bumps are about `wavelength` samples apart; any axes."""
    knots = [int(np.ceil(n / wavelength)) + 4 for n in shape]
    noise = rng.standard_normal(knots, dtype=np.float32)
    for n in shape:  # each turn interpolates the first axis and moves it last
        first, weights = _cubic_weights(n, wavelength)
        noise = sum(w * noise[first + k].T for k, w in enumerate(weights)).T
        noise = np.moveaxis(noise, 0, -1)
    return noise


def fractal_noise(
    rng: np.random.Generator, shape: Sequence[int], wavelength: float, octaves: int = 3
) -> np.ndarray:
    """Smooth noise summed over octaves that halve in wavelength and weight."""
    total = sum(
        smooth_noise(rng, shape, max(wavelength / 2**i, 1.5)) / 2**i for i in range(octaves)
    )
    return np.asarray(total / np.sqrt(sum(0.25**i for i in range(octaves))))


def smoothstep(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between; falling where `low` > `high`."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def branches(
    rng: np.random.Generator,
    start: ArrayLike,
    heading: ArrayLike,
    *,
    length: float,
    width: float,
    bend: float = 0.5,
    forks: int = 4,
) -> Iterator[tuple[np.ndarray, float]]:
    """A vessel and its branches, each as (points (n, axes), width); any number of axes."""
    steps = 10
    start, heading = np.asarray(start, np.float64), np.asarray(heading, np.float64)
    turns = np.cumsum(rng.normal(0, bend / np.sqrt(steps), (steps, len(start))), axis=0)
    headings = heading / np.linalg.norm(heading) + turns
    headings /= np.linalg.norm(headings, axis=1, keepdims=True)
    walk = np.cumsum(headings, axis=0) * (length / steps)
    points = np.vstack([start, start + walk])
    yield points, width
    for at in rng.integers(steps // 3, steps, size=2) if forks else ():
        aside = headings[at] + rng.normal(0, 0.7, len(start))
        yield from branches(
            rng,
            points[at + 1],
            aside,
            length=length * rng.uniform(0.55, 0.85),
            width=width * 0.7,
            bend=bend,
            forks=forks - 1,
        )


def draw_lines(shape: Sequence[int], lines: Iterable[tuple[np.ndarray, float]]) -> np.ndarray:
    """Lines of (points (n, 2) as row and column, width) on a plane: float32, 0 to 1, soft edges.

    A line thinner than a sample is drawn one sample wide and fainter, as a camera would see it.
    """
    plane = np.zeros(shape, np.uint8)
    for points, width in sorted(lines, key=lambda line: line[1]):
        level = round(255 * min(width, 1.0))
        fixed = np.round(points[:, ::-1] * 16).astype(np.int32)
        cv2.polylines(plane, [fixed], False, level, max(round(width), 1), cv2.LINE_AA, 4)
    return np.asarray(plane, np.float32) / 255


def fill(shape: Sequence[int], outline: np.ndarray) -> np.ndarray:
    """The inside of a closed outline (n, 2) of rows and columns: boolean."""
    plane = np.zeros(shape, np.uint8)
    cv2.fillPoly(plane, [np.round(outline[:, ::-1] * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    return plane.astype(bool)


def blur(plane: np.ndarray, sigma: float) -> np.ndarray:
    """A plane, mask, or planes in the last axis, blurred by a Gaussian: float32."""
    plane = np.asarray(plane, np.float32)
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT))


def _cubic_weights(samples: int, wavelength: float) -> tuple[np.ndarray, np.ndarray]:
    """The first of the four knots around each sample, and their weights (4, sample) in a cubic B-spline.

    The weights have length 1, not sum 1, so that the variance of noise is kept.
    """
    first, t = np.divmod(np.arange(samples) / wavelength, 1)
    weights = np.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 3 * t**2 * (1 - t) + 3 * t + 1, t**3]
    )
    weights /= np.linalg.norm(weights, axis=0)
    return first.astype(np.intp), weights.astype(np.float32)
