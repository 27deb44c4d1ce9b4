"""One thing to segment."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from delineate.core.image import Image
from delineate.core.segmentation import Segmentation


@dataclass(frozen=True, eq=False)
class Case:
    """An image, and the truth where it is known; both are read each time they are asked for.

    id: becomes the name of files that are written, so it is one that cannot lead elsewhere: "name" or
        "folder/name", as `check_id` says.
    group: the patient the case belongs to; cases of one group stay on one side of every split.
    image_files: every file the image is made of, the one that is opened first: a header, then its data files. Empty
        for an image that is made, not read.
    truth_files: the same for the truth; empty where there is none, or where it does not come from an image file.
    columns: further facts by name (site, device), for subgroups and stratified splits.
    """

    id: str
    group: str
    load_image: Callable[[], Image] = field(repr=False)
    load_truth: Callable[[], Segmentation] | None = field(default=None, repr=False)
    image_files: tuple[Path, ...] = ()
    truth_files: tuple[Path, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        check_id(self.id)

    @classmethod
    def of_image(cls, image: Image, id: str = "image") -> Case:
        """A case without truth, of an image in memory."""
        return cls(id, id, partial(_same, image))

    @property
    def files(self) -> tuple[Path, ...]:
        """All files the case is made of, those of the image first; empty for a case that is made, not read."""
        return self.image_files + self.truth_files

    @property
    def image(self) -> Image:
        """The image, read now."""
        return self.load_image()

    @property
    def truth(self) -> Segmentation | None:
        """The truth, read now, or None where there is none."""
        return None if self.load_truth is None else self.load_truth()


def _same(image: Image) -> Image:
    return image


def check_id(id: str) -> None:
    """Refuse an id that, as the name of a file below some folder, could be another file or none.

    Allowed are parts joined by "/". A part is not empty, ".", or "..", does not end with a dot or a space, has no
    backslash and no control character, and has at most `LONGEST_PART` bytes; the first does not begin like a drive.

    Raises:
        ValueError: something else.
    """
    why = "" if id else "it is empty"
    for part in id.split("/") if id else ():
        if part in ("", ".", ".."):
            why = "it is an absolute path" if id.startswith("/") else f"it has a part {part!r}"
        elif UNSAFE.search(part):
            why = (
                "it has a backslash, a control character, or a part that ends with a dot or a space"
            )
        elif len(part.encode(errors="surrogatepass")) > LONGEST_PART:
            why = f"a part of it has more than {LONGEST_PART} bytes"
    if DRIVE.match(id):
        why = "it begins like a drive"
    if why:
        raise ValueError(
            f"the id {id[:80]!r} of a case cannot be the name of a file: {why}. Rename the file, or give the case "
            "another id, such as 'patient1_scan2'."
        )


LONGEST_PART = 200
"""Bytes of a part of an id; file systems hold 255, and endings are added."""

UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]|[. ]$")
"""What no part of an id may hold; Windows drops dots and spaces at the end."""

DRIVE = re.compile(r"^[A-Za-z]:")
"""How a path on a drive of Windows begins."""

Splits = Mapping[str, tuple[Case, ...]]
"""Cases by the name of their split: "train", "val", "test"."""
