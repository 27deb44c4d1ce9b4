"""NIfTI-1 and -2, plain or gzipped, by nibabel."""

from __future__ import annotations

import gzip
import io
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from isal import isal_zlib

from delineate.core import Geometry, Image
from delineate.files._format import MOST_BYTES, Format, UnreadableFile, as_image, check_size
from delineate.files._pixels import NUMBERS, only
from delineate.files._unpack import AGAIN, unpack
from delineate.files._whole_file import whole_file

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
MILLIMETRES = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}
HEADER_BYTES = 540
SCANNER = 1  # sform and qform code of scanner coordinates
PLACE = (
    "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d",
    "qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z",
)  # fmt: skip

DATA = 352
"""The first byte of the samples in a file without header extensions."""
GZIP, PACKING = 31, 1
"""The container (window of 32 KiB, with gzip header and checksum), and the level: the sizes of zlib's level 6."""
PIECE = 1 << 22
WORDS = {1: np.uint8, 2: np.uint16, 4: np.int32, 8: np.float64}
"""Types of OpenCV, by bytes."""

SAME_PLACE = 0.01
"""Maximum distance between sform and qform due to rounding, in samples."""
TWO_PLACES = (
    "Delineate uses the sform; other programs may use the qform. Write the right one into both."
)


def _begins(head: bytes) -> bool:
    return head[344:348] == b"n+1\0" or head[4:12] == b"n+2\0\r\n\x1a\n"


def _read_geometry(path: Path) -> Geometry:
    return _geometry(_header_of(path))


def _header_of(path: Path) -> Any:
    with path.open("rb") as file:
        return _header(_head(file))


def _read(path: Path) -> Image:
    with path.open("rb") as file:
        head = _head(file)
        header = _header(head)
        geometry = _geometry(header)  # refuses images that are too large
        dtype, shape = header.get_data_dtype(), header.get_data_shape()
        data = _samples(file, header, math.prod(shape) * dtype.itemsize)
    stored = data.view(dtype).reshape(shape, order="F")
    if stored.dtype.fields:  # RGB24: three bytes per sample
        stored = np.stack([stored[name] for name in ("R", "G", "B")], axis=-1)
    pixels = np.moveaxis(stored.reshape(*geometry.shape, -1), -1, 0)
    slope, intercept = _scale(header)
    if (slope, intercept) == (1, 0):
        return Image(pixels, geometry)
    scaled = np.multiply(pixels, slope, dtype=np.float32, casting="unsafe")
    scaled += np.float32(intercept)
    return Image(scaled, geometry)


def _scale(header: Any) -> tuple[float, float]:
    """Slope and intercept of the stored numbers; (1, 0) if the header has none."""
    slope, intercept = header.get_slope_inter()
    return 1 if slope is None else slope, 0 if intercept is None else intercept


def _head(file: BinaryIO) -> bytes:
    """The first bytes of a file, after gzip decompression; then the file is at its start again."""
    with gzip.open(file) if _zipped(file) else nullcontext(file) as plain:
        head = plain.read(HEADER_BYTES)
    file.seek(0)
    return head


def _zipped(file: BinaryIO) -> bool:
    start = file.read(2)
    file.seek(0)
    return start == b"\x1f\x8b"


def _samples(file: BinaryIO, header: Any, size: int) -> np.ndarray:
    """The bytes after the header and its extensions, (size,); the file must have no further bytes."""
    offset = int(header.get_data_offset())
    if not 0 <= offset <= MOST_BYTES:
        raise UnreadableFile(f"has samples from byte {offset} on by its header. {AGAIN}")
    if _zipped(file):
        return unpack(file, offset + size, "gzip")[offset:]
    there = os.fstat(file.fileno()).st_size - offset
    if there != size:
        raise UnreadableFile(
            f"holds {there} bytes of samples, but its header declares {size}. {AGAIN}"
        )
    file.seek(offset)
    return np.fromfile(file, np.uint8, size)


def _kind(data: bytes) -> Any:
    return _nibabel().Nifti2Image if data[4:8] == b"n+2\0" else _nibabel().Nifti1Image


def _nibabel() -> Any:
    import nibabel

    return nibabel


def _header(data: bytes) -> Any:
    """The header at the start of a file, without extensions, which may be longer than `data`."""
    kind = _kind(data).header_class
    size = kind.template_dtype.itemsize
    return kind.from_fileobj(io.BytesIO(data[:size] + bytes(4)))


def _geometry(header: Any) -> Geometry:
    shape = tuple(int(n) for n in header.get_data_shape())
    if len(shape) < 2 or sum(n > 1 for n in shape[3:]) > 1:
        raise UnreadableFile(
            f"is NIfTI of shape {shape}; expected (i, j), (i, j, k) or (i, j, k, channel). Split it first."
        )
    spatial = shape[:3]
    if min(shape) < 1:
        raise UnreadableFile(
            f"is NIfTI of shape {shape}; expected 1 or more along each axis. {AGAIN}"
        )
    dtype = header.get_data_dtype()
    # memory: as stored, as RGB or as the labels of a mask, and scaled
    scaled = 0 if _scale(header) == (1, 0) else 4
    check_size(spatial, math.prod(shape[3:]) * (2 * dtype.itemsize + scaled))
    unit = header.get_xyzt_units()[0]
    scale = MILLIMETRES[unit]
    affine = _affine(header)
    if affine is not None:
        affine = RAS_TO_LPS @ affine
        affine[:3] *= scale
        columns = [*range(len(spatial)), 3]
        return Geometry.in_patient(spatial, affine[:, columns])
    zooms = tuple(float(z) for z in header.get_zooms()[: len(spatial)])
    if unit == "unknown" and set(zooms) == {1.0}:
        return Geometry.in_pixels(spatial)
    return Geometry(spatial, tuple(z * scale for z in zooms), "mm")


def _affine(header: Any) -> np.ndarray | None:
    """The index-to-RAS affine: the sform, else the qform, if it is declared and invertible."""
    for get in (header.get_sform, header.get_qform):
        try:
            affine, code = get(coded=True)
        except ValueError:  # a quaternion of norm above 1
            continue
        if code and np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) > 0:
            return np.array(affine, dtype=np.float64)
    return None


def two_places(header: Any) -> float:
    """The maximum distance between sform and qform over the grid, in samples; 0 if only one is declared."""
    try:
        (first, one), (second, other) = (
            get(coded=True) for get in (header.get_sform, header.get_qform)
        )
    except ValueError:  # a quaternion of norm above 1
        return 0.0
    if not one or not other or not np.isfinite([first, second]).all():
        return 0.0
    if np.linalg.det(first[:3, :3]) == 0:  # the sform cannot be used
        return 0.0
    shape = [*header.get_data_shape(), 1, 1, 1][:3]
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1)
    ends = np.vstack([corners, np.ones(corners.shape[1])])
    gap = np.linalg.norm((first - second) @ ends, axis=0).max()
    return float(gap / max(np.linalg.norm(first[:3, :3], axis=0).max(), 1e-6))


def _read_image(path: Path) -> Image:
    gap = two_places(_header_of(path))
    image = _read(path)
    if gap <= SAME_PLACE:
        return image
    warning = f"sform and qform disagree, by up to {gap:.3g} samples. {TWO_PLACES}"
    return replace(image, warnings=(*image.warnings, warning))


def _write(image: Image, path: Path, like: Path | None = None) -> None:
    geometry = image.geometry
    if geometry.ndim not in (2, 3) or (geometry.ndim == 2 and image.channels > 1):
        raise ValueError(
            f"NIfTI holds 2D images of one channel and volumes, but this image has shape {image.pixels.shape}. "
            "Write .png or .tif."
        )
    pixels = image.pixels[0] if image.channels == 1 else np.moveaxis(image.pixels, 0, -1)
    only(pixels, NUMBERS, "NIfTI")
    stored = _nibabel().Nifti1Image(pixels, None, dtype=pixels.dtype)
    if like is not None and not geometry.differences(_geometry(_header_of(like))):
        _copy_place(_header_of(like), stored.header)
    else:
        if geometry.to_patient is not None:
            affine = RAS_TO_LPS @ _square(geometry.to_patient)
            stored.set_sform(affine, SCANNER)
            stored.set_qform(affine, SCANNER)
        else:
            stored.header.set_zooms((*geometry.spacing, *(1.0,) * (pixels.ndim - geometry.ndim)))
        stored.header.set_xyzt_units("mm" if geometry.unit == "mm" else "unknown")
    header = stored.header
    header["magic"], header["vox_offset"] = b"n+1\0", DATA
    header.set_slope_inter(1, 0)
    volumes = [pixels] if pixels.ndim == geometry.ndim else np.moveaxis(pixels, -1, 0)
    packer = None
    if path.name.lower().endswith(
        ".gz"
    ):  # its header has no time stamp: equal masks give equal files
        packer = isal_zlib.compressobj(PACKING, isal_zlib.DEFLATED, GZIP)
    with whole_file(path) as part, part.open("wb") as file:
        for piece in _pieces(header.binaryblock + bytes(4), volumes):
            file.write(packer.compress(piece) if packer else piece)
        file.write(packer.flush() if packer else b"")


def _pieces(header: bytes, volumes: Iterable[np.ndarray]) -> Iterator[bytes | memoryview]:
    """The content of a file, in pieces, so that packing needs little memory."""
    yield header
    for volume in volumes:
        samples = _first_axis_fastest(volume).view(np.uint8).reshape(-1).data
        for start in range(0, len(samples), PIECE):
            yield samples[start : start + PIECE]


def _first_axis_fastest(volume: np.ndarray) -> np.ndarray:
    """The samples in the order of the file, native and contiguous: (i, j, k) becomes (k, j, i)."""
    volume = volume.astype(volume.dtype.newbyteorder("="), copy=False)
    turned = volume.T
    if volume.ndim == 2 or not volume.flags.c_contiguous:
        return np.ascontiguousarray(turned)
    turned = np.empty(volume.shape[::-1], volume.dtype)
    word = WORDS[
        volume.dtype.itemsize
    ]  # OpenCV moves blocks that fit the cache, NumPy single samples
    for plane, into in zip(
        volume.view(word).swapaxes(0, 1), turned.view(word).swapaxes(0, 1), strict=True
    ):
        into[...] = cv2.transpose(plane).reshape(into.shape)
    return turned


def _copy_place(source: Any, target: Any) -> None:
    """Copy both affines bit by bit, their codes, the spacing and the unit of length from another header."""
    for field in PLACE:
        target[field] = source[field]
    target["pixdim"][:4] = source["pixdim"][:4]
    target.set_xyzt_units(source.get_xyzt_units()[0])


def _square(to_patient: np.ndarray) -> np.ndarray:
    """The affine as (4, 4); for a 2D image, the third axis is its normal, 1 mm long."""
    if to_patient.shape[1] == 4:
        return to_patient
    normal = np.cross(to_patient[:3, 0], to_patient[:3, 1])
    third = np.append(normal / np.linalg.norm(normal), 0.0)
    return np.column_stack([to_patient[:, :2], third, to_patient[:, 2]])


nifti = Format(
    about="NIfTI: volumes of any depth with their place in the patient.",
    suffixes=(".nii.gz", ".nii"),
    begins=_begins,
    read_geometry=_read_geometry,
    read=_read_image,
    read_mask=_read,
    write=_write,
    write_mask=as_image(_write),
    write_like=_write,
    volumes=True,
    axes="xyz",
)
