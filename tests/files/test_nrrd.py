"""NRRD against SimpleITK, which reads it by a code of its own."""

import bz2
import gzip
import math

import numpy as np
import pytest
import SimpleITK

from delineate.files import UnreadableFile, read_geometry, read_image, read_mask

SPACE = {"space directions": "(0,1,0) (-2,0,0) (0,0.3,3)", "space origin": "(5,6,7)"}
PLAIN = {"type": "uint8", "dimension": "3", "sizes": "4 3 2", "encoding": "raw"}


def write(path, data=bytes(range(24)), **fields):
    given = {**PLAIN, **{key.replace("_", " "): value for key, value in fields.items()}}
    lines = [f"{key}: {value}\n" for key, value in given.items()]
    path.write_bytes(("NRRD0004\n# made by hand\n" + "".join(lines) + "\n").encode() + data)
    return path


def by_itk(path):
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("NrrdImageIO")
    reader.SetFileName(str(path))
    return reader.Execute()


def agree(path):
    """Pixels and geometry are those of SimpleITK."""
    ours, theirs = read_image(path), by_itk(path)
    n = theirs.GetDimension()
    array = SimpleITK.GetArrayFromImage(theirs).reshape(*theirs.GetSize()[::-1], -1)
    np.testing.assert_array_equal(ours.pixels, array.T)
    assert ours.geometry.shape == theirs.GetSize()
    assert ours.geometry == read_geometry(path)
    if ours.geometry.to_patient is None:
        return
    for index in (np.zeros(n, int), np.array(theirs.GetSize()) - 1):
        expected = theirs.TransformIndexToPhysicalPoint(index.tolist())
        found = (ours.geometry.to_patient @ [*index, 1])[:n]
        np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"spacings": "1 2 3"},
        {"spacings": "nan 2 3"},
        {"spacings": "1 2 3", "axis mins": "5 6 7"},
        {"spacings": "1 2 3", "axis mins": "5 6 7", "centers": "node cell node"},
        {"space": "left-posterior-superior", **SPACE},
        {"space": "RAS", **SPACE},
        {"space": "Left-Anterior-Superior", **SPACE},
        {"space": "scanner-xyz", **SPACE},
        {"space dimension": "3", **SPACE},
        {"space": "LPS", "space directions": SPACE["space directions"]},
        {"space": "RAS", "space origin": "(1,2,3)"},
        {"kinds": "vector domain domain", "spacings": "nan 2 3"},
        {"kinds": "domain domain list", "spacings": "1 2 nan"},
        {
            "kinds": "domain vector domain",
            "space dimension": "2",
            "space directions": "(1,0) none (0.5,2)",
            "space origin": "(1,2)",
        },
        {"byte skip": "-1"},
        {"encoding": "hex"},
    ],
)
def test_place_and_pixels_are_those_of_simpleitk(fields, tmp_path):
    data = bytes(range(24))
    agree(
        write(tmp_path / "a.nrrd", data.hex().encode() if "encoding" in fields else data, **fields)
    )


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("signed char", "i1"), ("uchar", "u1"), ("short", "i2"), ("unsigned short", "u2"),
        ("int32", "i4"), ("uint", "u4"), ("long long int", "i8"), ("uint64", "u8"),
        ("float", "f4"), ("double", "f8"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("endian", ["little", "big"])
@pytest.mark.parametrize("encoding", ["raw", "gzip", "gz", "text"])
def test_types_and_encodings(name, code, endian, encoding, tmp_path):
    values = np.arange(24) * 5 - (0 if code[0] == "u" else 60)
    data = values.astype({"little": "<", "big": ">"}[endian] + code).tobytes()
    if encoding == "text":
        data = " ".join(map(str, values)).encode()
    elif encoding != "raw":
        data = gzip.compress(data)
    agree(write(tmp_path / "a.nrrd", data, type=name, endian=endian, encoding=encoding))
    assert read_image(tmp_path / "a.nrrd").pixels.dtype == code


def test_bzip2_which_simpleitk_does_not_read(tmp_path):
    data = bz2.compress(bytes(range(24)))
    found = read_image(write(tmp_path / "a.nrrd", data, encoding="bzip2")).pixels
    np.testing.assert_array_equal(found[0].T.ravel(), np.arange(24))


def test_an_axis_without_direction_is_one_of_components(tmp_path):
    fields = {"space dimension": "2", "space directions": "none (1,0) (0,2)"}
    found = read_image(write(tmp_path / "a.nrrd", **fields))
    assert found.pixels.shape == (4, 3, 2)
    assert found.geometry.spacing == (1, 2)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"type": "block"}, "type 'block'"),
        ({"encoding": "zrl"}, "encoding 'zrl'"),
        ({"type": "short"}, "byte order"),
        ({"sizes": "4 3"}, "for 3 dimensions"),
        ({"sizes": "4 3 0"}, "1 or more"),
        ({"sizes": "4 3 3"}, "declares 36"),
        ({"sizes": "4 3 1"}, "declares 12"),
        ({"kinds": "vector list domain"}, "at most one of components"),
        ({"space": "somewhere", **SPACE}, "unknown space"),
        ({"space": "LPS", "space directions": "(1,0,0) (1,0,0) (0,0,1)"}, "do not span"),
        ({"space": "LPS", "space directions": "(1,0) (0,1) (1,1)"}, "3 dimensions"),
        ({"encoding": "gzip", "byte skip": "-1"}, "skips -1 bytes"),
        ({"encoding": "text"}, "cannot be decoded|numbers"),
        ({"dimension": "x"}, "cannot be decoded"),
        ({"spacings": "0 1 1"}, "do not span"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields, words, tmp_path):
    path = write(tmp_path / "a.nrrd", **fields)
    for read in (read_image, read_mask):
        with pytest.raises(UnreadableFile, match=words):
            read(path)


@pytest.mark.parametrize("text", ["300 " * 24, "1 " * 23, "1 " * 25, "a " * 24, "1" * 2000])
def test_text_that_is_not_the_samples_is_refused(text, tmp_path):
    with pytest.raises(UnreadableFile):
        read_image(write(tmp_path / "a.nrrd", text.encode(), encoding="ascii"))


def test_spacing_stays_a_number(tmp_path):
    found = read_geometry(write(tmp_path / "a.nrrd", spacings="0.5 2 3"))
    assert found.spacing == (0.5, 2, 3)
    assert not any(math.isnan(step) for step in found.spacing)
