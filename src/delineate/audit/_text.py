"""Where text is written into a picture. What it says is neither read nor kept."""

from __future__ import annotations

from functools import reduce

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from delineate.audit._case_facts import Box

LONGEST = 640
"""Samples to which the longer side of a larger picture is brought."""

STROKE, NEARBY = np.ones((9, 9), np.uint8), np.ones((5, 5), np.uint8)
"""What the strokes of letters are narrower than, and how far one is looked at to part letters that touch."""

CONTRAST, SHARE = 28, 0.5
"""Least brightness of a stroke above its ground, in levels of a byte and as a share of the brightest nearby."""

DIMMER = 8
"""Levels by which a stroke may be below what is around it, in the brightest channel."""

SHORTEST, TALLEST, TALLEST_SHARE = 5, 12, 0.05
"""Heights of letters in samples; in large pictures the tallest is a share of the longer side."""

NARROWEST, WIDEST, GAP = 0.1, 1.6, 1.0
"""Widths of letters and the gap to the next, by their height."""

FULL = 0.25
"""Least share of its box that a letter fills: a slanting line fills less."""

LETTERS = 4
"""Fewest in a line."""

LEVEL, ALIKE, SMALL = 0.1, 0.08, 0.45
"""By height of letters: how far feet may be off a line, how alike tall letters are, how much lower small ones."""


def text_lines(pixels: np.ndarray) -> tuple[Box, ...]:
    """Boxes around lines of four and more bright letters of a 2D picture (channel, y, x), from the top down.

    A line is a row of small connected strokes, brighter than their ground in some channel, that stand close
    together on one level, and most of which are of one height. Specular highlights, vessels, ribs and nuclei
    are as small and as bright, but not in rows. Dark letters, upright lines, and single letters, as "R" on a
    film, are not looked for.

    Measured per picture, against labels by eye. The constants were chosen on 80 pictures of Kvasir-SEG (64 of
    72 with text found), 40 chest films (11 of 15), 30 of NeoPolyp (30 of 30) and some without text; then 60
    others of Kvasir-SEG gave 45 of 53, and 40 other films 10 of 16. Missed are letters on overexposed ground,
    cut off by the frame, or under six samples high. No false alarm in the 64 of these without a line of
    text, nor in 460 others (CVC, DSB 2018, MoNuSeg, white blood cells, DRIVE, CHASE).
    """
    strokes = _strokes(pixels)
    letters = _letters(strokes)
    line_of = _lines(letters)
    lines = [letters[line_of == line] for line in np.flatnonzero(np.bincount(line_of) >= LETTERS)]
    return tuple(sorted(_box(line, strokes.shape) for line in lines if _is_even(line)))


def _strokes(pixels: np.ndarray) -> np.ndarray:
    """Where something narrow is brighter than what is around it."""
    smaller = min(1.0, LONGEST / max(pixels.shape[1:]))
    planes = _bytes(pixels)
    if smaller < 1:
        planes = [
            cv2.resize(p, None, fx=smaller, fy=smaller, interpolation=cv2.INTER_AREA)
            for p in planes
        ]
    hat = np.asarray(
        reduce(cv2.max, [cv2.morphologyEx(p, cv2.MORPH_TOPHAT, STROKE) for p in planes])
    )
    brightest = np.asarray(reduce(cv2.max, planes))
    # between letters of one colour the ground stands out in the others
    hat[cv2.subtract(cv2.blur(brightest, STROKE.shape), brightest) > DIMMER] = 0
    least = np.maximum(CONTRAST, SHARE * cv2.dilate(hat, NEARBY).astype(np.float32))
    return np.asarray(hat > least)


def _bytes(pixels: np.ndarray) -> list[np.ndarray]:
    """The channels on one scale from 0 to 255."""
    if pixels.dtype != np.uint8:
        finite = np.nan_to_num(pixels.astype(np.float32), posinf=0, neginf=0)
        low, high = float(finite.min()), float(finite.max())
        pixels = ((finite - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
    return [np.ascontiguousarray(plane) for plane in pixels]


def _letters(strokes: np.ndarray) -> np.ndarray:
    """The connected parts that may be letters, as rows of x, y, width, height."""
    of_all = cv2.connectedComponentsWithStats(strokes.view(np.uint8), connectivity=8)[2][1:]
    _, _, width, height, area = of_all.T
    fit = (height >= SHORTEST) & (height <= _tallest(strokes.shape))
    fit &= (width >= NARROWEST * height) & (width <= WIDEST * height)
    fit &= area >= FULL * width * height
    return np.asarray(of_all[fit, :4], np.float64)


def _tallest(shape: tuple[int, ...]) -> float:
    return max(TALLEST, TALLEST_SHARE * max(shape))


def _lines(letters: np.ndarray) -> np.ndarray:
    """The number of the line of each letter: two are in one where they are neighbours, or chained by others."""
    if not len(letters):
        return np.zeros(0, np.intp)
    x, _, width, height = letters.T
    foot, middle = _foot(letters), x + width / 2
    tallest = height.max()
    reach = np.stack([foot / (1 + LEVEL * tallest), middle / ((WIDEST + GAP) * tallest)], axis=1)
    a, b = KDTree(reach).query_pairs(1.0, p=np.inf, output_type="ndarray").T
    taller, lower = np.maximum(height[a], height[b]), np.minimum(height[a], height[b])
    gap = np.maximum(x[a], x[b]) - np.minimum(x[a] + width[a], x[b] + width[b])
    near = (gap >= -0.2 * taller) & (gap <= GAP * taller)
    near &= np.abs(foot[a] - foot[b]) <= np.maximum(1, LEVEL * taller)
    near &= taller - lower <= np.maximum(1, SMALL * taller)
    a, b = a[near], b[near]
    pairs = coo_array((np.ones(len(a), bool), (a, b)), shape=(len(letters),) * 2)
    return np.asarray(connected_components(pairs, directed=False)[1])


def _foot(letters: np.ndarray) -> np.ndarray:
    return np.asarray(letters[:, 1] + letters[:, 3])


def _is_even(line: np.ndarray) -> bool:
    """Whether nearly all stand on one level, and half are of one height."""
    height, foot = line[:, 3], _foot(line)
    tall = np.quantile(height, 0.75)
    level = np.abs(foot - np.median(foot)) <= max(1, LEVEL * np.median(height))
    alike = np.abs(height - tall) <= max(1, ALIKE * tall)
    return bool(
        level.sum() >= max(LETTERS, 0.8 * len(line)) and alike.sum() >= max(3, len(line) / 2)
    )


def _box(line: np.ndarray, shape: tuple[int, ...]) -> Box:
    (left, top), (right, bottom) = line[:, :2].min(axis=0), (line[:, :2] + line[:, 2:]).max(axis=0)
    of = ((top, shape[0]), (left, shape[1]), (bottom - top, shape[0]), (right - left, shape[1]))
    y, x, height, width = (round(float(samples) / side, 4) for samples, side in of)
    return y, x, height, width
