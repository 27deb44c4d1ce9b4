"""Looks -> the pairs that show the same."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np

from delineate.audit._candidates import Candidate, candidates, tilt_onto, turns
from delineate.audit._detail import detail, shrunk

ALIKE = 0.75
"""Pairs at least this alike show the same; how it was measured stands in `near_duplicates`."""

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


def alike(looks: Sequence[np.ndarray]) -> list[Alike]:
    """The pairs that show the same: equal, recoloured, compressed, resized, framed, turned, mirrored or cropped.

    What is compared is how much lighter or darker samples are than their surroundings, which light, colour and
    compression change little. All pairs are compared coarsely; the few nearest to each picture closely, after
    one is laid upon the other (Evangelidis and Psarakis, TPAMI 2008).

    looks: (plane, side, side) uint8 each, 0 where there is no picture; those with as many planes are compared.
    """
    found = []
    for planes in sorted({len(look) for look in looks}):
        places = [i for i, look in enumerate(looks) if len(look) == planes]
        some = [looks[i] for i in places]
        pairs = list(candidates(some))
        with ThreadPoolExecutor() as pool:
            scores = list(pool.map(partial(_close, some), pairs))
        found += [
            Alike(places[pair.first], places[pair.second], score, pair.turn > 0)
            for pair, score in zip(pairs, scores, strict=True)
            if score >= ALIKE
        ]
    return sorted(found, key=lambda pair: (-pair.score, pair.first, pair.second))


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
    shape = first.shape[::-1]
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved, within = (
        cv2.warpAffine(a, onto, shape, flags=how) for a in (second.astype(np.float32), inside)
    )
    return _correlation(first, moved, (within > 0.99).astype(np.float32))


def _laid_upon(first: np.ndarray, second: np.ndarray, start: np.ndarray) -> np.ndarray | None:
    """The affine map (2, 3) from samples of the first to samples of the second; None if there is no good one."""
    onto = start.copy()
    side = len(first)
    find: Any = cv2.findTransformECC  # whose stubs know of no call without a mask
    for part, blur, tries in STEPS:
        until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, tries, 1e-4)
        one, other = (detail(*shrunk(plane, side // part)) for plane in (first, second))
        onto[:, 2] /= part
        try:
            agree, found = find(one, other, onto, cv2.MOTION_AFFINE, until, None, blur)
        except cv2.error:  # the two have nothing in common
            return None
        if agree < ALIKE and part > 1:  # nor would they be alike in full
            return None
        onto = np.asarray(found, np.float32)
        onto[:, 2] *= part
    bent = np.abs(onto - start) / (1, 1, side)
    return None if bent.max() > BENT else onto


def _correlation(first: np.ndarray, second: np.ndarray, inside: np.ndarray) -> float:
    """Of the details of two planes, where both have a picture; 0 where that is less than two fifths."""
    both = inside * (first > 0)
    if both.mean() < 0.4:
        return 0.0
    a, b = (detail(plane.astype(np.float32), both)[both > 0] for plane in (first, second))
    a, b = a - a.mean(), b - b.mean()
    return float(min(1.0, (a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-6)))
