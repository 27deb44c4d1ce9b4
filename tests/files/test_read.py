"""What every reader has in common: refusals, NaN, and masks of odd types."""

import os

import nibabel
import numpy as np
import pytest
import tifffile

from delineate.files import (
    UnreadableFile,
    _format,
    data_files,
    read_geometry,
    read_image,
    read_mask,
)


def nifti(path, array):
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), path)
    return path


@pytest.mark.parametrize("read", [read_image, read_mask, read_geometry])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n<!DOCTYPE html><html>not found</html>", "web page"),
        (b"id,rle\n1,2 3\n", "is text that begins with 'id,rle"),
        ("Bệnh nhân".encode(), "is text"),
        (b"\x01\x02\x03\x04\x05", "begins with the bytes 01 02 03"),
        (b"\0" * 128 + b"DICM", "is DICOM without a transfer syntax"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (b"\x1f\x8b\x08nothing", "begins with the bytes 1f 8b"),
        (b"BM\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x28\x00", "begins like BMP"),
    ],
)
def test_what_is_no_image_is_named(read, content, words, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=words) as raised:
        read(path)
    assert str(path) in str(raised.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(UnreadableFile, match="no such file"):
        read_image(tmp_path / "a.png")
    with pytest.raises(UnreadableFile, match="is a folder without DICOM files"):
        read_image(tmp_path)


@pytest.mark.parametrize("read", [read_image, read_mask, read_geometry, data_files])
def test_pipes_and_devices_are_refused(read, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    for name in ("pipe.png", "zero.png"):
        with pytest.raises(UnreadableFile, match="not a regular file"):
            read(tmp_path / name)


def test_no_memory_is_said_so(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise MemoryError

    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 4), np.uint8))
    monkeypatch.setattr(tifffile.TiffFile, "series", property(full))
    with pytest.raises(UnreadableFile, match="too large for the memory"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "gif", "webp", "jp2"])
def test_too_large_is_refused_before_decoding(suffix, tmp_path, monkeypatch):
    import PIL.Image

    path = tmp_path / f"a.{suffix}"
    PIL.Image.new("L", (30, 20)).save(path)
    assert read_geometry(path).shape == (20, 30)
    monkeypatch.setattr(_format, "MOST_SAMPLES", 599)
    for read in (read_image, read_mask, read_geometry):
        with pytest.raises(UnreadableFile, match="has 20 x 30 samples"):
            read(path)


def test_too_large_scan_is_refused(tmp_path, monkeypatch):
    import SimpleITK

    array = np.zeros((4, 5, 6), np.uint8)
    nifti(tmp_path / "a.nii.gz", array)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array.T), str(tmp_path / "a.nrrd"))
    monkeypatch.setattr(_format, "MOST_SAMPLES", 119)
    for name in ("a.nii.gz", "a.nrrd"):
        with pytest.raises(UnreadableFile, match="has 4 x 5 x 6 samples"):
            read_image(tmp_path / name)


def test_nan_and_infinity_become_the_smallest_finite_value(tmp_path):
    array = np.array([[[np.nan, -7, np.inf, 3, -np.inf]]], np.float32)
    found = read_image(nifti(tmp_path / "a.nii", array))
    np.testing.assert_array_equal(found.pixels[0], [[[-7, -7, -7, 3, -7]]])
    (warning,) = found.warnings
    assert warning.startswith("3 of 5 samples are NaN or infinity")
    assert read_image(nifti(tmp_path / "c.nii", array[..., 1:2])).warnings == ()
    with pytest.raises(UnreadableFile, match="no finite value"):
        read_image(nifti(tmp_path / "b.nii", np.full((2, 2, 2), np.nan, np.float32)))


@pytest.mark.parametrize(
    ("top", "dtype", "expected"),
    [
        (2, "float64", "uint8"),
        (300, "float32", "uint16"),
        (2, "int16", "uint8"),
        (7e4, "int32", "uint32"),
    ],
)
def test_whole_numbers_become_unsigned(top, dtype, expected, tmp_path):
    array = np.array([0, 1, top], dtype).reshape(1, 1, 3)
    found = read_mask(nifti(tmp_path / "m.nii.gz", array))
    assert found.pixels.dtype == expected
    np.testing.assert_array_equal(found.pixels[0], array)


@pytest.mark.parametrize(
    ("value", "words"), [(0.5, "contains 0.5"), (np.nan, "contains nan"), (-1, "contains -1")]
)
def test_what_is_no_label_map_is_refused(value, words, tmp_path):
    array = np.array([0, 1, value], np.float32).reshape(1, 1, 3)
    with pytest.raises(UnreadableFile, match=words):
        read_mask(nifti(tmp_path / "m.nii.gz", array))


def test_complex_numbers_are_refused(tmp_path):
    with pytest.raises(UnreadableFile, match="complex64"):
        read_image(nifti(tmp_path / "a.nii", np.ones((2, 2, 2), np.complex64)))


def test_byte_order_is_this_machines(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.arange(6, dtype=">u2").reshape(2, 3), byteorder=">")
    found = read_image(tmp_path / "a.tif").pixels
    assert found.dtype.isnative
    np.testing.assert_array_equal(found[0], [[0, 1, 2], [3, 4, 5]])
