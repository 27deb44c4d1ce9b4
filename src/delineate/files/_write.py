"""An Image, a Segmentation -> a file, in the format its name asks for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from delineate.core import Image, Segmentation
from delineate.files._formats import by_content, by_ending, formats


def write_image(image: Image, path: str | Path) -> None:
    """Write pixels in their own depth; a scan's geometry goes along where the format can say it.

    Raises:
        ValueError: the ending is unknown, or its format cannot hold these pixels.
    """
    form, _ = by_ending(path)
    if form is None or form.write is None:
        raise _unknown(path, [s for f in formats() if f.write for s in f.suffixes])
    form.write(image, Path(path))


def write_mask(
    segmentation: Segmentation, path: str | Path, *, like: str | Path | None = None
) -> None:
    """Write the label map as 8 bits, or 16 if a label has a value above 255.

    A PNG has the labels' colours as its palette and their values as indices.

    Args:
        segmentation: what to write.
        path: the file; its ending decides the format.
        like: the file of the image. Where both are NIfTI and on one grid, the mask keeps its sform, its qform, their
            codes (scanner, MNI) and its unit, so that every program puts the two in one place.

    Raises:
        ValueError: the ending is unknown or would damage a mask, or its format cannot hold this one.
    """
    form, _ = by_ending(path)
    if form is None or form.write_mask is None:
        raise _unknown(path, [s for f in formats() if f.write_mask for s in f.suffixes])
    classes = segmentation.classes
    # The labels decide, so that all masks of one problem have one type.
    top = max([int(classes.max()), *(label.value for label in segmentation.labels.labels)])
    if top > 65535:
        raise ValueError(f"{path}: the label map holds {top}; at most 65535 can be written.")
    narrow = classes.astype(np.uint8 if top < 256 else np.uint16, copy=False)
    mask = replace(segmentation, classes=narrow)
    if like is not None and form.write_mask_like and by_content(Path(like)) is form:
        form.write_mask_like(mask, Path(path), Path(like))
    else:
        form.write_mask(mask, Path(path))


def _unknown(path: str | Path, known: list[str]) -> ValueError:
    return ValueError(
        f"{path}: cannot be written under this ending. Use one of {', '.join(sorted(known))}."
    )
