from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image as Picture

from delineate.core import Label, LabelSet
from delineate.data._masks import read_truth
from delineate.data._values import mask_values

LABELS = LabelSet((Label("organ", 1), Label("lesion", 2)))
VALUES = mask_values(LABELS)


def scan(path: Path, array: np.ndarray, affine: np.ndarray) -> Path:
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    return path


@pytest.fixture
def volume() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 3, (3, 4, 5)).astype(np.uint8)


AFFINE = np.diag([0.7, 0.7, 3.0, 1.0])


def test_a_photograph(tmp_path):
    classes = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    Picture.new("RGB", (3, 2)).save(tmp_path / "a.jpg")
    Picture.fromarray(classes).save(tmp_path / "a.png")
    truth = read_truth(tmp_path / "a.jpg", tmp_path / "a.png", VALUES)
    np.testing.assert_array_equal(truth.classes, classes)
    assert truth.geometry.unit == "px"
    assert truth.labels is LABELS


def test_a_mask_stored_in_another_order_of_axes(tmp_path, volume):
    image = scan(tmp_path / "image.nii.gz", volume, AFFINE)
    flipped = nibabel.Nifti1Image(volume, AFFINE).as_reoriented([[1, -1], [2, 1], [0, -1]])
    nibabel.save(flipped, tmp_path / "mask.nii.gz")
    truth = read_truth(image, tmp_path / "mask.nii.gz", VALUES)
    np.testing.assert_array_equal(truth.classes, volume)


def test_a_mask_at_another_place(tmp_path, volume):
    moved = AFFINE.copy()
    moved[0, 3] = 7.5
    image = scan(tmp_path / "image.nii.gz", volume, AFFINE)
    mask = scan(tmp_path / "mask.nii.gz", volume, moved)
    with pytest.raises(ValueError, match=r"by up to 7\.5 mm.*header of the image") as error:
        read_truth(image, mask, VALUES)
    assert str(image) in str(error.value)
    assert str(mask) in str(error.value)


def test_a_mask_with_fewer_slices(tmp_path, volume):
    image = scan(tmp_path / "image.nii.gz", volume, AFFINE)
    mask = scan(tmp_path / "mask.nii.gz", volume[..., :-2], AFFINE)
    with pytest.raises(ValueError, match=r"\(3, 4, 5\) against \(3, 4, 3\)\. Were slices dropped"):
        read_truth(image, mask, VALUES)


@pytest.mark.parametrize(
    ("size", "advice"), [((6, 4), "never resized"), ((2, 3), "rotated by 90 degrees")]
)
def test_a_mask_of_another_size(tmp_path, size, advice):
    Picture.new("L", (3, 2)).save(tmp_path / "a.bmp")
    Picture.new("L", size).save(tmp_path / "a.png")
    with pytest.raises(
        ValueError, match=rf"a\.bmp and its mask .*a\.png differ in shape.*{advice}"
    ):
        read_truth(tmp_path / "a.bmp", tmp_path / "a.png", VALUES)


def test_a_stray_value_names_the_file(tmp_path):
    Picture.new("L", (3, 2)).save(tmp_path / "a.bmp")
    Picture.new("L", (3, 2), 7).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png: values without a label: 7 \(6 times\)"):
        read_truth(tmp_path / "a.bmp", tmp_path / "a.png", VALUES)
