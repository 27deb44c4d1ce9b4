"""All files of an image."""

from __future__ import annotations

from pathlib import Path

from delineate.files import by_ending


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
