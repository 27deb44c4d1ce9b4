"""A case: one image to segment, with its truth where it is known."""

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
    """An image, and its truth where it is known. Both are read from disk at each access.

    id: "name" or "folder/name". Output files take their names from it, so `check_id` refuses unsafe paths.
    group: the patient. All cases of one group are in the same split.
    image_files: all regular files of the image: a header and its data files, the files of a DICOM series. Empty for a
        generated image.
    truth_files: the same for the truth. Empty without truth, or where the truth is not an image file.
    columns: further values by name (site, device), for subgroups and stratified splits.
    image_path: what `read_image` opens: a file, or the folder of a DICOM series. The first of `image_files` if it is
        not given; None for a generated image.
    truth_path: the same for the truth.
    channels: the names of the image's channels, where the data name them (FLAIR, T1c); else empty.
    """

    id: str
    group: str
    load_image: Callable[[], Image] = field(repr=False)
    load_truth: Callable[[], Segmentation] | None = field(default=None, repr=False)
    image_files: tuple[Path, ...] = ()
    truth_files: tuple[Path, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict, repr=False)
    image_path: Path | None = None
    truth_path: Path | None = None
    channels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_id(self.id)
        if self.image_path is None and self.image_files:
            object.__setattr__(self, "image_path", self.image_files[0])
        if self.truth_path is None and self.truth_files:
            object.__setattr__(self, "truth_path", self.truth_files[0])

    @classmethod
    def of_image(cls, image: Image, id: str = "image") -> Case:
        """A case without truth, for an image in memory."""
        return cls(id, id, partial(_same, image))

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the case, those of the image first. Empty for a generated case."""
        return self.image_files + self.truth_files

    @property
    def image(self) -> Image:
        """The image, read from disk at each access."""
        return self.load_image()

    @property
    def truth(self) -> Segmentation | None:
        """The truth, read from disk at each access; None without truth."""
        return None if self.load_truth is None else self.load_truth()


def _same(image: Image) -> Image:
    return image


def check_id(id: str) -> None:
    """Check that an id is safe as a file name below a folder: it cannot point outside the folder.

    An id consists of parts joined by "/". A part is not empty, ".", or "..". It does not end with a dot or a space.
    It has no backslash, no control character, and at most `LONGEST_PART` bytes. The id does not begin with a drive
    letter ("C:").

    Raises:
        ValueError: the id breaks one of these rules.
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
        why = "it begins with a drive letter"
    if why:
        raise ValueError(
            f"the id {id[:80]!r} of a case cannot be the name of a file: {why}. Rename the file, or give the case "
            "another id, such as 'patient1_scan2'."
        )


LONGEST_PART = 200
"""Maximum bytes in a part of an id. File systems allow 255, and file name endings are added."""

UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]|[. ]$")
"""Not allowed in a part of an id. Windows removes dots and spaces at the end."""

DRIVE = re.compile(r"^[A-Za-z]:")
"""The drive letter at the start of a Windows path."""

Splits = Mapping[str, tuple[Case, ...]]
"""Split name ("train", "val", "test") -> its cases."""
