"""Find pairs of images that show the same, by their thumbnails (looks)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np

from delineate.audit._candidates import Candidate, candidates, tilt_onto, turns, upright_candidates
from delineate.audit._look import DARK, detail, lighter, shrunk

ALIKE = 0.75
"""Minimum correlation of registered pairs that show the same; see `near_duplicates` for its measurement."""

SAME = 0.8
"""Minimum correlation of the details of whole pictures without registration, at half the size."""

BARE, EDGES = 0.45, 0.97
"""Pairs with a correlation of only `BARE` also show the same if the unnormalised details correlate by `EDGES`.

In a nearly empty field most details are noise, which compression removes.
"""

STEPS = ((4, 3, 12), (2, 5, 30), (1, 3, 30))
"""Registration steps, coarse to fine: divisor of the side, blur in samples, maximum iterations."""

BENT = 0.25
"""Maximum stretch, shear or shift by registration beyond the initial tilt, as a fraction of the side."""


@dataclass(frozen=True)
class Alike:
    """The indices of two looks, their similarity (1: equal), and whether one is rotated or mirrored."""

    first: int
    second: int
    score: float
    turned: bool


def alike(looks: Sequence[np.ndarray], wholes: Sequence[np.ndarray] = ()) -> list[Alike]:
    """The pairs that show the same: equal, recoloured, compressed, resized, framed, rotated, mirrored or cropped.

    The difference of each sample to its surroundings is compared, because light, colour and compression change it
    little. All pairs are compared coarsely. The few nearest neighbours of each picture are registered (Evangelidis
    and Psarakis, TPAMI 2008) and compared closely. Whole pictures are compared without registration.

    looks: (plane, side, side) uint8 each, 0 outside the picture; looks with the same number of planes are compared.
    wholes: the same for the whole images, without samples outside the picture; one per look, or none.
    """
    best: dict[tuple[int, int], Alike] = {}

    def keep(pairs: Sequence[Candidate], scores: Iterable[float], least: float) -> None:
        for pair, score in zip(pairs, scores, strict=True):
            first, second = places[pair.first], places[pair.second]
            known = best.get((first, second))
            if score >= least and (known is None or known.score < score):
                best[first, second] = Alike(first, second, score, pair.turn > 0)

    for planes in sorted({len(look) for look in looks}):
        places = [i for i, look in enumerate(looks) if len(look) == planes]
        with ThreadPoolExecutor() as pool:
            some = [looks[i] for i in places]
            pairs = list(candidates(some))
            keep(pairs, pool.map(partial(_close, some), pairs), ALIKE)
            if wholes:
                some = [wholes[i] for i in places]
                pairs = list(upright_candidates(some))
                keep(pairs, pool.map(partial(_as_they_lie, some), pairs), SAME)
    return sorted(best.values(), key=lambda pair: (-pair.score, pair.first, pair.second))


def _as_they_lie(wholes: Sequence[np.ndarray], pair: Candidate) -> float:
    """Similarity of two whole pictures without registration, at any brightness: the mean over their planes."""
    planes = zip(wholes[pair.first], wholes[pair.second], strict=True)
    return float(np.mean([_agreement_in_any_light(a, b) for a, b in planes]))


def _agreement_in_any_light(first: np.ndarray, second: np.ndarray) -> float:
    """The correlation of the details of two planes; if it is borderline, also after histogram matching.

    A copy that was brightened until most of it is white has lost details of the original. Matching the original to
    the histogram of the copy removes these details there too.
    """
    inside = _without_frame(first) & _without_frame(second)
    if inside.mean() < 0.3:  # no common frame
        inside[:] = True
    share = inside.astype(np.float32)
    a, b = (np.where(inside, plane, 0).astype(np.float32) for plane in (first, second))
    score = _correlation(a, b, share, least=0.0)
    if not BARE <= score < SAME:
        return score
    every = np.ones_like(share)
    edges = _cosine(*(lighter(plane.astype(np.float32), every) for plane in (first, second)))
    if edges >= EDGES:
        return edges
    levelled = (_in_levels_of(b, a, inside), b), (a, _in_levels_of(a, b, inside))
    return max(score, *(_correlation(x, y, share, least=0.0) for x, y in levelled))


def _in_levels_of(light: np.ndarray, plane: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """`plane` with its histogram matched to that of `light`."""
    given = np.zeros_like(plane)
    levels = np.empty(int(inside.sum()), plane.dtype)
    levels[plane[inside].argsort(kind="stable")] = np.sort(light[inside])
    given[inside] = levels
    return given


def _without_frame(plane: np.ndarray) -> np.ndarray:
    """Mask of a whole picture without its dark frame.

    It is everywhere if most of the picture is dark (a dark image), or so little that it belongs to the content.
    """
    low, bright = np.percentile(plane, (1, 99))
    lit = plane > low + DARK * (bright - low)
    # Erode by one sample, because the edge is partly frame.
    within = np.asarray(cv2.erode(lit.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
    return within if within.mean() >= 0.4 and lit.mean() <= 0.95 else np.ones_like(within)


def _close(looks: Sequence[np.ndarray], pair: Candidate) -> float:
    """Similarity of two looks after registration: the mean over their planes."""
    every = enumerate(turns(looks[pair.first][None]))
    first = next(turned for i, turned in every if i == pair.turn)[0]
    planes = zip(first, looks[pair.second], strict=True)
    return float(np.mean([_agreement(a, b, tilt_onto(pair.tilt, len(a))) for a, b in planes]))


def _agreement(first: np.ndarray, second: np.ndarray, start: np.ndarray) -> float:
    """The correlation of the details of two planes, with the second registered to the first; 0 if that fails."""
    onto = _laid_upon(first, second, start)
    if onto is None:
        return 0.0
    inside = (second > 0).astype(np.float32)
    moved, within = (_moved(plane, onto) for plane in (second.astype(np.float32), inside))
    return _correlation(first, moved, (within > 0.99).astype(np.float32))


def _moved(plane: np.ndarray, onto: np.ndarray) -> np.ndarray:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(plane, onto, plane.shape[::-1], flags=flags))


def _laid_upon(first: np.ndarray, second: np.ndarray, start: np.ndarray) -> np.ndarray | None:
    """Register two planes: the affine map (2, 3) from samples of the first to samples of the second; None if it fails.

    If the registration does not improve `start`, `start` is returned if the planes are similar with it.
    """
    onto = start.copy()
    side = len(first)
    otherwise: np.ndarray | None = None
    find: Any = cv2.findTransformECC  # its type stubs require a mask
    for part, blur, tries in STEPS:
        until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, tries, 1e-4)
        one, other = (detail(*shrunk(plane, side // part)) for plane in (first, second))
        onto[:, 2] /= part
        if part == STEPS[0][0] and _cosine(one, _moved(other, onto)) >= ALIKE:
            otherwise = start
        try:
            agree, found = find(one, other, onto, cv2.MOTION_AFFINE, until, None, blur)
        except cv2.error:  # no or too few common details
            return otherwise
        if agree < ALIKE and part > 1:  # the full size would not be similar either
            return otherwise
        onto = np.asarray(found, np.float32)
        onto[:, 2] *= part
    bent = np.abs(onto - start) / (1, 1, side)
    return otherwise if bent.max() > BENT else onto


def _correlation(
    first: np.ndarray, second: np.ndarray, inside: np.ndarray, least: float = 0.4
) -> float:
    """The correlation of the details of two planes inside both; 0 if the common area is below the fraction `least`."""
    both = inside * (first > 0)
    if both.mean() < least or not both.any():
        return 0.0
    return _cosine(*(detail(plane.astype(np.float32), both)[both > 0] for plane in (first, second)))


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float(min(1.0, (a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-6)))
