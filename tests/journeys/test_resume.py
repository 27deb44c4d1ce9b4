"""A run that was killed, broken off or gone wrong."""

import os
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
from safetensors.numpy import load_file

from delineate import load_bundle, verbs
from delineate.cli import main

KILL_AT_EPOCH = """
import os, signal, sys
from delineate.training.callbacks.checkpoint import Checkpoint
from delineate.training.callbacks.clock import Clock
from delineate.cli import main

def on_train_batch_start(self, trainer, *rest, _plain=Clock.on_train_batch_start):
    _plain(self, trainer, *rest)
    if trainer.current_epoch == 1 and trainer.global_step == 3:
        os.kill(os.getpid(), signal.{signal})

Clock.on_train_batch_start = on_train_batch_start
sys.exit(main(sys.argv[1:]))
"""


def broken_off(recipe, run, how, *more):
    """Train in a process of its own that signals itself in the middle of the second epoch."""
    program = KILL_AT_EPOCH.replace("{signal}", how)
    words = [sys.executable, "-c", program, "train", str(recipe), "--run", str(run), *more]
    return subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)


def test_a_killed_run_resumes_to_the_weights_of_an_uninterrupted_one(
    tiny_recipe, tiny_run, tmp_path
):
    run = tmp_path / "tiny" / "killed"
    died = broken_off(tiny_recipe, run, "SIGKILL")
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert len((run / "metrics.csv").read_text().splitlines()) == 2
    verbs.train(resume=run)
    ours = load_file(run / "bundle" / "weights.safetensors")
    theirs = load_file(tiny_run / "bundle" / "weights.safetensors")
    assert ours.keys() == theirs.keys()
    for name, weight in ours.items():
        assert np.array_equal(weight, theirs[name]), name
    without_time = [
        [line.rsplit(",", 1)[0] for line in (r / "metrics.csv").read_text().splitlines()]
        for r in (run, tiny_run)
    ]
    assert without_time[0] == without_time[1]


def test_so_does_one_whose_cases_are_loaded_by_other_processes(tiny_recipe, tiny_run, tmp_path):
    run = tmp_path / "tiny" / "killed"
    died = broken_off(tiny_recipe, run, "SIGKILL", "--set", "trainer.workers=2")
    assert died.returncode == -signal.SIGKILL, died.stderr
    verbs.train(resume=run)
    ours = load_file(run / "bundle" / "weights.safetensors")
    theirs = load_file(tiny_run / "bundle" / "weights.safetensors")
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


WAIT_IN_EPOCH_TWO = """
import sys, time
from delineate.training.callbacks.clock import Clock
from delineate.cli import main

def on_train_batch_start(self, trainer, *rest, _plain=Clock.on_train_batch_start):
    _plain(self, trainer, *rest)
    if trainer.current_epoch == 1:
        print("training", flush=True)
        time.sleep(120)

Clock.on_train_batch_start = on_train_batch_start
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def training(tiny_recipe, tmp_path):
    """A process in the middle of a training, and its run."""
    run = tmp_path / "tiny" / "busy"
    words = [sys.executable, "-c", WAIT_IN_EPOCH_TWO, "train", str(tiny_recipe), "--run", str(run),
             "--set", "trainer.workers=2"]  # fmt: skip
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as it:
        assert it.stdout.readline() == "training\n"
        yield it, run
        it.kill()


def test_nobody_else_writes_into_a_run_that_is_trained(training, tiny_recipe, capsys):
    process, run = training
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*")}
    for words in (
        ["train", "--resume", str(run)],
        ["evaluate", str(run)],
        ["calibrate", str(run)],
    ):
        assert main(words) == 2
        said = capsys.readouterr().err
        assert f"{run}: is in use by process {process.pid} on " in said
        assert "train" in said
    with pytest.raises(ValueError, match="holds a run already"):
        verbs.train(tiny_recipe, run=run)
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*")} == before
    photo = run.parent / "a.png"
    cv2.imwrite(str(photo), np.zeros((40, 50, 3), np.uint8))
    verbs.predict(run, [photo], run.parent / "masks")  # reading is free
    process.kill()
    process.wait()
    verbs.train(resume=run)
    assert (run / "report.html").is_file()
    assert not [p for p in run.rglob(".*") if p.name != ".lock"]


def test_a_run_killed_before_its_recipe_was_written_is_begun_again(
    tiny_recipe, tmp_path, monkeypatch
):
    from delineate.recipe import Recipe

    def killed(self, path):
        raise KeyboardInterrupt

    monkeypatch.setattr(Recipe, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        verbs.train(tiny_recipe, run=tmp_path / "run")
    assert (tmp_path / "run" / "split.csv").is_file()
    monkeypatch.undo()
    verbs.train(tiny_recipe, run=tmp_path / "run", overrides=["trainer.epochs=1"])


def test_a_run_that_is_over_does_not_go_on(tiny_recipe, tmp_path):
    overrides = ["trainer.patience=0", "trainer.epochs=50", "optimizer.adamw.lr=1e-12",
                 "trainer.ema=null", "model.unet.norm=instance"]  # fmt: skip
    run = verbs.train(tiny_recipe, overrides=overrides, run=tmp_path / "tiny" / "over")
    before = (run / "metrics.csv").read_text()
    verbs.train(resume=run)
    assert (run / "metrics.csv").read_text() == before
    with pytest.raises(ValueError, match="neither --set nor --run"):
        verbs.train(resume=run, overrides=["trainer.epochs=60"])


def test_ctrl_c_leaves_a_usable_bundle(tiny_recipe, tmp_path):
    run = tmp_path / "tiny" / "stopped"
    stopped = broken_off(tiny_recipe, run, "SIGINT")
    assert stopped.returncode == 130, stopped.stderr
    assert "--resume" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert "\r" not in stopped.stderr
    load_bundle(run)
    begun = (run / "log.txt").read_text()
    assert "interrupted" in begun
    verbs.train(resume=run)
    after = (run / "log.txt").read_text()
    assert after.startswith(begun)
    assert "resumed: " in after[len(begun) :]
    assert "epoch 3: " in after[len(begun) :]


def test_a_loss_that_is_no_number_stops_and_keeps_the_best_weights(
    tiny_recipe, tmp_path, monkeypatch
):
    (tmp_path / "spoilt.py").write_text(
        "calls = []\n"
        "def after_five(output, target):\n"
        "    calls.append(1)\n"
        "    return output.logits.square().mean() * (float('nan') if len(calls) > 6 else 1)\n"
    )
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "tiny" / "spoilt"
    with pytest.raises(
        RuntimeError, match=r"became nan at step \d \(epoch \d, cases .*learning rate"
    ):
        verbs.train(tiny_recipe, overrides=["loss=[spoilt:after_five]"], run=run)
    weights = load_file(run / "bundle" / "weights.safetensors")
    assert all(np.isfinite(weight).all() for weight in weights.values())
    load_bundle(run)


def test_such_a_loss_before_the_first_judgement_keeps_the_epochs_before(
    tiny_recipe, tmp_path, monkeypatch
):
    (tmp_path / "spoilt2.py").write_text(
        "calls = []\n"
        "def late(output, target):\n"
        "    calls.append(1)\n"
        "    return output.logits.square().mean() * (float('nan') if len(calls) > 3 else 1)\n"
    )
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "tiny" / "spoilt"
    overrides = ["loss=[spoilt2:late]", "trainer.val_every=3"]
    with pytest.raises(RuntimeError, match="became nan"):
        verbs.train(tiny_recipe, overrides=overrides, run=run)
    weights = load_file(run / "bundle" / "weights.safetensors")
    assert all(np.isfinite(weight).all() for weight in weights.values())


def test_validation_answers_that_are_not_finite_stop_with_the_name_of_the_case(
    tiny_recipe, tmp_path, monkeypatch
):
    (tmp_path / "spoilt3.py").write_text(
        "from delineate.models.unet import unet\n"
        "def lost_when_judged(*, channels: int, classes: int, ndim: int):\n"
        "    model = unet(channels=channels, classes=classes, ndim=ndim, features=(4, 8))\n"
        "    forward = model.forward\n"
        "    def spoilt(pixels):\n"
        "        output = forward(pixels)\n"
        "        if not model.training:\n"
        "            output.logits.mul_(float('nan'))\n"
        "        return output\n"
        "    model.forward = spoilt\n"
        "    return model\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        RuntimeError, match=r"endoscopy-\d+: the network's output contains NaN .* validation case"
    ) as failed:
        verbs.train(
            tiny_recipe,
            overrides=["model=spoilt3:lost_when_judged", "trainer.epochs=1"],
            run=tmp_path / "tiny" / "spoilt",
        )
    assert "kept" not in str(failed.value)  # nothing is, as the note says
    assert failed.value.__notes__ == ["No epoch was finished, so no weights are kept."]


FAILS = """
import torch
calls = []
def fails(output, target):
    calls.append(1)
    if len(calls) > {after}:
        {how}
    return output.logits.square().mean()
"""
HOW = {
    "diverges": "return output.logits.mean() * float('nan')",
    "runs out of the GPU's memory": "raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB')",
    "runs out of memory": "torch.empty(2**60)",
    "is mistaken": "raise TypeError('no such thing')",
}


@pytest.mark.parametrize("how", HOW)
def test_a_first_epoch_that_fails_leaves_no_folder_and_claims_nothing(
    how, tiny_recipe, tmp_path, monkeypatch, capsys
):
    name = f"first_{list(HOW).index(how)}"
    (tmp_path / f"{name}.py").write_text(FAILS.format(after=1, how=HOW[how]))
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "tiny" / "run"
    words = ["--set", f"loss=[{name}:fails]", "--set", "trainer.loggers=[tensorboard]"]
    assert main(["train", str(tiny_recipe), "-o", str(run), *words]) > 0
    said = capsys.readouterr().err
    assert not run.exists()
    assert "No epoch was finished, so no weights are kept." in said
    assert ("batch_size=2" in said) == ("memory" in how)
    assert "Traceback" not in said


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("val_every", [1, 3])
def test_after_whole_epochs_the_message_says_where_their_weights_are(
    val_every, how, tiny_recipe, tmp_path, monkeypatch
):
    name = f"later_{list(HOW).index(how)}_{val_every}"
    # two steps of an epoch, and five validation cases
    after = 2 + 5 + 1 if val_every == 1 else 3
    (tmp_path / f"{name}.py").write_text(FAILS.format(after=after, how=HOW[how]))
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "tiny" / "run"
    overrides = [f"loss=[{name}:fails]", f"trainer.val_every={val_every}"]
    with pytest.raises(Exception, match="memory|became nan|no such thing") as raised:
        verbs.train(tiny_recipe, overrides=overrides, run=run)
    (kept,) = raised.value.__notes__
    assert kept == f"The weights of epoch 1 are kept in {run / 'bundle'}."
    assert kept in (run / "log.txt").read_text()
    load_bundle(run)


def test_a_killed_worker_is_told_with_what_to_lower(tiny_recipe, tmp_path, monkeypatch):
    from delineate.training.batches import AugmentedCases

    monkeypatch.setattr(
        AugmentedCases, "__getitem__", lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    )
    run = tmp_path / "tiny" / "run"
    with pytest.raises(RuntimeError, match=r"the system killed.*workers=1.*batch_size=2"):
        verbs.train(tiny_recipe, overrides=["trainer.workers=2"], run=run)
    assert not run.exists()


def test_a_folder_with_other_things_in_it_is_left_alone(tiny_recipe, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty"):
        verbs.train(tiny_recipe, run=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_run_is_not_written_over(tiny_recipe, tiny_run):
    with pytest.raises(ValueError, match="holds a run already"):
        verbs.train(tiny_recipe, run=tiny_run)
