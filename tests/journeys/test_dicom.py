"""DICOM series from check to evaluation: each series is a folder, and its truth a NIfTI file beside it."""

import csv
import json

import cv2
import numpy as np
import pytest

from delineate import convert
from delineate.cli import main
from delineate.core import Label, LabelSet, Segmentation
from delineate.files import read_geometry, read_mask, write_mask

SHAPE = (8, 30, 40)
AXIAL = (1, 0, 0, 0, 1, 0)

RECIPE = """\
data:
  folder:
    root: data
    images: "{stem}/ct"
    masks: "{stem}/truth.nii.gz"
    split: {train: 0.5, val: 0.25, test: 0.25}
labels: {liver: {value: 1, colour: "#00c2a8"}, spleen: {value: 2, colour: "#e4572e"}}
prepare: [{orient: SPL}, {resize: {shape: [8, 32, 32]}}, {window: {level: 50, width: 400}}]
model: {unet: {features: [8, 16]}}
loss: [dice, cross_entropy]
optimizer: {adamw: {lr: 1.0e-2}}
trainer: {epochs: 3, batch_size: 2, loggers: []}
metrics: [dice]
"""


def body(number):
    """A CT (slice, row, column), caudal slices first: the liver on the patient's right, in the first columns."""
    lot = np.random.default_rng(number)
    volume = np.full(SHAPE, -1000, np.int16)
    classes = np.zeros(SHAPE, np.uint8)
    volume[:, 4:26, 4:36] = 0
    classes[2:7, 8 + number % 3 : 20, 8:16] = 1
    classes[3:7, 12 : 18 + number % 3, 28:33] = 2
    volume[classes == 1], volume[classes == 2] = 200, 100
    return volume + lot.integers(-20, 20, SHAPE).astype(np.int16), classes


@pytest.fixture(scope="module")
def patients(write_series, tmp_path_factory):
    """The folder of a recipe with eight series."""
    home = tmp_path_factory.mktemp("hospital")
    labels = LabelSet((Label("liver", 1), Label("spleen", 2)))
    for number in range(8):
        volume, classes = body(number)
        folder = home / "data" / f"p{number}"
        series = write_series(
            folder / "ct", volume, spacing=(5.0, 1.5, 1.5), origin=(-30, -20, 100 * number),
            uid=f"1.2.3.{number}", PatientID=f"P{number}", name="IM{:04}",
        )  # fmt: skip
        found = Segmentation(classes, labels, read_geometry(series))
        write_mask(found, folder / "truth.nii.gz")
    (home / "ct.yaml").write_text(RECIPE)
    return home


@pytest.fixture(scope="module")
def run(patients):
    """The folder of a run that was trained from the command line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(patients)
        assert main(["train", "ct.yaml"]) == 0
    (folder,) = (patients / "outputs" / "ct").iterdir()
    return folder


def rows_of(folder):
    with open(folder / "predictions.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_series_are_checked_and_a_missing_slice_is_told(patients, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the page of the audit is written here
    assert main(["check", str(patients / "ct.yaml")]) == 0
    said = capsys.readouterr().out
    lost = patients / "data" / "p3" / "ct" / "IM0004"
    kept = lost.read_bytes()
    lost.unlink()
    try:
        assert main(["check", str(patients / "ct.yaml")]) == 2
        said = capsys.readouterr()
        assert "misses 1 of 8 slices" in said.out + said.err
    finally:
        lost.write_bytes(kept)


def test_a_run_learns_from_series(run):
    card = json.loads((run / "bundle" / "card.json").read_text())
    assert card["data"]["cases"] == {"train": 4, "val": 2, "test": 2}
    assert (run / "report.html").is_file() or (run / "bundle").is_dir()


def test_a_series_is_predicted_as_one_volume(run, patients, tmp_path, capsys):
    series = patients / "data" / "p1" / "ct"
    out = tmp_path / "found"
    assert main(["predict", str(run), str(series), "-o", str(out)]) == 0
    assert "1 of 1 images predicted" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == [
        "ct.nii.gz", "overlays", "predictions.csv", "predictions.jsonl",
    ]  # fmt: skip
    convert(series, tmp_path / "image.nii.gz")
    here, image = read_geometry(out / "ct.nii.gz"), read_geometry(tmp_path / "image.nii.gz")
    assert here.shape == image.shape == SHAPE[::-1]
    assert np.array_equal(here.to_patient, image.to_patient)
    there = read_geometry(series)
    corners = np.array([[0, 0, 0, 1], [7, 29, 39, 1], [7, 0, 39, 1]]).T
    np.testing.assert_allclose(
        here.to_patient @ corners[[2, 1, 0, 3]], there.to_patient @ corners, atol=1e-4
    )
    liver, spleen = rows_of(out)
    assert (liver["image"], liver["mask"], liver["label"]) == (str(series), "ct.nii.gz", "liver")
    found = read_mask(out / "ct.nii.gz").pixels[0]
    for row, value in ((liver, 1), (spleen, 2)):
        count = int((found == value).sum())
        assert float(row["size"]) == pytest.approx(count * 5 * 1.5 * 1.5, rel=1e-5)
        assert row["unit"] == "mm³"
        assert float(row["ml"]) == pytest.approx(count * 5 * 1.5 * 1.5 / 1000, rel=1e-5)
    picture = cv2.imread(str(out / "overlays" / "ct.jpg"))
    assert picture.shape[1] > 2 * picture.shape[0]  # three planes
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    files = {line["file"] for line in lines if "file" in line}
    assert files == {"ct.nii.gz", "overlays/ct.jpg", "predictions.csv"}


def test_many_series_are_predicted_and_the_second_run_replaces_the_first(run, patients, tmp_path):
    out = tmp_path / "found"
    words = ["predict", str(run), str(patients / "data" / "p*" / "ct"), "-o", str(out)]
    assert main(words) == 0
    first = rows_of(out)
    assert [row["mask"] for row in first[::2]] == [f"p{i}/ct.nii.gz" for i in range(8)]
    assert main(words) == 0
    assert rows_of(out) == first
    (out / "p2" / "ct.nii.gz").write_bytes(b"corrected by a person")
    assert main(words) == 2
    assert (out / "p2" / "ct.nii.gz").read_bytes() == b"corrected by a person"


def test_no_slice_is_overwritten(run, write_series, tmp_path, capsys):
    series = write_series(tmp_path / "ct", body(0)[0], name="{}")
    (tmp_path / "ct" / "0").rename(tmp_path / "ct" / "ct.nii.gz")  # a slice under an unusual name
    before = {path.name: path.read_bytes() for path in series.iterdir()}
    words = ["predict", str(run), str(series), "-o", str(series), "--overwrite"]
    assert main(words) == 2
    assert "the mask would be written over the image" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in series.iterdir()} == before


def test_a_series_that_cannot_be_read_fails_alone(run, patients, write_series, tmp_path, capsys):
    write_series(tmp_path / "in" / "good", body(1)[0], spacing=(5, 1.5, 1.5))
    write_series(tmp_path / "in" / "bad", body(2)[0], spacing=(5, 1.5, 1.5), name="{}.dcm")
    (tmp_path / "in" / "bad" / "3.dcm").unlink()
    out = tmp_path / "found"
    assert main(["predict", str(run), str(tmp_path / "in"), "-o", str(out)]) == 2
    said = capsys.readouterr()
    assert f"{tmp_path / 'in' / 'bad'}: misses 1 of 8 slices" in said.err
    assert "1 of 2 images predicted, 1 failed" in said.out
    assert [row["mask"] for row in rows_of(out)] == ["good.nii.gz"] * 2


def test_a_run_is_evaluated_on_series(run, patients, tmp_path):
    assert main(["evaluate", str(run)]) == 0
    table = list(csv.DictReader((run / "cases.csv").read_text().splitlines()))
    assert sorted({row["label"] for row in table}) == ["all", "liver", "spleen"]
    assert len(table) == 2 * 3
    masks = sorted((run / "predictions").glob("*.nii.gz"))
    assert len(masks) == 2
    case = masks[0].name.removesuffix(".nii.gz")
    series = read_geometry(patients / "data" / case / "ct")
    columns_first = series.reordered((2, 1, 0), (False,) * 3)
    assert not columns_first.differences(read_geometry(masks[0]))
    assert (run / "overlays" / f"{case}.jpg").is_file()


def test_a_run_is_evaluated_on_the_series_of_another_centre(run, write_series, tmp_path):
    for number in range(3):
        volume, classes = body(20 + number)
        series = write_series(
            tmp_path / "images" / f"q{number}",
            volume,
            spacing=(5, 1.5, 1.5),
            uid=f"1.9.{number}",
            PatientID=f"Q{number}",
        )
        labels = LabelSet((Label("liver", 1), Label("spleen", 2)))
        write_mask(
            Segmentation(classes, labels, read_geometry(series)),
            tmp_path / "masks" / f"q{number}.nii.gz",
        )
    words = ["--images", str(tmp_path / "images"), "--masks", str(tmp_path / "masks")]
    assert main(["evaluate", str(run), *words, "-o", str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out" / "predictions").glob("q*.nii.gz"))) == 3


def test_prepared_series_are_kept_until_a_slice_changes(patients, tmp_path):
    from delineate import load_cases, load_recipe
    from delineate.prepare import load_prepare
    from delineate.training.cache import PreparedCases

    recipe = load_recipe(patients / "ct.yaml")
    cases = load_cases(recipe)["train"]
    kept = PreparedCases(
        cases, recipe.labels, load_prepare(recipe.prepare), recipe.prepare, tmp_path / "cache"
    )
    first = kept._key(cases[0])
    assert kept._key(cases[0]) == first
    slice_ = cases[0].image_files[5]
    data = slice_.read_bytes()
    try:
        slice_.write_bytes(data + b"\0\0")
        assert kept._key(cases[0]) != first
    finally:
        slice_.write_bytes(data)
