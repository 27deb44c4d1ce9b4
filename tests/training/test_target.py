"""A model that must see the truth while it learns gets it then, and only then."""

import csv

import pytest
import torch

from delineate.bundle import load_bundle
from delineate.data import load_cases
from delineate.losses import load_loss
from delineate.models import sees_target
from delineate.recipe import load_recipe
from delineate.resolve import RecipeError
from delineate.training.fit import fit
from delineate.training.rehearse import build_parts, rehearse

RECIPE = """\
data: {phantom: {scene: endoscopy, cases: 8, shape: [64, 64], split: {train: 0.5, val: 0.25, test: 0.25}}}
labels: {polyp: {value: 1, kind: thing}}
prepare: [{channels: 3}, {resize: {shape: [32, 32]}}, {standardize: imagenet}]
model: lab_of_detectors:detector
loss: [{model_losses: {weights: {border: 0.5}}}]
trainer: {epochs: 2, batch_size: 2, device: cpu, loggers: []}
metrics: [dice]
"""
LAB = """\
import torch
from torch.nn import functional as F
from delineate.core import Output

SEEN = []

class Detector(torch.nn.Module):
    '''Samples "proposals" of its own against the truth, as a detector does; gives no heads while it learns.'''

    def __init__(self, classes):
        super().__init__()
        self.body = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.head = torch.nn.Conv2d(4, classes, 1)

    def forward(self, pixels, target=None):
        SEEN.append((self.training, target is not None))
        logits = self.head(self.body(pixels).relu())
        if target is None:
            return Output(logits)
        assert target.classes.device == pixels.device
        inside = target.classes.bool()[:, None]
        return Output(losses={
            "inside": F.softplus(-logits[inside]).sum() / inside.sum().clamp_min(1),
            "border": F.softplus(logits[~inside]).sum() / (~inside).sum().clamp_min(1),
        })

class Both(Detector):
    '''Gives its heads, deeper maps and losses of its own while it learns.'''

    def forward(self, pixels, target=None):
        learning = super().forward(pixels, target)
        logits = self.head(self.body(pixels).relu())
        return Output(logits, (F.avg_pool2d(logits, 2),), losses=learning.losses)

class Demanding(Detector):
    def forward(self, pixels, target):
        return super().forward(pixels, target)

class Bare(Detector):
    def forward(self, pixels, target=None):
        return super().forward(pixels, target).losses if target else super().forward(pixels)

class Restrained(torch.nn.Module):
    '''Computes a loss of its own without the truth.'''

    def __init__(self, classes):
        super().__init__()
        self.head = torch.nn.Conv2d(3, classes, 1)

    def forward(self, pixels):
        losses = {"size": self.head.weight.square().sum()} if self.training else {}
        return Output(self.head(pixels), losses=losses)

def detector(classes):
    return Detector(classes)
def both(classes):
    return Both(classes)
def demanding(classes):
    return Demanding(classes)
def bare(classes):
    return Bare(classes)
def restrained(classes):
    return Restrained(classes)
def deepest(output, target):
    return output.sides[-1].square().mean()
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    (tmp_path / "lab_of_detectors.py").write_text(LAB)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def recipe(*overrides):
        (tmp_path / "r.yaml").write_text(RECIPE)
        return load_recipe("r.yaml", overrides)

    return recipe


def rehearsed(recipe):
    build_parts(recipe)
    rehearse(recipe, load_cases(recipe))


def trained(recipe, folder):
    """The rows of metrics.csv."""
    assert fit(recipe, load_cases(recipe), folder, {})
    with open(folder / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("trainer.ema=0.9", "trainer.accumulate=2", "trainer.precision=bf16", "trainer.gradient_clip=1"),
        ("model=lab_of_detectors:both", "loss=[dice, model_losses]", "deep_supervision=equal"),
    ],
    ids=["plain", "averaged, accumulated, bf16", "with deep supervision"],
)  # fmt: skip
def test_a_detector_learns_with_the_target_and_is_judged_without(overrides, lab, tmp_path):
    import lab_of_detectors

    recipe = lab(*overrides)
    rehearsed(recipe)
    lab_of_detectors.SEEN.clear()
    rows = trained(recipe, tmp_path / "run")
    assert set(lab_of_detectors.SEEN) == {(True, True), (False, False)}
    assert all(float(row["train/loss"]) > 0 and row["val/loss"] == "nan" for row in rows)
    assert all(0 <= float(row["val/dice"]) <= 1 for row in rows)
    predictor = load_bundle(tmp_path / "run", device="cpu", trust=["lab_of_detectors"])
    assert predictor(load_cases(recipe)["test"][0]).classes.shape == (64, 64)


def test_a_loss_of_the_model_that_needs_no_truth_is_added_to_the_others(lab, tmp_path):
    recipe = lab("model=lab_of_detectors:restrained", "loss=[dice, {model_losses: {weight: 0.1}}]")
    rehearsed(recipe)
    assert float(trained(recipe, tmp_path / "run")[-1]["train/loss"]) > 0
    assert not sees_target(torch.nn.Conv2d(3, 1, 1))


def test_a_loss_of_ones_own_sees_the_deeper_maps_in_training(lab, tmp_path):
    recipe = lab(
        "model=lab_of_detectors:both", "loss=[lab_of_detectors:deepest]", "deep_supervision=none"
    )
    rehearsed(recipe)
    assert float(trained(recipe, tmp_path / "run")[-1]["train/loss"]) > 0


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model=lab_of_detectors:demanding", r"expected forward\(pixels, target=None\)"),
        ("model=lab_of_detectors:bare", "gives dict; expected an Output"),
        ("model={unet: {features: [4, 8]}}", "needs a model that computes losses itself"),
        ("loss=[dice]", "the network has no dense head"),
        ("loss=[{model_losses: {weights: {edge: 2}}}]", "'edge'; the model computes the losses inside, border"),
        ("trainer.monitor=val/loss", "computes its losses only in training. Monitor a metric"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_before_anything_is_trained(override, said, lab):
    plan = lab(override) if "weights" in override else lab("loss=[model_losses]", override)
    with pytest.raises(RecipeError, match=said):
        rehearsed(plan)


def test_a_loss_of_one_term_weighs_as_it_says(lab):
    from delineate.core import Output, Target
    from delineate.resolve import Call

    losses = {"a": torch.tensor(2.0), "b": torch.tensor(5.0)}
    loss = load_loss([Call("model_losses", {"weights": {"b": 0.1}, "weight": 3})])
    assert float(loss(Output(losses=losses), Target())) == pytest.approx(3 * 2.5)
