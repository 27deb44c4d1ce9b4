"""What flips do to the kidneys if their labels are not swapped: trained for seconds on slices of the abdomen phantom.

The window shows little but the kidneys. With the liver in view the network can tell a mirrored slice by its side, and
learns in spite of the flips; but it needs slices that show the liver.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from delineate.bundle import assemble
from delineate.data import load_cases
from delineate.inference.backends.run_torch import run_torch
from delineate.losses import load_loss
from delineate.models import load_model
from delineate.prepare import load_prepare
from delineate.prepare.augment import load_augment
from delineate.recipe import load_recipe
from delineate.tasks import load_task
from delineate.training.batches import AugmentedCases, collate
from delineate.training.cache import PreparedCases

KIDNEYS = ("left_kidney", "right_kidney")
SWAP = "[[left_kidney, right_kidney]]"
RECIPE = f"""\
data: {{phantom: {{scene: abdomen, cases: 120, shape: [64, 64], split: {{train: 0.7, test: 0.3}}}}}}
labels: {{left_kidney: 1, right_kidney: 2}}
prepare: [{{window: 160/80}}]
augment: [{{flip: {{axes: [1], swap: {SWAP}}}}}]
model: {{unet: {{features: [8, 16, 32]}}}}
loss: [dice, cross_entropy]
"""
EPOCHS, BATCH = 12, 8


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The recipe's network after training with some `swap`, and the test cases, with everything held in memory."""
    path = tmp_path_factory.mktemp("kidneys") / "r.yaml"
    path.write_text(RECIPE)
    recipe = load_recipe(path)
    splits = load_cases(recipe)
    calls = recipe.prepare
    prepared = PreparedCases(splits["train"], recipe.labels, load_prepare(calls), calls, None)
    tests = [
        replace(c, load_image=partial(_same, c.image), load_truth=partial(_same, c.truth))
        for c in splits["test"]
    ]
    return recipe, tests, lambda swap: _train(recipe, prepared, swap)


def _same(kept):
    return kept


def _train(recipe, prepared, swap):
    (flip,) = recipe.augment
    flip = replace(flip, args={**flip.args, "swap": swap})
    task = load_task(recipe.task, recipe.labels)
    cases = AugmentedCases(prepared, load_augment([flip], recipe.labels), task, seed=0)
    torch.manual_seed(0)
    network = load_model(recipe.model, channels=1, heads=task.heads, ndim=2)
    loss = load_loss(recipe.loss)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    steps = len(cases) // BATCH
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * steps)
    for epoch in range(EPOCHS):
        order = np.random.default_rng(epoch).permutation(len(cases))
        for part in order[: steps * BATCH].reshape(steps, BATCH):
            batch = collate([cases[epoch, int(index)] for index in part])
            optimizer.zero_grad()
            loss(network(batch.pixels), batch.target).backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def dice_of(recipe, network, cases):
    """Dice of both kidneys, pooled over the cases."""
    predictor = assemble(recipe, run_torch(network))
    both = [(predictor(case).classes, case.truth.classes) for case in cases]
    return [
        2 * sum(((p == v) & (t == v)).sum() for p, t in both)
        / sum((p == v).sum() + (t == v).sum() for p, t in both)
        for v in recipe.labels.values
    ]  # fmt: skip


@pytest.mark.slow
def test_kidneys_are_lost_where_flips_do_not_swap_them(trained, tmp_path):
    recipe, cases, train = trained
    with_swap, without = train([list(KIDNEYS)]), train([])
    swapped, unswapped = (dice_of(recipe, n, cases) for n in (with_swap, without))
    assert min(swapped) > 0.75
    assert max(unswapped) < min(swapped) - 0.15

    # the same network, averaged over flips when it predicts
    flipped = {}
    for swap in (SWAP, "[]"):
        (tmp_path / "r.yaml").write_text(f"{RECIPE}predict: [{{flips: {{axes: [1], swap: {swap}}}}}]\n")  # fmt: skip
        flipped[swap] = dice_of(load_recipe(tmp_path / "r.yaml"), with_swap, cases)
    assert min(flipped[SWAP]) > min(swapped) - 0.03
    assert max(flipped["[]"]) < min(swapped) - 0.15
