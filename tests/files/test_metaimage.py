import gzip
import zlib

import numpy as np
import pytest
import SimpleITK

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.files import UnreadableFile, read_geometry, read_image, read_mask, write_mask


def write(path, array, *, vector=False, **geometry):
    image = SimpleITK.GetImageFromArray(array, isVector=vector)
    for key, value in geometry.items():
        getattr(image, f"Set{key}")(value)
    SimpleITK.WriteImage(image, str(path))
    return path


def test_a_2d_scan_keeps_its_place(tmp_path):
    array = np.arange(6, dtype=np.uint16).reshape(2, 3)
    path = write(tmp_path / "a.mha", array, Spacing=(0.2, 0.3), Origin=(5.0, -6.0))
    found = read_image(path)
    np.testing.assert_array_equal(found.pixels[0], array.T)
    assert found.geometry.spacing == (0.2, 0.3)
    np.testing.assert_allclose(found.geometry.to_patient[:, 2], [5, -6, 0, 1])
    labels = LabelSet((Label("lung", 1),))
    truth = Segmentation(np.ones((3, 2), np.uint8), labels, found.geometry)
    write_mask(truth, tmp_path / "m.mha")
    image = SimpleITK.ReadImage(str(tmp_path / "m.mha"))
    assert image.GetOrigin() == (5.0, -6.0)
    assert image.GetDimension() == 2


def test_components_and_times_are_channels(tmp_path):
    array = np.random.default_rng(0).integers(0, 99, (4, 5, 6, 3), dtype=np.int16)
    found = read_image(write(tmp_path / "a.mha", array, vector=True))
    np.testing.assert_array_equal(found.pixels, array.T)
    times = read_image(write(tmp_path / "b.mha", array, vector=False))
    np.testing.assert_array_equal(times.pixels, array.transpose(0, 3, 2, 1))
    assert times.geometry.shape == (3, 6, 5)
    both = np.zeros((2, 4, 5, 6, 3), np.uint8)
    with pytest.raises(UnreadableFile, match="Split it first"):
        read_image(write(tmp_path / "c.mha", both, vector=True))


def test_an_mhd_is_read_with_its_pixels_elsewhere_and_written_whole(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    write(tmp_path / "a.mhd", array)
    assert (tmp_path / "a.raw").exists()
    np.testing.assert_array_equal(read_image(tmp_path / "a.mhd").pixels[0], array.T)
    (tmp_path / "a.raw").unlink()
    with pytest.raises(UnreadableFile, match=r"a\.mhd"):
        read_image(tmp_path / "a.mhd")
    labels = LabelSet((Label("lung", 1),))
    geometry = Geometry((4, 3, 2), (1.0, 2.0, 3.0), "mm")
    write_mask(Segmentation(array.T % 2, labels, geometry), tmp_path / "new" / "m.mhd")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["m.mhd"]
    again = SimpleITK.ReadImage(str(tmp_path / "new" / "m.mhd"))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(again), array % 2)
    assert read_geometry(tmp_path / "new" / "m.mhd").spacing == (1.0, 2.0, 3.0)


def test_a_failure_of_itk_is_an_oserror(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise RuntimeError("ITK ERROR:\nwrite failed: disk full")

    monkeypatch.setattr(SimpleITK, "WriteImage", full)
    truth = Segmentation(
        np.ones((2, 2), np.uint8), LabelSet((Label("a", 1),)), Geometry.in_pixels((2, 2))
    )
    with pytest.raises(OSError, match="disk full"):
        write_mask(truth, tmp_path / "m.mha")
    assert not list(tmp_path.iterdir())


PLAIN = {"ObjectType": "Image", "NDims": "3", "DimSize": "4 3 2", "ElementType": "MET_UCHAR"}


def by_hand(path, data=bytes(range(24)), **fields):
    given = {**PLAIN, **fields, "ElementDataFile": "LOCAL"}
    path.write_bytes("".join(f"{k} = {v}\n" for k, v in given.items() if v).encode() + data)
    return path


def agree(path):
    """Pixels and geometry are those of SimpleITK, which reads them by a code of its own."""
    ours = read_image(path)
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("MetaImageIO")
    reader.SetFileName(str(path))
    theirs = reader.Execute()
    array = SimpleITK.GetArrayFromImage(theirs).reshape(*theirs.GetSize()[::-1], -1)
    np.testing.assert_array_equal(ours.pixels, array.T)
    assert ours.geometry == read_geometry(path)
    for index in ((0, 0, 0), (3, 2, 1)):
        found = (ours.geometry.to_patient @ [*index, 1])[:3]
        np.testing.assert_allclose(found, theirs.TransformIndexToPhysicalPoint(index), atol=1e-9)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"ElementSpacing": "1 2 3", "Offset": "5 6 7"},
        {"ElementSize": "1 2 3", "Position": "5 6 7"},
        {"ElementSpacing": "1 2 3", "ElementSize": "9 9 9", "Origin": "5 6 7"},
        {"ElementSpacing": "1 2 3", "TransformMatrix": "0 1 0 -1 0 0 0 0 1"},
        {"Rotation": "0 1 0 -1 0 0 0 0 1", "CenterOfRotation": "1 1 1"},
        {"Orientation": "0 0.8 0.6 1 0 0 0 -0.6 0.8", "AnatomicalOrientation": "LPS"},
        {"HeaderSize": "-1"},
        {"BinaryData": "False", "data": b"%s\n" % " ".join(map(str, range(24))).encode()},
        {"CompressedData": "True", "data": zlib.compress(bytes(range(24)))},
        {"CompressedData": "True", "data": gzip.compress(bytes(range(24)))},
        {"ElementNumberOfChannels": "2", "data": bytes(range(48))},
    ],
)
def test_place_and_pixels_are_those_of_simpleitk(fields, tmp_path):
    if "CompressedData" in fields:  # without it, ITK gives whatever its memory held
        fields = {**fields, "CompressedDataSize": str(len(fields["data"]))}
    agree(by_hand(tmp_path / "a.mha", **fields))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("CHAR", "i1"), ("SHORT", "i2"), ("USHORT", "u2"), ("INT", "i4"), ("ULONG", "u4"),
        ("LONG_LONG", "i8"), ("ULONG_LONG", "u8"), ("FLOAT", "f4"), ("DOUBLE", "f8"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("swapped", [True, False])
@pytest.mark.parametrize("key", ["BinaryDataByteOrderMSB", "ElementByteOrderMSB"])
def test_types_in_both_byte_orders(name, code, swapped, key, tmp_path):
    values = np.arange(24) * 5 - (0 if code[0] == "u" else 60)
    data = values.astype("<>"[swapped] + code).tobytes()
    fields = {"ElementType": f"MET_{name}", key: str(swapped), "data": data}
    agree(by_hand(tmp_path / "a.mha", **fields))
    assert read_image(tmp_path / "a.mha").pixels.dtype == code


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"ElementType": "MET_STRING"}, "type 'MET_STRING'"),
        ({"DimSize": "4 3"}, "for 3 dimensions"),
        ({"DimSize": "4 3 0"}, "1 or more"),
        ({"DimSize": "4 -3 -2"}, "1 or more"),
        ({"DimSize": "4 3 1"}, "declares 12"),
        ({"DimSize": "4 3 3"}, "declares 36"),
        ({"NDims": "1", "DimSize": "24"}, "2 to 4"),
        ({"TransformMatrix": "0 0 0 0 1 0 0 0 1"}, "do not span"),
        ({"ElementSpacing": "0 1 1"}, "do not span"),
        ({"ElementSpacing": "nan 1 1"}, "expected 3 numbers"),
        ({"Offset": "1 2"}, "expected 3 numbers"),
        ({"ElementNumberOfChannels": "0"}, "0 channels"),
        ({"CompressedData": "True", "HeaderSize": "3"}, "HeaderSize of 3"),
        ({"CompressedData": "True"}, "damaged"),
        ({"CompressedData": "Maybe"}, "True or False"),
        ({"BinaryData": "False"}, "cannot be decoded|numbers"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields, words, tmp_path):
    path = by_hand(tmp_path / "a.mha", **fields)
    for read in (read_image, read_mask):
        with pytest.raises(UnreadableFile, match=words):
            read(path)


@pytest.mark.parametrize("change", [lambda d: d[:-1], lambda d: d[:-4] + bytes(4)])
def test_compressed_samples_with_a_wrong_checksum_are_refused(change, tmp_path):
    """ITK reads them: it stops where the image is full, before the checksum."""
    data = change(zlib.compress(bytes(range(24))))
    path = by_hand(
        tmp_path / "a.mha", data, CompressedData="True", CompressedDataSize=str(len(data))
    )
    with pytest.raises(UnreadableFile, match="again"):
        read_mask(path)


def test_a_header_without_its_last_key_is_refused(tmp_path):
    (tmp_path / "a.mha").write_text("ObjectType = Image\nNDims = 3\n")
    with pytest.raises(UnreadableFile, match="ElementDataFile"):
        read_image(tmp_path / "a.mha")
