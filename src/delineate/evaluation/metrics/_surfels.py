"""Surface elements: the piece of surface between the samples of one 2 x 2 (x 2) neighbourhood."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.ndimage import label
from scipy.spatial import ConvexHull


def surfel_codes(mask: np.ndarray) -> np.ndarray:
    """The neighbourhood around each inner corner of the grid as a number, each axis one shorter than the mask's.

    Bit i is sample i of the neighbourhood in C order; a code of all zeros or all ones has no surface.
    """
    codes = mask.astype(np.uint8)
    for axis in reversed(range(mask.ndim)):
        lower = [slice(None)] * mask.ndim
        upper = lower.copy()
        lower[axis], upper[axis] = slice(None, -1), slice(1, None)
        codes = codes[tuple(lower)] | codes[tuple(upper)] << 2 ** (mask.ndim - 1 - axis)
    return codes


@lru_cache(maxsize=64)
def surfel_areas(spacing: tuple[float, ...]) -> np.ndarray:
    """Area (3D) or length (2D) of the surface in each neighbourhood, by code; in the unit of `spacing`.

    The surface runs through the middles of the edges that it crosses, as in marching cubes (Lorensen and Cline,
    SIGGRAPH 1987), and agrees with the table of DeepMind's surface-distance, which made these areas customary.
    """
    sides = np.prod(spacing) / np.array(spacing)  # a facet across an axis grows with the others
    areas = np.asarray(np.linalg.norm(_facets(len(spacing)) * sides, axis=-1).sum(axis=-1))
    areas.flags.writeable = False
    return areas


@lru_cache(maxsize=2)
def _facets(ndim: int) -> np.ndarray:
    """Flat pieces of the surface in each neighbourhood at spacing 1, (code, piece, axis): normals as long as the area.

    The surface goes around the connected parts of the smaller side, so parts that only touch stay apart.
    """
    size = 2**ndim
    last = 2**size - 1
    pieces = {}
    for code in range(last + 1):
        if code.bit_count() <= size // 2:
            side = np.array([code >> i & 1 for i in range(size)], bool).reshape((2,) * ndim)
            parts, count = label(side)
            pieces[code] = [piece for i in range(count) for piece in _around(parts == i + 1)]
    facets = np.zeros((last + 1, max(map(len, pieces.values())), ndim))
    for code in range(last + 1):
        for i, piece in enumerate(pieces[code if code in pieces else last - code]):
            facets[code, i] = piece
    return facets


def _around(part: np.ndarray) -> np.ndarray:
    """Flat pieces (piece, axis) of the surface between a connected part of a neighbourhood and the rest.

    They bound the convex hull of the part's samples and of the middles of the edges that leave it.
    """
    samples = np.argwhere(part)
    joined = np.stack([np.flip(part, axis)[part] for axis in range(part.ndim)], axis=1)
    degree = joined.sum(axis=1)
    if sorted(degree) == [1, 1, 2, 2]:
        # Along a bent path of four samples the surface is a twisted hexagon, in no plane and no side of a hull. It
        # is cut into four triangles, two of them parallel, the same from either end of the path.
        middle = np.ptp(samples[degree == 2], axis=0)
        return np.vstack([np.full(3, 0.5), 0.25 * (np.eye(3)[middle == 0] + middle)])
    where, axis = np.nonzero(~joined)
    middles = samples[where] + np.eye(part.ndim)[axis] * (0.5 - samples[where, axis])[:, None]
    points = np.concatenate([samples, middles])
    hull = ConvexHull(points)
    corners = points[hull.simplices]  # (piece, corner, axis)
    on_side = ((corners == 0).all(axis=1) | (corners == 1).all(axis=1)).any(axis=1)
    edges = np.diff(corners[~on_side], axis=1)
    gram = edges @ np.swapaxes(edges, 1, 2)
    areas = np.sqrt(np.linalg.det(gram)) / math.factorial(part.ndim - 1)
    return np.asarray(areas[:, None] * hull.equations[~on_side, :-1])
