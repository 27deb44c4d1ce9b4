"""What a recipe writes -> files: folders, globs and stems, and all files of an image."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from delineate.files import by_ending, image_suffixes
from delineate.words import some

STEM = "{stem}"

MOST_STARS, MOST_DEEP = 3, 2
"""Of * in a name beside {stem}, and of ** in a pattern: the time to match grows with the power of their number."""


class NotThereError(ValueError):
    """A path of a recipe leads nowhere; the message says where it was looked for."""


def find_folder(name: str, places: Sequence[Path]) -> Path:
    """The first folder `name` below one of the places.

    Raises:
        NotThereError: there is none.
    """
    return _first(name, places, Path.is_dir, f"root: no folder {name!r}")


def find_file(name: str, places: Sequence[Path], what: str) -> Path:
    """The first file `name` below one of the places.

    Raises:
        NotThereError: there is none.
    """
    return _first(name, places, Path.is_file, f"{what}: no file {name!r}")


def _first(name: str, places: Sequence[Path], fits: Callable[[Path], bool], problem: str) -> Path:
    """Each place is tried once; an absolute path stands for itself everywhere."""
    tried = list(dict.fromkeys(place.absolute() / Path(name).expanduser() for place in places))
    for path in tried:
        if fits(path):
            return path
    raise NotThereError(f"{problem}. Looked for: {some(tried)}.")


def by_stem(root: Path, pattern: str, what: str) -> dict[str, Path]:
    """The files below `root` that fit a glob, by their stem and sorted by it.

    The stem is the name without its ending (".nii.gz" is one), or what stands at {stem} in the pattern.
    Letters of the ending fit in either case; hidden files and endings that cannot be read are left out.

    Raises:
        ValueError: nothing that can be read fits, or two files have one stem.
    """
    pattern = PurePosixPath(pattern).as_posix()  # without "./", which paths found do not have
    parts = pattern.split("/")
    wild = max(part.count("*") for part in parts) if STEM in pattern else 0
    if wild > MOST_STARS or parts.count("**") > MOST_DEEP:
        raise ValueError(
            f"{what} is {pattern!r}; expected at most {MOST_STARS} * in a name beside {STEM}, and {MOST_DEEP} ** "
            "in all: more take too long to match."
        )
    try:
        fitting = sorted(path for path in root.glob(_glob(pattern)) if path.is_file())
    except (ValueError, NotImplementedError, IndexError) as error:
        raise ValueError(f"{what} is {pattern!r}; expected a glob below {root}.") from error
    written = PurePosixPath(pattern).parts
    files = [
        path
        for path in fitting
        if is_readable(path)
        and not any(p.startswith(".") and p not in written for p in path.relative_to(root).parts)
    ]
    if not files:
        but = f", only {some(path.name for path in fitting)}" if fitting else ""
        raise ValueError(
            f"{what}: no file that can be read fits {pattern} below {root}{but}. "
            f"Endings that can be read: {' '.join(sorted(image_suffixes()))}."
        )
    found: dict[str, Path] = {}
    for path in files:
        stem = _stem(path.relative_to(root).as_posix(), pattern)
        if found.setdefault(stem, path) is not path:
            raise ValueError(
                f"{what}: {found[stem]} and {path} have one stem, {stem!r}. Narrow the pattern, "
                "write {stem} in it where the names differ, rename one, or list the cases in a table."
            )
    return dict(sorted(found.items()))


def is_readable(path: Path) -> bool:
    """Whether the ending is one that can be read."""
    return path.name.lower().endswith(tuple(image_suffixes()))


def split_ending(name: str) -> tuple[str, str]:
    """A file's name up to its ending, and the ending; '.nii.gz' counts as one.

    >>> split_ending("scan.1.nii.gz"), split_ending("photo.JPG"), split_ending("folder.2/photo")
    (('scan.1', '.nii.gz'), ('photo', '.JPG'), ('folder.2/photo', ''))
    """
    known = [suffix for suffix in image_suffixes() if name.lower().endswith(suffix)]
    ending = max(known, key=len, default=PurePosixPath(name).suffix)
    return name[: len(name) - len(ending)], name[len(name) - len(ending) :]


def _glob(pattern: str) -> str:
    """The glob that a pattern stands for; its ending also finds .JPG where .jpg is written."""
    before, ending = split_ending(pattern.replace(STEM, "*"))
    if "[" not in ending:
        ending = re.sub("[a-zA-Z]", lambda m: f"[{m[0].lower()}{m[0].upper()}]", ending)
    return before + ending


def _stem(name: str, pattern: str) -> str:
    """The stem of a file that fits the pattern; both are read up to their endings."""
    name = split_ending(name)[0]
    if STEM not in pattern:
        return PurePosixPath(name).name
    meaning = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]", STEM: "(?P<stem>[^/]+)"}
    expression = ""
    for part in re.split(r"(\{stem\}|\*\*/|\*|\?|\[[^]]*\])", split_ending(pattern)[0]):
        expression += meaning.get(part, "[^/]" if part.startswith("[") else re.escape(part))
        if part == STEM:
            meaning[STEM] = "(?P=stem)"  # written twice, it stands for the same
    match = re.fullmatch(expression, name, re.DOTALL)
    if match is None:
        raise ValueError(
            f"{name} does not show its stem in {pattern!r}; write {{stem}} once more plainly."
        )
    return match["stem"]


def made_of(path: Path) -> tuple[Path, ...]:
    """The file itself, and the data files that its header names; for `Case.image_files` and `Case.truth_files`.

    Only files whose ending is that of a format with data files are opened. Where the header cannot be read, or what
    it names is not there, it is the file alone: reading the image says what is wrong.
    """
    form, _ = by_ending(path)
    if form is None:
        return (path,)
    try:
        return form.data_files(path)
    except (ValueError, OSError):
        return (path,)
