"""Images of several files, each with some of the channels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from delineate.core import Case, Image
from delineate.data._masks import align
from delineate.files import read_image

NUMBERED = re.compile(r"(.+)_(\d{4})", re.DOTALL)
"""A file name of nnU-Net without its ending: case and channel, "liver_007_0001"."""


def read_channels(files: Sequence[Path], names: Sequence[str] = ()) -> Image:
    """Read the files of one image, and stack their channels in the order of the files.

    Axes are reordered and reversed to those of the first file; nothing is resampled. Channels of different dtypes are
    converted to the smallest dtype that holds the values of all: uint8 and int16 become int16.

    Args:
        files: one or more.
        names: the names of all channels; empty if their number is unknown.

    Raises:
        ValueError: the files are on different grids, have another number of channels than names, or no common dtype;
            names the files.
    """
    first, *others = images = [read_image(file) for file in files]
    for i, (image, file) in enumerate(zip(others, files[1:], strict=True), start=1):
        images[i] = image = align(image, first.geometry)
        if differences := first.geometry.differences(image.geometry):
            raise ValueError(
                f"{files[0]} and {file} are channels of one image, but differ in {' and '.join(differences)}. "
                "Resample them to one grid first."
            )
    counts = [image.channels for image in images]
    if names and sum(counts) != len(names):
        given = " and ".join(
            f"{f} has {n} channel{'s'[: n > 1]}" for f, n in zip(files, counts, strict=True)
        )
        raise ValueError(
            f"{given}; expected {len(names)} in all: {', '.join(names)}. Give one file for each channel, or one file "
            "with all."
        )
    if not others:
        return first
    common = np.result_type(*(image.pixels.dtype for image in images))
    for image, file in zip(images, files, strict=True):
        if (
            common.kind == "f"
            and image.pixels.dtype.kind != "f"
            and not _fits(image.pixels, common)
        ):
            raise ValueError(
                f"{file} has {image.pixels.dtype} samples that {common}, the common type of all channels, cannot hold "
                "exactly. Store all channels of the image in one type."
            )
    warnings = tuple(
        f"{file.name}: {warning}"
        for image, file in zip(images, files, strict=True)
        for warning in image.warnings
    )
    pixels = np.concatenate([image.pixels for image in images], dtype=common)
    return replace(first, pixels=pixels, warnings=warnings)


def opened_files(case: Case) -> tuple[Path, ...]:
    """What to open of a case's image: one path for most images, and several if its channels are in several files."""
    load = case.load_image
    if isinstance(load, partial) and load.func is read_channels:
        return tuple(load.args[0])
    return () if case.image_path is None else (case.image_path,)


def _fits(pixels: np.ndarray, dtype: np.dtype) -> bool:
    """Whether a floating-point type holds these whole numbers exactly."""
    most = 2 ** (np.finfo(dtype).nmant + 1)
    return bool(-most <= int(pixels.min()) and int(pixels.max()) <= most)


def numbered(stem: str, names: Sequence[str] = ()) -> tuple[str, int] | None:
    """Case and channel of a file name without its ending; None if it names no channel.

    names: of the channels, which may stand for their numbers.

    >>> numbered("liver_007_0001"), numbered("p3_t1c", ["flair", "t1c"]), numbered("p3")
    (('liver_007', 1), ('p3', 1), None)
    """
    if match := NUMBERED.fullmatch(stem):
        return match[1], int(match[2])
    for number, name in enumerate(names):
        ending = f"_{name}".casefold()
        if stem.casefold().endswith(ending) and len(stem) > len(ending):
            return stem[: -len(ending)], number
    return None
