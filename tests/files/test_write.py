import numpy as np
import pytest

from delineate.core import Geometry, Image, Label, LabelSet, Segmentation
from delineate.files import write_image, write_mask

LABELS = LabelSet((Label("polyp", 1),))


def mask(shape, value=1):
    return Segmentation(np.full(shape, value, np.uint32), LABELS, Geometry.in_pixels(shape))


@pytest.mark.parametrize("name", ["m.jpg", "m.gif", "m.webp", "m.xyz", "m"])
def test_unknown_or_damaging_endings_list_the_known(name, tmp_path):
    with pytest.raises(ValueError, match=r"\.bmp, .*\.nii\.gz.*\.png"):
        write_mask(mask((2, 2)), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_image_in_a_format_that_is_only_read(tmp_path):
    image = Image(np.zeros((1, 2, 2), np.uint8), Geometry.in_pixels((2, 2)))
    with pytest.raises(ValueError, match=r"\.jpg"):
        write_image(image, tmp_path / "a.gif")


def test_values_beyond_16_bits(tmp_path):
    with pytest.raises(ValueError, match="holds 70000"):
        write_mask(mask((2, 2), 70000), tmp_path / "m.png")


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg"])
def test_a_volume_is_no_picture(suffix, tmp_path):
    image = Image(np.zeros((1, 2, 2, 2), np.uint8), Geometry.in_pixels((2, 2, 2)))
    with pytest.raises(ValueError, match="2D images"):
        write_image(image, tmp_path / f"a{suffix}")


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg", ".nii.gz", ".nrrd", ".mha"])
def test_a_type_the_format_does_not_hold(suffix, tmp_path):
    image = Image(np.zeros((1, 2, 2), np.float16), Geometry.in_pixels((2, 2)))
    with pytest.raises(ValueError, match="these pixels are float16"):
        write_image(image, tmp_path / f"a{suffix}")
    assert not list(tmp_path.iterdir())


def test_what_outlines_nothing_is_not_written_as_an_empty_mask(tmp_path):
    labels, grid = LabelSet((Label("pneumothorax", 1),)), Geometry.in_pixels((2, 3))
    told = Segmentation(
        np.zeros((2, 3), np.uint8), labels, grid, present={"pneumothorax": True}, outlined=False
    )
    with pytest.raises(ValueError, match="image-level labels only, and no mask to write"):
        write_mask(told, tmp_path / "mask.png")
    assert not (tmp_path / "mask.png").exists()
