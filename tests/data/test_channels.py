"""Images of several files, one for each channel."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from delineate.audit._read_case import read_case
from delineate.core import Geometry, Image, Label, LabelSet
from delineate.data import cases_of
from delineate.data._channels import read_channels
from delineate.data.folder import folder
from delineate.files import write_image
from delineate.prepare.standardize import standardize

TUMOUR = LabelSet((Label("tumour", 1),))
GRID = Geometry.in_patient((4, 5, 6), np.diag([-1.0, -1, 2, 1])[:, :4])


def scan(path: Path, dtype="int16", grid=GRID, seed=0, channels=1):
    values = np.random.default_rng(seed).integers(0, 100, (channels, *grid.shape)).astype(dtype)
    write_image(Image(values, grid), path)
    return values


def patients(root: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        scan(root / name / "flair.nii.gz", seed=2 * seed)
        scan(root / name / "t1c.nii.gz", "float32", seed=2 * seed + 1)
        write_image(Image(np.ones((1, *GRID.shape), np.uint8), GRID), root / name / "seg.nii.gz")
    return root


def cases(root: Path, images, **arguments):
    usual = {"masks": "{stem}/seg.nii.gz", "split": {"all": 1.0}}
    given = usual | arguments
    return folder(labels=TUMOUR, folder=root, seed=0, root=str(root), images=images, **given)["all"]


BY_NAME = {"flair": "{stem}/flair.nii.gz", "t1c": "{stem}/t1c.nii.gz"}


def test_globs_by_name_are_the_channels_in_their_order(tmp_path):
    first, second = cases(patients(tmp_path, "p1", "p2"), BY_NAME)
    assert (first.id, second.id) == ("p1", "p2")
    assert first.channels == ("flair", "t1c")
    assert first.image_files == (tmp_path / "p1/flair.nii.gz", tmp_path / "p1/t1c.nii.gz")
    image = first.image
    assert image.pixels.shape == (2, *GRID.shape)
    assert image.pixels.dtype == np.float32
    for number, name in enumerate(first.channels):
        (alone,) = cases(tmp_path, f"{{stem}}/{name}.nii.gz", group="{stem}")[:1]
        np.testing.assert_array_equal(image.pixels[number], alone.image.pixels[0])
    assert first.truth.mask("tumour").all()


def test_a_list_of_globs_numbers_the_channels(tmp_path):
    (case,) = cases(patients(tmp_path, "p1"), list(BY_NAME.values())[::-1])
    assert case.channels == ("0", "1")
    assert [file.name for file in case.image_files] == ["t1c.nii.gz", "flair.nii.gz"]


def test_an_image_without_one_of_its_channels_is_refused_by_name(tmp_path):
    patients(tmp_path, "p1", "p2")
    (tmp_path / "p2/t1c.nii.gz").unlink()
    with pytest.raises(ValueError, match="the channel t1c has no file for 1 of 2 cases: p2"):
        cases(tmp_path, BY_NAME)


def test_one_file_as_two_channels_is_refused(tmp_path):
    patients(tmp_path, "p1")
    twice = {"flair": "{stem}/flair.nii.gz", "t1c": "{stem}/fl*.nii.gz"}
    with pytest.raises(ValueError, match=r"flair and t1c are the same file, .*flair\.nii\.gz"):
        cases(tmp_path, twice)


def test_channels_on_different_grids_are_refused(tmp_path):
    scan(tmp_path / "a.nii.gz")
    scan(tmp_path / "b.nii.gz", grid=GRID.cropped((0, 0, 0), (4, 5, 5)))
    scan(tmp_path / "c.nii.gz", grid=GRID.cropped((0, 0, 1), (4, 5, 6)))
    with pytest.raises(ValueError, match=r"differ in shape \(4, 5, 6\) against \(4, 5, 5\)"):
        read_channels([tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"])
    with pytest.raises(ValueError, match="differ in position in the patient, by up to 2 mm"):
        read_channels([tmp_path / "a.nii.gz", tmp_path / "c.nii.gz"])


def test_channels_in_another_orientation_are_turned(tmp_path):
    values = scan(tmp_path / "a.nii.gz")
    turned = GRID.reordered((2, 0, 1), (True, False, True))
    pixels = values.transpose(0, 3, 1, 2)[:, ::-1, :, ::-1]
    write_image(Image(pixels, turned), tmp_path / "b.nii.gz")
    both = read_channels([tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"])
    np.testing.assert_array_equal(both.pixels[0], both.pixels[1])
    assert both.geometry == GRID


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        ("uint8", "int16", "int16"),
        ("uint16", "int16", "int32"),
        ("int16", "float32", "float32"),
        ("int32", "float32", "float64"),
    ],
)
def test_channels_become_the_smallest_common_type(one, other, common, tmp_path):
    values = scan(tmp_path / "a.nii.gz", one), scan(tmp_path / "b.nii.gz", other, seed=1)
    pixels = read_channels([tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"]).pixels
    assert pixels.dtype == common
    np.testing.assert_array_equal(pixels, np.concatenate(values))


def test_values_that_no_common_type_holds_are_refused(tmp_path):
    large = np.full((1, *GRID.shape), 2**53 + 1, np.int64)
    write_image(Image(large, GRID), tmp_path / "a.nii.gz")
    scan(tmp_path / "b.nii.gz", "float32")
    with pytest.raises(ValueError, match=r"a\.nii\.gz has int64 samples that float64, .*cannot"):
        read_channels([tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"])


def test_another_number_of_channels_is_refused(tmp_path):
    scan(tmp_path / "a.nii.gz", channels=3)
    scan(tmp_path / "b.nii.gz")
    with pytest.raises(
        ValueError, match=r"a\.nii\.gz has 3 channels and .*b\.nii\.gz has 1 channel; expected 2"
    ):
        read_channels([tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"], ["flair", "t1c"])


def test_a_warning_names_the_file_of_its_channel(tmp_path):
    scan(tmp_path / "a.nii.gz")
    broken = np.full((1, *GRID.shape), 1, np.float32)
    broken[0, 0, 0, 0] = np.nan
    write_image(Image(broken, GRID), tmp_path / "b.nii.gz")
    (warning,) = read_channels([tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"]).warnings
    assert warning.startswith("b.nii.gz: 1 of 120 samples are NaN")


def test_standardize_takes_each_channel_by_itself():
    rng = np.random.default_rng(0)
    pixels = np.stack([rng.normal(5, 2, (9, 9)), rng.normal(-300, 70, (9, 9))]).astype(np.float32)
    found = standardize(by="image").apply(pixels)
    np.testing.assert_allclose(found.mean((1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(found.std((1, 2)), 1, atol=1e-5)


# ---- files to predict

NAMES = ("flair", "t1c")


def test_files_by_the_numbers_of_nnunet_are_one_image(tmp_path):
    for name in ("a_0000", "a_0001", "sub/b_0000", "sub/b_0001"):
        scan(tmp_path / f"{name}.nii.gz")
    first, second = cases_of(tmp_path, NAMES)
    assert (first.id, second.id) == ("a", "sub/b")
    assert [file.name for file in first.image_files] == ["a_0000.nii.gz", "a_0001.nii.gz"]
    assert first.image.channels == 2
    assert len(cases_of(tmp_path)) == 4


def test_files_named_after_the_channels_are_one_image(tmp_path):
    for name in ("a_T1c", "a_flair"):
        scan(tmp_path / f"{name}.nii.gz")
    (case,) = cases_of([tmp_path / "a_T1c.nii.gz", tmp_path / "a_flair.nii.gz"], NAMES)
    assert case.id == "a"
    assert [file.name for file in case.image_files] == ["a_flair.nii.gz", "a_T1c.nii.gz"]


def test_a_file_with_all_channels_is_an_image(tmp_path):
    scan(tmp_path / "a_0001.nii.gz", channels=2)
    scan(tmp_path / "b.nii.gz", channels=2)
    assert [case.id for case in cases_of(tmp_path, NAMES)] == ["a_0001", "b"]
    assert [case.image.channels for case in cases_of(tmp_path, NAMES)] == [2, 2]


def test_an_image_of_one_channel_is_refused_for_a_model_of_two(tmp_path):
    scan(tmp_path / "a.nii.gz")
    (case,) = cases_of(tmp_path, NAMES)
    with pytest.raises(
        ValueError, match=r"a\.nii\.gz has 1 channel; expected 2 in all: flair, t1c"
    ):
        _ = case.image


def test_a_missing_channel_of_one_of_the_images_is_told(tmp_path):
    for name in ("a_0000", "a_0001", "b_0000"):
        scan(tmp_path / f"{name}.nii.gz")
    with pytest.raises(ValueError, match=r"b_0000\.nii\.gz: .* no file that ends in _0001 or _t1c"):
        cases_of(tmp_path, NAMES)


def test_the_channels_of_a_real_brain_are_on_one_grid(real_data):
    (case,) = cases(
        real_data / "brats2015_mini",
        {"flair": "{stem}/Flair_*.nii.gz", "t1c": "{stem}/T1c_*.nii.gz"},
        masks="{stem}/OTMultiClass.nii.gz",
        values={"tumour": [1, 2, 3, 4]},
    )
    assert case.id == "brats_2013_pat0003_1"
    assert case.image.pixels.shape == (2, 240, 240, 155)
    assert case.truth.mask("tumour").sum() > 1000


def test_the_audit_looks_at_the_headers_and_samples_of_all_channels(tmp_path):
    patients(tmp_path, "p1")
    broken = np.full((1, *GRID.shape), 1, np.float32)
    broken[0, 0, 0, :2] = np.nan
    write_image(Image(broken, GRID), tmp_path / "p1/t1c.nii.gz")
    named = nibabel.load(tmp_path / "p1/t1c.nii.gz")
    named.header["db_name"] = b"Jane Roe"
    nibabel.save(named, tmp_path / "p1/t1c.nii.gz")
    facts = read_case(cases(tmp_path, BY_NAME)[0], "train")
    assert facts.image.not_finite == 2
    assert facts.identity.fields
