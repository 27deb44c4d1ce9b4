"""A mask file -> the truth on the grid of its image."""

from __future__ import annotations

from pathlib import Path

from delineate.core import Geometry, Segmentation
from delineate.data._align import align
from delineate.data._decode_mask import decode_mask
from delineate.data._values import MaskValues
from delineate.files import read_geometry, read_image, read_mask


def read_truth(
    image: Path, mask: Path, values: MaskValues, trust_shape: bool = False
) -> Segmentation:
    """The truth in `mask`, its axes ordered as those of `image`; nothing is resampled.

    trust_shape: take the mask to lie on its image wherever their shapes agree, whatever the headers say.

    Raises:
        ValueError: the samples of the two do not coincide, or a raw value has no label; names the files.
    """
    geometry = read_geometry(image)
    read = read_image if values.colours else read_mask  # the colours of a palette, or its indices
    found = align(read(mask), geometry)
    differences = geometry.differences(found.geometry)
    if differences and not (trust_shape and geometry.shape == found.geometry.shape):
        raise ValueError(
            f"{image} and its mask {mask} differ in {' and '.join(differences)}. "
            f"{_advice(geometry, found.geometry)}"
        )
    try:
        classes = decode_mask(found.pixels, values)
    except ValueError as error:
        raise ValueError(f"{mask}: {error}") from error
    return Segmentation(classes, values.labels, geometry)


def _advice(image: Geometry, mask: Geometry) -> str:
    if image.shape == mask.shape:
        return "If their arrays match, give the mask the header of the image; if not, resample it."
    if image.shape == mask.shape[::-1]:
        return "Was one of them turned by 90 degrees and the other not?"
    if image.ndim == mask.ndim == 3:
        return "Were slices dropped, or one of them cropped, on export?"
    return "Masks are never resized here: export it at the size of its image."
