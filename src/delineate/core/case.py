"""One thing to segment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from delineate.core.image import Image
from delineate.core.segmentation import Segmentation


@dataclass(frozen=True, eq=False)
class Case:
    """An image, and the truth where it is known; both are read each time they are asked for.

    group: the patient the case belongs to; cases of one group stay on one side of every split.
    files: the files it is made from, image first; empty for cases that are made, not read.
    columns: further facts by name (site, device), for subgroups and stratified splits.
    """

    id: str
    group: str
    load_image: Callable[[], Image] = field(repr=False)
    load_truth: Callable[[], Segmentation] | None = field(default=None, repr=False)
    files: tuple[Path, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def image(self) -> Image:
        """The image, read now."""
        return self.load_image()

    @property
    def truth(self) -> Segmentation | None:
        """The truth, read now, or None where there is none."""
        return None if self.load_truth is None else self.load_truth()


Splits = Mapping[str, tuple[Case, ...]]
"""Cases by the name of their split: "train", "val", "test"."""
