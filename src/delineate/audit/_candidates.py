"""Select pairs of looks for a close comparison, each with an initial rotation and tilt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from scipy.linalg import eigh

from delineate.audit._look import SURROUNDINGS, detail, shrunk

SIDE = 24
"""Side of a coarse picture, in samples."""

TILTS = tuple(
    (angle, zoom)
    for zoom, angles in ((1.0, (0, -7, 7, -14, 14)), (1.17, (0, -9, 9)), (1 / 1.17, (0, -9, 9)))
    for angle in angles
)
"""Angles in degrees and zoom factors to try, dense enough for any slight rotation or crop."""

KEPT = 160
"""Number of principal components (of 576) by which coarse pictures are compared."""

USUAL = 50
"""Shrinkage of the mean picture before it is subtracted: a number of additional all-zero pictures."""

LIKELY, FEW = 0.25, 4
"""The `FEW` nearest neighbours of a picture are candidates if their similarity is at least `LIKELY`."""

ALIKE_UPRIGHT, FEW_UPRIGHT = 0.4, 2
"""The same for whole pictures without rotation, where a copy is nearer."""

SURE, NEAREST = 0.6, 20
"""Up to `NEAREST` neighbours are candidates if their similarity is at least `SURE`, to find groups of many copies."""

ROWS, COLUMNS = 256, 1024
"""Block of the similarity matrix that is computed at once, small enough for the CPU cache."""


class Candidate(NamedTuple):
    """The indices of two looks, the rotation of the first (an index of `turns`), and the tilt of the second."""

    first: int
    second: int
    turn: int
    tilt: tuple[float, float]


def candidates(looks: Sequence[np.ndarray]) -> Iterator[Candidate]:
    """Pairs that may show the same: the nearest neighbours of each picture, over rotations, mirroring and tilts.

    The mean picture is subtracted first, so that common content (the ribs of chest films) does not make all
    pictures similar.

    looks: (plane, side, side) uint8 each, all with the same number of planes.
    """
    details = [_details(look) for look in looks]
    tilts = TILTS if len(looks[0]) == 1 else tuple(tilt for tilt in TILTS if tilt[0] == 0)
    upright = _own(np.stack([_tilted(each, tilts[0]) for each in details]))
    basis = _directions(upright)
    right = np.stack(
        [_flat(_own(np.stack([_tilted(each, tilt) for each in details]))) @ basis for tilt in tilts]
    )
    for start in range(0, len(looks), ROWS):
        left = np.stack([_flat(turned) @ basis for turned in turns(upright[start : start + ROWS])])
        best = np.zeros((left.shape[1], len(looks) - start), np.float32)
        for column in range(0, best.shape[1], COLUMNS):
            part = best[:, column : column + COLUMNS]
            for tilted in right[:, start + column : start + column + COLUMNS]:
                for turned in left:
                    np.maximum(part, turned @ tilted.T, out=part)
        best[np.tri(*best.shape, dtype=bool)] = (
            0  # each pair once, without pairs of a picture with itself
        )
        for row, column in _nearest(best, LIKELY, FEW):
            ways = left[:, row] @ right[:, start + column].T
            turn, tilt = np.unravel_index(int(ways.argmax()), ways.shape)
            yield Candidate(start + row, start + column, int(turn), tilts[tilt])


def upright_candidates(wholes: Sequence[np.ndarray]) -> Iterator[Candidate]:
    """Pairs of whole pictures that may show the same without rotation: the nearest neighbours of each.

    wholes: (plane, side, side) uint8 each, all with the same number of planes.
    """
    own = _flat(_own(np.stack([_upright(whole) for whole in wholes])))
    for start in range(0, len(own), ROWS):
        best = own[start : start + ROWS] @ own[start:].T
        best[np.tri(*best.shape, dtype=np.bool_)] = 0
        for row, column in _nearest(best, ALIKE_UPRIGHT, FEW_UPRIGHT):
            yield Candidate(start + row, start + column, 0, TILTS[0])


def turns(pictures: np.ndarray) -> Iterator[np.ndarray]:
    """All rotations by 90 degrees and mirrorings of pictures (picture, plane, row, column), the identity first.

    A single plane has eight. The three planes of a volume are flipped together, along each axis of the volume.
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


def tilt_onto(tilt: tuple[float, float], side: int, finer: int = 1) -> np.ndarray:
    """The affine map (2, 3) of a tilt about the centre, to the samples of a picture with `finer` times the side."""
    angle, zoom = np.deg2rad(tilt[0]), tilt[1]
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turn *= finer / zoom
    shift = (side * finer - 1) / 2 - turn.sum(axis=1) * (side - 1) / 2
    return np.column_stack([turn, shift]).astype(np.float32)


def _details(look: np.ndarray) -> np.ndarray:
    """(plane, 2 SIDE, 2 SIDE): the details of a look at twice the resolution, for `_tilted`."""
    return np.stack([detail(*shrunk(plane, 2 * SIDE), 2 * SURROUNDINGS) for plane in look])


def _upright(whole: np.ndarray) -> np.ndarray:
    """(plane, SIDE, SIDE): the details of a whole picture."""
    small = (
        cv2.resize(p.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA) for p in whole
    )
    return np.stack([detail(plane, np.ones_like(plane)) for plane in small])


def _tilted(details: np.ndarray, tilt: tuple[float, float]) -> np.ndarray:
    onto = tilt_onto(tilt, SIDE, finer=2)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.stack([cv2.warpAffine(plane, onto, (SIDE, SIDE), flags=flags) for plane in details])


def _own(pictures: np.ndarray) -> np.ndarray:
    """Each picture minus the mean picture, normalised to length 1."""
    own = pictures - pictures.sum(axis=0) / (len(pictures) + USUAL)
    length = np.linalg.norm(_flat(own), axis=1)[:, None, None, None]
    return np.asarray(own / (length + 1e-6))


def _directions(pictures: np.ndarray) -> np.ndarray:
    """(sample, KEPT): the first principal components of the pictures in all rotations and mirrorings."""
    spread = sum(_flat(turned).T @ _flat(turned) for turned in turns(pictures))
    last = len(spread) - 1
    return np.asarray(eigh(spread, subset_by_index=(last - KEPT + 1, last))[1], np.float32)


def _flat(pictures: np.ndarray) -> np.ndarray:
    return pictures.reshape(len(pictures), -1)


def _nearest(best: np.ndarray, likely: float, few: int) -> Iterator[tuple[int, int]]:
    """(row, column) of the neighbours of each row: its `few` highest above `likely`, and more above `SURE`."""
    most = min(NEAREST, best.shape[1])
    columns = np.argpartition(best, -most, axis=1)[:, -most:]
    scores = np.take_along_axis(best, columns, axis=1)
    order = scores.argsort(axis=1)[:, ::-1]
    least = np.where(np.arange(most) < few, likely, SURE)
    for row, place in np.argwhere(np.take_along_axis(scores, order, axis=1) >= least):
        yield int(row), int(columns[row, order[row, place]])
