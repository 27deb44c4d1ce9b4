"""From a run to a model that knows its confidence."""

import csv
import json
import shutil

import numpy as np
import pytest

from delineate import load_bundle, load_cases, load_recipe, verbs
from delineate.bundle import open_bundle
from delineate.files import write_image
from delineate.verbs.calibrate import calibrate


@pytest.fixture
def run(tiny_run, tmp_path):
    return shutil.copytree(tiny_run, tmp_path / "run")


def test_what_was_fitted_is_in_the_card_and_used(run, tiny_recipe):
    case = load_cases(load_recipe(tiny_recipe))["val"][0]
    open_bundle(run).update_card(calibration={})
    before = load_bundle(run)(case)
    entry = calibrate(run, review=0.25)
    assert json.loads((run / "bundle" / "card.json").read_text())["calibration"] == entry
    assert (entry["split"], entry["cases"]) == ("val", 5)
    assert entry["nll_after"] <= entry["nll_before"]
    assert entry["labels"]["polyp"]["cases"] == 5
    predictor = load_bundle(run)
    after = predictor(case)
    assert predictor.temperature == entry["temperature"] != 1
    assert np.array_equal(after.classes, before.classes)
    assert after.scores != before.scores
    assert calibrate(run, review=0.25)["temperature"] == entry["temperature"]


def test_found_csv_says_whom_to_ask(run, tiny_recipe, tmp_path):
    for case in load_cases(load_recipe(tiny_recipe))["val"]:
        write_image(case.image, tmp_path / "photos" / f"{case.id}.png")

    def rows():
        verbs.predict(run, [tmp_path / "photos"], tmp_path / "masks", overlays=False)
        with open(tmp_path / "masks" / "found.csv", newline="") as file:
            return list(csv.DictReader(file))

    open_bundle(run).update_card(calibration={})
    assert {row["review"] for row in rows()} == {""}
    entry = calibrate(run, review=0.25)
    least = entry["review"]["thresholds"]["polyp"]
    found = rows()
    expected = [float(row["expected_dice"]) for row in found]
    assert np.mean(expected) == pytest.approx(entry["labels"]["polyp"]["expected_after"], abs=1e-3)
    assert [row["review"] for row in found].count("yes") == 1
    assert found[np.argmin(expected)]["review"] == "yes"
    assert min(expected) < least


def test_refuses_what_it_cannot_fit(run, tmp_path):
    with pytest.raises(ValueError, match="no split 'validation' to calibrate on; there are train"):
        calibrate(run, split="validation")
    with pytest.raises(ValueError, match="review is 8"):
        calibrate(run, review=8)
    with pytest.raises(ValueError, match="no run there"):
        calibrate(tmp_path)
