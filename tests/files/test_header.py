"""What the two formats with a text header have in common."""

from dataclasses import replace

import pytest

from delineate.files import UnreadableFile
from delineate.files._header import named_files, read_header


def nrrd_field(line):
    name, _, value = line.partition(":")
    return None if line.startswith("NRRD") else (name.strip(), value.strip())


def metaimage_field(line):
    name, _, value = line.partition("=")
    return name.strip(), value.strip()


FORMATS = {
    "nrrd": ("NRRD0005\ntype: uint8\ndata file: {}\n", nrrd_field, "data file", False),
    "metaimage": ("NDims = 2\nElementDataFile = {}\n", metaimage_field, "ElementDataFile", True),
}


@pytest.fixture(params=FORMATS)
def header_of(request, tmp_path):
    text, field, data_file, ends_with_it = FORMATS[request.param]

    def read(value, rest="\n"):
        path = tmp_path / "header"
        path.write_bytes((text.format(value) + rest).encode())
        return path, read_header(path, field, data_file, ends_with_it=ends_with_it)

    return read


def test_the_names_that_follow_list_are_the_data_files(header_of):
    _, header = header_of("LIST", "a.raw\n\nb c.raw \n")
    assert header.names == ("a.raw", "b c.raw")
    assert header.start == 0


def test_without_names_the_samples_follow_the_header(header_of):
    path, header = header_of("LOCAL", "")
    assert header.sample_files(path) == header.data_files(path) == (path,)
    assert header.start == path.stat().st_size


def test_a_named_file_lies_beside_the_header(header_of, tmp_path):
    (tmp_path / "a.raw").touch()
    path, header = header_of("a.raw")
    header = replace(header, names=("a.raw",))
    assert header.sample_files(path) == (tmp_path / "a.raw",)
    assert header.data_files(path) == (path, tmp_path / "a.raw")


@pytest.mark.parametrize("name", FORMATS)
def test_a_field_stated_twice_is_refused(name, tmp_path):
    text, field, data_file, ends_with_it = FORMATS[name]
    first, *rest = text.format("a.raw").splitlines(keepends=True)
    path = tmp_path / "header"
    path.write_text("".join([first, *rest[:-1], *rest[:-1], *([first] * ends_with_it), *rest]))
    with pytest.raises(UnreadableFile, match="twice"):
        read_header(path, field, data_file, ends_with_it=ends_with_it)


def test_a_pattern_stands_for_its_numbered_files():
    def as_written(numbers):
        return tuple(numbers)

    assert named_files("s%02d.raw 9 11 1", (3,), as_written) == ("s09.raw", "s10.raw", "s11.raw")
    assert named_files("s%d.raw 3 1 -2", (3,), as_written) == ("s3.raw", "s1.raw")
    assert named_files("with a space.raw", (3,), as_written) == ("with a space.raw",)


@pytest.mark.parametrize("value", ["s%d.raw", "s%d.raw 1 2 x", "s%d.raw 1 2 0", "s%d%d.raw 1 2 1"])
def test_numbers_that_make_no_sense_are_refused(value):
    with pytest.raises(UnreadableFile, match="data files"):
        named_files(value, (3,), lambda numbers: tuple(numbers))
