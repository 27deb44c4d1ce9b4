import struct

import cv2
import numpy as np
import PIL.Image
import pytest
import tifffile

from delineate.files import UnreadableFile, read_geometry, read_image, read_mask

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 255, (9, 7, 3), dtype=np.uint8)


def test_alpha_is_dropped_and_other_channels_are_not(tmp_path):
    five = RNG.integers(0, 255, (9, 7, 5), dtype=np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif", five[..., :4], photometric="rgb", extrasamples=["unassalpha"]
    )
    tifffile.imwrite(tmp_path / "b.tif", five[..., :2], photometric="minisblack", extrasamples=["unassalpha"],
                     planarconfig="contig")  # fmt: skip
    tifffile.imwrite(tmp_path / "c.tif", five, photometric="minisblack", planarconfig="contig")
    for name, kept in (("a", 3), ("b", 1), ("c", 5)):
        found = read_image(tmp_path / f"{name}.tif").pixels
        np.testing.assert_array_equal(np.moveaxis(found, 0, -1), five[..., :kept])


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "I;16", "F"])
def test_as_pillow_reads_it(mode, compression, tmp_path):
    index = RNG.integers(0, 3, (9, 7), dtype=np.uint8)
    made = {
        "1": lambda: PIL.Image.fromarray(index > 1),
        "L": lambda: PIL.Image.fromarray(index),
        "P": lambda: PIL.Image.fromarray(index).convert("P"),
        "CMYK": lambda: PIL.Image.fromarray(RGB).convert("CMYK"),
        "I;16": lambda: PIL.Image.fromarray(index.astype(np.uint16) * 999),
        "F": lambda: PIL.Image.fromarray(index.astype(np.float32) - 0.5),
    }[mode]()
    options = {"compression": compression} if compression else {}
    made.save(tmp_path / "a.tif", **options)
    expected = np.asarray(made.convert("RGB") if mode in ("P", "CMYK") else made)
    found = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(np.moveaxis(found.pixels, 0, -1).squeeze(), expected)
    assert found.geometry == read_geometry(tmp_path / "a.tif")
    if mode == "P":
        assert read_mask(tmp_path / "a.tif").pixels[0].tolist() == index.tolist()


def test_deep_colour_behind_lzw(tmp_path):
    deep = RGB.astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "a.tif"), deep[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    np.testing.assert_array_equal(np.moveaxis(read_image(tmp_path / "a.tif").pixels, 0, -1), deep)


def test_white_is_zero(tmp_path):
    stored = np.array([[0, 255, 55]], np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite")
    assert read_image(tmp_path / "a.tif").pixels.tolist() == [[[255, 0, 200]]]


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_pages_are_a_stack(compression, tmp_path):
    pages = RNG.integers(0, 255, (4, 9, 7), dtype=np.uint8)
    first, *rest = [PIL.Image.fromarray(page) for page in pages]
    options = {"compression": compression} if compression else {}
    first.save(tmp_path / "a.tif", save_all=True, append_images=rest, **options)
    found = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(found.pixels[0], pages)
    assert found.geometry == read_geometry(tmp_path / "a.tif")


def test_time_and_unlike_pages_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(np.zeros((4, 5), np.uint8))
        tiff.write(np.zeros((7, 8), np.uint8))
    with pytest.raises(UnreadableFile, match="2 images of different sizes"):
        read_image(tmp_path / "a.tif")
    film = np.zeros((3, 4, 5), np.uint8)
    tifffile.imwrite(tmp_path / "b.tif", film, metadata={"axes": "TYX"}, photometric="minisblack")
    with pytest.raises(UnreadableFile, match="without time"):
        read_image(tmp_path / "b.tif")


STACK = np.random.default_rng(0).integers(0, 5, (5, 20, 30), dtype=np.uint8)


def overwritten(path, tag, value, page=0):
    """Write over the first value of a tag."""
    with tifffile.TiffFile(path, mode="r+") as tiff:
        found = tiff.pages[page].tags[tag]
        found.overwrite((value, *found.value[1:]) if isinstance(found.value, tuple) else value)


@pytest.mark.parametrize("read", [read_image, read_mask])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("tag", ["StripOffsets", "StripByteCounts"])
@pytest.mark.parametrize("page", [0, 2])
def test_missing_strips_are_no_zeros(read, compression, tag, page, tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, compression=compression, rowsperstrip=7, metadata=None)
    overwritten(path, tag, 0, page)
    with pytest.raises(UnreadableFile, match="lacks strips"):
        read(path)


@pytest.mark.parametrize("read", [read_image, read_mask])
@pytest.mark.parametrize(
    "options", [{}, {"ome": True}, {"compression": "zlib"}, {"metadata": None}]
)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.8, 0.95])
def test_a_stack_cut_short_is_no_shorter_stack(read, options, share, tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, ome=options.get("ome", False)) as tiff:
        for page in STACK:
            given = {k: v for k, v in options.items() if k != "ome"}
            tiff.write(page, contiguous=False, **given)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UnreadableFile):
        read(path)


def test_a_page_whose_description_is_lost_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK)
    data = bytearray(path.read_bytes())
    entry = data.index(struct.pack("<HH", 270, 2))
    data[entry + 8 : entry + 12] = struct.pack("<I", len(data) + 1000)
    path.write_bytes(bytes(data))
    with pytest.raises(UnreadableFile, match=r"tags \[270\]"):
        read_image(path)


@pytest.mark.parametrize("read", [read_image, read_mask, read_geometry])
def test_an_ome_tiff_does_not_open_other_files(read, tmp_path, monkeypatch):
    """tifffile follows the names in the description, wherever they lead."""
    for name in ("a", "b"):
        tifffile.imwrite(tmp_path / f"{name}.ome.tif", STACK[0], metadata={"axes": "YX"})
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tiff:
        own = tiff.ome_metadata
    planes = "".join(
        f'<TiffData FirstZ="{z}" IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{z}</UUID></TiffData>'
        for z, name in enumerate(["a.ome.tif", "../secret/b.ome.tif"])
    )
    start, end = own.index("<TiffData"), own.index("</Pixels>")
    named = (own[:start] + planes + own[end:]).replace('SizeZ="1"', 'SizeZ="2"')
    tifffile.imwrite(tmp_path / "c.tif", STACK[0], description=named.encode(), metadata=None)
    opened = []
    real = tifffile.TiffFile.__init__

    def init(self, file, *args, **kwargs):
        opened.append(str(file))
        real(self, file, *args, **kwargs)

    monkeypatch.setattr(tifffile.TiffFile, "__init__", init)
    with pytest.raises(UnreadableFile, match="names other files"):
        read(tmp_path / "c.tif")
    assert opened == [str(tmp_path / "c.tif")]


def test_an_ome_tiff_of_one_file_is_read(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata={"axes": "ZYX"})
    (tmp_path / "a.ome.tif").rename(tmp_path / "renamed.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "renamed.tif").pixels[0], STACK)


@pytest.mark.parametrize("options", [{}, {"rowsperstrip": 7}, {"tile": (16, 16)}, {"predictor": 2}])
def test_deflated_stacks_come_back(options, tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, compression="zlib", **options)
    np.testing.assert_array_equal(read_image(path).pixels[0], STACK)


@pytest.mark.parametrize("columns", [1, 2, 127, 128, 129, 1000])
def test_packbits_comes_back(columns, tmp_path):
    noise = RNG.integers(0, 3, (20, columns), dtype=np.uint8)
    noise[5:, columns // 2 :] = 7
    PIL.Image.fromarray(noise).save(tmp_path / "a.tif", compression="packbits")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels[0], noise)
