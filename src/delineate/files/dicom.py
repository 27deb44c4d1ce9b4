"""DICOM: a folder with one series as a volume, a multi-frame file as a volume, another file as an image of 2 axes.

A volume has axes (slice, row, column), with slices in order along the normal of the image orientation (the cross
product of row and column direction); InstanceNumber does not count. Slices that are not one even volume are refused,
and so are slices whose numbers mean different things: another modality or photometric interpretation, derived beside
original images, or rescaling in some of them only.

A damaged DICOM file in a folder is an error, as it may be a slice. So is an empty file by its name (.dcm, .ima, a
number or no ending), and a file that is not DICOM but ends in .dcm or .ima; where one of several series is named as
folder/SeriesInstanceUID, the latter only if it holds that UID.

Values (PS3.3 C.11.1, C.7.6.3): stored numbers are cut to BitsStored, sign-extended and rescaled, each slice by its own
slope and intercept or its modality table. CT, and other images with whole slopes and intercepts, are int16 if they fit,
otherwise float32; without rescaling the dtype of the file stays. Window and VOI table are not applied.

- MONOCHROME1 is inverted, so that more is brighter, except in CT, PET and nuclear medicine, whose numbers are
  measurements.
- CT without RescaleSlope and RescaleIntercept is taken for Hounsfield units as stored; `Image.warnings` says so.
- In CT, samples with the declared padding value are set to -1024 HU (air) if that value lies outside -1024 to 3071 HU,
  and `Image.warnings` counts them. Windows are not affected; a mean over the image would be. Other padding stays.
- An image without a place in the patient has its PixelSpacing. A radiograph without PixelSpacing has its
  ImagerPixelSpacing, which holds at the detector, divided by EstimatedRadiographicMagnificationFactor if the file has
  one; else `Image.warnings` says that things in the patient are smaller.
- Colour and palettes are RGB, in pixels.
- Lossy JPEG of 12 bits (JPEG Extended) is read if pylibjpeg-libjpeg is installed, whose licence is the GPL; else
  dcmdjpeg of DCMTK decompresses it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from delineate.core import Geometry, Image
from delineate.files._dicom_folder import headers, holds_dicom, series_of
from delineate.files._dicom_header import Header, is_dicom, read_header
from delineate.files._dicom_pixels import GREY, PALETTE, check_pixels, colours, grey_values
from delineate.files._dicom_plane import Plane, frame_count, frames, plane, why_no_image
from delineate.files._dicom_series import in_plane, one_series, volume
from delineate.files._format import Format, Series, UnreadableFile, check_size
from delineate.files._unpack import AGAIN

AT_DETECTOR = {
    "ImagerPixelSpacing": "at the detector",
    "NominalScannedPixelSpacing": "on the scanned film",
}
"""What the spacing of a radiograph without PixelSpacing is, by attribute; the first one counts."""


def series_in(folder: Path) -> list[Series]:
    """The series in a folder."""
    return series_of(headers(folder))


def _layout(path: Path) -> tuple[list[Plane], Geometry]:
    """The planes of an image in their order, and its geometry; one plane for an image of 2 axes."""
    if not path.is_file():
        found = headers(path)
        one_series(found)
        if len(found) > 1:
            for header in found:
                if frame_count(header) > 1:
                    raise UnreadableFile(
                        f"holds {len(found)} files, and {header.path.name} has several frames. Give that file alone."
                    )
            planes, geometry = volume([plane(header) for header in found])
        else:
            planes, geometry = _one_file(found[0], deep=True)
    else:
        header = read_header(path)
        if why := why_no_image(header):
            raise UnreadableFile(why)
        planes, geometry = _one_file(header, deep=False)
    _check(planes, geometry)
    return planes, geometry


def _one_file(header: Header, *, deep: bool) -> tuple[list[Plane], Geometry]:
    """The planes of one file.

    deep: whether a single slice with a known place and thickness is a volume of one slice.
    """
    count = frame_count(header)
    if count > 1:
        check_pixels(header)  # before its frames are described one by one
        return volume(frames(header))
    only = plane(header)
    if deep and only.position is not None and only.spacing is not None and only.thickness > 0:
        return volume([only])
    return [only], _flat(only)


def _flat(one: Plane) -> Geometry:
    """The geometry of an image of 2 axes."""
    head = one.header
    shape = (head.whole("Rows"), head.whole("Columns"))
    if min(shape) < 1:
        raise UnreadableFile(f"has {shape[0]} rows and {shape[1]} columns. {AGAIN}")
    if head.whole("SamplesPerPixel", 1) != 1 or head.text("PhotometricInterpretation") == PALETTE:
        return Geometry.in_pixels(shape)
    if one.spacing is not None and one.position is not None:
        affine = np.vstack([np.column_stack([in_plane(one), one.position]), [0, 0, 1]])
        return Geometry.in_patient(shape, affine)
    spacing = one.spacing
    if spacing is None:
        keyword = _at_detector(head)
        if not keyword:
            return Geometry.in_pixels(shape)
        spacing = np.array(head.numbers(keyword)) / (_magnification(head) or 1)
    if not (spacing > 0).all():
        raise UnreadableFile(
            f"has a pixel spacing of {spacing.tolist()}; expected positive mm. Export it again."
        )
    return Geometry(shape, (float(spacing[0]), float(spacing[1])), "mm")


def _at_detector(header: Header) -> str:
    """The attribute with the spacing of a radiograph before its magnification; "" if there is none."""
    return next((k for k in AT_DETECTOR if len(header.numbers(k)) == 2), "")


def _magnification(header: Header) -> float:
    return next(iter(header.numbers("EstimatedRadiographicMagnificationFactor")), 0.0)


def _check(planes: Sequence[Plane], geometry: Geometry) -> None:
    """Refuse an image that takes too much memory: as stored, rescaled, and while a plane is decoded."""
    check_size(geometry.shape, 16 if geometry.ndim == 2 else 8)
    for header in dict.fromkeys(one.header for one in planes):
        check_pixels(header)


def _read_geometry(path: Path) -> Geometry:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _layout(path)[1]


def _read(path: Path) -> Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _image(path, palette=True)


def _read_mask(path: Path) -> Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _image(path, palette=False)


def _data_files(path: Path) -> tuple[Path, ...]:
    if path.is_file():
        return (path,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tuple(dict.fromkeys(p.header.path for p in _layout(path)[0]))


def _image(path: Path, *, palette: bool) -> Image:
    planes, geometry = _layout(path)
    head = planes[0].header
    if head.text("PhotometricInterpretation") not in GREY:
        return Image(colours(head, palette=palette), geometry)
    values, warnings = grey_values(planes)
    if geometry.unit == "mm" and planes[0].spacing is None and not _magnification(head):
        keyword = _at_detector(head)
        warnings += (
            f"its spacing is that {AT_DETECTOR[keyword]} ({keyword}). What lies in the patient is smaller, by a "
            "magnification that the file does not tell.",
        )
    return Image(values.reshape(1, *geometry.shape), geometry, warnings)


dicom = Format(
    about="DICOM: series, multi-frame files and single images with their place in the patient; read only.",
    suffixes=(".dcm",),
    begins=is_dicom,
    holds=holds_dicom,
    volumes=True,
    read_geometry=_read_geometry,
    read=_read,
    read_mask=_read_mask,
    data_files=_data_files,
    series_in=series_in,
)
