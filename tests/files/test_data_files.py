"""Headers that name other files: which are found, and which are refused."""

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from delineate.files import UnreadableFile, data_files, read_geometry, read_image, read_mask

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
NRRD = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 4 3 2\nencoding: raw\n"
META = "ObjectType = Image\nNDims = 3\nDimSize = 4 3 2\nElementType = MET_UCHAR\n"
READERS = [read_image, read_mask, read_geometry, data_files]


def nhdr(folder, value):
    path = folder / "a.nhdr"
    path.write_text(f"{NRRD}data file: {value}\n", encoding="utf-8")
    return path


def mhd(folder, value):
    path = folder / "a.mhd"
    path.write_text(f"{META}ElementDataFile = {value}\n", encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path):
    """Whole samples as a.raw, slices as slice0.raw and slice1.raw, beside and below a header; a.raw outside too."""
    inside = tmp_path / "inside"
    for where in (tmp_path, inside, inside / "below"):
        where.mkdir(exist_ok=True)
        (where / "a.raw").write_bytes(ARRAY.tobytes())
        for index in range(2):
            (where / f"slice{index}.raw").write_bytes(ARRAY[index].tobytes())
    return inside


@pytest.mark.parametrize("header", [nhdr, mhd])
@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("a.raw", ["a.raw"]),
        ("./below/a.raw", ["below/a.raw"]),
        ("below/../a.raw", ["a.raw"]),
        ("slice%d.raw 0 1 1", ["slice0.raw", "slice1.raw"]),
        ("LIST\nslice0.raw\nbelow/slice1.raw", ["slice0.raw", "below/slice1.raw"]),
    ],
)
def test_files_beside_and_below_are_read(header, value, names, folder):
    path = header(folder, value)
    found = data_files(path)
    assert found[0] == path
    assert [p.resolve() for p in found[1:]] == [(folder / name).resolve() for name in names]
    np.testing.assert_array_equal(read_image(path).pixels[0], ARRAY.T)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("header", [nhdr, mhd])
@pytest.mark.parametrize(
    "value",
    [
        "../a.raw",
        "{outside}/a.raw",
        "below/../../a.raw",
        "../slice%d.raw 0 1 1",
        "LIST\nslice0.raw\n../slice1.raw",
        "link.raw",
        "linked/a.raw",
    ],
)
def test_files_outside_are_refused(read, header, value, folder):
    (folder / "link.raw").symlink_to(folder.parent / "a.raw")
    (folder / "linked").symlink_to(folder.parent)
    path = header(folder, value.format(outside=folder.parent))
    with pytest.raises(UnreadableFile, match="is outside the folder of the header") as raised:
        read(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "regular files beside the header" in str(raised.value)
    assert "raw'" in str(raised.value)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("header", [nhdr, mhd])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("fifo.raw", "not a regular file"),
        ("below", "not a regular file"),
        ("", "not a regular file"),
        ("/dev/zero", "outside"),
        ("/proc/self/environ", "outside"),
        ("gone.raw", "does not exist"),
        ("LIST", "names no data file"),
        ("slice%d.raw 0 1000000000 1", "at most 10000"),
        ("slice%d.raw 0 1 0", "steps of 0"),
        ("slice%d%d.raw 0 1 1", "by the pattern"),
    ],
)
def test_what_is_no_file_beside_is_refused(read, header, value, words, folder):
    os.mkfifo(folder / "fifo.raw")
    with pytest.raises(UnreadableFile, match=words):
        read(header(folder, value))


def test_a_link_inside_the_folder_and_a_link_to_the_folder_are_followed(folder):
    (folder / "link.raw").symlink_to(folder / "below" / "a.raw")
    (folder.parent / "other").symlink_to(folder)
    path = nhdr(folder.parent / "other", "link.raw")
    np.testing.assert_array_equal(read_image(path).pixels[0], ARRAY.T)


@pytest.mark.parametrize("header", [nhdr, mhd])
def test_a_field_stated_twice_is_refused(header, folder):
    path = header(folder, "a.raw")
    text = path.read_text().splitlines()
    path.write_text("\n".join([*text[:-1], text[3], text[-1]]) + "\n")
    with pytest.raises(UnreadableFile, match="twice"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".mhd", ".nhdr"])
def test_what_simpleitk_writes_is_all_found(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(ARRAY), str(path))
    assert set(data_files(path)) == set(tmp_path.iterdir())
    assert data_files(str(path))[0] == Path(path)


def test_other_formats_are_one_file(tmp_path):
    import PIL.Image

    PIL.Image.new("L", (3, 2)).save(tmp_path / "a.png")
    assert data_files(tmp_path / "a.png") == (tmp_path / "a.png",)
    with pytest.raises(UnreadableFile, match="no such file"):
        data_files(tmp_path / "b.png")
