"""The planes of a DICOM series in order along their normal, and the checks that they are one even volume."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from delineate.core import Geometry
from delineate.files._dicom_header import (
    PIXELS,
    PREAMBLE,
    Header,
    is_dicom,
    read_header,
    vector,
)
from delineate.files._format import Series, UnreadableFile
from delineate.files._unpack import AGAIN
from delineate.words import some

SAME_DIRECTION = 1e-4
"""Accepted difference of direction cosines within a series."""
ORTHOGONAL = 1e-3
"""Accepted deviation of the two directions from unit vectors at right angles."""
EVEN = 0.01
EVEN_MM = 0.01
"""Accepted deviation from even spacing: this part of the spacing, or this many mm if that is more. The same holds for
a shift of the slices across their normal, which a tilted gantry causes."""
MOST_NAMES = 3

VARYING = (
    "TemporalPositionIdentifier", "EchoTime", "EchoNumbers", "DiffusionBValue", "TriggerTime", "AcquisitionNumber",
    "ImageType",
)  # fmt: skip
"""What may differ between images at one position."""
KINDS = {
    "SEG": "a segmentation (SEG)", "RTSTRUCT": "a set of contours (RTSTRUCT)", "RTDOSE": "a dose (RTDOSE)",
    "RTPLAN": "a treatment plan (RTPLAN)", "SR": "a report (SR)", "KO": "a selection of images (KO)",
    "PR": "a presentation state (PR)", "ECG": "an electrocardiogram", "REG": "a registration (REG)",
    "DOC": "a document", "FID": "a set of fiducials", "RWV": "a value mapping",
}  # fmt: skip
"""Objects of DICOM that are not images, by modality."""
FRAMES = "Export the frames that you need as single images."
DIRECTORY = "1.2.840.10008.1.3.10"
UID = re.compile(r"[0-9]+(\.[0-9]+)+")


@dataclass(frozen=True, eq=False)
class Plane:
    """One slice: a file, or a frame of a multi-frame file.

    position, orientation: ImagePositionPatient (3,) and ImageOrientationPatient (6,); None where there are none.
    spacing: of rows and of columns, in mm; None where it is unknown.
    slope, intercept: of this plane.
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


def _is_image_class(header: Header) -> bool:
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
    """The plane of a file with one frame."""
    located = header.has("ImagePositionPatient") and header.has("ImageOrientationPatient")
    slope, intercept = header.numbers("RescaleSlope"), header.numbers("RescaleIntercept")
    return Plane(
        header,
        position=vector(header, "ImagePositionPatient", 3) if located else None,
        orientation=vector(header, "ImageOrientationPatient", 6) if located else None,
        spacing=vector(header, "PixelSpacing", 2) if header.has("PixelSpacing") else None,
        slope=slope[0] if slope else 1.0,
        intercept=intercept[0] if intercept else 0.0,
        thickness=next(iter(header.numbers("SliceThickness")), 0.0),
    )


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

    def number(sequence: str, keyword: str, default: float) -> float:
        found = value(sequence, keyword, 1)
        return default if found is None else float(found[0])

    transformation, measures = "PixelValueTransformationSequence", "PixelMeasuresSequence"
    position = value("PlanePositionSequence", "ImagePositionPatient", 3)
    orientation = value("PlaneOrientationSequence", "ImageOrientationPatient", 6)
    if position is None or orientation is None:
        raise UnreadableFile(
            f"has no position or orientation in the patient at frame {index + 1}. "
            "Export its frames as single images."
        )
    return Plane(
        header,
        index,
        position,
        orientation,
        value(measures, "PixelSpacing", 2),
        number(transformation, "RescaleSlope", 1.0),
        number(transformation, "RescaleIntercept", 0.0),
        number(measures, "SliceThickness", 0.0),
    )


def frame_count(header: Header) -> int:
    """NumberOfFrames; 1 if there is none."""
    count = next(iter(header.numbers("NumberOfFrames")), 1.0)
    if count < 1 or count != int(count):
        raise UnreadableFile(f"has {count:g} frames; expected 1 or more. {AGAIN}")
    return int(count)


# A folder


def folder_and_series(path: Path) -> tuple[Path, str]:
    """The folder, and the series in it, of a path: a folder, or folder/SeriesInstanceUID for one of several series.

    The series is "" for a folder, and for anything else that exists.
    """
    if UID.fullmatch(path.name) and path.parent.is_dir() and not os.path.lexists(path):
        return path.parent, path.name
    return path, ""


def holds_dicom(path: Path) -> bool:
    """Whether a folder holds a DICOM file, other than a DICOMDIR, itself and not in a folder below it.

    The same for the folder of a path folder/SeriesInstanceUID.
    """
    folder, _ = folder_and_series(path)
    return folder.is_dir() and next(dicom_files(folder), None) is not None


def dicom_files(folder: Path) -> Iterator[Path]:
    """The DICOM files in a folder, by name. Hidden files and DICOMDIR are left out."""
    return (file for file in candidates(folder) if is_dicom(_start(file)))


def candidates(folder: Path) -> Iterator[Path]:
    """The files in a folder, by name. Hidden files and DICOMDIR are left out."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_file())
    for name in names:
        if not (name.startswith(".") or name.upper() == "DICOMDIR"):
            yield folder / name


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(PREAMBLE)


def headers(path: Path) -> list[Header]:
    """The headers of the images in a folder, or in one series of it; DICOM objects that are not images are left out.

    Raises:
        UnreadableFile: a file that may be a slice cannot be read; or there is no image, or no such series.
    """
    found, others = [], []
    folder, uid = folder_and_series(path)
    for path in candidates(folder):
        start = _start(path)
        if not is_dicom(start):
            if not start or path.suffix.lower() == ".dcm":
                what = "is not DICOM" if start else "is empty (0 bytes)"
                raise UnreadableFile(f"its file {path.name} {what}, and may be a slice. {AGAIN}")
            continue
        try:
            header = read_header(path)
        except UnreadableFile as error:
            raise UnreadableFile(f"its file {path.name} {error}") from error
        except Exception as error:
            raise UnreadableFile(
                f"its file {path.name} cannot be decoded ({str(error) or type(error).__name__}). {AGAIN}"
            ) from error
        why = why_no_image(header)
        if why and header.text("Modality") not in KINDS and _is_image_class(header):
            raise UnreadableFile(f"its file {path.name} {why} Is it truncated? {AGAIN}")
        if header.kind == DIRECTORY:
            continue
        if why:
            others.append((path, why))
        else:
            found.append(header)
    if not found and others:
        path, why = others[0]
        raise UnreadableFile(f"has no image: its file {path.name} {why}")
    if not found:
        raise UnreadableFile(
            "is a folder without DICOM images. Give the folder that holds the slices."
        )
    if not uid:
        return found
    wanted = [header for header in found if header.text("SeriesInstanceUID") == uid]
    if not wanted:
        known = some(dict.fromkeys(header.text("SeriesInstanceUID") for header in found))
        raise UnreadableFile(f"no such series; {folder} has {known}.")
    return wanted


def series_of(found: Sequence[Header]) -> list[Series]:
    """The series of some images."""
    groups: dict[str, list[Header]] = {}
    for header in found:
        groups.setdefault(header.text("SeriesInstanceUID"), []).append(header)
    return [
        Series(
            uid,
            group[0].text("SeriesDescription"),
            group[0].text("Modality"),
            tuple(header.path for header in group),
        )
        for uid, group in groups.items()
    ]


def one_series(found: Sequence[Header]) -> None:
    """Check that all images are of one patient and one series.

    Raises:
        UnreadableFile: several, each with its description and count.
    """
    _same(found, [h.text("PatientID") for h in found], "patient (PatientID)")
    several = series_of(found)
    if len(several) > 1:
        listed = "; ".join(
            f"{s.modality or 'no modality'} {s.description!r}, {len(s.files)} files, from {s.files[0].name}"
            for s in several[: 2 * MOST_NAMES]
        )
        more = (
            f"; and {len(several) - 2 * MOST_NAMES} more" if len(several) > 2 * MOST_NAMES else ""
        )
        raise UnreadableFile(
            f"holds {len(several)} series: {listed}{more}. Put each series in a "
            f"folder of its own, or name one as <folder>/{several[0].uid}."
        )


# A volume


def volume(planes: Sequence[Plane]) -> tuple[list[Plane], Geometry]:
    """The planes in order along their normal, and the geometry of their volume.

    Raises:
        UnreadableFile: the planes are not one even volume.
    """
    _check_alike(planes)
    normal = _normal(planes[0])
    places = np.array([p.position for p in planes]) @ normal
    order = np.argsort(places, kind="stable")
    ordered, at = _without_copies([planes[i] for i in order], places[order])
    return ordered, _geometry(ordered, at, normal)


def in_plane(plane: Plane) -> np.ndarray:
    """Steps in mm along a row index and a column index, (3, 2), from the orientation and the spacing."""
    assert plane.orientation is not None
    assert plane.spacing is not None
    across, down = plane.orientation[:3], plane.orientation[3:]
    gram = np.array([across @ across - 1, down @ down - 1, across @ down])
    if np.abs(gram).max() > ORTHOGONAL:
        raise UnreadableFile(
            f"has ImageOrientationPatient {plane.orientation.tolist()} in {plane.name}; expected two unit vectors at "
            "right angles. Export it again."
        )
    if not (plane.spacing > 0).all():
        raise UnreadableFile(
            f"has PixelSpacing {plane.spacing.tolist()} in {plane.name}; expected positive mm. Export it again."
        )
    return np.column_stack([down * plane.spacing[0], across * plane.spacing[1]])


def _normal(plane: Plane) -> np.ndarray:
    in_plane(plane)
    assert plane.orientation is not None
    normal = np.cross(plane.orientation[:3], plane.orientation[3:])
    return np.asarray(normal / np.linalg.norm(normal))


def _check_alike(planes: Sequence[Plane]) -> None:
    heads = [p.header for p in planes]
    if any(h.whole("SamplesPerPixel", 1) != 1 for h in heads):
        raise UnreadableFile(
            f"holds {len(planes)} colour images, which are not a volume. Give its files one by one."
        )
    unplaced = [p for p in planes if p.position is None or p.orientation is None]
    if unplaced:
        raise UnreadableFile(
            f"holds {len(planes)} images, and {_names(unplaced)} has no position in the patient: they are not the "
            "slices of a volume. Give its files one by one."
        )
    if any(p.spacing is None for p in planes):
        raise UnreadableFile("has no PixelSpacing. Export it again.")
    scouts = [i for i, h in enumerate(heads) if "LOCALIZER" in h.text("ImageType").split("\\")]
    if scouts and len(scouts) < len(planes):
        are = "is a localizer" if len(scouts) == 1 else "are localizers"
        raise UnreadableFile(
            f"{_of(scouts, planes)} {are}: {_names([planes[i] for i in scouts])}. {_move(scouts, planes)}"
        )
    sizes = [f"{h.whole('Rows')} x {h.whole('Columns')}" for h in heads]
    _same(planes, sizes, "Rows x Columns", sizes)
    orientations = np.array([p.orientation for p in planes])
    off = np.abs(orientations - np.median(orientations, axis=0)).max(axis=1) > SAME_DIRECTION
    _same(planes, off.tolist(), "orientation")
    spacings = np.array([p.spacing for p in planes])
    off = ~np.isclose(spacings, np.median(spacings, axis=0), rtol=1e-4).all(axis=1)
    _same(planes, off.tolist(), "PixelSpacing", [f"{row} x {col} mm" for row, col in spacings])
    _same(
        planes,
        [h.text("FrameOfReferenceUID") for h in heads],
        "frame of reference",
    )


def _same(
    items: Sequence[Header] | Sequence[Plane],
    values: Sequence[Any],
    what: str,
    said: Sequence[str] | None = None,
) -> None:
    """Refuse items whose value differs from that of most of them.

    said: the values in words, if they should be in the message.
    """
    counts = Counter(values)
    if len(counts) < 2:
        return
    usual = values.index(counts.most_common(1)[0][0])
    odd = [i for i, value in enumerate(values) if value != values[usual]]
    values_of = f" ({said[odd[0]]} instead of {said[usual]})" if said else ""
    raise UnreadableFile(
        f"{_of(odd, items)} {'differs' if len(odd) == 1 else 'differ'} from the others in {what}{values_of}: "
        f"{_names([items[i] for i in odd])}. {_move(odd, items)}"
    )


def _of(odd: Sequence[int], items: Sequence[Any]) -> str:
    return f"{len(odd)} of its {len(items)} images"


def _move(odd: Sequence[int], items: Sequence[Any]) -> str:
    if isinstance(items[0], Plane) and items[0].is_frame:
        return FRAMES
    return f"Move {'it' if len(odd) == 1 else 'them'} to another folder."


def _names(items: Sequence[Any]) -> str:
    names = [item.name if isinstance(item, Plane) else item.path.name for item in items]
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _without_copies(planes: list[Plane], places: np.ndarray) -> tuple[list[Plane], np.ndarray]:
    """Drop copies of the same image; refuse different images at one position."""
    keep: list[int] = []
    clashes: list[tuple[Plane, Plane]] = []
    for index, one in enumerate(planes):
        if not keep or places[index] - places[keep[-1]] > EVEN_MM:
            keep.append(index)
        elif not _copies(planes[keep[-1]], one):
            clashes.append((planes[keep[-1]], one))
    if clashes:
        raise UnreadableFile(_clash(planes, len(keep), clashes, float(places[keep[0]])))
    return [planes[i] for i in keep], places[keep]


def _copies(one: Plane, other: Plane) -> bool:
    a, b = one.header, other.header
    uid = a.text("SOPInstanceUID")
    if a is b or not uid or uid != b.text("SOPInstanceUID") or a.length != b.length:
        return False
    with a.opened() as first, b.opened() as second:
        first.seek(a.start)
        second.seek(b.start)
        return first.read() == second.read()


def _clash(
    planes: Sequence[Plane], positions: int, clashes: Sequence[tuple[Plane, Plane]], at: float
) -> str:
    one, other = clashes[0]
    assert one.position is not None
    place = ", ".join(f"{x:g}" for x in one.position)
    differ = [
        f"{keyword} ({a} and {b})"
        for keyword in VARYING
        if (a := one.header.text(keyword)) != (b := other.header.text(keyword))
    ]
    why = f", which differ in {differ[0]}" if differ else ""
    several = (
        "Several times, echoes or b-values are in one series"
        if differ or (len(clashes) + positions == len(planes) and len(clashes) >= positions)
        else "A slice or a whole export may be there twice"
    )
    return (
        f"has {len(planes)} images at {positions} positions: {one.name} and {other.name} are both at ({place}) mm"
        f"{why}. {several}. {FRAMES if one.is_frame else 'Put each volume in a folder of its own.'}"
    )


def _geometry(planes: Sequence[Plane], at: np.ndarray, normal: np.ndarray) -> Geometry:
    head = planes[0].header
    shape = (len(planes), head.whole("Rows"), head.whole("Columns"))
    first, last = planes[0].position, planes[-1].position
    assert first is not None
    assert last is not None
    if len(planes) == 1:
        if not planes[0].thickness > 0:
            raise UnreadableFile(
                "is one slice without SliceThickness, so its depth is unknown. Give the file instead of the folder."
            )
        step = normal * planes[0].thickness
    else:
        _check_even(planes, at)
        step = (last - first) / (len(planes) - 1)
        _check_straight(planes, at, normal)
    affine = np.eye(4)
    affine[:3] = np.column_stack([step, in_plane(planes[0]), first])
    return Geometry.in_patient(shape, affine)


def _check_even(planes: Sequence[Plane], at: np.ndarray) -> None:
    steps = np.diff(at)
    usual = float(np.sort(steps)[(steps.size - 1) // 2])  # of two steps the smaller
    odd = np.flatnonzero(np.abs(steps - usual) > max(EVEN * usual, EVEN_MM))
    if not odd.size:
        return
    widest = int(odd[np.argmax(steps[odd])])
    between = f"{planes[widest].name} and {planes[widest + 1].name}"
    missing = np.rint(steps / usual) - 1
    whole = np.abs(steps - (missing + 1) * usual) <= max(EVEN * usual, EVEN_MM) * (missing + 1)
    if whole.all() and (missing >= 0).all():
        count = int(missing.sum())
        places = (
            ", ".join(f"{at[i] + k * usual:g}" for i in odd for k in range(1, int(missing[i]) + 1))
            if count <= MOST_NAMES
            else f"{at[widest] + usual:g} and others"
        )
        raise UnreadableFile(
            f"misses {count} of {len(planes) + count} slices, at {places} mm along the normal: {between} are "
            f"{steps[widest]:g} mm apart, the others {usual:g} mm. Copy or export the whole series again."
        )
    raise UnreadableFile(
        f"has unevenly spaced slices, {steps.min():g} to {steps.max():g} mm apart; {between} are "
        f"{steps[widest]:g} mm apart. Copy or export the whole series again, or resample it to even spacing first."
    )


def _check_straight(planes: Sequence[Plane], at: np.ndarray, normal: np.ndarray) -> None:
    positions = np.array([p.position for p in planes])
    shift = np.diff(positions - np.outer(at, normal), axis=0)
    usual = float(np.median(np.diff(at)))
    size = np.linalg.norm(shift, axis=1)
    if size.max() <= max(EVEN * usual, EVEN_MM):
        return
    worst = int(np.argmax(size))
    if np.abs(shift - shift.mean(axis=0)).max() <= max(EVEN * usual, EVEN_MM):
        angle = np.degrees(np.arctan2(np.linalg.norm(shift.mean(axis=0)), usual))
        raise UnreadableFile(
            f"was taken with a tilted gantry: each slice is shifted by {size[worst]:.3g} mm against the one before, "
            f"an angle of {angle:.3g} degrees, so that its axes are not at right angles. Resample it first; dcm2niix "
            "writes such a volume as <name>_Tilt_1."
        )
    raise UnreadableFile(
        f"has slices that are shifted against each other: {planes[worst].name} and {planes[worst + 1].name} by "
        f"{size[worst]:.3g} mm. They are not one volume."
    )
