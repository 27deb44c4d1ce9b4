"""From a run to a model that knows its confidence."""

import csv
import importlib
import json
import shutil
from contextlib import nullcontext
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit

from delineate import load_bundle, load_cases, load_recipe, verbs
from delineate.bundle import open_bundle
from delineate.core import Case, Geometry, Image, Label, LabelSet, Segmentation
from delineate.files import write_image
from delineate.inference.confidence import expected_dice
from delineate.inference.temperature import at_bound, ece, fit_temperature, nll, seen_probabilities
from delineate.resolve import NOBODY
from delineate.verbs.calibrate import calibrate

LABELS = LabelSet((Label("polyp", 1), Label("unclear", 9, "ignore")))


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
    assert {"ece_everywhere_before", "ece_everywhere_after"} <= entry.keys()
    assert entry["at_bound"] == at_bound(entry["temperature"])
    assert entry["labels"]["polyp"]["cases"] == 5
    predictor = load_bundle(run)
    after = predictor(case)
    assert predictor.temperature == entry["temperature"] != 1
    assert np.array_equal(after.classes, before.classes)
    assert after.scores != before.scores
    assert calibrate(run, review=0.25)["temperature"] == entry["temperature"]


def test_the_table_says_whom_to_ask(run, tiny_recipe, tmp_path):
    for case in load_cases(load_recipe(tiny_recipe))["val"]:
        write_image(case.image, tmp_path / "photos" / f"{case.id}.png")

    def rows():
        verbs.predict(run, [tmp_path / "photos"], tmp_path / "masks", overlays=False)
        with open(tmp_path / "masks" / "predictions.csv", newline="") as file:
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
    with pytest.raises(ValueError, match="is not a run"):
        calibrate(tmp_path)


def made(name, side, sure, rng, *, empty=False, ignored=False):
    """A case of side x side samples, and what a model that is too sure by the factor `sure` makes of it."""
    logits = rng.normal(-12 if empty else -1, 2, (side, side))
    classes = (rng.random((side, side)) < expit(logits)).astype(np.uint8)
    classes[:] *= not empty
    if ignored:  # where it is wrong, and very sure of it
        logits[: side // 2] = 9.0
        classes[: side // 2] = 9
    p = expit(logits * sure).astype(np.float32)
    grid = Geometry.in_pixels((side, side))
    image = Image(np.zeros((1, side, side), np.uint8), grid)
    truth = Segmentation(classes, LABELS, grid)
    prediction = Segmentation(
        (p > 0.5).astype(np.uint8), LABELS, grid, probabilities=np.stack([1 - p, p])
    )
    return Case(name, name, lambda: image, lambda: truth), prediction, truth


@dataclass(frozen=True)
class Given:
    """A predictor whose predictions are given, by the id of the case."""

    finds: dict
    task: SimpleNamespace
    temperature: float = 1.0

    def __call__(self, case):
        return self.finds[case.id]


@pytest.fixture
def calibrated(monkeypatch, tmp_path):
    """What calibrating a model makes of these cases, without a run: what it finds is given."""

    def of(cases, review):
        module = importlib.import_module("delineate.verbs.calibrate")
        finds = {case.id: found for case, found, _ in cases}
        run = SimpleNamespace(
            path=tmp_path,
            cases=lambda: {"val": tuple(case for case, _, _ in cases)},
            recipe=SimpleNamespace(labels=LABELS),
            locked=nullcontext,
            trust=NOBODY,
        )
        card = SimpleNamespace(update_card=lambda **_: None)
        monkeypatch.setattr(module, "RunFolder", SimpleNamespace(find=lambda *_: run))
        given = Given(finds, SimpleNamespace(gives={"classes", "probabilities"}))
        monkeypatch.setattr(module, "load_bundle", lambda *_, **__: given)
        monkeypatch.setattr(module, "open_bundle", lambda *_: card)
        return calibrate(tmp_path, review=review)

    return of


def test_each_case_counts_the_same_and_what_is_ignored_not_at_all(calibrated):
    rng = np.random.default_rng(0)
    cases = [
        made("large", 160, 3.0, rng),
        made("small", 40, 0.8, rng),
        made("part", 60, 1.0, rng, ignored=True),
    ]
    seen = 0
    for _, prediction, truth in cases:
        judged = truth.classes != 9
        counts = seen_probabilities(
            prediction.probabilities[1][judged], truth.mask("polyp")[judged]
        )
        seen = seen + counts / judged.sum()
    entry = calibrated(cases, review=0.0)
    assert entry["temperature"] == pytest.approx(fit_temperature(seen))
    assert 0.8 < entry["temperature"] < 2.5  # near 3 if large cases counted more
    assert entry["nll_before"] == pytest.approx(nll(seen, 1.0))
    assert entry["nll_after"] == pytest.approx(nll(seen, entry["temperature"]))
    assert entry["ece_everywhere_before"] == pytest.approx(ece(seen, 1.0))
    assert entry["ece_everywhere_after"] == pytest.approx(ece(seen, entry["temperature"]))


def test_a_case_rightly_found_to_be_empty_may_be_sent_to_a_person_too(calibrated):
    rng = np.random.default_rng(1)
    cases = [made(f"empty {i}", 20, 1.0, rng, empty=True) for i in range(3)]
    cases += [made(f"full {i}", 20, 1.0, rng) for i in range(3)]
    for i in range(3):  # a faint shadow somewhere: nothing is found, and it is not sure of it
        case, prediction, truth = cases[i]
        p = prediction.probabilities[1].copy()
        p[0, 0] = 0.45 - 0.01 * i
        cases[i] = case, replace(prediction, probabilities=np.stack([1 - p, p])), truth
    entry = calibrated(cases, review=0.5)
    scale = {"temperature": entry["temperature"]}
    sure = sorted(expected_dice(prediction, **scale)["polyp"] for _, prediction, _ in cases)
    assert entry["labels"]["polyp"]["cases"] == 3  # of three there is no Dice
    assert entry["review"]["thresholds"]["polyp"] == pytest.approx(sure[3])


def test_a_temperature_at_the_end_of_the_search_is_said(calibrated):
    case, prediction, truth = made("a", 20, 1.0, np.random.default_rng(2))
    right = np.where(truth.mask("polyp"), 0.9, 0.1).astype(np.float32)
    prediction = replace(prediction, probabilities=np.stack([1 - right, right]))
    entry = calibrated([(case, prediction, truth)], review=0.0)
    assert entry["at_bound"] is True
    assert entry["temperature"] == pytest.approx(0.1, rel=0.01)
