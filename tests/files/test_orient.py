import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

from delineate.files import read_geometry, read_image, read_mask

ENDINGS = [
    ("png", {}),
    ("jpg", {"quality": 95}),
    ("webp", {"lossless": True}),
    ("tif", {}),
    ("tif", {"compression": "tiff_lzw"}),
]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("suffix", "options"), ENDINGS)
def test_image_and_mask_are_turned_alike(orientation, suffix, options, tmp_path):
    path = tmp_path / f"a.{suffix}"
    stored = np.random.default_rng(0).integers(0, 255, (16, 24), dtype=np.uint8)
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    PIL.Image.fromarray(stored).convert("RGB").save(path, exif=exif, **options)
    with PIL.Image.open(path) as picture:
        expected = np.asarray(PIL.ImageOps.exif_transpose(picture))
    found = read_image(path)
    np.testing.assert_array_equal(np.moveaxis(found.pixels, 0, -1), expected)
    np.testing.assert_array_equal(read_mask(path).pixels, found.pixels)
    assert read_geometry(path) == found.geometry


def test_a_damaged_exif_block_turns_nothing(tmp_path):
    path = tmp_path / "a.jpg"
    PIL.Image.new("L", (8, 6)).save(path, exif=b"Exif\0\0nonsense")
    assert read_image(path).geometry.shape == (6, 8)
