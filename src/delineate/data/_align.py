"""An image with its axes in the order and direction of another grid."""

from __future__ import annotations

import numpy as np

from delineate.core import Geometry, Image


def align(image: Image, onto: Geometry) -> Image:
    """The same samples with their axes permuted and flipped to run as those of `onto`; nothing is resampled.

    An image whose axes are oblique to those of `onto`, or whose place in the patient is unknown, stays as
    it is. Whether the samples then coincide is for `Geometry.differences` to say.
    """
    here = image.geometry
    if here.ndim != onto.ndim or here.to_patient is None or onto.to_patient is None:
        return image
    cosines = _directions(onto).T @ _directions(here)
    axes = [int(a) for a in np.abs(cosines).argmax(axis=1)]
    matched = cosines[np.arange(onto.ndim), axes]
    if sorted(axes) != list(range(onto.ndim)) or np.abs(matched).min() < 0.999:
        return image
    flips = [bool(cosine < 0) for cosine in matched]
    pixels = image.pixels.transpose(0, *(a + 1 for a in axes))
    pixels = pixels[(slice(None), *(slice(None, None, -1 if flip else 1) for flip in flips))]
    return Image(pixels, here.reordered(axes, flips))


def _directions(geometry: Geometry) -> np.ndarray:
    """(3, ndim): the unit vector along which each axis runs in the patient."""
    assert geometry.to_patient is not None
    steps = geometry.to_patient[:3, :-1]
    return np.asarray(steps / np.linalg.norm(steps, axis=0))
