"""A model of image-level labels from its recipe to its report: no mask is written, none is judged."""

import csv
import json
import re
import shutil

import cv2
import numpy as np
import pytest

from delineate import load_recipe, verbs
from delineate.evaluation.table import Table
from delineate.verbs._evaluation import summary
from delineate.verbs.train import check_calls

RECIPE = """\
data: {phantom: {scene: chest, cases: 40, shape: [64, 64], split: {train: 0.4, val: 0.3, test: 0.3}}}
labels: {pneumothorax: 1, lung: 2}
task: presence
prepare: [{resize: {shape: [32, 32]}}, {standardize: image}]
model: {classifier: {encoder: resnet10t}}
loss: bce
trainer: {epochs: 1, batch_size: 8, monitor: val/image_auroc, loggers: []}
metrics: [image_auroc, image_sensitivity]
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("presence") / "presence.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def run(recipe):
    return verbs.train(recipe, run=recipe.parent / "run")


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_writes_labels_and_no_masks(run):
    assert not (run / "overlays").exists()
    assert [path.name for path in (run / "predictions").iterdir()] == ["predictions.csv"]
    said = rows(run / "predictions" / "predictions.csv")
    assert {row["label"] for row in said} == {"pneumothorax", "lung"}
    assert all(0 <= float(row["presence"]) <= 1 for row in said)
    assert {row["shows"] for row in said} <= {"yes", "no"}
    judged = rows(run / "cases.csv")
    assert len(judged) == len(said)
    assert {row["image_truth"] for row in judged if row["label"] == "lung"} == {"True"}
    assert all(row["tp"] == "" and row["prediction_samples"] == "" for row in judged)


def test_validation_and_evaluation_read_the_same_table(run):
    (last,) = rows(run / "metrics.csv")
    table = verbs.evaluate(run, split="val")
    # lung is in every image, so the AUROC of pneumothorax is the mean over labels
    assert float(last["val/image_auroc"]) == pytest.approx(
        table.headline("pneumothorax", "image_auroc"), abs=1e-5
    )
    verbs.evaluate(run)


def test_scores_are_of_images_with_intervals_and_reasons(run):
    scores = json.loads((run / "scores.json").read_text())
    one, lung = (scores["labels"][name] for name in ("pneumothorax", "lung"))
    assert list(one["metrics"])[:2] == ["image_auroc", "image_sensitivity"]
    assert {"image_specificity", "image_brier", "image_ece"} <= set(one["metrics"])
    assert "dice" not in one["metrics"]
    assert one["images_with"] + one["images_without"] == one["cases"]
    assert lung["metrics"]["image_auroc"]["pooled"] is None
    assert lung["metrics"]["image_auroc"]["reason"] == "every image shows it"
    assert one["metrics"]["image_sensitivity"]["cases"] == one["images_with"]
    table = Table.load(run / "cases.csv")
    assert table.pooled("pneumothorax", "image_auroc") == one["metrics"]["image_auroc"]["pooled"]
    assert table.rows[0].image_probability is not None
    said = summary(run)
    assert "every image shows it" in said
    assert "Empty masks" not in said


def test_the_report_shows_decisions_and_nothing_of_masks(run):
    page = (run / "report.html").read_text().replace("the Dice on validation", "")
    page = re.sub(r"In simulations of skewed Dice", "", page)
    assert "Classification report" in page
    for heading in ("ROC curve", "Precision-recall curve", "Reliability", "Decisions"):
        assert heading in page
    for stranger in ("HD95", "Dice", "Empty masks", "truth, over the prediction"):
        assert stranger not in page
    assert "Image-level classification (presence)" in page


def test_calibrating_changes_probabilities_and_no_decision(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    before = rows(copy / "predictions" / "predictions.csv")
    card = json.loads((copy / "bundle" / "card.json").read_text())
    known = dict(card["calibration"])
    assert known["nll_after"] <= known["nll_before"] + 1e-9
    assert set(known["review"]["thresholds"]) == {"pneumothorax", "lung"}
    again = verbs.calibrate(copy)
    assert again["temperature"] == pytest.approx(known["temperature"])
    card["calibration"]["temperature"] = 3.0
    (copy / "bundle" / "card.json").write_text(json.dumps(card))
    verbs.rehash(copy)
    verbs.evaluate(copy)
    after = rows(copy / "predictions" / "predictions.csv")
    assert [row["shows"] for row in after] == [row["shows"] for row in before]
    for old, new in zip(before, after, strict=True):
        p, q = float(old["presence"]), float(new["presence"])
        logits = np.log(p / (1 - p)) * known["temperature"], np.log(q / (1 - q)) * 3
        assert logits[1] == pytest.approx(logits[0], rel=1e-6)


def test_predicting_writes_one_table(run, tmp_path):
    for name in "ab":
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((40, 50), 90, np.uint8))
    done = verbs.predict(run, [tmp_path], tmp_path / "out")
    assert not done.failures
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "predictions.csv",
        "predictions.jsonl",
    }
    said = rows(tmp_path / "out" / "predictions.csv")
    assert len(said) == 4
    assert {row["review"] for row in said} <= {"yes", "no"}
    assert "masks" not in done.lines[1]
    verbs.predict(run, [tmp_path / "a.png"], tmp_path / "out")
    assert len(rows(tmp_path / "out" / "predictions.csv")) == 4
    with pytest.raises(ValueError, match="Leave out --probabilities"):
        verbs.predict(run, [tmp_path / "a.png"], tmp_path / "maps", probabilities=True)
    assert not (tmp_path / "maps").exists()


def test_labels_of_a_table_are_enough(tmp_path):
    """Of images without masks; the column of one label is empty for some."""
    rng = np.random.default_rng(0)
    with open(tmp_path / "cases.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "image", "patient", "bright", "ct", "site"])
        for i in range(36):
            bright = i % 2
            pixels = rng.integers(0, 90, (40, 48)) + 120 * bright
            cv2.imwrite(str(tmp_path / f"{i}.png"), pixels.astype(np.uint8))
            known = "" if i % 3 == 0 else ("no", "yes")[i % 5 < 2]
            table.writerow([i, f"{i}.png", f"p{i}", bright, known, "ab"[i % 3 == 0]])
    (tmp_path / "table.yaml").write_text(
        RECIPE.replace(
            "data: {phantom: {scene: chest, cases: 40, shape: [64, 64], split: {train: 0.4, val: 0.3, test: 0.3}}}",
            "data: {folder: {root: ., table: cases.csv, group: 'column:patient', stratify: labels, "
            "present: {bright: bright, ct: ct}, split: {train: 0.4, val: 0.3, test: 0.3}}}",
        ).replace("{pneumothorax: 1, lung: 2}", "{bright: 1, ct: 2}")
    )
    run = verbs.train(tmp_path / "table.yaml", run=tmp_path / "run")
    scores = json.loads((run / "scores.json").read_text())
    one, ct = (scores["labels"][name] for name in ("bright", "ct"))
    assert one["images_with"] + one["images_without"] == one["cases"]
    assert ct["images_unknown"] > 0
    judged = rows(run / "cases.csv")
    assert {row["image_truth"] for row in judged if row["label"] == "ct"} == {"", "True", "False"}
    assert all(row["truth_size"] == row["prediction_size"] == "" for row in judged)
    assert "Classification report" in (run / "report.html").read_text()
    known = verbs.calibrate(run)["labels"]
    assert 0 < known["ct"]["cases"] < known["bright"]["cases"]
    assert not verbs.predict(run, [tmp_path / "0.png"], tmp_path / "out").failures


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrics": ["dice"], "trainer.monitor": "val/dice"}, "dice needs a label map, and the task presence"),
        ({"metrics": ["auroc"], "trainer.monitor": "val/loss"}, "auroc needs a label map and the probability"),
        ({"refine": ["fill_holes"]}, "fill_holes changes masks"),
        ({"task": "semantic", "model": "unet"}, "image_auroc needs image-level labels, and the task semantic"),
    ],
)  # fmt: skip
def test_check_refuses_what_the_task_does_not_give(recipe, change, message):
    overrides = [f"{key}={value}" for key, value in change.items()]
    with pytest.raises(ValueError, match=message):
        check_calls(load_recipe(recipe, overrides))


def test_judging_masks_by_the_presence_model_is_refused_by_name(run):
    with pytest.raises(
        ValueError, match="dice needs a label map, and the task presence gives image-level labels"
    ):
        verbs.evaluate(run, metrics=["dice"])


def test_auroc_of_samples_can_be_monitored(tiny_recipe, tmp_path):
    """It used to pass check, and to fail after the first epoch."""
    overrides = ["metrics=[dice, auroc, mask_ap]", "trainer.epochs=1", "trainer.monitor=val/auroc"]
    run = verbs.train(tiny_recipe, overrides=overrides, run=tmp_path / "auroc" / "run")
    (last,) = rows(run / "metrics.csv")
    table = verbs.evaluate(run, split="val")
    for name in ("dice", "auroc", "mask_ap"):
        assert float(last[f"val/{name}"]) == pytest.approx(table.headline("polyp", name), abs=1e-5)
