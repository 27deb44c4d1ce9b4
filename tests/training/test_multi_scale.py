"""Each batch is trained on at several sizes, and gradients are clipped element by element (PraNet's training)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch import Trainer
from lightning.pytorch.plugins.precision import MixedPrecision
from safetensors.numpy import load_file
from torch.nn import functional as F
from torch.utils.data import DataLoader

from delineate import load_recipe, verbs
from delineate.core import Target
from delineate.losses import load_loss
from delineate.models import _weights, load_model, weights_of
from delineate.models.pranet import pranet
from delineate.resolve import Call, RecipeError
from delineate.training import rehearse
from delineate.training.batches import AtEachScale, Batch, rescaled, scaled_shape
from delineate.training.callbacks.clock import Clock
from delineate.training.fit import _quiet
from delineate.training.module import DivergedError, Learner
from delineate.training.options import load_options

torch.set_num_threads(1)

SMALL = "mobilenetv3_small_050"
FACTORS = (0.75, 1.0, 1.25)
DTYPE = torch.float64


def test_sizes_of_pranet():
    assert [scaled_shape((352, 352), f) for f in FACTORS] == [(256, 256), (352, 352), (448, 448)]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(1, 600), min_size=2, max_size=3),
    st.floats(0.05, 4),
    st.integers(0, 5),
)
def test_a_network_that_accepts_a_size_accepts_its_multiples(shape, factor, levels):
    stride = 2**levels
    shape = [n * stride for n in shape]
    found = scaled_shape(shape, factor)
    assert all(n >= stride and n % stride == 0 for n in found)
    assert all(abs(n - factor * old) <= 16 or n <= 32 for n, old in zip(found, shape, strict=True))
    assert scaled_shape(shape, 1.0) == tuple(shape)


@pytest.mark.parametrize(("shape", "factor"), [((64, 96), 0.5), ((64, 96), 1.5), ((16, 24, 40), 0.75),
                                               ((16, 24, 40), 1.25), ((1, 64, 64), 2.0)])  # fmt: skip
def test_the_truth_stays_at_its_place_in_the_image(shape, factor):
    """Pixels that hold their position along an axis, and labels that hold it rounded."""
    for axis in range(len(shape)):
        ramp = torch.arange(shape[axis], dtype=torch.float32)
        ramp = ramp.view(-1, *[1] * (len(shape) - 1 - axis)).expand(shape)
        whole = ramp.long()[None]
        target = Target(whole, whole % 2 == 0, torch.stack([whole, whole], 1).byte())
        batch = rescaled(Batch(ramp[None, None], target, ("a",), factor))
        size = scaled_shape(shape, factor)
        assert batch.scale == 1
        assert batch.pixels.shape == (1, 1, *size)
        assert batch.target.classes.shape == batch.target.valid.shape == (1, *size)
        assert batch.target.regions.shape == (1, 2, *size)
        assert (batch.target.classes - batch.pixels[:, 0]).abs().max() <= 0.5 + 1e-4
        assert torch.equal(batch.target.valid, batch.target.classes % 2 == 0)
        assert torch.equal(batch.target.regions[:, 1].long(), batch.target.classes)
        assert (batch.target.classes.dtype, batch.target.valid.dtype, batch.target.regions.dtype) == (
            torch.int64, torch.bool, torch.uint8)  # fmt: skip


def test_pixels_are_those_of_torch_and_image_level_labels_do_not_change():
    pixels, present = torch.randn(2, 3, 64, 96), torch.tensor([[1.0], [torch.nan]])
    batch = rescaled(Batch(pixels, Target(image=present), ("a", "b"), 0.5))
    theirs = F.interpolate(pixels, (32, 64), mode="bilinear", align_corners=True)
    torch.testing.assert_close(batch.pixels, theirs)
    assert batch.target.image is present
    same = rescaled(Batch(pixels, Target(image=present), ("a", "b"), 1.1))
    assert same.pixels is pixels


def test_batches_of_one_step_share_a_scale():
    loader = DataLoader([Batch(torch.zeros(1), Target(), (name,)) for name in "abcde"], batch_size=None)  # fmt: skip
    each = AtEachScale(loader, [0.5, 1, 2], accumulate=2)
    assert "".join(b.cases[0] for b in each) == "ababab" + "cdcdcd" + "eee"
    assert [b.scale for b in each] == [0.5, 0.5, 1, 1, 2, 2] * 2 + [0.5, 1, 2]
    assert len(each) == 15
    assert each.sampler is loader.sampler


def learnt(
    tmp_path, batches, *, accumulate=1, epochs=1, plugins=None, clip=None, by="norm", lr=0.5
):
    """The weights of a small network before and after training."""
    model = network()
    before = weights(model)
    loss = load_loss([Call("dice", {"per": "image"}), Call("focal", {"per": "image"})])
    learner = Learner(model, loss, Call("sgd", {"lr": lr, "momentum": 0.0}), fused=False)
    trainer = Trainer(
        default_root_dir=tmp_path, accelerator="cpu", max_epochs=epochs, accumulate_grad_batches=accumulate,
        gradient_clip_val=clip, gradient_clip_algorithm=by, plugins=plugins, logger=False,
        callbacks=[Clock(Call("constant"), epochs, None, 0)],
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    _quiet()
    trainer.fit(learner, batches)
    return before, weights(model), trainer.global_step


def network():
    torch.manual_seed(4)
    model = load_model(Call("unet", {"features": [4, 8], "norm": "group"}), 1, {"dense": 1}, 2)
    return model.to(DTYPE)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()]).clone()


def batches_of(size, cases=16):
    torch.manual_seed(5)
    pixels = torch.randn(cases, 1, 32, 64, dtype=DTYPE)
    classes = (pixels[:, 0] > 0.3).long()
    return DataLoader(
        [
            Batch(pixels[i : i + size], Target(classes[i : i + size]), ("",) * size)
            for i in range(0, cases, size)
        ],
        batch_size=None,
    )


def test_training_is_a_step_of_the_optimiser_per_batch_and_scale(tmp_path):
    """The same as a loop written by hand, with torch's own interpolation of the images."""
    factors = [0.5, 1.0, 2.0]
    _, found, steps = learnt(tmp_path, AtEachScale(batches_of(8), factors))
    assert steps == 6
    model = network()
    loss = load_loss([Call("dice", {"per": "image"}), Call("focal", {"per": "image"})])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for batch in batches_of(8):
        for size in [(32, 32), (32, 64), (64, 128)]:
            pixels = F.interpolate(batch.pixels, size, mode="bilinear", align_corners=True)
            rows, columns = (
                torch.linspace(0, n - 1, m).round().long()
                for n, m in zip((32, 64), size, strict=True)
            )
            optimizer.zero_grad()
            loss(model(pixels), Target(batch.target.classes[:, rows][:, :, columns])).backward()
            optimizer.step()
    torch.testing.assert_close(found, weights(model))


def test_accumulated_batches_are_one_large_batch_at_each_scale(tmp_path):
    parts = learnt(tmp_path, AtEachScale(batches_of(2), FACTORS, 4), accumulate=4, epochs=2)
    whole = learnt(tmp_path, AtEachScale(batches_of(8), FACTORS), epochs=2)
    assert parts[2] == whole[2] == 12
    torch.testing.assert_close(parts[1], whole[1])


@pytest.mark.parametrize("scaler", [None, torch.amp.GradScaler("cpu", init_scale=2.0**10)])
def test_each_element_of_the_gradient_is_clipped(tmp_path, scaler, monkeypatch):
    """With scaled gradients too, which are unscaled before."""
    if scaler is not None:  # mixed precision is for float32
        monkeypatch.setitem(globals(), "DTYPE", torch.float32)
    (batch,) = batches_of(16)
    alone = DataLoader([batch], batch_size=None)
    plugins = None if scaler is None else [MixedPrecision("16-mixed", "cpu", scaler)]
    before, free, _ = learnt(tmp_path, alone, plugins=plugins, lr=1.0)
    _, clipped, _ = learnt(tmp_path, alone, clip=0.01, by="value", plugins=plugins, lr=1.0)
    assert (free - before).abs().max() > 0.02
    close = dict(rtol=0, atol=1e-6 if scaler is None else 1e-3)
    torch.testing.assert_close(clipped, before + (free - before).clamp(-0.01, 0.01), **close)


RECIPE = """\
data: {phantom: {scene: endoscopy, cases: 16, shape: [64, 64], split: {train: 0.5, val: 0.25, test: 0.25}}}
labels: {polyp: {value: 1, kind: thing}}
prepare: [{channels: 3}, {resize: {shape: [64, 64]}}, {standardize: imagenet}]
augment: [flip]
model: {unet: {features: [4, 8], dropout: 0.1, deep_supervision: true}}
loss: [dice, bce]
schedule: {cosine: {warmup: 0.1}}
trainer: {epochs: 3, batch_size: 2, accumulate: 2, ema: 0.9, gradient_clip_value: 0.5, loggers: [],
          multi_scale: [0.5, 1.0, 1.5]}
metrics: [dice]
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    (tmp_path / "r.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)

    def load(*overrides):
        return load_recipe("r.yaml", overrides)

    return load


class StopError(Exception):
    """The run breaks off."""


def test_a_run_that_breaks_off_resumes_to_the_same_weights(recipe, tmp_path, monkeypatch):
    whole = verbs.train(recipe(), run=tmp_path / "whole")
    start = Clock.on_train_batch_start

    def broken_off(self, trainer, module, batch, index):
        start(self, trainer, module, batch, index)
        if trainer.current_epoch == 1 and index == 7:
            raise StopError

    with monkeypatch.context() as patch:
        patch.setattr(Clock, "on_train_batch_start", broken_off)
        with pytest.raises(StopError):
            verbs.train(recipe(), run=tmp_path / "broken")
    verbs.train(resume=tmp_path / "broken")
    ours, theirs = (
        load_file(run / "bundle" / "weights.safetensors") for run in (tmp_path / "broken", whole)
    )
    assert all((ours[name] == theirs[name]).all() for name in theirs)
    rows = [
        [line.rsplit(",", 1)[0] for line in (run / "metrics.csv").read_text().splitlines()]
        for run in (tmp_path / "broken", whole)
    ]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 4
    saved = torch.load(whole / "checkpoints" / "last.ckpt", weights_only=True)
    # 8 cases in batches of 2, two of which make a step, at 3 scales, for 3 epochs
    assert saved["global_step"] == saved["callbacks"]["EMA"]["steps"] == 2 * 3 * 3


@pytest.mark.parametrize(
    ("clip", "expected"),
    [
        ("trainer.gradient_clip_value=0.5", (0.5, "value")),
        ("trainer={epochs: 1, batch_size: 2, gradient_clip: 0.25, loggers: []}", (0.25, "norm")),
    ],
)
def test_a_recipe_clips_as_it_says(clip, expected, recipe, tmp_path, monkeypatch):
    seen = set()
    clipping = Learner.configure_gradient_clipping

    def record(self, optimizer, gradient_clip_val, gradient_clip_algorithm):
        seen.add((gradient_clip_val, gradient_clip_algorithm))
        clipping(self, optimizer, gradient_clip_val, gradient_clip_algorithm)

    monkeypatch.setattr(Learner, "configure_gradient_clipping", record)
    verbs.train(recipe(clip, "trainer.epochs=1"), run=tmp_path / "clipped")
    assert seen == {expected}


def test_the_batches_of_a_step_of_a_run_share_a_scale(recipe, tmp_path, monkeypatch):
    scales = []
    transfer = Learner.transfer_batch_to_device

    def record(self, batch, device, index):
        scales.append(batch.scale)
        return transfer(self, batch, device, index)

    monkeypatch.setattr(Learner, "transfer_batch_to_device", record)
    verbs.train(recipe("trainer.epochs=1"), run=tmp_path / "run")
    assert scales == [0.5, 0.5, 1, 1, 1.5, 1.5] * 2  # 4 batches, two of which make a step


def test_places_are_found_without_float64_on_the_device(monkeypatch):
    """MPS has no float64."""
    linspace = torch.linspace

    def on_the_cpu(*args, **options):
        assert torch.device(options.get("device") or "cpu").type == "cpu"
        return linspace(*args, **options)

    monkeypatch.setattr(torch, "linspace", on_the_cpu)
    pixels = torch.zeros(1, 3, 64, 64, device="meta")
    classes = torch.zeros(1, 64, 64, dtype=torch.long, device="meta")
    batch = rescaled(Batch(pixels, Target(classes), ("a",), 0.5))
    assert batch.target.classes.shape == (1, 32, 32)
    assert batch.target.classes.device.type == "meta"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({}, "A lower learning rate, --set trainer.gradient_clip=1 or"),
        ({"clip": 0.5, "by": "value"}, "rate, a trainer.gradient_clip_value below 0.5 or"),
        ({"clip": 2.0}, "rate, a trainer.gradient_clip below 2 or"),
    ],
)
def test_a_loss_of_nan_advises_to_clip_more_than_now(args, said, tmp_path):
    (batch,) = batches_of(16)
    broken = Batch(batch.pixels * torch.nan, batch.target, batch.cases)
    with pytest.raises(DivergedError, match=said):
        learnt(tmp_path, DataLoader([broken], batch_size=None), **args)


def test_check_and_train_read_a_file_of_weights_once_each(recipe, tmp_path, monkeypatch):
    (tmp_path / "w.safetensors").write_bytes(weights_of(pranet(encoder=SMALL)))
    read = []
    opened = _weights._opened
    monkeypatch.setattr(_weights, "_opened", lambda path: read.append(path) or opened(path))
    overrides = [
        f"model={{pranet: {{encoder: {SMALL}, weights: w.safetensors}}}}",
        "trainer.epochs=1",
        "augment=[]",
    ]
    verbs.check("r.yaml", overrides=overrides)
    assert len(read) == 1

    def stop(*args):
        raise StopError

    monkeypatch.setattr(Clock, "on_train_batch_start", stop)
    with pytest.raises(StopError):
        verbs.train(recipe(*overrides), run=tmp_path / "run")
    assert len(read) == 1 + 2  # before training, as check does, and for training


def test_a_run_with_a_time_limit_stops(recipe, tmp_path):
    overrides = ["trainer.epochs=1000", "trainer.max_time=3s"]
    run = verbs.train(recipe(*overrides), run=tmp_path / "timed")
    assert 1 < len((run / "metrics.csv").read_text().splitlines()) < 900


LAB = """\
import torch
from delineate.core import Output

class Fixed(torch.nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, classes, 1)
    def forward(self, pixels):
        if pixels.shape[-1] > 64:
            raise ValueError(f"images are {pixels.shape[-1]} wide; expected 64 at most.")
        return Output(self.conv(pixels))

def fixed(classes):
    return Fixed(classes)
"""


def test_check_names_the_size_that_a_model_does_not_accept(recipe, tmp_path, monkeypatch):
    (tmp_path / "lab_of_sizes.py").write_text(LAB)
    monkeypatch.syspath_prepend(tmp_path)
    overrides = ["model=lab_of_sizes:fixed"]
    said = r"resizes images from \(64, 64\) to \(96, 96\) for the factor 1.5.* 64 at most"
    with pytest.raises(RecipeError, match=said):
        verbs.check("r.yaml", overrides=overrides)
    verbs.check("r.yaml", overrides=[*overrides, "trainer.multi_scale=[0.5, 1]"])


def test_check_refuses_it_for_a_task_of_objects(recipe, monkeypatch):
    task = rehearse.load_task(recipe().task, recipe().labels)
    heads = {"dense": 1, "objects": 1}
    with_objects = SimpleNamespace(heads=heads, gives=task.gives, encode=task.encode)
    monkeypatch.setattr(rehearse, "load_task", lambda *_: with_objects)
    said = "r.yaml:9: trainer.multi_scale is for tasks without object heads, and the task semantic has one"
    with pytest.raises(RecipeError, match=said):
        rehearse.build_parts(recipe())


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"multi_scale": []}, "multi_scale is .*; expected a list of 1 to 16"),
        ({"multi_scale": [0]}, "numbers above 0 and up to 10"),
        ({"multi_scale": 0.75}, "multi_scale is 0.75"),
        ({"gradient_clip_value": -1}, "gradient_clip_value is -1"),
        ({"gradient_clip_value": 0.5, "gradient_clip": 1.0}, "both set; expected one"),
    ],
)
def test_settings_that_cannot_be_meant(args, said):
    with pytest.raises(RecipeError, match=said):
        load_options(Call("trainer", args, "r.yaml:9"))
