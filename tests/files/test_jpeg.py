import numpy as np
import PIL.Image
import pytest

from delineate.core import Geometry, Image
from delineate.files import UnreadableFile, read_image, read_mask, write_image


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


@pytest.mark.parametrize("marker", [b"\xff\xda", b"\xff\xd9"])
def test_padding_before_a_marker_is_passed_over(marker, tmp_path):
    path = tmp_path / "a.jpg"
    expected = jpeg_of("RGB", path, progressive=True)
    data = path.read_bytes()
    at = data.rindex(marker)
    for padding in (bytes(1), bytes(9), b"\xff" * 5):
        path.write_bytes(data[:at] + padding + data[at:])
        np.testing.assert_array_equal(np.moveaxis(read_image(path).pixels, 0, -1), expected)


@pytest.mark.parametrize("read", [read_image, read_mask])
def test_other_bytes_before_a_marker_are_damage(read, tmp_path):
    path = tmp_path / "a.jpg"
    jpeg_of("RGB", path, progressive=True)
    data = path.read_bytes()
    at = data.rindex(b"\xff\xda")
    path.write_bytes(data[:at] + b"\x11\x22" + data[at:])
    with pytest.raises(UnreadableFile, match="2 extraneous bytes"):
        read(path)


def test_damage_in_cmyk_is_refused(tmp_path):
    """Pillow, which turns these colours into RGB, says nothing of it."""
    path = tmp_path / "a.jpg"
    PIL.Image.fromarray(smooth((40, 30))).convert("CMYK").save(path)
    data = path.read_bytes()
    middle = data.index(b"\xff\xda") + (len(data) - data.index(b"\xff\xda")) // 2
    path.write_bytes(data[:middle] + data[middle + 20 :])
    with pytest.raises(UnreadableFile, match="cannot be decoded"):
        read_image(path)


@pytest.mark.parametrize("channels", [1, 3])
def test_written_well(channels, tmp_path):
    pixels = np.stack([smooth((40, 30))] * channels)
    write_image(Image(pixels, Geometry.in_pixels((40, 30))), tmp_path / "a.jpg")
    back = read_image(tmp_path / "a.jpg").pixels
    assert back.shape == pixels.shape
    assert np.abs(back.astype(int) - pixels).mean() < 3
