"""Mixed precision agrees with float32."""

import csv

import numpy as np
import pytest
import torch

from delineate import load_bundle, load_cases, load_recipe, verbs
from delineate.core import Output, Target
from delineate.losses import load_loss
from delineate.resolve import OWN, Call

RECIPE = """\
data: {phantom: {scene: endoscopy, cases: 24, shape: [64, 64], split: {train: 0.67, test: 0.33}}}
labels: {polyp: {value: 1, kind: thing}}
prepare: [{channels: 3}, {resize: {shape: [32, 32]}}, {standardize: imagenet}]
augment: [flip]
model: {unet: {features: [8, 16], norm: group}}
loss: [{dice: {per: image, weight: 0.5}}, {focal: {weight: 0.5}}]
optimizer: {adamw: {lr: 3.0e-3}}
trainer: {epochs: 12, batch_size: 4, gradient_clip: 1.0, device: cpu, loggers: []}
metrics: [dice]
"""


def trained(tmp_path, precision, device="cpu"):
    """The losses of the epochs, and the probabilities of the test cases."""
    (tmp_path / "r.yaml").write_text(RECIPE)
    plan = load_recipe(
        tmp_path / "r.yaml", [f"trainer.precision={precision}", f"trainer.device={device}"]
    )
    run = verbs.train(plan, run=tmp_path / precision)
    with open(run / "metrics.csv", newline="") as file:
        losses = np.array([float(row["train/loss"]) for row in csv.DictReader(file)])
    predictor = load_bundle(run, keep_probabilities=True)
    return losses, np.stack([predictor(case).probabilities for case in load_cases(plan)["test"]])


def test_a_short_training_in_bf16_agrees_with_fp32(tmp_path):
    """The losses of all epochs within 1 %, the probabilities within 0.04 on average."""
    plain, mixed = (trained(tmp_path, precision) for precision in ("fp32", "bf16"))
    np.testing.assert_allclose(mixed[0], plain[0], rtol=0.01)
    assert not np.array_equal(mixed[0], plain[0])  # it was another precision
    assert plain[0][-1] < 0.95 * plain[0][0]  # and something was learnt
    assert np.abs(mixed[1] - plain[1]).mean() < 0.04


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_short_training_on_a_gpu_agrees_with_fp32(tmp_path, precision):
    plain, mixed = (trained(tmp_path, each, "cuda") for each in ("fp32", precision))
    np.testing.assert_allclose(mixed[0], plain[0], rtol=0.03)
    assert np.abs(mixed[1] - plain[1]).mean() < 0.03


LOSS = """
import torch

def edges(output, target):
    '''A loss that convolves, which autocast would do in bfloat16.'''
    kernel = torch.tensor([[[[0.1, -0.2, 0.1]]]])
    sharp = torch.nn.functional.conv2d(output.logits, kernel)
    assert sharp.dtype == torch.float32
    return sharp.square().mean()
"""


def test_a_loss_of_ones_own_computes_in_float32_too(tmp_path, monkeypatch):
    (tmp_path / "sharp_loss.py").write_text(LOSS)
    monkeypatch.chdir(tmp_path)
    loss = load_loss([Call("sharp_loss:edges", trust=OWN)])
    logits, target = torch.randn(2, 1, 8, 8).bfloat16(), Target(torch.zeros(2, 8, 8).long())
    with torch.autocast("cpu", torch.bfloat16):
        mixed = loss(Output(logits), target)
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    torch.testing.assert_close(mixed, loss(Output(logits.float()), target), rtol=0, atol=0)
