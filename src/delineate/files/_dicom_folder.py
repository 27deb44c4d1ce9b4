"""The DICOM files in a folder, and which images they are: volumes of many files, and files that are images alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from delineate.files._dicom_header import PREAMBLE, Header, is_dicom, read_header, require_pydicom
from delineate.files._dicom_plane import KINDS, frame_count, is_image_class, plane, why_no_image
from delineate.files._format import Series, UnreadableFile
from delineate.files._unpack import AGAIN
from delineate.words import some

DIRECTORY = "1.2.840.10008.1.3.10"
ENDINGS = (".dcm", ".ima")
MOST_HEADER = 1 << 16
"""Where the UID of its series is in a file, at the latest, as a rule."""
UID = re.compile(r"[0-9]+(\.[0-9]+)+")


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


def patient_id(path: str | Path) -> str:
    """PatientID of a DICOM file; "" if it has none, is not DICOM or cannot be read, or pydicom is not installed."""
    path = Path(path)
    if not is_dicom_file(path):
        return ""
    try:
        return read_header(path).text("PatientID")
    except (
        Exception
    ):  # each library has its own exceptions; reading the image raises this one again
        return ""


def slices_of_one_series(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Two files that are slices of one DICOM series, the first such pair; () if there is none."""
    first: dict[str, Path] = {}
    for path in filter(is_dicom_file, paths):
        try:
            header = read_header(path)
            uid = header.text("SeriesInstanceUID") if _is_slice(header) else ""
        except (
            Exception
        ):  # each library has its own exceptions; reading the image raises this one again
            continue
        if uid and first.setdefault(uid, path) is not path:
            return first[uid], path
    return ()


def dicom_texts(path: str | Path, keywords: Iterable[str]) -> dict[str, str]:
    """The attributes of a DICOM file that have a value, as text, of those asked for by DICOM keyword.

    Empty if the file is not DICOM or cannot be read, or pydicom is not installed.
    """
    path = Path(path)
    if not is_dicom_file(path):
        return {}
    try:
        dataset = read_header(path).dataset()
        raw = {word: dataset.get_item(word).value for word in keywords if word in dataset}
    except (
        Exception
    ):  # each library has its own exceptions; reading the image raises this one again
        return {}
    texts = {w: v.decode("latin-1").strip(" \0") for w, v in raw.items() if isinstance(v, bytes)}
    return {word: text for word, text in texts.items() if text}


def _is_slice(header: Header) -> bool:
    """Whether this may be a slice of a volume of several files."""
    if frame_count(header) > 1 or header.whole("SamplesPerPixel", 1) != 1:
        return False
    if header.has("PerFrameFunctionalGroupsSequence"):
        with suppress(UnreadableFile):
            return plane(header).position is not None
        return False
    return header.has("ImagePositionPatient") and header.has("ImageOrientationPatient")


def _name(header: Header) -> str:
    number = header.text("SeriesNumber")
    return header.text("SeriesDescription") or (f"series {number}" if number else "series")


def folder_and_series(path: Path) -> tuple[Path, str]:
    """The folder, and the series in it, of a path: a folder, or folder/SeriesInstanceUID for one of several series.

    The series is "" for a folder, and for anything else that exists.
    """
    if UID.fullmatch(path.name) and path.parent.is_dir() and not os.path.lexists(path):
        return path.parent, path.name
    return path, ""


def holds_dicom(path: Path) -> bool:
    """Whether a folder holds a DICOM file, other than a DICOMDIR, itself and not in a folder below it.

    The same for the folder of a path folder/SeriesInstanceUID.
    """
    folder, _ = folder_and_series(path)
    return folder.is_dir() and next(dicom_files(folder), None) is not None


def dicom_files(folder: Path) -> Iterator[Path]:
    """The DICOM files in a folder, by name. Hidden files and DICOMDIR are left out."""
    return (file for file in candidates(folder) if is_dicom(_start(file)))


def candidates(folder: Path) -> Iterator[Path]:
    """The files in a folder, by name. Hidden files and DICOMDIR are left out."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_file())
    for name in names:
        if not (name.startswith(".") or name.upper() == "DICOMDIR"):
            yield folder / name


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(PREAMBLE)


def headers(path: Path) -> list[Header]:
    """The headers of the images in a folder, or in one series of it; DICOM objects that are not images are left out.

    A damaged DICOM file is an error also beside the series that is asked for: it may be one of its slices.

    Raises:
        UnreadableFile: a file that may be a slice cannot be read; or there is no image, or no such series.
    """
    found, others = [], []
    folder, uid = folder_and_series(path)
    for path in candidates(folder):
        start = _start(path)
        if not is_dicom(start):
            if _may_be_slice(path, start, uid):
                what = "is not DICOM" if start else "is empty (0 bytes)"
                raise UnreadableFile(f"its file {path.name} {what}, and may be a slice. {AGAIN}")
            continue
        try:
            header = read_header(path)
        except UnreadableFile as error:
            raise UnreadableFile(f"its file {path.name} {error}") from error
        except Exception as error:
            raise UnreadableFile(
                f"its file {path.name} cannot be decoded ({str(error) or type(error).__name__}). {AGAIN}"
            ) from error
        why = why_no_image(header)
        if why and header.text("Modality") not in KINDS and is_image_class(header):
            raise UnreadableFile(f"its file {path.name} {why} Is it truncated? {AGAIN}")
        if header.kind == DIRECTORY:
            continue
        if why:
            others.append((path, why))
        else:
            found.append(header)
    if not found and others:
        path, why = others[0]
        raise UnreadableFile(f"has no image: its file {path.name} {why}")
    if not found:
        raise UnreadableFile(
            "is a folder without DICOM images. Give the folder that holds the slices."
        )
    if not uid:
        return found
    wanted = [header for header in found if header.text("SeriesInstanceUID") == uid]
    if not wanted:
        known = some(dict.fromkeys(header.text("SeriesInstanceUID") for header in found))
        raise UnreadableFile(f"no such series; {folder} has {known}.")
    return wanted


def _may_be_slice(path: Path, start: bytes, uid: str) -> bool:
    """Whether a file that does not begin like DICOM may be a damaged slice of the series `uid`, or of any if it is "".

    An empty file may be one by its name: it ends in .dcm or .ima, or has no ending (or a number, the last part of a
    UID). Another file may be one if it ends in .dcm or .ima, and in a folder of several series if it holds the UID.
    """
    ending = path.suffix.lower()
    if not start:
        return ending in (*ENDINGS, "") or ending[1:].isdigit()
    if ending not in ENDINGS or not uid:
        return ending in ENDINGS
    with path.open("rb") as file:
        return uid.encode() in file.read(MOST_HEADER)


def series_of(found: Sequence[Header]) -> list[Series]:
    """The series of some images."""
    groups: dict[str, list[Header]] = {}
    for header in found:
        groups.setdefault(header.text("SeriesInstanceUID"), []).append(header)
    return [
        Series(
            uid,
            group[0].text("SeriesDescription"),
            group[0].text("Modality"),
            tuple(header.path for header in group),
        )
        for uid, group in groups.items()
    ]
