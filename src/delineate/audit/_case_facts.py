"""The facts of a case that all checks use; they are small, so that a whole data set fits in memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

VERSION = 7
"""Version of the facts; a change makes the audit read all cases again."""

QUANTILES = (0.0, 0.005, 0.05, 0.25, 0.5, 0.75, 0.95, 0.995, 1.0)
"""The quantiles of the intensities of an image."""

Box = tuple[float, float, float, float]
"""(y, x, height, width), as fractions of the height and the width of a 2D image."""

ProblemKind = Literal["unreadable", "misaligned", "misplaced", "values"]


@dataclass(frozen=True)
class ImageFacts:
    """Facts of an image.

    skew: the largest cosine between two of its axes; 0 if they are at right angles.
    quantiles: of each channel, at `QUANTILES`.
    not_finite: number of NaN or infinite samples in the file.
    pixels: a digest of the samples, independent of the file format.
    slices: digests of the slices of a volume along each patient axis; "" for a slice without content.
    look: thumbnails of the image without dark margins, for `pictures_of`.
    whole: thumbnails of the whole image.
    text: boxes of lines of text in a 2D image, from `text_lines`; the text itself is not stored.
    orientation: the direction in the patient of each axis, such as "SPL"; "" if it is unknown.
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
    orientation: str = ""


@dataclass(frozen=True)
class MaskFacts:
    """Facts of a mask file, before its values become labels.

    values: number of different values.
    between: fraction of samples that are near neither 0 nor 255; sharp masks have none.
    lossy: whether the mask looks lossily compressed or soft.
    below: whether it has values above 0, but none above the lowest threshold.
    only: the value of a constant mask, or None.
    """

    dtype: str
    values: int
    between: float = 0.0
    lossy: bool = False
    below: bool = False
    only: int | None = None


@dataclass(frozen=True)
class TruthFacts:
    """Facts of a truth: the sizes in samples of the connected components of each label, and a digest.

    present: image-level labels that are known in addition to the mask; None where unknown.
    outlined: False without a mask.
    lateral: the centre of mass along the patient's axis from right to left, in mm, of the labels that come in left and
        right; empty if the orientation in the patient is unknown.
    """

    objects: Mapping[str, tuple[int, ...]]
    ignored: int
    digest: str
    present: Mapping[str, bool | None] = field(default_factory=dict)
    outlined: bool = True
    lateral: Mapping[str, float] = field(default_factory=dict)

    def shows(self, name: str) -> bool | None:
        """Whether the image shows a label: by its image-level label, else by the mask; None if unknown."""
        if name in self.present:
            return self.present[name]
        return bool(self.objects[name]) if self.outlined else None


@dataclass(frozen=True)
class IdentityFacts:
    """Facts about identifiers in the files: names of fields, never their values.

    burned_in: DICOM's BurnedInAnnotation: "YES", "NO", or "" if it is missing.
    modality: DICOM's Modality, such as "US".
    """

    fields: tuple[str, ...] = ()
    burned_in: str = ""
    modality: str = ""


@dataclass(frozen=True)
class Problem:
    """A reason why a case cannot be used."""

    kind: ProblemKind
    says: str


@dataclass(frozen=True)
class CaseFacts:
    """All facts of a case. A part that could not be read is None, and `problems` has the reason.

    misnamed: files whose ending is that of another format, as "a.jpg is PNG".
    two_places: maximum distance between the two affines of a NIfTI file, in samples.
    patient: a digest of DICOM's PatientID with a secret of this run; it is never stored.
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
        """The unit of `sizes`: "px²", "mm³"; "" without an image."""
        return self.image.unit + {2: "²", 3: "³"}[len(self.image.shape)] if self.image else ""

    def sizes(self, label: str) -> list[float]:
        """The area or volume of each object of a label, in `size_unit`."""
        if not self.image or not self.truth:
            return []
        sample = math.prod(self.image.spacing)
        return [n * sample for n in self.truth.objects[label]]
