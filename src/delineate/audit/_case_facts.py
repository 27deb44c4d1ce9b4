"""What is known of a case once it has been read: enough for every check, and small."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

VERSION = 5
"""Of the facts; another number makes all of them be read again."""

QUANTILES = (0.0, 0.005, 0.05, 0.25, 0.5, 0.75, 0.95, 0.995, 1.0)
"""Those that are kept of the intensities of an image."""

Box = tuple[float, float, float, float]
"""(y, x, height, width), as shares of the height and the width of a 2D image."""

ProblemKind = Literal["unreadable", "misaligned", "misplaced", "values"]


@dataclass(frozen=True)
class ImageFacts:
    """An image, in numbers.

    skew: how far its axes are from being at right angles: the largest cosine between two.
    quantiles: of each channel, at `QUANTILES`.
    not_finite: how many samples are NaN or infinity in the file.
    pixels: a digest of the samples, whatever file they are kept in.
    slices: digests of the slices of a volume along each patient axis; "" for one that shows nothing.
    look: small pictures of the part that is lit, as `pictures_of` reads them.
    whole: and of the whole image.
    text: where lines of text are in a 2D image, as `text_lines` finds them; never what they say.
    """

    shape: tuple[int, ...]
    channels: int
    dtype: str
    spacing: tuple[float, ...]
    unit: str
    skew: float
    quantiles: tuple[tuple[float, ...], ...]
    not_finite: int
    pixels: str
    slices: tuple[tuple[str, ...], ...] = field(default=(), repr=False)
    look: tuple[str, ...] = field(default=(), repr=False)
    whole: tuple[str, ...] = field(default=(), repr=False)
    text: tuple[Box, ...] = ()


@dataclass(frozen=True)
class MaskFacts:
    """A mask as its file holds it, before values become labels.

    values: how many different ones.
    between: the share of samples that lie between the ends of a byte, where sharp masks have none.
    lossy: whether it looks compressed with loss, or soft.
    below: whether it holds something, but nothing that reaches the lowest threshold.
    only: the one value it holds everywhere, or None.
    """

    dtype: str
    values: int
    between: float = 0.0
    lossy: bool = False
    below: bool = False
    only: int | None = None


@dataclass(frozen=True)
class TruthFacts:
    """The truth: the sizes in samples of the connected objects of each label, and a digest of it all.

    present: what is said of the image beside its mask, by label; None where that is not known.
    outlined: False where there is no mask.
    """

    objects: Mapping[str, tuple[int, ...]]
    ignored: int
    digest: str
    present: Mapping[str, bool | None] = field(default_factory=dict)
    outlined: bool = True

    def shows(self, name: str) -> bool | None:
        """Whether the image shows a label: as is said of it, else by the mask; None where it is not known."""
        if name in self.present:
            return self.present[name]
        return bool(self.objects[name]) if self.outlined else None


@dataclass(frozen=True)
class IdentityFacts:
    """Where files may say who somebody is: names of fields, never what they hold.

    burned_in: what DICOM says of text in the picture: "YES", "NO", or "" if nothing.
    modality: DICOM's, such as "US".
    """

    fields: tuple[str, ...] = ()
    burned_in: str = ""
    modality: str = ""


@dataclass(frozen=True)
class Problem:
    """Why a case cannot be used as it is."""

    kind: ProblemKind
    says: str


@dataclass(frozen=True)
class CaseFacts:
    """All that the checks know of a case. What could not be read is None, and a problem says why.

    misnamed: files in another format than their names say, as "a.jpg is PNG".
    two_places: how far the two affines of a NIfTI file are apart, in samples.
    patient: a digest of DICOM's PatientID with a secret of this run; never kept.
    """

    id: str
    group: str
    split: str
    image: ImageFacts | None = None
    mask: MaskFacts | None = None
    truth: TruthFacts | None = None
    problems: tuple[Problem, ...] = ()
    identity: IdentityFacts = IdentityFacts()
    misnamed: tuple[str, ...] = ()
    two_places: float = 0.0
    patient: str = field(default="", repr=False)

    @property
    def size_unit(self) -> str:
        """What `sizes` are in: "px²", "mm³"; "" without an image."""
        return self.image.unit + {2: "²", 3: "³"}[len(self.image.shape)] if self.image else ""

    def sizes(self, label: str) -> list[float]:
        """The area or volume of each object of a label, in `size_unit`."""
        if not self.image or not self.truth:
            return []
        sample = math.prod(self.image.spacing)
        return [n * sample for n in self.truth.objects[label]]
