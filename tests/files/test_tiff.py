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
    with pytest.raises(UnreadableFile, match="2 images of unlike sizes"):
        read_image(tmp_path / "a.tif")
    film = np.zeros((3, 4, 5), np.uint8)
    tifffile.imwrite(tmp_path / "b.tif", film, metadata={"axes": "TYX"}, photometric="minisblack")
    with pytest.raises(UnreadableFile, match="without time"):
        read_image(tmp_path / "b.tif")
