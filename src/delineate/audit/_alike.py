"""Looks -> the pairs that show the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

ALIKE = 0.75
"""Pairs at least this alike show the same; how it was measured stands in `near_duplicates`."""

CANDIDATE, COARSE = 0.7, 32
"""How alike pictures of this side must be to be compared closely."""

NEAREST = 20
"""Candidates of one picture among those after it, at most: of a hundred copies, all are found, but not each pair."""

SURROUNDINGS = 2.0
"""Sigma, in samples, of what a sample is compared with."""

BENT = 0.25
"""Most that one picture may be stretched, sheared or shifted, of its side, to lie upon the other."""

CHUNK = 1024
"""Rows of the table of all pairs that are in memory at once."""


@dataclass(frozen=True)
class Alike:
    """Two looks by number, how alike they are (1: equal), and whether one is turned or mirrored."""

    first: int
    second: int
    score: float
    turned: bool


def alike(looks: Sequence[np.ndarray]) -> list[Alike]:
    """The pairs that show the same: equal, recoloured, compressed, resized, framed, turned or mirrored.

    What is compared is how much lighter or darker samples are than their surroundings, which light, colour and
    compression change little. All pairs are compared coarsely in eight ways, which for 10,000 pictures takes
    some ten seconds on one core and memory of their number times `CHUNK`; those that are alike, closely,
    after one is laid upon the other (Evangelidis and Psarakis, TPAMI 2008), in a few milliseconds a pair.

    looks: (plane, side, side) uint8 each, 0 where there is no picture; those with as many planes are compared.
    """
    found = []
    for planes in sorted({len(look) for look in looks}):
        places = [i for i, look in enumerate(looks) if len(look) == planes]
        coarse = np.stack([_coarse(looks[i]) for i in places])
        best: dict[tuple[int, int], tuple[float, int]] = {}
        for turn, turned in enumerate(_turns(coarse)):
            for i, j, score in _candidates(coarse, turned):
                best[i, j] = max(best.get((i, j), (0.0, 0)), (score, -turn))
        pairs = [(places[i], places[j], -turn) for (i, j), (_, turn) in sorted(best.items())]
        with ThreadPoolExecutor() as pool:
            scores = pool.map(lambda pair: _close(looks[pair[0]], looks[pair[1]], pair[2]), pairs)
            found += [
                Alike(i, j, score, turn > 0)
                for (i, j, turn), score in zip(pairs, scores, strict=True)
                if score >= ALIKE
            ]
    return sorted(found, key=lambda pair: (-pair.score, pair.first, pair.second))


def _coarse(look: np.ndarray) -> np.ndarray:
    """(plane, COARSE, COARSE): the details of a look, of length 1 in all."""
    planes = np.stack([_detail(*_shrunk(plane, COARSE)) for plane in look])
    return np.asarray(planes / (np.linalg.norm(planes) + 1e-6))


def _shrunk(plane: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture at another side, and 1 where there is one."""
    inside = (plane > 0).astype(np.float32)
    grey, share = (
        cv2.resize(a, (side, side), interpolation=cv2.INTER_AREA)
        for a in (plane.astype(np.float32), inside)
    )
    return grey / np.maximum(share, 1e-3), (share > 0.5).astype(np.float32)


def _detail(plane: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """How much lighter each sample is than its surroundings; 0 outside the picture."""
    detail = (plane - _around(plane, inside, SURROUNDINGS)) * inside
    varies = np.sqrt(_around(detail**2, inside, 2 * SURROUNDINGS))
    usual = np.sqrt((detail**2).sum() / max(inside.sum(), 1))
    # In units of how much there is to see nearby, so that no single highlight decides.
    return np.asarray(detail / (varies + 0.25 * usual + 1e-6) * inside, np.float32)


def _around(plane: np.ndarray, inside: np.ndarray, sigma: float) -> np.ndarray:
    """The mean of what is inside, around each sample."""
    share = cv2.GaussianBlur(inside, (0, 0), sigma)
    return np.asarray(cv2.GaussianBlur(plane * inside, (0, 0), sigma) / np.maximum(share, 1e-3))


def _turns(pictures: np.ndarray) -> Iterator[np.ndarray]:
    """(picture, plane, row, column) in each way it may be turned or mirrored, first as it is.

    A single plane in eight; the three planes of a volume flipped as the volume is, along any of its axes.
    """
    if pictures.shape[1] == 1:
        for quarters in range(4):
            turned = np.rot90(pictures, quarters, axes=(2, 3))
            yield turned
            yield turned[..., ::-1]
        return
    for flips in np.ndindex(2, 2, 2):
        turned = pictures.copy()
        for across in range(3):
            row, column = (
                slice(None, None, -1 if flips[a] else 1) for a in range(3) if a != across
            )
            turned[:, across] = pictures[:, across, row, column]
        yield turned


def _candidates(coarse: np.ndarray, turned: np.ndarray) -> Iterator[tuple[int, int, float]]:
    """Pairs i < j whose coarse pictures are alike with the second one turned, and how alike."""
    left = coarse.reshape(len(coarse), -1)
    right = np.ascontiguousarray(turned).reshape(len(coarse), -1)
    for start in range(0, len(left), CHUNK):
        scores = left[start : start + CHUNK] @ right[start:].T
        alike = np.triu(scores >= CANDIDATE, k=1)
        for row in np.flatnonzero(alike.sum(axis=1) > NEAREST):
            alike[row] &= scores[row] >= np.sort(scores[row][alike[row]])[-NEAREST]
        for row, column in np.argwhere(alike):
            yield start + int(row), start + int(column), float(scores[row, column])


def _close(first: np.ndarray, second: np.ndarray, turn: int) -> float:
    """How alike two looks are, the second one turned in the way of this number: the mean over their planes."""
    turned = next(t for i, t in enumerate(_turns(second[None])) if i == turn)[0]
    return float(np.mean([_agreement(a, b) for a, b in zip(first, turned, strict=True)]))


def _agreement(first: np.ndarray, second: np.ndarray) -> float:
    """The correlation of the details of two planes, as they are or with the second laid upon the first."""
    inside = (second > 0).astype(np.float32)
    second = second.astype(np.float32)
    agreement = _correlation(first, second, inside)
    onto = _laid_upon(first, second)
    if onto is not None:
        shape = first.shape[::-1]
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        moved, within = (cv2.warpAffine(a, onto, shape, flags=how) for a in (second, inside))
        agreement = max(agreement, _correlation(first, moved, (within > 0.99).astype(np.float32)))
    return agreement


def _laid_upon(first: np.ndarray, second: np.ndarray) -> np.ndarray | None:
    """The affine map (2, 3) from samples of the first to samples of the second; None if there is no good one."""
    onto = np.eye(2, 3, dtype=np.float32)
    until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
    side = len(first)
    find: Any = cv2.findTransformECC  # whose stubs know of no call without a mask
    for part, blur in ((2, 5), (1, 3)):
        one, other = (_detail(*_shrunk(plane, side // part)) for plane in (first, second))
        onto[:, 2] /= part
        try:
            _, found = find(one, other, onto, cv2.MOTION_AFFINE, until, None, blur)
            onto = np.asarray(found, np.float32)
        except cv2.error:  # the two have nothing in common
            return None
        onto[:, 2] *= part
    bent = np.abs(onto - np.eye(2, 3)) / (1, 1, side)
    return None if bent.max() > BENT else onto


def _correlation(first: np.ndarray, second: np.ndarray, inside: np.ndarray) -> float:
    """Of the details of two planes, where both have a picture; 0 where that is less than two fifths."""
    both = inside * (first > 0)
    if both.mean() < 0.4:
        return 0.0
    a, b = (_detail(plane.astype(np.float32), both)[both > 0] for plane in (first, second))
    a, b = a - a.mean(), b - b.mean()
    return float(min(1.0, (a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-6)))
