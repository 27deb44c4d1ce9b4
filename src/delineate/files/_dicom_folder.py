"""Which images the DICOM files in a folder are: volumes of many files, and files that are images of their own."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from delineate.files._dicom_header import PREAMBLE, Header, is_dicom, read_header, require_pydicom
from delineate.files._dicom_series import (
    candidates,
    dicom_files,
    folder_and_series,
    frame_count,
    headers,
    why_no_image,
)
from delineate.files._format import UnreadableFile


@dataclass(frozen=True)
class FolderImage:
    """An image in a folder.

    path: what `read_image` opens: the folder if it holds nothing else, folder/SeriesInstanceUID for one of several
        series, or the file.
    name: in words; "" if the image is all that the folder holds, or a file.
    files: all its files, by name.
    """

    path: Path
    name: str
    files: tuple[Path, ...]


def folder_images(folder: str | Path) -> tuple[list[FolderImage], frozenset[Path]]:
    """The images that the DICOM files in a folder are, and all DICOM files in it; folders below it are not searched.

    The slices of a series that have a position in the patient are one volume. Radiographs, multi-frame files, colour
    images and a slice without others are images of their own. Localizers and DICOM objects that are not images are
    left out. A file that cannot be read is an image of its own: reading it will raise the error.

    Raises:
        UnreadableFile: there are DICOM files, and pydicom is not installed.
        OSError: the folder cannot be read.
    """
    folder = Path(folder)
    files = tuple(filter(is_dicom_file, candidates(folder)))
    if not files:
        return [], frozenset()
    try:
        require_pydicom()
    except UnreadableFile as error:
        raise UnreadableFile(f"{folder}: {error}") from error
    alone: list[Path] = []
    series: dict[str, list[Header]] = {}
    every = set()
    for path in files:
        try:
            header = read_header(path)
            if why_no_image(header):
                continue
            slice_ = _is_slice(header)
        except (
            Exception
        ):  # each library has its own exceptions; reading the file raises this one again
            alone.append(path)
            every.add("")
            continue
        uid = header.text("SeriesInstanceUID")
        every.add(uid)
        if "LOCALIZER" in header.text("ImageType").split("\\"):
            continue
        if slice_ and uid:
            series.setdefault(uid, []).append(header)
        else:
            alone.append(path)
    images = []
    for uid, slices in series.items():
        if len(slices) == 1:
            alone.append(slices[0].path)
            continue
        members = tuple(header.path for header in slices)
        one_of_several = folder_and_series(folder / uid) == (folder, uid)
        if (
            every == {uid} or not one_of_several
        ):  # reading the folder then says that it holds several series
            images.append(FolderImage(folder, "", members))
        else:
            images.append(FolderImage(folder / uid, _name(slices[0]), members))
    images += [FolderImage(path, "", (path,)) for path in sorted(alone)]
    return images, frozenset(files)


def folder_files(path: Path) -> tuple[Path, ...]:
    """The DICOM files in a folder, by name, or those of a path folder/SeriesInstanceUID; nothing is checked."""
    folder, uid = folder_and_series(path)
    if uid:
        with suppress(UnreadableFile):
            return tuple(header.path for header in headers(path))
    return tuple(dicom_files(folder))


def is_dicom_file(path: Path) -> bool:
    """Whether a file begins like DICOM."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return is_dicom(file.read(PREAMBLE))
    except OSError:
        return False


def _is_slice(header: Header) -> bool:
    """Whether this may be a slice of a volume of several files."""
    placed = header.has("ImagePositionPatient") and header.has("ImageOrientationPatient")
    return placed and frame_count(header) == 1 and header.whole("SamplesPerPixel", 1) == 1


def _name(header: Header) -> str:
    number = header.text("SeriesNumber")
    return header.text("SeriesDescription") or (f"series {number}" if number else "series")
