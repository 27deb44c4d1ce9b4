"""From the official tree of NeoPolyp to the submission file, and back to the masks."""

import csv
import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg

from delineate import load_bundle, load_cases, load_recipe, read_mask, verbs
from delineate.cli import main
from delineate.data import cases_of
from delineate.files import RUN_LENGTH_TABLES, read_geometry

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("neopolyp-*.yaml"))
NEOPOLYP = RUN_LENGTH_TABLES["neopolyp-csv"]
DRAWN = """\
data: {phantom: {scene: endoscopy, cases: 16, shape: [72, 90], split: {all: 1.0}}}
labels: {neoplastic: 1, non_neoplastic: 2}
prepare: [{channels: 3}]
model: unet
loss: dice
"""
RECIPE = """\
# delineate train bkai.yaml
# two steps
data: {neopolyp: {root: bkai, split: {train: 0.5, val: 0.25, test: 0.25}}}
labels: {non_neoplastic: {value: 1, kind: thing}, neoplastic: {value: 2, kind: thing}}
prepare: [{channels: 3}, {resize: {shape: [32, 32]}}, {standardize: imagenet}]
model: {unet: {features: [4, 8]}}
loss: [cross_entropy, dice]
optimizer: {adamw: {lr: 1.0e-2}}
trainer: {epochs: 1, batch_size: 4, device: cpu, loggers: []}
metrics: [dice, dice_empty1]
"""


def write_jpeg(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=90))


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """The tree of drawn frames, and a run trained on it for two steps."""
    desk = tmp_path_factory.mktemp("neopolyp")
    (desk / "drawn.yaml").write_text(DRAWN)
    colours = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], np.uint8)
    for i, case in enumerate(load_cases(load_recipe(desk / "drawn.yaml"))["all"]):
        picture = case.image.pixels.transpose(1, 2, 0)
        if i >= 12:
            write_jpeg(desk / f"bkai/test/frame{i}.jpeg", picture[: 60 + i])
            continue
        write_jpeg(desk / f"bkai/train/frame{i}.jpeg", picture)
        write_jpeg(desk / f"bkai/train_gt/frame{i}.jpeg", colours[case.truth.classes])
    (desk / "bkai.yaml").write_text(RECIPE)
    verbs.train(desk / "bkai.yaml", run=desk / "run")
    return desk


@pytest.fixture
def predict(desk, tmp_path):
    def run(*words, images="bkai/test", out="out"):
        return main(
            ["predict", str(desk / "run"), str(desk / images), "-o", str(tmp_path / out), *words]
        )

    return run


def test_a_run_that_names_a_metric_as_it_was_called_before_is_evaluated(desk, tmp_path, sealed):
    run = tmp_path / "old"
    shutil.copytree(desk / "run", run)
    for path in (run / "recipe.yaml", run / "bundle/recipe.yaml"):
        path.write_text(path.read_text().replace("dice_empty1", "dice_swept"))
    sealed(run / "bundle")
    table = verbs.evaluate(run)
    assert "dice_sweep_mean" in table.metrics
    assert "dice_sweep_mean" in (run / "scores.json").read_text()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_can_be_trained_on_the_official_tree(desk, recipe):
    plan = load_recipe(
        recipe, [f"data.neopolyp.root={desk / 'bkai'}", "data.neopolyp.stratify=labels"]
    )
    assert plan.data.name == "neopolyp"
    assert sum(map(len, load_cases(plan).values())) == 12


def shapes_in(folder):
    return {path.stem: read_geometry(path).shape for path in folder.iterdir()}


def test_both_conventions_are_reported(desk):
    scores = json.loads((desk / "run/scores.json").read_text())["labels"]
    for label in ("neoplastic", "non_neoplastic"):
        assert {"dice", "dice_empty1"} <= set(scores[label]["metrics"])
    assert scores["all"]["metrics"]["dice_empty1"]["mean"] is not None
    assert "both empty 1" in (desk / "run/report.html").read_text()


def test_the_submission_is_read_back_to_the_masks_that_were_predicted(
    desk, predict, tmp_path, capsys
):
    assert predict("--to", "neopolyp-csv") == 0
    assert f"run lengths: {tmp_path / 'out/neopolyp.csv'}" in capsys.readouterr().out
    shapes = shapes_in(desk / "bkai/test")
    assert set(shapes.values()) == {(72, 90)}
    predictor = load_bundle(desk / "run", device="cpu")
    labels = load_recipe(desk / "bkai.yaml").labels
    found = NEOPOLYP.read(tmp_path / "out/neopolyp.csv", shapes, labels)
    for case in cases_of(desk / "bkai/test"):
        written = read_mask(tmp_path / f"out/{case.id}.png").pixels[0]
        np.testing.assert_array_equal(found[case.id].classes, written)
        np.testing.assert_array_equal(found[case.id].classes, predictor(case).classes)
    assert any(found[name].classes.any() for name in shapes), "two steps predict nothing at all"
    with open(tmp_path / "out/neopolyp.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["Id", "Expected"]
    assert [row[0] for row in rows] == [f"frame{i}_{c}" for i in range(12, 16) for c in (0, 1)]


def test_a_second_run_keeps_the_rows_of_other_images(desk, predict, tmp_path):
    path = tmp_path / "out/neopolyp.csv"
    assert predict("--to", "neopolyp-csv", images="bkai/test/frame14.jpeg") == 0
    assert predict("--to", "neopolyp-csv", images="bkai/test/frame1[23].jpeg") == 0
    assert list(NEOPOLYP.read_rows(path)) == [f"frame{i}_{c}" for i in (12, 13, 14) for c in (0, 1)]
    once = path.read_bytes()
    assert predict("--to", "neopolyp-csv", images="bkai/test/frame1[234].jpeg") == 0
    assert path.read_bytes() == once


def test_a_file_that_was_changed_is_kept(predict, tmp_path, capsys):
    path = tmp_path / "out/neopolyp.csv"
    path.parent.mkdir()
    path.write_text("mine\n")
    assert predict("--to", "neopolyp-csv") == 2
    assert "neopolyp.csv was not written by delineate predict" in capsys.readouterr().err
    assert path.read_text() == "mine\n"
    assert [p.name for p in path.parent.iterdir()] == ["neopolyp.csv"]
    assert predict("--to", "neopolyp-csv", "--overwrite") == 0
    assert len(NEOPOLYP.read_rows(path)) == 8


def test_an_image_that_fails_has_no_row_and_the_others_do(desk, predict, tmp_path, capsys):
    folder = tmp_path / "broken"
    folder.mkdir()
    for name in ("frame12", "frame13"):
        (folder / f"{name}.jpeg").write_bytes((desk / f"bkai/test/{name}.jpeg").read_bytes())
    (folder / "frame13.jpeg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    assert predict("--to", "neopolyp-csv", images=folder) == 2
    assert "frame13.jpeg" in capsys.readouterr().err
    assert list(NEOPOLYP.read_rows(tmp_path / "out/neopolyp.csv")) == ["frame12_0", "frame12_1"]


def test_a_name_that_no_row_can_hold_is_refused_before_anything_is_predicted(
    desk, predict, tmp_path, capsys
):
    folder = tmp_path / "odd"
    folder.mkdir()
    try:
        shutil.copy(desk / "bkai/test/frame12.jpeg", folder / os.fsdecode(b"caf\xe9.jpeg"))
    except OSError:
        pytest.skip("file names are UTF-8 here")
    assert predict("--to", "neopolyp-csv", images=folder) == 2
    assert "cannot be written to neopolyp-csv" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_image_that_fails_keeps_the_rows_of_an_earlier_run(desk, predict, tmp_path):
    folder = tmp_path / "images"
    shutil.copytree(desk / "bkai/test", folder)
    assert predict("--to", "neopolyp-csv", images=folder) == 0
    before = NEOPOLYP.read_rows(tmp_path / "out/neopolyp.csv")
    (folder / "frame13.jpeg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    assert predict("--to", "neopolyp-csv", images=folder) == 2
    assert NEOPOLYP.read_rows(tmp_path / "out/neopolyp.csv") == before


def test_images_of_one_name_are_refused(desk, predict, tmp_path, capsys):
    for folder in "ab":
        (tmp_path / "two" / folder).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "two" / folder / "frame.png"), np.zeros((40, 40, 3), np.uint8))
    assert predict("--to", "neopolyp-csv", images=tmp_path / "two") == 2
    assert "a/frame and b/frame have the same name" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--to", "neopolyp"], "--to neopolyp: no such format; did you mean 'neopolyp-csv'"),
        (["--to-label", "neoplastic=x"], "Give it with --to"),
        (
            ["--to", "neopolyp-csv", "--to-label", "neoplastic=x"],
            "no label 'x' for the class neoplas",
        ),
        (["--to", "neopolyp-csv", "--to-label", "red=neoplastic"], "has no class 'red'"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_predicted(
    predict, words, told, tmp_path, capsys
):
    assert predict(*words) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_model_of_other_labels_says_which_class_they_are(tiny_run, desk, tmp_path, capsys):
    words = ["predict", str(tiny_run), str(desk / "bkai/test"), "-o", str(tmp_path / "out")]
    assert main([*words, "--to", "neopolyp-csv"]) == 2
    assert "the labels are polyp. Write --to-label neoplastic=polyp" in capsys.readouterr().err
    classes = ["--to-label", "neoplastic=polyp", "--to-label", "non_neoplastic="]
    assert main([*words, "--to", "neopolyp-csv", *classes]) == 0
    rows = NEOPOLYP.read_rows(tmp_path / "out/neopolyp.csv")
    for name, shape in shapes_in(desk / "bkai/test").items():
        mask = read_mask(tmp_path / f"out/{name}.png").pixels[0] > 0
        np.testing.assert_array_equal(NEOPOLYP.code.read(rows[f"{name}_0"], shape), mask)
        assert rows[f"{name}_1"] == ""


COLOURED = """\
labels: {neoplastic: {value: 1, kind: thing}, non_neoplastic: {value: 2, kind: thing}}
values: {neoplastic: "#ff0000", non_neoplastic: "#00ff00"}
tolerance: jpeg
"""


@pytest.fixture
def judged(desk, tmp_path, monkeypatch):
    """Judge a submission file of the training frames against their coloured masks."""
    monkeypatch.chdir(desk)

    def call(file, labels=COLOURED, out="judged", *more, truth="bkai/train_gt"):
        (tmp_path / "labels.yaml").write_text(labels)
        words = ["--truth", str(truth), "--predictions", str(file)]
        words += ["--labels", str(tmp_path / "labels.yaml"), "-o", str(tmp_path / out), *more]
        return main(["evaluate", *words])

    return call


@pytest.fixture
def submission(predict, tmp_path):
    """The rows of the run's prediction of the training frames."""
    assert predict("--to", "neopolyp-csv", images="bkai/train") == 0
    return NEOPOLYP.read_rows(tmp_path / "out/neopolyp.csv")


def test_a_submission_is_judged_as_its_masks_are(desk, judged, submission, tmp_path):
    (tmp_path / "masks").mkdir()
    for path in (tmp_path / "out").glob("*.png"):
        shutil.copy(path, tmp_path / "masks")
    for cases in load_cases(load_recipe(desk / "bkai.yaml")).values():
        for case in cases:
            (tmp_path / "truth").mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / f"truth/{case.id}.png"), case.truth.classes)
    labels, truth = "labels: {non_neoplastic: 1, neoplastic: 2}\n", tmp_path / "truth"
    assert judged(tmp_path / "out/neopolyp.csv", labels, truth=truth) == 0
    assert judged(tmp_path / "masks", labels, "of-masks", truth=truth) == 0
    ours, theirs = (
        list(csv.DictReader((tmp_path / out / "cases.csv").read_text().splitlines()))
        for out in ("judged", "of-masks")
    )
    assert ours == theirs
    assert any(float(row["dice"] or 0) > 0 for row in ours), "nothing was predicted rightly"
    assert "neopolyp" in (tmp_path / "judged/report.html").read_text()


def test_its_classes_may_have_other_names_or_be_one(judged, submission, tmp_path):
    labels = """\
labels: {polyp: 1}
values: {polyp: ["#ff0000", "#00ff00"]}
tolerance: jpeg
predictions: {polyp: [neoplastic, non_neoplastic]}
"""
    assert judged(tmp_path / "out/neopolyp.csv", labels) == 0
    left_out = (
        COLOURED
        + "predictions: {neoplastic: neoplastic, non_neoplastic: [], background: non_neoplastic}\n"
    )
    assert judged(tmp_path / "out/neopolyp.csv", left_out, "left-out") == 0
    with open(tmp_path / "left-out/cases.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["prediction_samples"] for row in rows if row["label"] == "non_neoplastic"} == {"0"}


HOSTILE = {
    "unknown": (lambda rows: rows | {"frame99_0": "1 1"}, "1 rows are of no known image: frame99_0"),
    "path": (lambda rows: rows | {"../../x_0": "1 1"}, "1 rows are of no known image: ../../x_0"),
    "escape": (lambda rows: rows | {"a\x1b[2J_0": "1 1"}, r"no known image: 'a\x1b[2J_0'"),
    "missing": (lambda rows: (rows.pop("frame3_1") and rows) or rows, "1 rows are missing: frame3_1"),
    "beyond": (lambda rows: rows | {"frame3_0": "6480 2", "frame3_1": ""}, "frame3_0: a run ends at pixel 6481"),
    "overlap": (lambda rows: rows | {"frame3_0": "5 2", "frame3_1": "6 1"}, "frame3_1: overlaps"),
    "huge": (lambda rows: rows | {"frame3_0": "9" * 18 + " 1"}, "frame3_0: has the number 9999"),
    "longer": (lambda rows: rows | {"frame3_0": "9" * 5000 + " 1"}, "frame3_0: expected pairs"),
    "odd": (lambda rows: rows | {"frame3_0": "1 2 3"}, "frame3_0: has 3 numbers"),
    "words": (lambda rows: rows | {"frame3_0": "=cmd()"}, "frame3_0: expected pairs"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_submission_with_a_bad_row_is_refused_by_its_name(
    kind, judged, submission, tmp_path, capsys
):
    change, message = HOSTILE[kind]
    NEOPOLYP.write(change(dict(submission)), tmp_path / "theirs.csv")
    assert judged(tmp_path / "theirs.csv") == 2
    told = capsys.readouterr().err
    assert message in told
    assert "theirs.csv" in told
    assert "Traceback" not in told
    assert "\x1b" not in told
    assert not (tmp_path / "judged").exists()


@pytest.mark.parametrize(
    ("content", "labels", "more", "message"),
    [
        (b"id,mask\n", COLOURED, [], "begins with 'id,mask'; expected 'Id,Expected' (neopolyp-csv)"),
        (b"\xff\xfe\n", COLOURED, [], "theirs.csv: begins with"),
        (b"Id,Expected\na_0,1 1\na_0,1 1\n", COLOURED, [], "theirs.csv:3: a second row for 'a_0'"),
        (b"Id,Expected\n", COLOURED.replace("non_neo", "neo2"), [], "neo2plastic has no class 'neo2plastic'"),
        (b"Id,Expected\n", COLOURED + "predictions: {neoplastic: neoplastic}\n", [], "does not name non_neoplastic"),
        (b"Id,Expected\n", COLOURED + "predictions: {neoplastic: neoplastic, non_neoplastic: []}\n", [],
         "no label was given for non_neoplastic"),
        (b"Id,Expected\n", COLOURED, ["--prediction-pattern", "{stem}_a"], "no pattern of mask names applies"),
    ],
)  # fmt: skip
def test_another_file_or_other_labels_are_refused(
    content, labels, more, message, judged, tmp_path, capsys
):
    (tmp_path / "theirs.csv").write_bytes(content)
    assert judged(tmp_path / "theirs.csv", labels, "judged", *more) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "judged").exists()
