"""The planes of a DICOM series in order along their normal, and the checks that they are one even volume."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from delineate.core import Geometry
from delineate.files._dicom_folder import series_of
from delineate.files._dicom_header import Header
from delineate.files._dicom_plane import FRAMES, Plane
from delineate.files._format import UnreadableFile
from delineate.words import counted

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
        have = "has" if len(unplaced) == 1 else "have"
        raise UnreadableFile(
            f"holds {len(planes)} images, and {_names(unplaced)} {have} no position in the patient: they are not the "
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
    _check_values(planes)
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


def _check_values(planes: Sequence[Plane]) -> None:
    """Refuse planes whose numbers mean different things."""
    heads = [p.header for p in planes]
    for keyword in ("Modality", "PhotometricInterpretation"):
        values = [h.text(keyword) for h in heads]
        _same(planes, values, keyword, [value or "none" for value in values])
    derived = [
        "DERIVED" if h.text("ImageType").startswith("DERIVED") else "ORIGINAL" for h in heads
    ]
    _same(planes, derived, "ImageType", derived)
    for what, has in (
        ("ModalityLUTSequence", [h.has("ModalityLUTSequence") for h in heads]),
        ("RescaleSlope or RescaleIntercept", [p.rescaled for p in planes]),
    ):
        _same(planes, has, what, ["present" if there else "absent" for there in has])


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
        f"{steps[widest]:g} mm apart. {_rounded(planes, at)}"
        "Copy or export the whole series again, or resample it to even spacing first."
    )


def _rounded(planes: Sequence[Plane], at: np.ndarray) -> str:
    """A sentence if rounding to the decimals that the positions have explains why they are uneven; "" if not."""
    texts = [p.header.text("ImagePositionPatient") for p in planes]
    if not all(texts) or any("e" in text.lower() for text in texts):
        return ""
    digits = max(
        len(word.strip().rpartition(".")[2]) if "." in word else 0
        for text in texts
        for word in text.split("\\")
    )
    even = np.linspace(at[0], at[-1], at.size)
    if (
        np.abs(at - even).max() > np.sqrt(3) * 10.0**-digits
    ):  # half a digit each, here and at the ends
        return ""
    return f"Its positions have {counted(digits, 'decimal')}, and may be rounded. "


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
