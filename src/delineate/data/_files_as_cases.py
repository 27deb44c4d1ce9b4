"""Convert files, folders and globs to cases without truth."""

from __future__ import annotations

import glob
import os
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from delineate.core import Case
from delineate.core.case import DRIVE, LONGEST_PART, UNSAFE
from delineate.data._channels import numbered, read_channels
from delineate.data._paths import is_readable, made_of, split_ending
from delineate.files import (
    FolderImage,
    by_ending,
    folder_images,
    image_suffixes,
    is_dicom_file,
    is_image_folder,
    read_image,
    slices_of_one_series,
)
from delineate.progress import warn
from delineate.words import some

WHOLE = -1
"""In place of the number of a channel: a file with all channels."""


class _Found(NamedTuple):
    """An image: what to open, its name without and with its ending, and its files if they are known."""

    path: Path
    name: str
    ending: str = ""
    files: tuple[Path, ...] | None = None


def cases_of(paths: str | Path | Sequence[str | Path], channels: Sequence[str] = ()) -> list[Case]:
    """A case without truth for each image in files, folders (with all subfolders) and globs, one or several.

    The id is the path below the given folder, or the name of a single file, without the ending. If two ids would be
    equal except for case, both keep their endings; if they are still equal, they get numbers. Characters that an id
    may not contain (a backslash, a control character) become "_". Hidden files are left out. Each file is taken once.

    The slices of a DICOM series in a folder are one case with the id of the folder; several series in one folder have
    their descriptions added. Radiographs and multi-frame files are a case each, and so is a slice that is named
    itself; several named slices of one series are a warning. Localizers, and DICOM objects that are not images, are
    left out of folders.

    Args:
        paths: files, folders and globs.
        channels: the names of the channels, if an image has one file for each of them. The files of one image are
            then named as in nnU-Net, CASE_0000.nii.gz and CASE_0001.nii.gz, or after the channels, CASE_flair.nii.gz
            and CASE_t1c.nii.gz. A file with another name is an image that holds all channels, and so is
            each file if none of them has a complete set.

    Raises:
        ValueError: no such file or folder, no image that can be read, or an image without one of its channels; or
            there are DICOM files in a folder, and pydicom is not installed.
    """
    paths = [paths] if isinstance(paths, str | Path) else paths
    found: dict[str, _Found] = {}
    for path in map(Path, paths):
        for image in _images(path):
            found.setdefault(os.path.abspath(image.path), image)
    _warn_of_slices(paths, found.values())
    if not found:
        raise ValueError(
            f"no image in {some(paths)}. Endings that can be read: {' '.join(sorted(image_suffixes()))}."
        )
    if len(channels) > 1:
        return _of_channels(found.values(), tuple(channels))
    ids = _unique([(_safe(image.name, image.ending), image.ending) for image in found.values()])
    return [
        Case(
            id,
            id,
            partial(read_image, image.path),
            image_files=made_of(image.path) if image.files is None else image.files,
            image_path=image.path,
        )
        for id, image in zip(ids, found.values(), strict=True)
    ]


def _warn_of_slices(paths: Sequence[str | Path], found: Collection[_Found]) -> None:
    """Warn once if slices of one series were named one by one, such as by `series/*.dcm`."""
    if all(Path(path).is_dir() for path in paths):
        return
    dicom, _ = by_ending(".dcm")
    files = (image.path for image in found if by_ending(image.path)[0] in (None, dicom))
    if pair := slices_of_one_series(files):
        one, other = pair
        warn(
            f"{one} and {other.name} are slices of one series, and each becomes an image of 2 axes. For the volume "
            f"give the folder: {one.parent}"
        )


def _of_channels(found: Collection[_Found], channels: tuple[str, ...]) -> list[Case]:
    """A case for the files of each image."""
    images: dict[str, dict[int, Path]] = {}
    for image in found:
        file, name = image.path, image.name + image.ending
        stem, ending = image.name, image.ending
        case, channel = numbered(stem, channels) or (stem, WHOLE)
        if channel >= len(channels):
            case, channel = stem, WHOLE
        known = images.setdefault(case + ending, {})
        if other := known.get(channel):
            raise ValueError(
                f"{other} and {file} are the same channel of {case}. Give one of them."
            )
        known[channel] = file
    everything = set(range(len(channels)))
    if not any(everything <= set(parts) for parts in images.values()):
        images = {
            image.name + image.ending: {WHOLE: image.path} for image in found
        }  # the numbers are those of the images
    for name, parts in images.items():
        if set(parts) not in (everything, {WHOLE}):
            missing = [f"_{n:04d} or _{channels[n]}" for n in sorted(everything - set(parts))]
            told = f"no file that ends in {some(missing)}" if missing else "a file too many"
            raise ValueError(
                f"{some(parts.values())}: the model takes {len(channels)} channels ({', '.join(channels)}), and there "
                f"is {told}. Give one file for each channel of {split_ending(name)[0]}, or one file with all."
            )
    names = [split_ending(name) for name in images]
    ids = _unique([(_safe(stem, ending), ending) for stem, ending in names])
    return [
        Case(
            id,
            id,
            partial(read_channels, files, channels),
            image_files=tuple(made for file in files for made in made_of(file)),
            image_path=files[0],
            channels=channels,
        )
        for id, parts in zip(ids, images.values(), strict=True)
        for files in [tuple(file for _, file in sorted(parts.items()))]
    ]


def _images(path: Path) -> Iterator[_Found]:
    """Each image of a path, with its name relative to the given folder."""
    if path.is_file():
        yield _named(path, path.name)
    elif path.is_dir():
        yield from _below(path, path)
    elif is_image_folder(path):  # one of several series in a folder
        yield _Found(path, path.name)
    elif glob.has_magic(str(path)):
        fixed = Path(*(part for part in _until_magic(path)))
        for match in map(Path, sorted(glob.glob(str(path), recursive=True))):
            if match.is_dir():
                yield from _below(match, fixed)
            elif not _is_hidden(match, fixed) and match.is_file() and is_readable(match):
                yield _named(match, match.relative_to(fixed).as_posix())
    else:
        raise ValueError(f"{path}: no such file or folder.")


def _until_magic(path: Path) -> Iterator[str]:
    for part in path.parts[:-1]:
        if glob.has_magic(part):
            return
        yield part


def _below(folder: Path, root: Path) -> Iterator[_Found]:
    """The images in a folder and all its subfolders, by path; names are relative to `root`."""
    found = []
    for inside, folders, names in os.walk(folder):
        here = Path(inside)
        if _is_hidden(here, root):
            folders.clear()
            continue
        files = [here / name for name in names if not name.startswith(".")]
        dicom = frozenset[Path]()
        if any(by_ending(file)[0] in (None, by_ending(".dcm")[0]) for file in files):
            images, dicom = folder_images(here)
            found += [_dicom_image(image, here, root) for image in images]
        found += [
            _named(file, file.relative_to(root).as_posix())
            for file in files
            if file not in dicom and by_ending(file)[0] is not None and file.is_file()
        ]
    yield from sorted(found, key=lambda image: image.path)


def _dicom_image(image: FolderImage, folder: Path, root: Path) -> _Found:
    """A DICOM image with the name of its folder, or of its file."""
    if image.path.is_file():
        name = image.path.relative_to(root).as_posix()
        return _named(image.path, name, files=image.files)
    name = folder.relative_to(root).as_posix()
    if name == ".":
        name = Path(os.path.abspath(folder)).name or "series"
    if image.name:
        name += "/" + (image.name.replace("/", "_").lstrip(".") or "series")
    return _Found(image.path, name, files=image.files)


def _named(file: Path, name: str, files: tuple[Path, ...] | None = None) -> _Found:
    """A file; a DICOM file may be named 1.2.840, which has no ending."""
    name, ending = split_ending(name)
    if ending.lower() not in image_suffixes() and is_dicom_file(file):
        name, ending = name + ending, ""
    return _Found(file, name, ending, files)


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _safe(name: str, ending: str) -> str:
    """The name as a valid id, with its ending; file names may contain any character."""
    *folders, last = DRIVE.sub(lambda drive: drive[0][0] + "_", name).split("/")
    parts = [*(_cut(part, "") for part in folders), _cut(last, ending)]
    return "/".join(UNSAFE.sub("_", part) for part in parts)


def _cut(part: str, ending: str) -> str:
    """A part shortened to the maximum length, with its ending and with room for a number."""
    while len((part + ending).encode(errors="surrogatepass")) > LONGEST_PART - 10:
        part, ending = (part[:-1], ending) if part else ("", ending[:-1])
    return part + ending


def _unique(names: Sequence[tuple[str, str]]) -> list[str]:
    """Ids that are unique regardless of case, since file systems of macOS and Windows ignore case.

    names: names with their endings, and the endings.
    """
    short = [name[: max(len(name) - len(ending), 0)] for name, ending in names]
    counts = Counter(map(_folded, short))
    wanted = [
        name if counts[_folded(s)] > 1 or UNSAFE.search(s) or not s.split("/")[-1] else s
        for (name, _), s in zip(names, short, strict=True)
    ]
    known = set(map(_folded, wanted))
    taken: set[str] = set()
    ids = []
    for name in wanted:
        id, number = name, 2
        while _folded(id) in taken or (id != name and _folded(id) in known):
            id, number = f"{name}-{number}", number + 1
        taken.add(_folded(id))
        ids.append(id)
    return ids


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
