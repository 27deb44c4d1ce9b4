"""Validation makes the table that evaluation makes, and reads its figures."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.multiprocessing.spawn import spawn

from delineate.bundle import assemble
from delineate.data import load_cases
from delineate.evaluation.evaluate import evaluate
from delineate.inference import NotFiniteError
from delineate.inference.backends.run_torch import run_torch
from delineate.losses import load_loss
from delineate.metrics import load_metrics
from delineate.models import load_model
from delineate.recipe import load_recipe
from delineate.tasks import load_task
from delineate.training.callbacks.validate import Validation
from delineate.training.module import DivergedError

RECIPE = """\
data: {phantom: {scene: abdomen, cases: 16, shape: [48, 48], split: {train: 0.5, val: 0.5}}}
labels: {liver: 1, lesion: {value: 2, kind: thing}}
prepare: [{window: {level: 40, width: 400}}, {resize: {shape: [32, 32]}}]
model: {unet: {features: [4, 8], norm: instance}}
loss: [dice, cross_entropy]
metrics: [dice, auroc, mask_ap, pixel_accuracy, image_specificity]
"""
ALONE = SimpleNamespace(global_rank=0, world_size=1)


@pytest.fixture
def parts(tmp_path):
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    return build(tmp_path / "tiny.yaml")


def build(path):
    recipe = load_recipe(path)
    torch.manual_seed(0)
    heads = load_task(recipe.task, recipe.labels).heads
    model = load_model(recipe.model, channels=1, heads=heads, ndim=2)
    predictor = assemble(recipe, run_torch(model))
    loss = load_loss(recipe.loss, recipe.deep_supervision)
    return load_cases(recipe)["val"], predictor, load_metrics(recipe.metrics), loss


def validation(cases, predictor, metrics, loss):
    return Validation(
        cases, predictor, metrics, loss, None, None, None,
        monitor="val/dice", lower_is_better=False, every=1, patience=None,
    )  # fmt: skip


def test_scores_are_the_figures_of_the_table(parts):
    cases, predictor, metrics, _ = parts
    scores = validation(*parts)._scores(ALONE)
    predictor = replace(predictor, keep_probabilities=True)
    table = evaluate(predictor, cases, metrics, progress=False)
    assert list(scores) == [*(f"val/{name}" for name in metrics), "val/loss"]
    for name in metrics:
        figures = [table.headline(label, name) for label in table.labels]
        known = [figure for figure in figures if not math.isnan(figure)]
        expected = np.mean(known) if known else math.nan
        assert scores[f"val/{name}"] == pytest.approx(expected, nan_ok=True), name
    pooled = [table.pooled(label, "mask_ap") for label in ("liver", "lesion")]
    assert scores["val/mask_ap"] == pytest.approx(np.mean(pooled))
    assert scores["val/auroc"] == scores["val/auroc"]
    assert scores["val/loss"] > 0


def test_a_network_that_answers_nan_has_diverged(parts):
    cases, predictor, metrics, loss = parts

    def broken(case):
        raise NotFiniteError(f"{case.id}: NaN.")

    one = validation(cases, predictor, metrics, loss)
    one.predictor = broken  # any predictor is one
    with pytest.raises(DivergedError, match="validation case"):
        one._scores(ALONE)


def test_a_case_without_truth_is_named(parts):
    cases, *rest = parts
    with pytest.raises(ValueError, match=f"{cases[0].id}: has no truth"):
        validation([replace(cases[0], load_truth=None), *cases[1:]], *rest)._scores(ALONE)


def test_a_recipe_without_metrics_is_validated_by_its_loss(parts):
    cases, predictor, _, loss = parts
    assert list(validation(cases, predictor, {}, loss)._scores(ALONE)) == ["val/loss"]


@pytest.mark.slow
@pytest.mark.parametrize("count", [8, 1])
def test_two_processes_gather_their_rows(parts, tmp_path, count):
    """Of one case, the second process has none."""
    spawn(_rank, (count, str(tmp_path)), nprocs=2)
    cases, *rest = parts
    expected = validation(cases[:count], *rest)._scores(ALONE)
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert found == pytest.approx(expected, nan_ok=True)


def _rank(rank, count, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    trainer = SimpleNamespace(global_rank=rank, world_size=2)
    cases, *rest = build(Path(folder) / "tiny.yaml")
    torch.save(validation(cases[:count], *rest)._scores(trainer), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()
