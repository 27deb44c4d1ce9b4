"""Looks -> the pairs that show the same."""

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
"""Pairs at least this alike show the same; how it was measured stands in `near_duplicates`."""

SAME = 0.8
"""Whole pictures whose details are this alike as they lie, at half the size, show the same."""

BARE, EDGES = 0.45, 0.97
"""So do those that are only that alike, if nearly all differences to the surroundings are the same.

In a nearly empty field all details but a few are noise, which compression takes away.
"""

STEPS = ((4, 3, 12), (2, 5, 30), (1, 3, 30))
"""To lay one picture upon another: what their side is divided by, the blur in samples, and tries at most."""

BENT = 0.25
"""Most that one picture may be stretched, sheared or shifted, of its side, beyond the tilt it was found with."""


@dataclass(frozen=True)
class Alike:
    """Two looks by number, how alike they are (1: equal), and whether one is turned or mirrored."""

    first: int
    second: int
    score: float
    turned: bool


def alike(looks: Sequence[np.ndarray], wholes: Sequence[np.ndarray] = ()) -> list[Alike]:
    """The pairs that show the same: equal, recoloured, compressed, resized, framed, turned, mirrored or cropped.

    What is compared is how much lighter or darker samples are than their surroundings, which light, colour and
    compression change little. All pairs are compared coarsely; the few nearest to each picture closely, after
    one is laid upon the other (Evangelidis and Psarakis, TPAMI 2008). Whole pictures are compared as they lie.

    looks: (plane, side, side) uint8 each, 0 where there is no picture; those with as many planes are compared.
    wholes: the same of the whole images, without a place that has no picture; as many, or none.
    """
    found: dict[tuple[int, int], Alike] = {}

    def keep(pairs: Sequence[Candidate], scores: Iterable[float], least: float) -> None:
        for pair, score in zip(pairs, scores, strict=True):
            first, second = places[pair.first], places[pair.second]
            known = found.get((first, second))
            if score >= least and (known is None or known.score < score):
                found[first, second] = Alike(first, second, score, pair.turn > 0)

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
    return sorted(found.values(), key=lambda pair: (-pair.score, pair.first, pair.second))


def _as_they_lie(wholes: Sequence[np.ndarray], pair: Candidate) -> float:
    """How alike two whole pictures are as they lie, whatever their light: the mean over their planes."""
    planes = zip(wholes[pair.first], wholes[pair.second], strict=True)
    return float(np.mean([_agreement_in_any_light(a, b) for a, b in planes]))


def _agreement_in_any_light(first: np.ndarray, second: np.ndarray) -> float:
    """The correlation of the details of two planes; if it is in doubt, with the grey levels of one of them too.

    A copy that was brightened until most of it is white has lost what the other still shows; with the levels of the
    copy the other shows no more either.
    """
    inside = _without_frame(first) & _without_frame(second)
    if inside.mean() < 0.3:  # they have no frame in common
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
    """A plane whose grey levels are given to it, in their order, by another one."""
    given = np.zeros_like(plane)
    levels = np.empty(int(inside.sum()), plane.dtype)
    levels[plane[inside].argsort(kind="stable")] = np.sort(light[inside])
    given[inside] = levels
    return given


def _without_frame(plane: np.ndarray) -> np.ndarray:
    """Where a whole picture is no dark frame around what it shows.

    That is everywhere if most of it is dark, as it is by nature, or so little that it is part of what is shown.
    """
    low, bright = np.percentile(plane, (1, 99))
    lit = plane > low + DARK * (bright - low)
    # One sample less: the edge is half frame.
    within = np.asarray(cv2.erode(lit.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
    return within if within.mean() >= 0.4 and lit.mean() <= 0.95 else np.ones_like(within)


def _close(looks: Sequence[np.ndarray], pair: Candidate) -> float:
    """How alike two looks are, one laid upon the other: the mean over their planes."""
    every = enumerate(turns(looks[pair.first][None]))
    first = next(turned for i, turned in every if i == pair.turn)[0]
    planes = zip(first, looks[pair.second], strict=True)
    return float(np.mean([_agreement(a, b, tilt_onto(pair.tilt, len(a))) for a, b in planes]))


def _agreement(first: np.ndarray, second: np.ndarray, start: np.ndarray) -> float:
    """The correlation of the details of two planes with the second laid upon the first; 0 if it cannot be."""
    onto = _laid_upon(first, second, start)
    if onto is None:
        return 0.0
    inside = (second > 0).astype(np.float32)
    moved, within = (_moved(plane, onto) for plane in (second.astype(np.float32), inside))
    return _correlation(first, moved, (within > 0.99).astype(np.float32))


def _moved(plane: np.ndarray, onto: np.ndarray) -> np.ndarray:
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(plane, onto, plane.shape[::-1], flags=how))


def _laid_upon(first: np.ndarray, second: np.ndarray, start: np.ndarray) -> np.ndarray | None:
    """The affine map (2, 3) from samples of the first to samples of the second; None if there is no good one.

    Where none is found that is better than `start`, that is returned if the two are alike with it.
    """
    onto = start.copy()
    side = len(first)
    otherwise: np.ndarray | None = None
    find: Any = cv2.findTransformECC  # whose stubs know of no call without a mask
    for part, blur, tries in STEPS:
        until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, tries, 1e-4)
        one, other = (detail(*shrunk(plane, side // part)) for plane in (first, second))
        onto[:, 2] /= part
        if part == STEPS[0][0] and _cosine(one, _moved(other, onto)) >= ALIKE:
            otherwise = start
        try:
            agree, found = find(one, other, onto, cv2.MOTION_AFFINE, until, None, blur)
        except cv2.error:  # the two have nothing in common, or too little to see
            return otherwise
        if agree < ALIKE and part > 1:  # nor would they be alike in full
            return otherwise
        onto = np.asarray(found, np.float32)
        onto[:, 2] *= part
    bent = np.abs(onto - start) / (1, 1, side)
    return otherwise if bent.max() > BENT else onto


def _correlation(
    first: np.ndarray, second: np.ndarray, inside: np.ndarray, least: float = 0.4
) -> float:
    """Of the details of two planes, where both have a picture; 0 where that is less than `least` of them."""
    both = inside * (first > 0)
    if both.mean() < least or not both.any():
        return 0.0
    return _cosine(*(detail(plane.astype(np.float32), both)[both > 0] for plane in (first, second)))


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float(min(1.0, (a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-6)))
