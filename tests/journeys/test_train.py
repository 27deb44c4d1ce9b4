"""What training leaves, and the settings that change it."""

import csv
import json
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from delineate import load_bundle, load_cases, load_recipe, verbs
from delineate.cli import main
from delineate.models.emcad import emcad


def rows(run):
    with open(run / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_what_it_says(tiny_run):
    there = {path.name for path in tiny_run.iterdir()}
    assert there >= {
        "bundle",
        "cases.csv",
        "checkpoints",
        "log.txt",
        "metrics.csv",
        "figures",
        "overlays",
        "predictions",
        "recipe.yaml",
        "report.html",
        "scores.json",
        "split.csv",
    }
    card = json.loads((tiny_run / "bundle" / "card.json").read_text())
    assert card["labels"] == ["polyp"]
    assert (card["channels"], card["ndim"], card["seed"]) == (3, 2, 0)
    assert len(card["data"]["sha256"]) == 64
    assert sum(card["data"]["cases"].values()) == 16
    assert "Not a medical device" in card["intended_use"]
    assert card["fingerprint"]["images"] == 8
    (model,) = card["model"].items()
    assert (model[0], model[1]["norm"], model[1]["activation"]) == ("unet", "batch", "relu")
    assert card["fingerprint"]["channels"] == [3]
    assert card["scores"]["test"]["cases"] == 3
    assert [row["epoch"] for row in rows(tiny_run)] == ["1", "2", "3"]
    assert {path.name for path in tiny_run.rglob(".*")} <= {".lock"}


def test_a_run_keeps_a_log_that_can_be_read(tiny_run):
    lines = (tiny_run / "log.txt").read_text().splitlines()
    told = [line.split("  ", 1)[1] for line in lines if line.startswith("20")]
    begins = ["run: ", "started: ", "commit ", "train ", "val ", "test ", "images ", "preparing: 8 of 8", "epoch 1: ",
              "epoch 3: ", "training: 6 of 6 steps", "calibrated on val", "evaluated on test", "finished"]  # fmt: skip
    places = [next(i for i, line in enumerate(told) if line.startswith(b)) for b in begins]
    assert places == sorted(places)
    epochs = [line for line in told if line.startswith("epoch ")][:3]
    for name in ("train/loss", "val/loss", "val/dice", "lr", "seconds"):
        assert all(name in line for line in epochs)
    best = [i for i, line in enumerate(epochs, 1) if line.endswith("; new best")]
    assert best[-1] == json.loads((tiny_run / "bundle/card.json").read_text())["training"]["epoch"]


def test_evaluating_again_gives_the_same_scores(tiny_run):
    before = (tiny_run / "cases.csv").read_text()
    verbs.evaluate(tiny_run)
    assert (tiny_run / "cases.csv").read_text() == before
    with pytest.raises(ValueError, match="no split 'tset'"):
        verbs.evaluate(tiny_run, split="tset")


def test_python_and_the_command_line_say_the_same(tiny_run, capsys):
    assert main(["evaluate", str(tiny_run), "--split", "val"]) == 0
    said = capsys.readouterr().out
    table = verbs.evaluate(tiny_run, split="val")
    assert f"{table.means()['polyp']['dice']:.3f}" in said
    verbs.evaluate(tiny_run)


def test_the_best_epoch_is_the_one_kept(tiny_run):
    scores = [float(row["val/dice"]) for row in rows(tiny_run)]
    card = json.loads((tiny_run / "bundle" / "card.json").read_text())
    assert card["training"]["epoch"] == 1 + int(np.argmax(scores))
    predictor = load_bundle(tiny_run)
    cases = load_cases(load_recipe(tiny_run / "recipe.yaml"))["val"]
    from delineate.metrics import load_metrics
    from delineate.training.options import validation_metrics

    dice = load_metrics(validation_metrics(load_recipe(tiny_run / "recipe.yaml")))["dice"]
    again = [dice(predictor(case), case.truth)["polyp"] for case in cases]
    assert np.nanmean(again) == pytest.approx(max(scores), abs=1e-5)


def test_time_ends_a_run_and_stretches_the_schedule(tiny_recipe, tmp_path):
    run = tmp_path / "tiny" / "timed"
    begun = time.monotonic()
    overrides = ["trainer.max_time=3s", "trainer.epochs=10000", "trainer.val_every=1000"]
    verbs.train(tiny_recipe, overrides=overrides, run=run)
    assert time.monotonic() - begun < 60
    last = rows(run)[-1]
    assert float(last["seconds"]) == pytest.approx(3, abs=2)
    assert float(last["lr"]) < 0.01 * 0.1
    assert last["val/dice"] != ""


def test_patience_ends_a_run(tiny_recipe, tmp_path):
    run = tmp_path / "tiny" / "patient"
    overrides = ["trainer.patience=1", "trainer.epochs=50", "optimizer.adamw.lr=1e-12", "trainer.ema=null",
                 "model.unet.norm=instance"]  # fmt: skip
    verbs.train(tiny_recipe, overrides=overrides, run=run)
    assert len(rows(run)) == 3
    assert "stopped early: no new best in the last 2 validations" in (run / "log.txt").read_text()


def test_the_average_is_what_is_kept(tiny_recipe, tiny_run, tmp_path):
    run = tmp_path / "tiny" / "plain"
    verbs.train(tiny_recipe, overrides=["trainer.ema=null"], run=run)
    ours, theirs = (load_file(r / "bundle" / "weights.safetensors") for r in (run, tiny_run))
    assert any(not np.array_equal(ours[name], theirs[name]) for name in ours)


def test_accumulating_and_balancing_and_plain_precision(tiny_recipe, tmp_path):
    overrides = ["trainer.accumulate=2", "trainer.oversample_foreground=0.5", "trainer.precision=fp32",
                 "data.phantom.cases=40", "trainer.epochs=1", "trainer.loggers=[tensorboard]",
                 "trainer.workers=1"]  # fmt: skip
    run = verbs.train(tiny_recipe, overrides=overrides, run=tmp_path / "tiny" / "more")
    assert len(rows(run)) == 1
    assert list((run / "tensorboard").glob("events*"))


def test_a_run_without_validation_keeps_the_last_weights(tiny_recipe, tmp_path):
    overrides = ["data.phantom.split={train: 0.5, test: 0.5}", "trainer.epochs=2"]
    run = verbs.train(tiny_recipe, overrides=overrides, run=tmp_path / "tiny" / "unjudged")
    assert json.loads((run / "bundle" / "card.json").read_text())["training"]["epoch"] == 2


LOSS = """
def lopsided(output, target, *, power: float = 2.0):
    '''A loss of one's own.'''
    return ((output.logits[:, 0].sigmoid() - target.classes.float()).abs() ** power).mean()
"""


def test_a_loss_of_ones_own_by_dotted_name(tiny_recipe, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(LOSS)
    monkeypatch.chdir(tmp_path)
    overrides = ["loss={'mine:lopsided': {power: 1.5}}", "trainer.epochs=1"]
    run = verbs.train(tiny_recipe, overrides=overrides, run=tmp_path / "tiny" / "mine")
    assert float(rows(run)[0]["train/loss"]) > 0
    verbs.evaluate(run)


def test_a_loss_by_a_file_alone(tiny_recipe, tmp_path, monkeypatch, capsys):
    """A new file in the folder is in the catalogue; here the folder is longer by one of ours."""
    import delineate.losses

    (tmp_path / "lopsided.py").write_text(LOSS)
    monkeypatch.setattr(delineate.losses, "__path__", [*delineate.losses.__path__, str(tmp_path)])
    assert main(["list", "losses"]) == 0
    assert "lopsided(power=2.0)\n    A loss of one's own." in capsys.readouterr().out
    overrides = ["loss=lopsided", "trainer.epochs=1"]
    verbs.train(tiny_recipe, overrides=overrides, run=tmp_path / "tiny" / "file")


def test_the_weights_of_a_run_say_their_activation(tiny_recipe, tmp_path):
    model = "model={emcad: {encoder: mobilenetv3_small_050, activation: relu}}"
    overrides = (model, "prepare.1.resize={shape: [64, 64]}", "trainer.epochs=1")
    run = verbs.train(load_recipe(tiny_recipe, overrides), run=tmp_path / "run")
    weights = run / "bundle" / "weights.safetensors"
    with pytest.raises(ValueError, match="the activation 'relu', the model has 'relu6'"):
        emcad(encoder="mobilenetv3_small_050", weights=str(weights))
    emcad(encoder="mobilenetv3_small_050", activation="relu", weights=str(weights))
