"""Whatever is wrong gets one clear line and a non-zero exit, and nothing is half-written."""

import errno
import json
import os
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from delineate.cli import main
from delineate.core.labels import PALETTE
from delineate.files import whole_file
from delineate.verbs import predict as predict_verb


@pytest.fixture
def recipe(tiny_recipe, tmp_path, monkeypatch):
    """Write the tiny recipe with some sections changed, on a folder of small photographs."""
    monkeypatch.chdir(tmp_path)  # check writes to outputs/ there
    home = tmp_path / "data"
    rng = np.random.default_rng(0)
    for i in range(8):
        for part, pixels in (
            ("images", rng.integers(0, 255, (40, 48, 3), np.uint8)),
            ("masks", np.pad(np.ones((10, 10), np.uint8), ((5, 25), (5, 33)))),
        ):
            (home / part).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(home / part / f"{i}.png"), pixels)

    def written(**changes):
        tree = yaml.safe_load(tiny_recipe.read_text())
        folder = {"root": str(home), "images": "images/*", "masks": "masks/*"}
        tree["data"] = {"folder": folder | changes.pop("folder", {})}
        path = tmp_path / "bad.yaml"
        path.write_text(yaml.safe_dump(tree | changes, sort_keys=False))
        return path

    written.home = home
    return written


def refused(capsys, words, said):
    assert main([str(word) for word in words]) == 2
    err = capsys.readouterr().err
    assert re.search(said, err), err
    assert "Traceback" not in err
    return err


TWO = {"polyp": {"value": 1}, "tool": {"value": 2}}

LOSS_OF_REGIONS = (
    r"bad.yaml:\d+: cross_entropy learns from labels that exclude each other, and the task regions gives labels that "
    r"overlap\. Losses that fit as they are: bce, dice, structure, tversky\."
)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"modle": "unet"}, r"bad.yaml:\d+: unknown section 'modle'; did you mean 'model'\?"),
        ({"model": "unett"}, r"bad.yaml:\d+: no 'unett' in models; did you mean 'unet'\?"),
        ({"model": {"unet": {"fetures": [4]}}}, r"bad.yaml:\d+: .*did you mean 'features'"),
        ({"loss": "dise"}, r"bad.yaml:\d+: no 'dise' in losses; did you mean 'dice'"),
        ({"prepare": ["resise"]}, "did you mean 'resize'"),
        ({"augment": [{"flip": {"axs": [0]}}]}, "did you mean 'axes'"),
        ({"optimizer": {"adamm": {}}}, "did you mean 'adam'"),
        ({"metrics": ["dicee"]}, "did you mean 'dice'"),
        ({"trainer": {"epoch": 1}}, "did you mean 'epochs'"),
        ({"trainer": {"device": "cuda", "loggers": []}}, "this machine has: cpu"),
        ({"schedule": {"cosine": {"warmup": 5}}}, "bad.yaml:.*warmup is 5.*below 1"),
        ({"trainer": {"gradient_clip": -1}}, "trainer: gradient_clip is -1"),
        ({"trainer": {"precision": "fp16", "loggers": []}}, "fp16 needs a GPU"),
        ({"trainer": {"monitor": "val/dise", "loggers": []}}, "the recipe's metrics give val/loss"),
        ({"predict": [{"flip": [0]}]}, r"bad.yaml:\d+: no 'flip' in predict; did you mean 'flips'"),
        ({"predict": {"flips": [0]}}, r"bad.yaml:\d+: .*Write: predict: \[{flips: \[0\]}\]"),
        ({"folder": {"root": "nowhere"}}, "no folder 'nowhere'"),
        ({"folder": {"images": "pictures/*"}}, "pictures"),
        (
            {"folder": {"images": "images/[01].png", "masks": "masks/[01].png"}},
            "cannot fill 3 splits",
        ),
        ({"folder": {"values": {"polyp": 255}}}, r"values without a label: 1 \(100 times\)"),
        ({"labels": {"polyp": {"value": 2}}}, r"values without a label: 1 \(100 times\)"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_recipes_that_cannot_be_run(changes, said, recipe, tmp_path, capsys):
    run = tmp_path / "runs" / "bad"
    refused(capsys, ["train", recipe(**changes), "-o", run], said)
    assert not run.exists()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda home: (home / "masks" / "3.png").unlink(), "images have no mask: .*3.png"),
        (lambda home: (home / "images" / "3.png").unlink(), "masks have no image: .*3.png"),
        (
            lambda home: cv2.imwrite(str(home / "masks" / "3.png"), np.ones((40, 47), np.uint8)),
            r"3.png.*\(40, 47\)|\(40, 47\).*3.png",
        ),
        (
            lambda home: (home / "images" / "3.png").write_bytes(
                (home / "images" / "3.png").read_bytes()[:900]
            ),
            "3.png: is a truncated PNG",
        ),
        (
            lambda home: cv2.imwrite(str(home / "masks" / "3.png"), np.full((40, 48), 7, np.uint8)),
            r"3.png: values without a label: 7 \(1920 times\)",
        ),
    ],
    ids=["image without mask", "mask without image", "sizes differ", "truncated", "unknown value"],
)
def test_check_names_what_is_wrong_with_the_data(spoil, said, recipe, capsys):
    spoil(recipe.home)
    refused(capsys, ["check", recipe()], said)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"trainer": {"monitor": "val/dise"}}, "the recipe's metrics give val/loss"),
        (
            {"task": "presence", "metrics": ["dice"]},
            r"bad.yaml:\d+: dice needs a label map, and the task presence gives image-level labels\. Metrics",
        ),
        ({"metrics": ["dice", {"lesion_f1": {}}], "labels": {"polyp": 1}}, "needs labels of the kind thing"),
        (
            {"metrics": ["dice", "volume_error"], "trainer": {"monitor": "val/volume_error"}},
            r"neither more nor less of it is better; the recipe's metrics give val/loss, val/dice\.",
        ),
        ({"loss": "cross_entropy", "task": "regions", "labels": TWO}, LOSS_OF_REGIONS),
        ({"loss": "focal", "task": "regions", "labels": TWO}, "exclude each other, unless with form: sigmoid, and"),
        ({"trainer": {"loggers": ["tensorbord"]}}, "did you mean 'tensorboard'"),
        ({"trainer": {"loggers": [{}]}}, r"bad.yaml:\d+: a logger is {}"),
        ({"trainer": {"strategy": "dpp"}}, r"bad.yaml:\d+: .*did you mean 'ddp'"),
        ({"trainer": {"oversample_foreground": 0.5}}, r"bad.yaml:\d+: .*all of \d show one"),
        ({"predict": [{"flips": [2]}]}, r"bad.yaml:\d+: .*flips are \[2\]; the images have axes 0 to 1"),
        ({"predict": [{"flips": [0, 0]}]}, r"bad.yaml:\d+: axes is \[0, 0\]; expected each axis once"),
        ({"predict": [{"flips": []}]}, r"bad.yaml:\d+: flips: axes is \[\]; expected a list of 1 to 3"),
        ({"predict": [{"sliding_window": [8]}]}, r"bad.yaml:\d+: .*is \[8\]; the images have 2 axes"),
        ({"predict": [{"sliding_window": [0, 16]}]}, r"bad.yaml:\d+: .*size is \[0, 16\]"),
        (
            {"predict": [{"sliding_window": {"size": [8, 8], "overlap": 1.0}}]},
            r"bad.yaml:\d+: .*overlap is 1.0.*0 to below 1",
        ),
        ({"predict": [{"scales": [100]}]}, r"bad.yaml:\d+: .*factors is \[100\]; .*from 0.1 to 10"),
        ({"predict": [{"ensemble": ["nowhere"]}]}, r"bad.yaml:\d+: nowhere: no bundle there"),
        ({"predict": [{"ensemble": ["data"]}]}, r"bad.yaml:\d+: .*data: no bundle there"),
        ({"predict": [{"ensemble": []}]}, r"bad.yaml:\d+: ensemble: bundles is \[\]; .*paths of bundles"),
        (
            {"predict": [{"ensemble": ["nowhere"]}, {"flips": [0]}]},
            r"bad.yaml:\d+: flips wraps a network but follows ensemble.*write flips before ensemble",
        ),
        (
            {"task": "presence", "model": "classifier", "loss": "bce", "metrics": ["image_brier"],
             "predict": [{"sliding_window": [8, 8]}]},
            r"bad.yaml:\d+: sliding windows support dense logits only, but the network has the heads image",
        ),
        ({"optimizer": {"adamw": {"lr": -1}}}, r"bad.yaml:\d+: .*lr is -1.*above 0"),
        ({"schedule": {"cosine": {"warmup": 2}}}, r"bad.yaml:\d+: .*warmup is 2.*below 1"),
        ({"task": {"semantic": {"threshold": 7}}}, r"bad.yaml:\d+: .*threshold is 7"),
        ({"refine": [{"keep_largest_component": {"labels": ["pollyp"]}}]}, r"bad.yaml:\d+: .*\(polyp\)"),
        ({"loss": {"structure": {"width": -3}}}, r"bad.yaml:\d+: .*width is -3"),
        ({"loss": {"dice": {"weight": 0}}}, r"bad.yaml:\d+: .*weight is 0.*above 0"),
        ({"loss": {"cross_entropy": {"class_weights": [1, 2, 3]}}}, r"bad.yaml:\d+: .*3 class_weights"),
        ({"loss": []}, r"bad.yaml:\d+: loss is \[\]"),
        ({"metrics": ["dice", {"nsd": {"tolerance": -2}}]}, r"bad.yaml:\d+: .*tolerance is -2"),
        ({"model": {"unet": {"features": []}}}, r"bad.yaml:\d+: .*features is \[\]"),
        ({"model": "..x:y"}, r"bad.yaml:\d+: '..x:y' is not the name of a function"),
        ({"seed": -1}, r"bad.yaml:\d+: .*seed is -1.*0 to 4294967295"),
        ({"augment": [{"flip": {"axes": [2]}}]}, r"bad.yaml:\d+: .*there is no axis 2"),
        ({"augment": [{"rotate": {"planes": [[1, 1]]}}]}, r"bad.yaml:\d+: .*a plane has two"),
        ({"prepare": [{"rescale_intensity": {"low": 0, "high": 50}}, {"standardize": "image"}, {"channels": 1}],
          "model": {"unet": {"features": [4]}}}, r"bad.yaml:\d+: .*features is \[4\]"),
        ({"folder": {"images": ""}}, r"bad.yaml:\d+: folder: images is ''"),
        ({"folder": {"group": "(a+)+$"}}, r"bad.yaml:\d+: group '\(a\+\)\+\$' matches 0 of 8"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["check", "train"])
def test_check_refuses_what_train_would(verb, changes, said, recipe, tmp_path, capsys):
    words = [verb, recipe(**changes), *(["-o", tmp_path / "run"] if verb == "train" else [])]
    refused(capsys, words, said)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prepare": [{"channels": 3}, {"standardize": "imagenet"}]}, "cases differ in shape"),
        ({"folder": {"unlabelled": "keep"}}, "no truth to learn from"),
    ],
    ids=["shapes", "truth"],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["check", "train"])
def test_cases_that_cannot_be_learnt_from_together(verb, changes, said, recipe, tmp_path, capsys):
    images, masks = recipe.home / "images", recipe.home / "masks"
    for i in range(4):
        if "folder" in changes:
            (masks / f"{i}.png").unlink()
        else:
            pixels = np.random.default_rng(i + 9).integers(0, 255, (40, 56, 3), np.uint8)
            cv2.imwrite(str(images / f"{i}.png"), pixels)
            cv2.imwrite(str(masks / f"{i}.png"), np.eye(40, 56, dtype=np.uint8))
    words = [verb, recipe(**changes), *(["-o", tmp_path / "run"] if verb == "train" else [])]
    refused(capsys, words, said)


def test_weights_of_another_number_of_classes(tiny_run, tmp_path, capsys, sealed):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for file in (tiny_run / "bundle").iterdir():
        (bundle / file.name).write_bytes(file.read_bytes())
    tree = yaml.safe_load((bundle / "recipe.yaml").read_text())
    tree["labels"] = {"polyp": {"value": 1}, "stool": {"value": 2}}
    (bundle / "recipe.yaml").write_text(yaml.safe_dump(tree))
    names = enumerate(("polyp", "stool"))
    labels = [{"name": n, "value": i + 1, "colour": PALETTE[i]} for i, n in names]
    (bundle / "labels.json").write_text(json.dumps(labels))
    sealed(bundle)
    said = r"1 output channel.*3|3.*1 output channel"
    refused(capsys, ["predict", bundle, tiny_run / "predictions", "-o", tmp_path / "out"], said)
    assert not (tmp_path / "out").exists()


def test_pretrained_weights_that_cannot_be_fetched_stop_before_training(
    tiny_recipe, tmp_path, capsys
):
    model = "model={smp: {arch: unet, encoder: resnet18, pretrained: imagenet}}"
    run = tmp_path / "r"
    said = "pretrained: null|path/to"
    refused(capsys, ["train", tiny_recipe, "--set", model, "-o", run], said)
    assert not run.exists()


def test_a_full_disk_stops_with_one_line(tiny_run, tmp_path, capsys, monkeypatch):
    def full(*_, **__):
        with whole_file(tmp_path / "out" / "a.png"):
            raise OSError(errno.ENOSPC, "No space left on device")

    photos = tmp_path / "photos"
    photos.mkdir()
    cv2.imwrite(str(photos / "a.png"), np.zeros((40, 40, 3), np.uint8))
    monkeypatch.setattr(sys.modules["delineate.predictions.predict_case"], "write_mask", full)
    said = r"a.png: No space left on device"
    refused(capsys, ["predict", tiny_run, photos, "-o", tmp_path / "out"], said)
    assert not list((tmp_path / "out").rglob("*.png"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_disk_full_at_a_checkpoint_says_how_to_go_on(tiny_recipe, tmp_path, capsys, monkeypatch):
    module = sys.modules["delineate.training.callbacks.checkpoint"]
    monkeypatch.setattr(
        module, "open", lambda *_: os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb"), raising=False
    )
    run = tmp_path / "run"
    said = rf"{run}/checkpoints/last.ckpt: No space left on device.*--resume {run}"
    refused(capsys, ["train", tiny_recipe, "--run", run], said)
    monkeypatch.undo()
    assert not list((run / "checkpoints").iterdir())
    assert main(["train", "--resume", str(run)]) == 0


def test_a_disk_full_before_anything_is_trained_asks_for_no_resumption(
    tiny_recipe, tmp_path, capsys, monkeypatch
):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", "log")

    monkeypatch.setattr("delineate.training.fit.fit", full)
    run = tmp_path / "run"
    assert main(["train", str(tiny_recipe), "--run", str(run)]) == 2
    said = capsys.readouterr().err
    assert "No space left on device" in said
    assert "--resume" not in said
    assert not run.exists()


def test_a_damaged_card_is_named(tiny_run, tmp_path, capsys):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for name in ("recipe.yaml", "labels.json"):
        (bundle / name).write_text((tiny_run / "bundle" / name).read_text())
    (bundle / "card.json").write_text(json.dumps({})[:-1])
    refused(capsys, ["predict", bundle, tiny_run, "-o", tmp_path / "out"], "card.json.*not valid")
    (bundle / "card.json").unlink()
    refused(capsys, ["predict", bundle, tiny_run, "-o", tmp_path / "out"], "card.json missing")


@pytest.mark.slow
def test_a_very_large_picture_is_predicted(tiny_run, tmp_path):
    cv2.imwrite(str(tmp_path / "large.png"), np.zeros((20_000, 20_000), np.uint8))
    predicted = predict_verb(tiny_run, [tmp_path / "large.png"], tmp_path / "out", overlays=False)
    assert not predicted.failures
