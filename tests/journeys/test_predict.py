"""From a bundle and photographs to masks."""

import csv

import cv2
import nibabel
import numpy as np
import pytest

from delineate import load_cases, load_recipe, read_mask, verbs
from delineate.cli import main
from delineate.files import write_image


@pytest.fixture
def photos(tiny_recipe, tmp_path):
    folder = tmp_path / "photos"
    for case in load_cases(load_recipe(tiny_recipe))["test"][:2]:
        write_image(case.image, folder / "deep" / f"{case.id}.png")
    picture = np.full((41, 57, 3), 120, np.uint8)
    cv2.imwrite(str(folder / "odd size.jpg"), picture)
    return folder


def test_masks_overlays_and_a_table(tiny_run, photos, tmp_path):
    out = tmp_path / "masks"
    assert main(["predict", str(tiny_run), str(photos), "-o", str(out), "--probabilities"]) == 0
    masks = sorted(p.relative_to(out) for p in out.rglob("*.png"))
    assert len(masks) == 3
    assert read_mask(out / "odd size.png").geometry.shape == (41, 57)
    assert len(list((out / "overlays").rglob("*.jpg"))) == 3
    kept = np.load(out / "odd size.probabilities.npz")
    assert kept["probabilities"].shape == (2, 41, 57)
    assert kept["names"].tolist() == ["background", "polyp"]
    with open(out / "found.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    for row in rows:
        assert (row["label"], row["unit"]) == ("polyp", "px²")
        assert (row["confidence"] == "") == (float(row["size"]) == 0)
        assert 0 <= float(row["expected_dice"]) <= 1


def test_what_is_doubtful_in_an_image_is_told_and_its_place_is_kept(tiny_run, tmp_path, capsys):
    pixels = np.full((40, 50), 7, np.float32)
    pixels[3, 4:9] = np.nan
    image = nibabel.Nifti1Image(pixels, None)
    image.set_sform(np.diag([2.0, 2, 2, 1]), 4)
    image.set_qform(np.diag([-2.0, 2, 2, 1]), 1)
    nibabel.save(image, tmp_path / "a.nii.gz")
    assert (
        main(["predict", str(tiny_run), str(tmp_path / "a.nii.gz"), "-o", str(tmp_path / "o")]) == 0
    )
    said = capsys.readouterr().err
    assert f"{tmp_path / 'a.nii.gz'}: 5 of 2000 samples are NaN or infinity" in said
    assert f"{tmp_path / 'a.nii.gz'}: sform and qform disagree, by up to 78 samples" in said
    mask = nibabel.load(tmp_path / "o" / "a.nii.gz")
    assert (mask.header["sform_code"], mask.header["qform_code"]) == (4, 1)
    np.testing.assert_array_equal(mask.get_sform(), image.get_sform())
    np.testing.assert_array_equal(mask.get_qform(), image.get_qform())


def test_images_are_not_written_over(tiny_run, photos, capsys):
    before = {path: path.read_bytes() for path in photos.rglob("*.*")}
    assert main(["predict", str(tiny_run), str(photos), "-o", str(photos)]) == 2
    assert "written over the image" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in photos.rglob("*.*")} == before


def test_one_bad_file_does_not_stop_the_rest(tiny_run, photos, tmp_path, capsys):
    (photos / "broken.png").write_bytes(b"<html>not an image</html>")
    out = tmp_path / "masks"
    assert main(["predict", str(tiny_run), str(photos), "-o", str(out)]) == 2
    said = capsys.readouterr().err
    assert "broken.png" in said
    assert "1 of the images could not be predicted" in said
    assert len(list(out.rglob("*.png"))) == 3
    assert not list(out.rglob("*broken*"))


def test_evaluating_and_predicting_give_the_same_masks(tiny_run, tiny_recipe, tmp_path):
    cases = load_cases(load_recipe(tiny_recipe))["test"]
    for case in cases:
        write_image(case.image, tmp_path / "photos" / f"{case.id}.png")
    verbs.predict(tiny_run, [tmp_path / "photos"], tmp_path / "masks")
    for case in cases:
        ours = read_mask(tmp_path / "masks" / f"{case.id}.png").pixels
        theirs = read_mask(tiny_run / "predictions" / f"{case.id}.png").pixels
        assert np.array_equal(ours, theirs)


def test_windows_and_flips_by_option(tiny_run, photos, tmp_path):
    words = ["predict", str(tiny_run), str(photos), "-o", str(tmp_path / "m"), "--no-overlays"]
    assert main([*words, "--window", "16,16", "--flips", "0,1"]) == 0
    assert not (tmp_path / "m" / "overlays").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{run}", "nowhere/", "-o", "{out}"], "nowhere"),
        (["nowhere", "{photos}", "-o", "{out}"], "no bundle there"),
        (["{run}", "{photos}", "-o", "{out}", "--device", "cuda"], "device 'cuda' was asked for"),
    ],
)
def test_bad_requests_get_one_line(words, said, tiny_run, photos, tmp_path, capsys):
    places = {"run": tiny_run, "photos": photos, "out": tmp_path / "m"}
    assert main(["predict", *(word.format(**places) for word in words)]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err
    assert not (tmp_path / "m").exists()
