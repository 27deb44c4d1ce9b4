import numpy as np
import PIL.Image
import pytest

from delineate.core import Geometry, Image
from delineate.files import read_image, write_image


def smooth(shape):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return (rows * 3 + columns * 2).astype(np.uint8)


def jpeg_of(mode, path, **options):
    grey = smooth((40, 60))
    picture = PIL.Image.fromarray(np.stack([grey, grey[::-1], 128 + 0 * grey], -1)).convert(mode)
    picture.save(path, "JPEG", quality=95, **options)
    with PIL.Image.open(path) as again:
        return np.asarray(again.convert("RGB" if mode != "L" else "L"))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_as_pillow_reads_it(mode, progressive, tmp_path):
    expected = jpeg_of(mode, tmp_path / "a.jpg", progressive=progressive)
    found = read_image(tmp_path / "a.jpg").pixels
    assert found.shape[0] == (1 if mode == "L" else 3)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(np.moveaxis(found, 0, -1).squeeze(), expected)


def test_harmless_bytes_between_segments_are_passed_over(tmp_path):
    path = tmp_path / "a.jpg"
    expected = jpeg_of("RGB", path, progressive=True)
    data = path.read_bytes()
    second_scan = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    path.write_bytes(data[:second_scan] + b"\x11\x22" + data[second_scan:])
    np.testing.assert_array_equal(np.moveaxis(read_image(path).pixels, 0, -1), expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_written_well(channels, tmp_path):
    pixels = np.stack([smooth((40, 30))] * channels)
    write_image(Image(pixels, Geometry.in_pixels((40, 30))), tmp_path / "a.jpg")
    back = read_image(tmp_path / "a.jpg").pixels
    assert back.shape == pixels.shape
    assert np.abs(back.astype(int) - pixels).mean() < 3
