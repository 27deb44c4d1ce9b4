"""One conversion: read an image, arrange its axes for the target format, and write it, whole or as slices."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from delineate.core import Case, Geometry, Image, Label, LabelSet, Segmentation
from delineate.core.case import check_id
from delineate.core.labels import PALETTE
from delineate.files import (
    Format,
    by_content,
    by_ending,
    in_order_of,
    read_geometry,
    read_mask,
    write_image,
    write_mask,
)
from delineate.prepare import Carry, ValueStep, linear
from delineate.prepare.orient import orient as orient_step
from delineate.prepare.window import window as window_step
from delineate.verbs._replacing import replacing
from delineate.verbs._slice_table import COLUMNS, TABLE

VIEWS = {2: ("PL", "IL", "IP"), 3: ("SPL",)}
"""By number of axes: the orientations in which slices are viewed, axial, coronal and sagittal."""

MOVED = 1e-3
"""Smallest displacement, in mm, that a warning names."""

SKEWED = 0.01
"""Smallest displacement by axes that are not at right angles that a warning names, in samples."""

Window = str | tuple[float, float]


@dataclass(frozen=True)
class Values:
    """Windows of intensities, as unsigned integers.

    step: maps each window to 0 to 1.
    top: the largest integer.
    """

    step: ValueStep
    top: int

    @classmethod
    def of(cls, given: Window | Sequence[Window], bits: int) -> Values:
        """The windows that a user gave: one or several."""
        if isinstance(given, str):
            several: Sequence[Window] = given.split(",")
        else:
            several = cast(
                Sequence[Window], [given] if isinstance(given[0], int | float) else given
            )
        texts = [one if isinstance(one, str) else f"{one[0]}/{one[1]}" for one in several]
        return cls(window_step(tuple(texts)), 2**bits - 1)

    def __call__(self, image: Image) -> Image:
        kind = np.uint8 if self.top < 256 else np.uint16
        slabs = []
        for i in range(image.pixels.shape[1]):  # not all at once: a window is float32
            windowed = self.step.apply(image.pixels[:, i : i + 1])
            slabs.append(np.rint(windowed * np.float32(self.top)).astype(kind))
        return Image(np.concatenate(slabs, axis=1), image.geometry)


@dataclass(frozen=True)
class Conversion:
    """One image to convert.

    path: the file or folder to read.
    to: the format to write.
    axes: the orientation to write in; None for that of the file.
    turned: reverse the order of the axes.
    sliced: whether the volume is written as slices.
    names: the files that are written, below the folder of the output.
    patient: the digest of its PatientID for the table of slices, or "".
    """

    case: Case
    path: Path
    to: Format
    masks: bool
    axes: str | None
    turned: bool
    sliced: bool
    names: tuple[str, ...]
    patient: str = ""

    def write(self, values: Values | None, home: Path) -> tuple[Image, list[str]]:
        """Read, arrange and write an image; returns it as arranged, and what the format cannot hold of it."""
        image = self._arranged(read_mask(self.path) if self.masks else self.case.image)
        labels = _labels(int(image.pixels.max())) if self.masks and image.channels == 1 else None
        try:
            if self.sliced:
                self._write_slices(image, values, labels, home)
                after = None
            else:
                self._write(
                    image if values is None else values(image), labels, home / self.names[0]
                )
                after = read_geometry(home / self.names[0])
        except ValueError as error:
            deep = image.pixels.dtype not in (np.uint8, np.uint16)
            if deep and values is None and not self.masks and self.to.axes == "zyx":
                raise ValueError(
                    f"{error} Or give a window, such as --window 50/400, which makes 8 bits of intensities."
                ) from error
            raise
        return image, _losses(image.geometry, after, self.to, self.masks)

    def _arranged(self, image: Image) -> Image:
        """The image with its axes in the order and direction of the target."""
        before = image.geometry
        if self.axes is not None:
            step = orient_step(self.axes)
            pixels = step.forward(image.pixels, before, Carry(linear))
            return replace(image, pixels=pixels, geometry=step.grid(before))
        return in_order_of(self.to, image, self.path) if self.turned else image

    def _write_slices(
        self, image: Image, values: Values | None, labels: LabelSet | None, home: Path
    ) -> None:
        folder, files = home / self.folder, [Path(name).name for name in self.names]
        grid = image.geometry
        plane_grid = Geometry(grid.shape[1:], grid.spacing[1:], grid.unit)
        with replacing(folder, {*slices_in(home, self), *files}) as part:
            for i, file in enumerate(files):
                plane = Image(image.pixels[:, i], plane_grid)
                self._write(plane if values is None else values(plane), labels, part / file)

    def _write(self, image: Image, labels: LabelSet | None, path: Path) -> None:
        like = (
            self.path if by_content(self.path) is self.to else None
        )  # else it is arranged already
        if labels is None:
            write_image(image, path, like=like)
        else:
            write_mask(Segmentation(image.pixels[0], labels, image.geometry), path, like=like)

    @property
    def folder(self) -> Path:
        """The folder of the slices, below the folder of the output."""
        return Path(self.names[0]).parent

    def rows(self, grid: Geometry) -> list[dict[str, str]]:
        """The rows of the table for the slices of a volume on `grid`."""
        spacing = [f"{n:.6g}" if grid.unit == "mm" else "" for n in grid.spacing]
        places = [""] * len(self.names)
        if grid.to_patient is not None:
            step, row, column, first = grid.to_patient[:3].T
            normal = np.cross(row, column)
            normal *= np.sign(normal @ step) / np.linalg.norm(normal)
            places = [f"{normal @ (first + i * step):.4f}" for i in range(len(self.names))]
        rows = []
        for i, (name, place) in enumerate(zip(self.names, places, strict=True), start=1):
            stem = Path(name).name.removesuffix(by_ending(name)[1])
            files = ("", name) if self.masks else (name, "")
            who = (self.case.id, self.case.group, self.patient)
            fields = (stem, *files, *who, str(i), place, *spacing)
            rows.append(dict(zip(COLUMNS, fields, strict=True)))
        return rows


def conversion_of(
    case: Case, form: Format, suffix: str, out: Path, single: bool, masks: bool, orient: str | None
) -> Conversion:
    """How to convert an image; reads its header where it decides the files that are written.

    Raises:
        ValueError: the file cannot be read, or a single file cannot hold the volume.
    """
    path = case.image_path
    if path is None:
        raise ValueError("is no file, so it cannot be converted. Write it with write_image.")
    geometry = read_geometry(path)
    axes = orient
    if axes is None and form.axes == "zyx" and geometry.to_patient is not None:
        axes = next(view for view in VIEWS[geometry.ndim] if _fits(view, geometry))
    turned = axes is None and by_content(path).axes != form.axes
    sliced = geometry.ndim == 3 and not form.volumes
    if not sliced:
        files: tuple[str, ...] = (out.name if single else f"{case.id}{suffix}",)
    elif single:
        raise ValueError(
            f"is a volume, which becomes one {suffix} per slice. Give a folder, and the format with --to."
        )
    else:
        grid = geometry
        if axes is not None:
            grid = orient_step(axes).grid(geometry)
        count = grid.shape[-1 if turned else 0]
        stem = case.id.replace("/", "_")  # unique, so that images and masks pair by their names
        check_id(stem)
        files = tuple(f"{case.id}/{stem}_{i:04d}{suffix}" for i in range(1, count + 1))
    return Conversion(case, path, form, masks, axes, turned, sliced, files)


def _fits(view: str, geometry: Geometry) -> bool:
    try:
        orient_step(view).grid(geometry)
    except ValueError:
        return False
    return True


def slices_in(home: Path, job: Conversion) -> list[str]:
    """The slices of an image that an earlier conversion left in its folder."""
    first = Path(job.names[0]).name
    stem, suffix = first[: first.rindex("_")], by_ending(first)[1]
    named = re.compile(rf"{re.escape(stem)}_\d{{4,}}{re.escape(suffix)}")
    with suppress(FileNotFoundError, NotADirectoryError):
        return sorted(name for name in os.listdir(home / job.folder) if named.fullmatch(name))
    return []


def _labels(top: int) -> LabelSet:
    """Labels for a label map without names: a value has the same colour in all files."""
    values = range(1, 256) if top < 256 else [top]
    return LabelSet(tuple(Label(str(v), v, colour=PALETTE[(v - 1) % len(PALETTE)]) for v in values))


def _losses(before: Geometry, after: Geometry | None, form: Format, lossless: bool) -> list[str]:
    """What a file does not hold of an image on the grid `before`.

    after: the grid that is read from the file; None for slices.
    """
    what = form.about.split(":")[0]
    losses = []
    if form.write_mask is None and not lossless:
        losses.append(f"{what} compresses with loss: values change a little.")
    if after is None:
        if before.unit == "mm":
            losses.append(f"{what} holds neither spacing nor position: {TABLE} has them.")
    elif before.unit == "mm" and after.unit != "mm":
        losses.append(
            f"{what} holds no spacing; it is lost."
            if before.to_patient is None
            else f"{what} holds neither spacing nor position in the patient; they are lost."
        )
    elif before.unit != "mm" and after.unit == "mm":
        losses.append(f"{what} cannot say that the spacing is unknown: programs will read 1 mm.")
    elif before.to_patient is None and after.to_patient is not None:
        losses.append(
            f"{what} cannot say that the position in the patient is unknown: programs will read axes along those of "
            "the patient, from 0."
        )
    elif before.to_patient is not None and after.to_patient is not None:
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in before.shape])).reshape(
            before.ndim, -1
        )
        ends = np.vstack([corners, np.ones(corners.shape[1])])
        gap = float(np.linalg.norm((before.to_patient - after.to_patient) @ ends, axis=0).max())
        if gap > MOVED:
            losses.append(f"{what} cannot hold this position: samples move by up to {gap:.2g} mm.")
        axes = before.to_patient[:3, :-1] / before.spacing
        skew = np.abs(axes.T @ axes - np.eye(before.ndim)).max()
        if skew * max(before.shape) > SKEWED:
            losses.append(
                f"the axes are not at right angles. {what} holds that, but many programs assume right angles (the "
                "qform of NIfTI, for one) and show the image elsewhere."
            )
    return losses
