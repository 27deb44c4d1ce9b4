import cv2
import numpy as np
import pytest

from delineate.files import read_geometry, read_image

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
