"""Images and masks of one format -> the same in another format."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

from delineate.core import Case
from delineate.data import cases_of
from delineate.files import Format, by_ending
from delineate.predictions import shown
from delineate.prepare.orient import orient as orient_step
from delineate.progress import track, warn
from delineate.resolve import names, nearest, resolve
from delineate.verbs._conversion import (
    Conversion,
    Values,
    Window,
    conversion_of,
    slices_in,
)
from delineate.verbs._slice_table import TABLE, SliceTable
from delineate.words import counted, some


@dataclass(frozen=True)
class Converted:
    """The result of `convert`.

    out: the folder or file that was written.
    images: number of input images.
    failures: the reason of each failure, by file.
    files: the files that were written, without the table.
    table: the table of slices; None if no volume was written as slices.
    """

    out: Path
    images: int
    failures: Mapping[str, str]
    files: tuple[Path, ...]
    table: Path | None = None

    @property
    def lines(self) -> list[str]:
        """A summary of one or two lines."""
        failed = f", {len(self.failures)} failed" if self.failures else ""
        done = f"{self.images - len(self.failures)} of {self.images} images converted{failed}"
        if not self.files:
            return [done]
        if self.out.is_file():
            return [done, f"file: {self.out}"]
        table = f"; table: {self.table}" if self.table else ""
        return [done, f"{counted(len(self.files), 'file')} in {self.out}{table}"]


def convert(
    inputs: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    to: str | None = None,
    window: Window | Sequence[Window] | None = None,
    bits: Literal[8, 16] = 8,
    masks: bool = False,
    orient: str | None = None,
    overwrite: bool = False,
) -> Converted:
    """Convert images or masks to another format; returns a summary.

    Values and their dtype are those of `read_image`, unless `window` is given. Of DICOM these are rescaled values
    (Hounsfield units); padding outside the scale of CT is set to -1024 HU, with a warning, and MONOCHROME1 is inverted,
    except in CT, PET and nuclear medicine, so that more is brighter. What the target cannot hold is refused, image by
    image: the others are still converted. Nothing is written in part. Problems of a file, and what of its geometry
    the target cannot hold, are warnings.

    The position in the patient is kept to 1e-4 mm where the target can hold it. The order of the axes follows the
    target: columns, rows, slices in NIfTI, NRRD and MetaImage, as in ITK; slices, rows, columns in pictures (TIFF,
    PNG and others), which hold no position. Pictures of scans are turned to the radiological view: axial slices from
    feet to head, the patient's right at the left. Oblique scans go to the nearest axes without resampling.

    A format that holds no volume gets one picture per slice, `<image>/<image>_0001.png`, and `slices.csv`, which has
    for each slice its image, its position along the normal of the slice in mm, and its spacing in mm. The data layout
    `folder` reads it as `table`; its column `group` keeps the slices of one image in one split, and those of all series
    with one DICOM PatientID that were converted into this folder, in one call or in several. A case that is in the
    table keeps its group. To recognize a patient, the column `patient` has a digest of the PatientID with a random key,
    which is in the hidden file `.slices.key`; the PatientID itself is not written. Who has both files can test whether
    a PatientID is among them. The names of cases are those of folders and files, or of series.

    Args:
        inputs: files, folders and globs, one or many.
        out: the folder to write to, in which the structure below a given folder is kept. For one image also a file:
            its ending is then the target.
        to: the target: a format of `delineate list formats`, or an ending such as "mha".
        window: the name of a window of CT ("liver", "lung", "bone": the table of the step `window`), LEVEL/WIDTH such
            as "50/400", or (50, 400): the values from level - width / 2 to level + width / 2 become 0 to 255, rounded
            to the nearest; others are clipped. Three windows, "lung,abdomen,bone", make the channels of RGB.
        bits: 8 or 16 bits for a window; 16 give 0 to 65535.
        masks: the inputs are label maps. They are written without loss, as unsigned integers.
        orient: for each axis of the written array, the direction in which its index grows: "RAS", "LPS", "SPL". Where
            slices are written, the first axis counts them: "PIL" makes coronal slices.
        overwrite: replace existing files, except the inputs.

    Raises:
        ValueError: no input, an unknown target, arguments that contradict each other, or files in `out` that would be
            lost.
    """
    out = Path(out)
    form, suffix, single = _target(out, to)
    _check_target(form, suffix, masks)
    if masks and window is not None:
        raise ValueError("a window changes values, and masks keep theirs. Leave out the window.")
    if bits not in (8, 16):
        raise ValueError(f"bits is {bits}; expected 8 or 16.")
    if bits != 8 and window is None:
        raise ValueError("bits is for a window. Give a window, such as 50/400, or leave out bits.")
    values = None if window is None else Values.of(window, bits)
    if orient is not None:
        orient_step(orient)  # refuses what is not an orientation
    cases = cases_of(inputs)
    if single and len(cases) > 1:
        raise ValueError(
            f"{out} is one file, but there are {len(cases)} images. Give a folder, and the format with --to."
        )
    failures: dict[str, str] = {}
    jobs = []
    for case in cases:
        try:
            jobs.append(conversion_of(case, form, suffix, out, single, masks, orient))
        except ValueError as error:
            _fail(failures, case, error)
    home = out.parent if single else out
    _refuse(jobs, home, [file for case in cases for file in case.files], overwrite=overwrite)
    table = SliceTable.read(home) if any(job.sliced for job in jobs) else None
    if table is not None:
        jobs = _by_patient(jobs, table)
    lost: dict[str, list[str]] = {}
    rows: dict[str, list[dict[str, str]]] = {}
    files: list[Path] = []
    try:
        for job in track(jobs, "converting", unit="image", leave=True):
            name = shown(job.path)
            try:
                image, losses = job.write(values, home)
            except OSError:  # a full disk affects all images
                raise
            except Exception as error:  # the other images can still be converted
                _fail(failures, job.case, error)
                continue
            for warning in image.warnings:
                warn(f"{name}: {warning}")
            for loss in losses:
                lost.setdefault(loss, []).append(name)
            files += [home / name for name in job.names]
            if job.sliced:
                rows[job.case.id] = job.rows(image.geometry)
    finally:
        if rows and table is not None:
            table.write(rows)
    for loss, where in lost.items():
        warn(f"{some(where, 1)}: {loss}")
    return Converted(out, len(cases), failures, tuple(files), home / TABLE if rows else None)


def _by_patient(jobs: Sequence[Conversion], table: SliceTable) -> list[Conversion]:
    """The jobs, with the groups and patients of those that are written as slices."""
    sliced = iter(table.by_patient([job.case for job in jobs if job.sliced]))
    grouped = []
    for job in jobs:
        if job.sliced:
            case, digest = next(sliced)
            job = replace(job, case=case, patient=digest)
        grouped.append(job)
    return grouped


def _target(out: Path, to: str | None) -> tuple[Format, str, bool]:
    """The format to write, its ending, and whether `out` is a file."""
    by_name, ending = (None, "") if out.is_dir() else by_ending(out)
    above = out.parents if by_name else (out, *out.parents)
    if blocked := next((p for p in above if os.path.lexists(p) and not p.is_dir()), None):
        raise ValueError(f"{blocked}: is a file, but a folder is needed there. Give another --out.")
    if to is None:
        if by_name is None:
            raise ValueError(
                f"{out}: the format to write is not known. Give it with --to, such as --to nifti, or write to a file "
                "with an ending, such as scan.nrrd."
            )
        return by_name, ending, True
    known = names("formats")
    if to in known:
        form = cast(Format, resolve("formats", to))
        suffix = form.suffixes[0]
    else:
        found, suffix = by_ending(f"image.{to.lower().lstrip('.')}")
        if found is None:
            raise ValueError(
                f"--to {to}: no such format{nearest(to, known)} There are: {', '.join(known)}; or give an ending, "
                "such as mha."
            )
        form = found
    if by_name is not None and by_name is not form:
        raise ValueError(
            f"{out} has the ending of another format than --to {to}. Change one of the two."
        )
    return (form, suffix, False) if by_name is None else (form, ending, True)


def _check_target(form: Format, suffix: str, masks: bool) -> None:
    what = form.about.split(":")[0]
    if form.write is None:
        can = [name for name in names("formats") if cast(Format, resolve("formats", name)).write]
        raise ValueError(f"{what} can be read but not written. Convert to one of {', '.join(can)}.")
    if masks and form.write_mask is None:
        raise ValueError(f"{what} ({suffix}) would change the values of masks. Use png.")


def _refuse(
    jobs: Sequence[Conversion], home: Path, inputs: Sequence[Path], *, overwrite: bool
) -> None:
    """Check before the first image that no file would be lost.

    Raises:
        ValueError: two images would be written to one file, an output is an input or a folder, or, unless
            `overwrite`, an output exists.
    """
    wanted = [name for job in jobs for name in job.names]
    sliced = [job for job in jobs if job.sliced]
    stems = [Path(job.names[0]).name for job in sliced]  # the ids of slices must differ, too
    for files in (wanted, stems):
        name, times = Counter(map(str.casefold, files)).most_common(1)[0] if files else ("", 0)
        if times > 1:
            raise ValueError(
                f"{times} images would give files named {name}. Convert them into separate folders."
            )
    stale = [str(job.folder / name) for job in sliced for name in slices_in(home, job)]
    there = [name for name in dict.fromkeys([*wanted, *stale]) if os.path.lexists(home / name)]
    read = {(path.stat().st_dev, path.stat().st_ino) for path in inputs if path.exists()}
    for path in (home / name for name in there):
        if path.is_dir():
            raise ValueError(f"{path}: is a folder, but a file would be written there.")
        if path.exists() and (path.stat().st_dev, path.stat().st_ino) in read:
            raise ValueError(f"{path}: is an input, which is never replaced. Give another --out.")
    if there and not overwrite:
        more = f" (and {len(there) - 1} more)" if len(there) > 1 else ""
        raise ValueError(
            f"{home / there[0]}{more} exists; nothing was converted. Give another --out, or --overwrite to replace "
            "existing files."
        )


def _fail(failures: dict[str, str], case: Case, error: Exception) -> None:
    """Note and tell why an image was not converted."""
    message = str(error) or type(error).__name__
    for name in (str(case.image_path), case.id):
        message = message.removeprefix(f"{name}: ")
    file = case.id if case.image_path is None else shown(case.image_path)
    failures[file] = message
    warn(f"{file}: {message}")
