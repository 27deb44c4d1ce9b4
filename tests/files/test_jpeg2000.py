import cv2
import numpy as np
import PIL.Image
import pytest

from delineate.files import UnreadableFile, read_geometry, read_image, read_mask

LOSSLESS = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_depth_is_kept(dtype, channels, tmp_path):
    rows, columns = np.mgrid[:120, :90]
    grey = (rows * columns * (1 if dtype == "uint8" else 6)).astype(dtype)
    stored = np.stack([grey, grey.T.copy().reshape(grey.shape), grey[::-1]][:channels], -1)
    path = tmp_path / "a.jp2"
    cv2.imwrite(str(path), stored[..., ::-1], LOSSLESS)
    found = read_image(path)
    assert found.pixels.dtype == dtype
    np.testing.assert_array_equal(np.moveaxis(found.pixels, 0, -1), stored)
    assert read_geometry(path) == found.geometry


@pytest.mark.parametrize("by", ["pillow", "opencv"])
def test_a_codestream_cut_short_is_refused_and_not_filled_with_zeros(by, tmp_path):
    path = tmp_path / "a.jp2"
    grey = np.arange(120 * 90, dtype=np.uint8).reshape(120, 90)
    if by == "pillow":
        PIL.Image.fromarray(grey).save(path)
    else:
        cv2.imwrite(str(path), grey.astype(np.uint16), LOSSLESS)
    data = path.read_bytes()
    for at in (*range(20, 300), *range(300, len(data), 97), -3, -2, -1):
        path.write_bytes(data[:at])
        for read in (read_image, read_mask):
            with pytest.raises(UnreadableFile):
                read(path)


def test_a_missing_tile_is_refused_and_not_filled_with_zeros(tmp_path):
    path = tmp_path / "a.j2k"
    grey = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    PIL.Image.fromarray(grey).save(path, tile_size=(32, 32), no_jp2=True)
    np.testing.assert_array_equal(read_image(path).pixels[0], grey)
    data = path.read_bytes()
    third = data.index(b"\xff\x90\0\x0a\0\2")
    path.write_bytes(
        data[:third] + data[third + int.from_bytes(data[third + 6 : third + 10], "big") :]
    )
    with pytest.raises(UnreadableFile, match="3 of its 4 tiles"):
        read_image(path)
