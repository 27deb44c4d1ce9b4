"""Find the files of a recipe: folders, globs, stems, and all files of an image."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from delineate.files import (
    by_ending,
    folder_files,
    image_suffixes,
    is_dicom_file,
    is_image_folder,
)
from delineate.words import some

STEM = "{stem}"

MOST_STARS, MOST_DEEP = 3, 2
"""Maximum number of * in a name with {stem}, and of ** in a pattern: matching time grows exponentially with them."""


class NotThereError(ValueError):
    """A path in a recipe does not exist; the message lists the places that were searched."""


def find_folder(name: str, places: Sequence[Path]) -> Path:
    """The first folder `name` below one of the places.

    Raises:
        NotThereError: no such folder.
    """
    return _first(name, places, Path.is_dir, f"root: no folder {name!r}")


def find_file(name: str, places: Sequence[Path], what: str) -> Path:
    """The first file `name` below one of the places.

    Raises:
        NotThereError: no such file.
    """
    return _first(name, places, Path.is_file, f"{what}: no file {name!r}")


def _first(name: str, places: Sequence[Path], fits: Callable[[Path], bool], problem: str) -> Path:
    """The first path that `fits`. An absolute path is the same in every place and is tried once."""
    tried = list(dict.fromkeys(place.absolute() / Path(name).expanduser() for place in places))
    for path in tried:
        if fits(path):
            return path
    raise NotThereError(f"{problem}. Searched: {some(tried)}.")


def by_stem(root: Path, pattern: str, what: str) -> dict[str, Path]:
    """The images below `root` that match a glob, by stem, sorted: files, and folders with a DICOM series.

    The stem is the name without its ending (".nii.gz" is one ending), or the part at {stem} in the pattern. The case
    of the ending is ignored. Hidden files and files with other endings than those of images are left out, except for
    DICOM files without an ending.

    Raises:
        ValueError: no readable file matches, or two files have the same stem.
    """
    pattern = PurePosixPath(pattern).as_posix()  # without "./", which the paths of glob do not have
    parts = pattern.split("/")
    wild = max(part.count("*") for part in parts) if STEM in pattern else 0
    if wild > MOST_STARS or parts.count("**") > MOST_DEEP:
        raise ValueError(
            f"{what} is {pattern!r}; expected at most {MOST_STARS} * in a name with {STEM}, and {MOST_DEEP} ** "
            "in all, because more take too long to match."
        )
    try:
        fitting = sorted(p for p in root.glob(_glob(pattern)) if p.is_file() or is_image_folder(p))
    except (ValueError, NotImplementedError, IndexError) as error:
        raise ValueError(f"{what} is {pattern!r}; expected a glob below {root}.") from error
    written = PurePosixPath(pattern).parts
    files = [
        path
        for path in fitting
        if (is_readable(path) or not path.is_file())
        and not any(p.startswith(".") and p not in written for p in path.relative_to(root).parts)
    ]
    if not files:
        but = f", only {some(path.name for path in fitting)}" if fitting else ""
        raise ValueError(
            f"{what}: no file that can be read matches {pattern} below {root}{but}. "
            f"Endings that can be read: {' '.join(sorted(image_suffixes()))}."
        )
    by_name: dict[str, Path] = {}
    for path in files:
        stem = _stem(path, root, pattern)
        if by_name.setdefault(stem, path) is not path:
            slices = (
                "For a DICOM series match its folder, not its files. "
                if is_dicom_file(path)
                else ""
            )
            raise ValueError(
                f"{what}: {by_name[stem]} and {path} have the same stem, {stem!r}. {slices}Narrow the pattern, "
                "write {stem} in it where the names differ, rename one, or list the cases in a table."
            )
    return dict(sorted(by_name.items()))


def is_readable(path: Path) -> bool:
    """Whether the file has the ending of an image format, or is DICOM without a known ending."""
    return by_ending(path)[0] is not None or is_dicom_file(path)


def split_ending(name: str) -> tuple[str, str]:
    """Split a file name into stem and ending; '.nii.gz' is one ending.

    >>> split_ending("scan.1.nii.gz"), split_ending("photo.JPG"), split_ending("folder.2/photo")
    (('scan.1', '.nii.gz'), ('photo', '.JPG'), ('folder.2/photo', ''))
    """
    known = [suffix for suffix in image_suffixes() if name.lower().endswith(suffix)]
    ending = max(known, key=len, default=PurePosixPath(name).suffix)
    return name[: len(name) - len(ending)], name[len(name) - len(ending) :]


def _glob(pattern: str) -> str:
    """The glob of a pattern; its ending ignores case, so that .jpg also matches .JPG."""
    before, ending = split_ending(pattern.replace(STEM, "*"))
    if "[" not in ending:
        ending = re.sub("[a-zA-Z]", lambda m: f"[{m[0].lower()}{m[0].upper()}]", ending)
    return before + ending


def _stem(path: Path, root: Path, pattern: str) -> str:
    """The stem of a file that matches the pattern, whose endings are ignored; a folder and 1.2.840 have none."""
    name = path.relative_to(root).as_posix()
    if path.is_file() and by_ending(path)[0] is not None:
        name, pattern = split_ending(name)[0], split_ending(pattern)[0]
    if STEM not in pattern:
        return PurePosixPath(name).name
    meaning = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]", STEM: "(?P<stem>[^/]+)"}
    expression = ""
    for part in re.split(r"(\{stem\}|\*\*/|\*|\?|\[[^]]*\])", pattern):
        expression += meaning.get(part, "[^/]" if part.startswith("[") else re.escape(part))
        if part == STEM:
            meaning[STEM] = "(?P=stem)"  # a second {stem} must match the same text
    match = re.fullmatch(expression, name, re.DOTALL)
    if match is None:
        raise ValueError(
            f"the stem of {name} cannot be read with {pattern!r}; use {{stem}} in a simpler pattern."
        )
    return match["stem"]


def made_of(path: Path) -> tuple[Path, ...]:
    """The file, and the data files that its header names; for `Case.image_files` and `Case.truth_files`.

    Only files of formats with separate data files are opened. If the header cannot be read or a data file is missing,
    the result is the file alone; reading the image will raise the error. A folder with a DICOM series is all its DICOM
    files.
    """
    if not path.is_file():
        return folder_files(path)
    form, _ = by_ending(path)
    if form is None:
        return (path,)
    try:
        return form.data_files(path)
    except (ValueError, OSError):
        return (path,)
