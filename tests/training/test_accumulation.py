"""Batches whose gradients are accumulated train as one large batch does."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

from delineate import load_recipe, verbs
from delineate.core import Output, Target
from delineate.losses import load_loss
from delineate.models import load_model
from delineate.resolve import GIVEN, Call, hints_of, names, resolve
from delineate.training.accumulation import inexact_losses, is_mean_over_images, varied
from delineate.training.batches import Batch
from delineate.training.callbacks.clock import Clock
from delineate.training.callbacks.ema import EMA
from delineate.training.fit import _quiet
from delineate.training.module import Learner
from delineate.training.options import load_options

torch.set_num_threads(1)

RECIPES = Path(__file__).parents[2] / "recipes"
BATCH, PARTS, SIZE = 32, 16, 12
HEADS = {"one label": {"dense": 1}, "labels": {"dense": 3}, "regions": {"dense": 2}, 
         "image-level": {"image": 2}}  # fmt: skip


def truth(what: str, *, ignored: bool) -> Target[torch.Tensor]:
    """The truth of a batch; the images differ in how much they show and how much is ignored."""
    torch.manual_seed(0)
    shape = (BATCH, SIZE, SIZE)
    targets = {
        "one label": Target(torch.ones(shape).long()),
        "labels": Target(torch.randint(3, shape)),
        "regions": Target(regions=torch.ones(BATCH, 2, SIZE, SIZE)),
        "image-level": Target(image=torch.randint(2, (BATCH, 2)).float()),
    }
    return varied(targets[what], ignored=ignored)


class Pooled(torch.nn.Module):
    """A network of image-level logits."""

    def __init__(self, norm: torch.nn.Module) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3), norm, torch.nn.ReLU(), torch.nn.Conv2d(8, 2, 3)
        )

    def forward(self, pixels: torch.Tensor) -> Output[torch.Tensor]:
        return Output(image=self.layers(pixels).mean((2, 3)))


def network(what: str, norm: str, dtype: torch.dtype) -> torch.nn.Module:
    """Without batch normalisation, in training; or with it, in evaluation, with statistics of some images."""
    torch.manual_seed(1)
    if what == "image-level":
        layer = torch.nn.GroupNorm(2, 8) if norm == "group" else torch.nn.BatchNorm2d(8)
        model: torch.nn.Module = Pooled(layer)
    else:
        args = {"features": [4, 8], "norm": norm, "deep_supervision": True}
        model = load_model(Call("unet", args), 3, HEADS[what], 2)
    model = model.to(dtype).train()
    if norm == "batch":
        model(torch.randn(8, 3, SIZE, SIZE, dtype=dtype))
        model.eval()
    return model


def gradients(model, loss, pixels, target, parts) -> torch.Tensor:
    model.zero_grad(set_to_none=True)
    size = BATCH // parts
    for start in range(0, BATCH, size):
        part = slice(start, start + size)
        (loss(model(pixels[part]), target.map(lambda t, part=part: t[part])) / parts).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def variants(name):
    yield Call(name)
    function = resolve("losses", name)
    hints = hints_of(function)
    for argument, parameter in inspect.signature(function).parameters.items():
        if argument not in GIVEN["losses"] and hints[argument] is bool:
            yield Call(name, {argument: not parameter.default})
        elif argument == "class_weights":
            yield Call(name, {argument: [0.2, 1.0, 3.0]})
        elif argument == "top":
            yield Call(name, {argument: 0.3})
        elif argument == "form":
            yield Call(name, {argument: "sigmoid"})


def exact(name):
    """Each variant of a loss that is said to be exact, with each truth that it accepts."""
    takes_per = "per" in inspect.signature(resolve("losses", name)).parameters
    for written in variants(name):
        call = replace(written, args={**written.args, "per": "image"}) if takes_per else written
        for what in HEADS:
            for ignored in (False, True):
                target = truth(what, ignored=ignored)
                try:
                    loss = load_loss([call])
                    loss(logits(what), target)
                except ValueError:  # the loss is not for this truth
                    continue
                yield f"{call.name} {dict(call.args)}, {what}, ignored: {ignored}", loss, what, target  # fmt: skip


def logits(what):
    torch.manual_seed(2)
    heads = HEADS[what]
    if "image" in heads:
        return Output(image=torch.randn(BATCH, 2))
    return Output(torch.randn(BATCH, heads["dense"], SIZE, SIZE))


OF_THE_MODEL = {"model_losses"}
"""The model computes it, so nothing is claimed of it."""


@pytest.mark.parametrize("name", sorted(set(names("losses")) - OF_THE_MODEL))
def test_every_loss_can_be_exact_and_then_its_gradients_are(name):
    said_by = list(exact(name))
    assert said_by, f"{name} is for no truth there is"
    for said, loss, what, target in said_by:
        assert is_mean_over_images(loss, logits(what), target), said
        for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
            for norm in ("group", "batch"):
                model = network(what, norm, dtype)
                torch.manual_seed(3)
                pixels = torch.randn(BATCH, 3, SIZE, SIZE, dtype=dtype)
                whole = gradients(model, loss, pixels, target, 1)
                parts = gradients(model, loss, pixels, target, PARTS)
                assert whole.dtype == dtype
                assert whole.norm() > 0, said
                assert (whole - parts).norm() <= tolerance * whole.norm(), f"{said}, {norm}"


@pytest.mark.parametrize(
    ("call", "ignored", "expected"),
    [
        (Call("dice"), False, False),
        (Call("tversky"), False, False),
        (Call("focal"), False, True),
        (Call("focal"), True, False),
        (Call("bce"), True, False),
        (Call("cross_entropy"), False, True),
        (Call("cross_entropy", {"class_weights": [0.2, 1, 3]}), False, False),
        (Call("structure"), True, True),
        (Call("structure", {"weighted_bce": False}), True, True),
    ],
)
def test_the_measure_tells_which_losses_are_means_over_images(call, ignored, expected):
    found = is_mean_over_images(load_loss([call]), logits("labels"), truth("labels", ignored=ignored))  # fmt: skip
    assert found == expected


RECIPE = """\
data: {phantom: {scene: endoscopy, cases: 16, shape: [64, 64], split: {train: 0.5, val: 0.25, test: 0.25}}}
labels: {polyp: {value: 1, kind: thing}}
prepare: [{channels: 3}, {resize: {shape: [32, 32]}}, {standardize: imagenet}]
model: {unet: {features: [4, 8]}}
loss: [{dice: {weight: 0.5}}, {focal: {weight: 0.5}}, structure]
trainer: {epochs: 1, batch_size: 2, accumulate: 4, loggers: []}
metrics: [dice]
"""


def test_check_names_the_loss_that_is_not_exact_and_the_way_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.yaml").write_text(RECIPE)
    notes = [x for x in verbs.check("r.yaml").lines if "trainer.accumulate" in x]
    assert notes == [
        "warn     trainer.accumulate: the gradients of 4 batches of 2 differ from those of one batch of 8, since "
        "dice is not a mean over images. {dice: {per: image}} is such a mean."
    ]  # fmt: skip
    lines = verbs.check("r.yaml", overrides=["loss.dice.per=image"]).lines
    assert not [x for x in lines if "trainer.accumulate" in x]
    lines = verbs.check("r.yaml", overrides=["trainer.accumulate=1"]).lines
    assert not [x for x in lines if "trainer.accumulate" in x]


def test_ignored_samples_are_named_where_only_they_make_the_difference(tmp_path):
    (tmp_path / "r.yaml").write_text(RECIPE)
    plan = load_recipe(tmp_path / "r.yaml", ["loss=focal", "labels.unsure={value: 2, kind: ignore}"])  # fmt: skip
    small = Output(torch.zeros(2, 1, 9, 9)), Target(torch.ones(2, 9, 9).long())
    (note,) = inexact_losses(plan, load_options(plan.trainer), *small)
    assert "of one batch of 8 where samples are ignored or labels unknown, since focal" in note
    assert "{focal: {per: image}} is such a mean" in note


def test_training_names_it_too(tmp_path, capsys):
    (tmp_path / "r.yaml").write_text(RECIPE)
    verbs.train(load_recipe(tmp_path / "r.yaml"), run=tmp_path / "run")
    assert "since dice is not a mean over images" in capsys.readouterr().err


class Kept(EMA):
    """An average that keeps what the clock and the gradient were at each step of the optimiser."""

    def __init__(self) -> None:
        super().__init__(0.5)
        self.rates: list[float] = []
        self.norms: list[float] = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer) -> None:
        self.rates.append(optimizer.param_groups[0]["lr"])
        grads = [p.grad.flatten() for p in pl_module.parameters()]
        self.norms.append(float(torch.cat(grads).norm()))


def fitted(tmp_path, size, accumulate, *, schedule="constant", clip=None, cases=20, epochs=2):
    """A network trained on the same cases in the same order, in batches of `size`."""
    torch.manual_seed(4)
    model = load_model(Call("unet", {"features": [4, 8], "norm": "group"}), 1, {"dense": 1}, 2)
    model = model.double()
    pixels = torch.randn(cases, 1, 16, 16, dtype=torch.float64)
    classes = (pixels[:, 0] > 0.3).long()
    batches = [
        Batch(pixels[i : i + size], Target(classes[i : i + size]), ("",) * size)
        for i in range(0, cases, size)
    ]
    kept = Kept()
    clock = Clock(Call(schedule), epochs, None, 0)
    trainer = Trainer(
        default_root_dir=tmp_path, accelerator="cpu", max_epochs=epochs, accumulate_grad_batches=accumulate,
        gradient_clip_val=clip, logger=False, callbacks=[kept, clock],
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    loss = load_loss([Call("dice", {"per": "image"}), Call("focal", {"per": "image"})])
    optimizer = Call("sgd", {"lr": 0.5, "momentum": 0.9})
    learner = Learner(model, loss, optimizer, fused=False)
    _quiet()
    trainer.fit(learner, DataLoader(batches, batch_size=None))
    return SimpleNamespace(
        weights=torch.cat([p.detach().flatten() for p in model.parameters()]),
        ema=torch.cat([kept.weights[k].flatten() for k, _ in model.named_parameters()]),
        steps=(trainer.global_step, kept.steps),
        rates=kept.rates,
        norms=kept.norms,
    )


@pytest.mark.parametrize("clip", [None, 0.05])
def test_optimizer_schedule_clipping_and_average_act_once_per_accumulated_step(tmp_path, clip):
    """Four batches of 2 and one of 8: 20 cases make two windows of 8 and a last one of 4."""
    parts = fitted(tmp_path, 2, 4, clip=clip)
    whole = fitted(tmp_path, 8, 1, clip=clip)
    assert parts.steps == whole.steps == (6, 6)
    close = dict(rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(torch.tensor(parts.norms), torch.tensor(whole.norms), **close)
    torch.testing.assert_close(parts.weights, whole.weights, **close)
    torch.testing.assert_close(parts.ema, whole.ema, **close)
    assert clip is None or min(parts.norms) > clip


def test_the_learning_rate_is_that_of_the_large_batch_at_each_step(tmp_path):
    parts, whole = (
        fitted(tmp_path, size, accumulate, cases=16, schedule="cosine")
        for size, accumulate in ((2, 4), (8, 1))
    )
    assert parts.rates == whole.rates
    assert len(set(parts.rates)) == 4


def test_the_training_loss_that_is_written_is_not_divided(tmp_path):
    (tmp_path / "r.yaml").write_text(RECIPE)
    losses = []
    for accumulate in (1, 4):
        run = tmp_path / f"run-{accumulate}"
        overrides = [f"trainer.accumulate={accumulate}", "optimizer={sgd: {lr: 1e-9}}"]
        verbs.train(load_recipe(tmp_path / "r.yaml", overrides), run=run)
        losses.append(float((run / "metrics.csv").read_text().splitlines()[1].split(",")[1]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("rsna-*.yaml")), ids=lambda path: path.stem)
def test_the_losses_of_a_recipe_for_large_batches_are_means_over_images(path):
    recipe = load_recipe(path)
    options = load_options(recipe.trainer)
    target = Target(torch.ones(2, SIZE, SIZE).long())
    output = Output(torch.zeros(2, 1 + len(recipe.labels.names), SIZE, SIZE))
    assert inexact_losses(recipe, options, output, target) == []
