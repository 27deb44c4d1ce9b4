"""The planes of a DICOM file, one for each frame, and the objects of DICOM that are not images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from delineate.files._dicom_header import PIXELS, Header, vector
from delineate.files._format import UnreadableFile
from delineate.files._unpack import AGAIN

KINDS = {
    "SEG": "a segmentation (SEG)", "RTSTRUCT": "a set of contours (RTSTRUCT)", "RTDOSE": "a dose (RTDOSE)",
    "RTPLAN": "a treatment plan (RTPLAN)", "SR": "a report (SR)", "KO": "a selection of images (KO)",
    "PR": "a presentation state (PR)", "ECG": "an electrocardiogram", "REG": "a registration (REG)",
    "DOC": "a document", "FID": "a set of fiducials", "RWV": "a value mapping",
}  # fmt: skip
"""Objects of DICOM that are not images, by modality."""
FRAMES = "Export the frames that you need as single images."


@dataclass(frozen=True, eq=False)
class Plane:
    """One slice: a file, or a frame of a multi-frame file.

    position, orientation: ImagePositionPatient (3,) and ImageOrientationPatient (6,); None where there are none.
    spacing: of rows and of columns, in mm; None where it is unknown.
    slope, intercept: of this plane; 1 and 0 where there are none.
    rescaled: whether the file has a slope or an intercept.
    thickness: in mm; 0 where it is unknown.
    """

    header: Header
    frame: int = 0
    position: np.ndarray | None = None
    orientation: np.ndarray | None = None
    spacing: np.ndarray | None = None
    slope: float = 1.0
    intercept: float = 0.0
    thickness: float = 0.0
    rescaled: bool = False

    @property
    def is_frame(self) -> bool:
        """Whether it is one of several frames of a file."""
        return self.header.numbers("NumberOfFrames")[:1] > (1,)

    @property
    def name(self) -> str:
        """What a message calls it."""
        return f"frame {self.frame + 1}" if self.is_frame else self.header.path.name


def why_no_image(header: Header) -> str:
    """Which object of DICOM it is, if it is not an image; "" for an image."""
    modality = header.text("Modality")
    if modality in KINDS:
        return f"is {KINDS[modality]} in DICOM, not an image. Give the image that belongs to it."
    if not header.start or not header.has("Rows"):
        return f"is DICOM without pixels ({_kind(header)}). Give a file or a folder with images."
    if header.tag != PIXELS:
        return f"holds floating point pixels ({_kind(header)}), which are not read. Convert it to NIfTI first."
    return ""


def is_image_class(header: Header) -> bool:
    """Whether the file should have pixels, by its SOP class; also if it has none."""
    return not header.kind or "Image Storage" in _class_name(header)


def _class_name(header: Header) -> str:
    from pydicom.uid import UID

    return str(UID(header.kind).name)


def _kind(header: Header) -> str:
    name = _class_name(header)
    modality = header.text("Modality")
    return (
        ", ".join(word for word in (name, f"modality {modality}" if modality else "") if word)
        or "of no class"
    )


def plane(header: Header) -> Plane:
    """The plane of a file with one frame.

    Raises:
        UnreadableFile: an attribute has another count of numbers.
    """
    if header.has("PerFrameFunctionalGroupsSequence"):
        return frames(header)[0]
    located = header.has("ImagePositionPatient") and header.has("ImageOrientationPatient")
    slope, intercept = _rescale(header)
    return Plane(
        header,
        position=vector(header, "ImagePositionPatient", 3) if located else None,
        orientation=vector(header, "ImageOrientationPatient", 6) if located else None,
        spacing=vector(header, "PixelSpacing", 2) if header.has("PixelSpacing") else None,
        slope=1.0 if slope is None else slope,
        intercept=intercept or 0.0,
        thickness=next(iter(header.numbers("SliceThickness")), 0.0),
        rescaled=slope is not None or intercept is not None,
    )


def _rescale(header: Header) -> tuple[float | None, float | None]:
    """RescaleSlope and RescaleIntercept of a file; None where it has none."""
    slope, intercept = (
        float(vector(header, keyword, 1)[0]) if header.has(keyword) else None
        for keyword in ("RescaleSlope", "RescaleIntercept")
    )
    return slope, intercept


def frames(header: Header) -> list[Plane]:
    """The planes of a multi-frame file, from its functional groups.

    Raises:
        UnreadableFile: the frames have no positions.
    """
    count = frame_count(header)
    if not header.has("PerFrameFunctionalGroupsSequence"):
        raise UnreadableFile(
            f"has {count} frames without positions in the patient: a cine, a time series or several views. "
            + FRAMES
        )
    dataset = header.dataset()
    each = dataset.PerFrameFunctionalGroupsSequence
    shared = dataset.get("SharedFunctionalGroupsSequence") or [None]
    if len(each) != count:
        raise UnreadableFile(f"has {count} frames, but describes {len(each)}. {AGAIN}")
    return [_frame(header, index, group, shared[0]) for index, group in enumerate(each)]


def _frame(header: Header, index: int, own: Any, shared: Any) -> Plane:
    def value(sequence: str, keyword: str, size: int) -> np.ndarray | None:
        for group in (own, shared):
            items = group.get(sequence) if group is not None else None
            found = items[0].get(keyword) if items else None
            if found is not None:
                numbers = np.atleast_1d(np.array(found, np.float64))
                if numbers.shape != (size,) or not np.isfinite(numbers).all():
                    raise UnreadableFile(
                        f"has {keyword} = {str(found)[:40]} at frame {index + 1}; expected {size} numbers. "
                        "Export it again."
                    )
                return numbers
        return None

    def number(sequence: str, keyword: str) -> float | None:
        found = value(sequence, keyword, 1)
        return None if found is None else float(found[0])

    transformation, measures = "PixelValueTransformationSequence", "PixelMeasuresSequence"
    position = value("PlanePositionSequence", "ImagePositionPatient", 3)
    orientation = value("PlaneOrientationSequence", "ImageOrientationPatient", 6)
    if position is None or orientation is None:
        raise UnreadableFile(
            f"has no position or orientation in the patient at frame {index + 1}. "
            "Export its frames as single images."
        )
    slope, intercept = (number(transformation, f"Rescale{what}") for what in ("Slope", "Intercept"))
    if (
        slope is intercept is None
    ):  # a file converted from older ones may have them outside the groups
        slope, intercept = _rescale(header)
    return Plane(
        header,
        index,
        position,
        orientation,
        value(measures, "PixelSpacing", 2),
        1.0 if slope is None else slope,
        intercept or 0.0,
        number(measures, "SliceThickness") or 0.0,
        slope is not None or intercept is not None,
    )


def frame_count(header: Header) -> int:
    """NumberOfFrames; 1 if there is none."""
    count = next(iter(header.numbers("NumberOfFrames")), 1.0)
    if count < 1 or count != int(count):
        raise UnreadableFile(f"has {count:g} frames; expected 1 or more. {AGAIN}")
    return int(count)
