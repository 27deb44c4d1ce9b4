"""The contract of every format; they are found by name, so a new file is tested by being there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.core import Geometry, Image, Label, LabelSet, Segmentation
from delineate.files import (
    UnreadableFile,
    image_suffixes,
    mask_suffix,
    read_geometry,
    read_image,
    read_mask,
    write_image,
    write_mask,
)
from delineate.files._format import by_content, by_ending, formats
from delineate.resolve import names, resolve

NAMES = names("formats")
every = pytest.mark.parametrize("name", NAMES)
MASKS = [
    s for n in NAMES if resolve("formats", n).write_mask for s in resolve("formats", n).suffixes
]
SCANS = [".nii", ".nii.gz", ".nrrd", ".mha", ".mhd"]
LABELS = LabelSet((Label("polyp", 1, "thing", "#e4572e"), Label("tool", 200, colour="#2e86e4")))


def quick(test):
    return settings(max_examples=15, deadline=None)(test)


def segmentation(shape, geometry=None, top=200, seed=0):
    classes = np.random.default_rng(seed).choice(np.array([0, 1, top], np.uint16), shape)
    labels = LabelSet((LABELS["polyp"], Label("tool", top, colour="#2e86e4")))
    return Segmentation(classes, labels, geometry or Geometry.in_pixels(shape))


def example(name):
    """A small image of bytes, which every format holds that can be written at all."""
    if not resolve("formats", name).write:
        pytest.skip(f"{name} is read alone")
    pixels = np.random.default_rng(0).integers(0, 255, (1, 40, 30), dtype=np.uint8)
    return Image(pixels, Geometry.in_pixels((40, 30))), resolve("formats", name).suffixes[0]


def test_formats_are_found():
    assert len(formats()) == len(NAMES) > 0


@every
def test_format_says_what_it_is(name):
    form = resolve("formats", name)
    assert form.__doc__ == form.about
    assert form.about.endswith(".")
    assert "\n" not in form.about
    for suffix in form.suffixes:
        assert suffix == suffix.lower()
        assert suffix in image_suffixes()
        assert by_ending("some.Case" + suffix.upper()) == (form, suffix)
        assert mask_suffix("a" + suffix) in (suffix, ".png")
    assert not any(form.begins(head) for head in (b"", b"\0" * 1024, b"BMW is a car.", b"<html>"))


@every
def test_content_decides_not_the_name(name, tmp_path):
    image, suffix = example(name)
    write_image(image, tmp_path / f"a{suffix}")
    other = tmp_path / ("a.bmp" if suffix != ".bmp" else "a.jpg")
    (tmp_path / f"a{suffix}").rename(other)
    assert by_content(other) is resolve("formats", name)
    assert read_image(other).geometry == read_geometry(other) == image.geometry


@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
@every
def test_a_file_cut_short_is_refused(name, share, tmp_path):
    image, suffix = example(name)
    path = tmp_path / f"a{suffix}"
    write_image(image, path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UnreadableFile, match="again|Endings") as raised:
        read_image(path)
    assert str(path) in str(raised.value)
    with pytest.raises(UnreadableFile):
        read_mask(path)


@every
def test_what_is_written_comes_back_where_it_lay(name, tmp_path):
    image, suffix = example(name)
    write_image(image, tmp_path / f"a{suffix}")
    back = read_image(tmp_path / f"a{suffix}")
    assert back.pixels.shape == image.pixels.shape
    assert back.geometry == image.geometry
    lossy = np.abs(back.pixels.astype(float) - image.pixels).mean()
    assert lossy < 40, (
        "unlike what was written"
    )  # of noise, which compression with loss keeps badly
    form = resolve("formats", name)
    if form.write_mask:
        found = segmentation((7, 9))
        write_mask(found, tmp_path / f"m{suffix}")
        np.testing.assert_array_equal(read_mask(tmp_path / f"m{suffix}").pixels[0], found.classes)


@pytest.mark.parametrize("suffix", MASKS)
@quick
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    top=st.sampled_from([2, 255]),
    seed=st.integers(0, 99),
)
def test_mask_comes_back(suffix, shape, top, seed, tmp_path_factory):
    path = tmp_path_factory.mktemp("mask") / f"m{suffix}"
    found = segmentation(shape, top=top, seed=seed)
    write_mask(found, path)
    back = read_mask(path)
    assert back.pixels.dtype == np.uint8
    np.testing.assert_array_equal(back.pixels[0], found.classes)
    assert back.geometry == found.geometry


@pytest.mark.parametrize("suffix", MASKS)
def test_values_above_255_take_16_bits_or_are_refused(suffix, tmp_path):
    found = segmentation((5, 6), top=4000)
    try:
        write_mask(found, tmp_path / f"m{suffix}")
    except ValueError as error:
        assert "uint8" in str(error)  # noqa: PT017 (what the format holds)
        assert list(tmp_path.iterdir()) == []
        return
    back = read_mask(tmp_path / f"m{suffix}")
    assert back.pixels.dtype == np.uint16
    np.testing.assert_array_equal(back.pixels[0], found.classes)


def turned(angles, spacing, origin):
    """An affine in LPS: rotated about each axis, then scaled and moved."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        c, s = np.cos(angle), np.sin(angle)
        i, j = [(1, 2), (0, 2), (0, 1)][axis]
        turn = np.eye(3)
        turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, -s, s, c
        matrix = matrix @ turn
    affine = np.eye(4)
    affine[:3, :3] = matrix * spacing
    affine[:3, 3] = origin
    return affine


ANGLES = st.tuples(*[st.floats(-3.1, 3.1)] * 3)
SPACING = st.tuples(*[st.floats(0.2, 6)] * 3)
ORIGIN = st.tuples(*[st.floats(-300, 300)] * 3)
SHAPE = st.tuples(*[st.integers(1, 6)] * 3)


@pytest.mark.parametrize("suffix", SCANS)
@quick
@given(shape=SHAPE, angles=ANGLES, spacing=SPACING, origin=ORIGIN, seed=st.integers(0, 99))
def test_mask_of_a_scan_lies_where_it_lay(
    suffix, shape, angles, spacing, origin, seed, tmp_path_factory
):
    path = tmp_path_factory.mktemp("scan") / f"m{suffix}"
    geometry = Geometry.in_patient(shape, turned(angles, spacing, origin))
    found = segmentation(shape, geometry, seed=seed)
    write_mask(found, path)
    back = read_mask(path)
    np.testing.assert_array_equal(back.pixels[0], found.classes)
    assert back.geometry == geometry == read_geometry(path)
    np.testing.assert_allclose(back.geometry.to_patient, geometry.to_patient, atol=1e-4)


@pytest.mark.parametrize("suffix", [*SCANS, ".tif"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("channels", [1, 3])
def test_volume_keeps_its_depth(suffix, dtype, channels, tmp_path):
    rng = np.random.default_rng(1)
    pixels = (rng.normal(0, 50, (channels, 4, 5, 6)) ** 2).astype(dtype)
    if np.issubdtype(dtype, np.signedinteger) or "float" in dtype:
        pixels = -pixels
    affine = np.diag([-1.0, 2.0, 3.0, 1.0])
    geometry = Geometry.in_pixels((4, 5, 6))
    geometry = geometry if suffix == ".tif" else Geometry.in_patient((4, 5, 6), affine)
    write_image(Image(pixels, geometry), tmp_path / f"v{suffix}")
    back = read_image(tmp_path / f"v{suffix}")
    assert back.pixels.dtype == dtype
    np.testing.assert_array_equal(back.pixels, pixels)
    assert back.geometry == geometry


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_photograph_keeps_its_depth(suffix, dtype, channels, tmp_path):
    if suffix == ".bmp" and dtype == "uint16":
        pytest.skip("BMP holds 8 bits")
    top = np.iinfo(dtype).max
    hwc = np.random.default_rng(0).integers(0, top, (7, 9, channels), dtype=dtype)
    image = Image(np.moveaxis(hwc, -1, 0), Geometry.in_pixels((7, 9)))
    write_image(image, tmp_path / f"p{suffix}")
    back = read_image(tmp_path / f"p{suffix}")
    assert back.pixels.dtype == dtype
    np.testing.assert_array_equal(back.pixels, image.pixels)
    assert np.moveaxis(back.pixels, 0, -1).flags.c_contiguous


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_patientless_2d_scan_keeps_millimetres(suffix, tmp_path):
    geometry = Geometry((4, 5), (0.5, 0.25), "mm")
    write_mask(segmentation((4, 5), geometry), tmp_path / f"m{suffix}")
    back = read_geometry(tmp_path / f"m{suffix}")
    assert back.spacing == (0.5, 0.25)
    assert back.unit == "mm"


@every
def test_a_full_disk_leaves_nothing_behind(name, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    image, suffix = example(name)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"what was there before")
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_image(image, path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"what was there before"


@every
def test_writing_changes_no_input(name, tmp_path):
    image, suffix = example(name)
    before = image.pixels.copy()
    image.pixels.flags.writeable = False
    write_image(image, tmp_path / f"new/folder/a{suffix}")
    np.testing.assert_array_equal(image.pixels, before)


HEAD = """\
from pathlib import Path
import numpy as np
from delineate.core import Geometry, Image
from delineate.files._format import Format, UnreadableFile, as_image
from delineate.files._whole_file import whole_file

BEGIN = b"RAWPIX"

def geometry(path):
    rows, columns = np.frombuffer(Path(path).read_bytes()[6:14], np.int32)
    return Geometry.in_pixels((int(rows), int(columns)))

def read(path):
    grid, data = geometry(path), Path(path).read_bytes()[14:]
    return Image(np.frombuffer(data, np.uint8).reshape(1, *grid.shape), grid)

def write(image, path):
    if image.pixels.dtype != np.uint8 and image.pixels.max() > 255:
        raise ValueError("holds uint8.")
    with whole_file(Path(path)) as part:
        shape = np.array(image.geometry.shape, np.int32).tobytes()
        part.write_bytes(BEGIN + shape + image.pixels.astype(np.uint8).tobytes())

def made(**other):
    usual = dict(about="Raw bytes.", suffixes=(".rawpix",), begins=lambda head: head.startswith(BEGIN),
                 read_geometry=geometry, read=read, read_mask=read, write=write, write_mask=as_image(write))
    return Format(**(usual | other))

"""
BAD = {
    "greedy": "begins=lambda head: True",
    "loud": "suffixes=('.RAW',)",
    "wordy": "about='Raw bytes, without a full stop'",
    "upside_down": "read=lambda path: Image(255 - read(path).pixels, geometry(path))",
    "patient": "read=lambda path: Image(np.zeros((1, *geometry(path).shape), np.uint8), geometry(path))",
    "mask_of_nothing": "read_mask=lambda path: Image(0 * read(path).pixels, geometry(path))",
    "elsewhere": "read_geometry=lambda path: Geometry.in_pixels((3, 3))",
    "careless": "write=lambda image, path: Path(path).write_bytes(b'RAWPIX')",
    "spoiling": "write=lambda image, path: (image.pixels.fill(0), write(image, path))",
}  # fmt: skip


@pytest.fixture
def add_format(add_file):
    """Formats are gathered once in a process."""

    def add(name, changed):
        add_file("formats", name, f"{HEAD}{name} = made({changed})\n")
        formats.cache_clear()

    yield add
    formats.cache_clear()


@pytest.mark.parametrize("name", BAD)
def test_a_bad_format_breaks_the_contract(name, add_format, broken):
    add_format(name, BAD[name])
    assert broken(name)


def test_a_format_of_no_name_keeps_the_contract(add_format, broken):
    add_format("rawpix", "")
    assert broken("rawpix") is None
