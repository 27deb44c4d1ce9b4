"""Labels that include others, from a recipe to the report: the liver with its lesions."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from delineate import load_bundle, load_cases, load_recipe, verbs
from delineate.core import Label, LabelSet
from delineate.files import read_image, write_image
from delineate.resolve import RecipeError, resolve

RECIPE = """\
# delineate train livers.yaml
# two epochs, so that it finds something
data:
  phantom: {scene: abdomen, cases: 24, shape: [48, 48], split: {train: 0.5, val: 0.2, test: 0.3}}
labels:
  lesion: {value: 7, kind: thing}
  liver: {value: 300, includes: [lesion]}
task: regions
prepare: [{window: {level: 60, width: 300}}, {resize: {shape: [48, 48]}}]
model: {unet: {features: [8, 16]}}
loss: [dice, bce]
optimizer: {adamw: {lr: 1.0e-2}}
trainer: {epochs: 8, batch_size: 4, val_every: 8, loggers: []}
refine: [{fill_holes: {}}, {remove_small_objects: {min_size: 200}}]
metrics: [dice, pq]
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "livers.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def run(recipe, tmp_path_factory):
    return verbs.train(recipe, run=tmp_path_factory.mktemp("outputs") / "livers" / "run")


def dice(here, there):
    size = np.count_nonzero(here) + np.count_nonzero(there)
    return 2 * np.count_nonzero(here & there) / size if size else np.nan


def test_each_region_is_trained_judged_and_told(run, recipe):
    cases = load_cases(load_recipe(recipe))["test"]
    scores = json.loads((run / "scores.json").read_text())["labels"]
    assert list(scores) == ["lesion", "liver", "all"]
    expected = {"lesion": [], "liver": []}
    for case in cases:
        (file,) = (run / "predictions").glob(f"{case.id}.*")
        prediction, truth = read_image(file).pixels[0], case.truth.classes
        assert set(np.unique(prediction)) <= {0, 7, 300}
        expected["lesion"].append(dice(prediction == 7, truth == 7))
        expected["liver"].append(dice(prediction > 0, truth > 0))
    for label, of in expected.items():
        assert scores[label]["metrics"]["dice"]["mean"] == pytest.approx(np.nanmean(of))
    assert scores["liver"]["metrics"]["dice"]["mean"] > 0.3  # it has learnt something
    assert "ece_top" not in scores["all"]["metrics"]
    page = (run / "report.html").read_text()
    assert "liver includes lesion: both are evaluated as liver." in page
    assert "liver without lesion" in page


def test_a_liver_is_not_punished_for_its_lesions(run, recipe):
    """The same masks: as labels that exclude each other, a lesion that is called liver is an error of both."""
    plain = LabelSet((Label("lesion", 7, "thing"), Label("liver", 300)))
    cases = [c for c in load_cases(load_recipe(recipe))["test"] if c.truth.mask("lesion").any()]
    predictor = load_bundle(run)
    metric = resolve("metrics", "dice")
    assert cases
    for case in cases:
        prediction, truth = predictor(case), case.truth
        apart = metric(
            *(
                replace(s, labels=plain, instances=(), probabilities=None)
                for s in (prediction, truth)
            )
        )
        together = metric(prediction, truth)
        assert together["lesion"] == pytest.approx(apart["lesion"], nan_ok=True)
        assert together["liver"] >= apart["liver"]


def test_the_confidence_of_regions_can_be_calibrated(run, recipe):
    entry = verbs.calibrate(run)
    assert set(entry["labels"]) == {"lesion", "liver"}
    assert entry["nll_after"] <= entry["nll_before"]
    case = load_cases(load_recipe(recipe))["val"][0]
    found = load_bundle(run)(case)
    assert {"expected dice of liver", "expected dice of lesion"} <= set(found.scores)


def test_sizes_are_those_of_regions_and_masks_are_read_as_written(run, recipe, tmp_path):
    cases = load_cases(load_recipe(recipe))["test"]
    for case in cases:
        write_image(case.image, tmp_path / "images" / f"{case.id}.nii.gz")
    verbs.predict(run, [tmp_path / "images"], tmp_path / "masks", overlays=True)
    with open(tmp_path / "masks" / "predictions.csv", newline="") as file:
        rows = {(row["image"], row["label"]): row for row in csv.DictReader(file)}
    for case in cases:
        image = tmp_path / "images" / f"{case.id}.nii.gz"
        written = read_image(tmp_path / "masks" / f"{case.id}.nii.gz").pixels[0]
        sample = case.image.geometry.sample_size
        sizes = {"liver": np.isin(written, (7, 300)), "lesion": written == 7}
        for label, mask in sizes.items():
            row = next(
                row for (name, of), row in rows.items() if image.name in name and of == label
            )
            assert float(row["size"]) == pytest.approx(mask.sum() * sample, rel=1e-4)


def test_what_asks_for_the_one_label_of_a_sample_is_refused_before_anything_runs(recipe, tmp_path):
    path = tmp_path / "livers.yaml"
    path.write_text(RECIPE.replace("metrics: [dice, pq]", "metrics: [dice, ece_top]"))
    with pytest.raises(
        RecipeError,
        match=r"livers\.yaml:15: .*ece_top needs labels that exclude each other, and liver includes lesion",
    ):
        verbs.check(path, out=tmp_path / "audit")
