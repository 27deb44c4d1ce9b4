"""What every loss of the folder keeps; a new file is tested by being there."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin

import pytest
import torch

from delineate.core import Output, Target
from delineate.losses import Loss, UnfitError, load_loss
from delineate.resolve import GIVEN, Call, hints_of, names, resolve

SHAPES = ((6, 7), (3, 4, 5))
every = pytest.mark.parametrize("name", names("losses"))
of_each_shape = pytest.mark.parametrize("shape", SHAPES)


@dataclass(frozen=True, eq=False)
class Problem:
    """Something to learn: logits, which output they are, its truth, and the logits that are right."""

    logits: torch.Tensor
    output: Callable[[torch.Tensor], Output[torch.Tensor]]
    target: Target[torch.Tensor]
    right: torch.Tensor

    def loss(self, loss: Loss, logits: torch.Tensor) -> torch.Tensor:
        return loss(self.output(logits), self.target)


def one_label(shape: tuple[int, ...]) -> Problem:
    classes = torch.randint(2, (2, *shape))
    right = 10.0 * (2 * classes[:, None] - 1)
    return Problem(2 * torch.randn(right.shape), Output, Target(classes), right)


def labels(shape: tuple[int, ...]) -> Problem:
    classes = torch.randint(4, (2, *shape))
    right = 20.0 * torch.nn.functional.one_hot(classes, 4).movedim(-1, 1) - 10
    return Problem(2 * torch.randn(right.shape), Output, Target(classes), right)


def regions(shape: tuple[int, ...]) -> Problem:
    truth = (torch.rand(2, 3, *shape) < 0.5).byte()
    right = 20.0 * truth.float() - 10
    return Problem(2 * torch.randn(right.shape), Output, Target(regions=truth), right)


def image_level(shape: tuple[int, ...]) -> Problem:
    truth = torch.tensor([[1.0, 0.0, 0.0], [0.0, torch.nan, 1.0]])
    right = 20 * truth.nan_to_num() - 10
    return Problem(
        2 * torch.randn(right.shape), lambda x: Output(image=x), Target(image=truth), right
    )


def of_the_model(shape: tuple[int, ...]) -> Problem:
    """A model that computes its loss itself: how far it is from a truth that it has seen."""
    right = torch.randn(2, 3, *shape)

    def output(x: torch.Tensor) -> Output[torch.Tensor]:
        return Output(losses={"distance": (x.float() - right).square().mean()})

    return Problem(torch.randn(right.shape), output, Target(), right)


PROBLEMS = {"one label": one_label, "labels": labels, "regions": regions, "image-level": image_level,
            "of the model": of_the_model}  # fmt: skip


def variants(name: str) -> Iterator[Call]:
    """The loss as it is, and with each choice that it offers by a word or a switch."""
    yield Call(name)
    function = resolve("losses", name)
    hints = hints_of(function)
    for argument, parameter in inspect.signature(function).parameters.items():
        if argument in GIVEN["losses"]:
            continue
        hint = hints[argument]
        choices: Any = get_args(hint) if get_origin(hint) is Literal else ()
        for choice in (True, False) if hint is bool else choices:
            if choice != parameter.default:
                yield Call(name, {argument: choice})


def problems(name: str, shape: tuple[int, ...]) -> list[tuple[str, Loss, Problem]]:
    """Each variant with each problem that it is for; of what it is not for it says so in a sentence."""
    found = []
    for call in variants(name):
        loss = load_loss([call])
        for what, make in PROBLEMS.items():
            torch.manual_seed(len(what))
            problem = make(shape)
            try:
                problem.loss(loss, torch.zeros_like(problem.logits))
            except ValueError as error:
                assert str(error).endswith("."), (  # noqa: PT017
                    f"{call} refuses {what} without a sentence: {error}"
                )
                continue
            found.append((f"{name} {dict(call.args)}, {what}", loss, problem))
    assert found, f"{name} is for no problem there is: {', '.join(PROBLEMS)}"
    return found


@of_each_shape
@every
def test_is_one_finite_number_with_finite_slopes(name, shape):
    for said, loss, problem in problems(name, shape):
        logits = (30 * problem.logits).requires_grad_()  # far into saturation
        value = problem.loss(loss, logits)
        assert value.shape == (), said
        assert value.dtype == torch.float32, said
        assert value.requires_grad, f"{said}: has no slope"
        value.backward()
        assert math.isfinite(value.item()), said
        assert logits.grad is not None, said
        assert logits.grad.isfinite().all(), said


@of_each_shape
@every
def test_falls_on_the_way_to_the_truth_and_is_least_there(name, shape):
    for said, loss, problem in problems(name, shape):
        right, logits = problem.right, problem.logits
        least = problem.loss(loss, right)
        way = [problem.loss(loss, torch.lerp(logits, right, t)) for t in (0.0, 0.3, 0.6)]
        assert way[0] > way[1] > way[2] >= least - 1e-4, f"{said}: {way}, {least}"
        for other in (
            -right,
            0 * right,
            right.roll(1, 0),
            right + 5 * logits,
            right + 40,
            4 * right,
        ):
            assert least <= problem.loss(loss, other) + 1e-3, said


@of_each_shape
@every
def test_a_small_step_down_its_slope_lowers_it(name, shape):
    for said, loss, problem in problems(name, shape):
        logits = problem.logits.clone().requires_grad_()
        value = problem.loss(loss, logits)
        value.backward()
        assert logits.grad is not None, said
        assert logits.grad.any(), f"{said}: does not depend on the output"
        with torch.no_grad():
            below = problem.loss(loss, logits - 0.1 * logits.grad / logits.grad.norm())
        assert below < value, said


def dense(name: str, shape: tuple[int, ...]) -> list[tuple[str, Loss, Problem]]:
    return [p for p in problems(name, shape) if p[2].output is Output]


@of_each_shape
@every
def test_samples_that_are_not_valid_take_no_part(name, shape):
    for said, loss, problem in dense(name, shape):
        target, logits = problem.target, problem.logits
        valid = torch.rand(2, *shape) < 0.6
        others = torch.where(valid[:, None], logits, 7 * torch.randn_like(logits)).requires_grad_()
        if target.classes is None:
            hidden = replace(target, regions=torch.where(valid[:, None], target.regions, 0))
        else:
            hidden = replace(target, classes=torch.where(valid, target.classes, 0))
        value = loss(Output(logits), replace(target, valid=valid))
        other = loss(Output(others), replace(hidden, valid=valid))
        torch.testing.assert_close(value, other, msg=said)
        other.backward()
        assert (others.grad.movedim(1, -1)[~valid] == 0).all(), said


@every
def test_image_level_labels_that_are_not_known_take_no_part(name):
    for said, loss, problem in problems(name, SHAPES[0]):
        if problem.target.image is None:
            continue
        other = torch.where(problem.target.image.isnan(), 7, problem.logits)
        torch.testing.assert_close(
            problem.loss(loss, problem.logits), problem.loss(loss, other), msg=said
        )


@every
def test_all_valid_is_the_same_as_no_mask_and_none_valid_has_no_slope(name):
    for said, loss, problem in dense(name, SHAPES[0]):
        all_valid = torch.ones(2, *SHAPES[0], dtype=torch.bool)
        masked = loss(Output(problem.logits), replace(problem.target, valid=all_valid))
        torch.testing.assert_close(problem.loss(loss, problem.logits), masked, msg=said)
        logits = problem.logits.clone().requires_grad_()
        loss(Output(logits), replace(problem.target, valid=~all_valid)).backward()
        assert (logits.grad == 0).all(), said


@every
def test_a_slice_is_a_volume_of_depth_one(name):
    for said, loss, problem in dense(name, SHAPES[0]):
        target = problem.target
        deep = Target(
            None if target.classes is None else target.classes[:, None],
            regions=None if target.regions is None else target.regions[:, :, None],
        )
        torch.testing.assert_close(
            loss(Output(problem.logits[:, :, None]), deep),
            problem.loss(loss, problem.logits),
            msg=said,
        )


@every
def test_mixed_precision_sums_in_float32(name):
    for said, loss, problem in problems(name, SHAPES[0]):
        rounded = problem.logits.bfloat16()
        with torch.autocast("cpu", torch.bfloat16):
            mixed = problem.loss(loss, rounded)
        torch.testing.assert_close(mixed, problem.loss(loss, rounded.float()), msg=said)


@every
def test_takes_bytes_as_classes_and_changes_nothing(name):
    for said, loss, problem in problems(name, SHAPES[0]):
        target = problem.target
        if target.classes is not None:
            target = replace(target, classes=target.classes.byte())
        kept = problem.logits.clone(), target.map(torch.clone)
        value = loss(problem.output(problem.logits), target)
        torch.testing.assert_close(value, problem.loss(loss, problem.logits), msg=said)
        assert torch.equal(problem.logits, kept[0]), f"{said}: changes the output"
        for head in ("classes", "regions"):
            now, before = getattr(target, head), getattr(kept[1], head)
            assert now is None or torch.equal(now, before), f"{said}: changes the target"


@every
def test_sizes_that_differ_are_refused_with_both(name):
    for _, loss, problem in dense(name, SHAPES[0]):
        target = problem.target.map(lambda truth: truth[..., :-1, :])
        truth = target.regions if target.classes is None else target.classes
        with pytest.raises(ValueError, match="expected") as raised:
            loss(Output(problem.logits), target)
        assert str(tuple(problem.logits.shape)) in str(raised.value)
        assert str(tuple(truth.shape)) in str(raised.value)


@of_each_shape
@every
def test_one_region_is_one_label(name, shape):
    both = {type(p.target.regions) for _, _, p in dense(name, shape)}
    if len(both) < 2:
        pytest.skip(f"{name} is for one of the two alone")
    for said, loss, problem in dense(name, shape):
        if problem.logits.shape[1] > 1:
            continue
        for valid in (None, torch.rand(2, *shape) < 0.7):
            regions = Target(None, valid, problem.target.classes[:, None])
            try:
                one = loss(Output(problem.logits), regions)
            except ValueError:  # this variant is for labels that exclude each other
                continue
            torch.testing.assert_close(
                one, loss(Output(problem.logits), replace(problem.target, valid=valid)), msg=said
            )


BAD = {
    "blind": "    return 0 * output.logits.mean() + 1\n",
    "upside_down": "    return -bce(output, target)\n",
    "per_image": "    return torch.stack([bce(output, target)] * 2)\n",
    "no_slope": "    return bce(output, target).detach()\n",
    "rounding": "    return bce(output, target).round()\n",
    "overflowing": "    return bce(output, target) + output.logits.exp().exp().mean()\n",
    "careless": "    return bce(output, Target(target.classes, None, target.regions, target.image))\n",
    "spoiling": "    output.logits.mul_(0.5)\n    return bce(output, target)\n",
    "half": "    return bce(output, target).half()\n",
    "shifted": "    return bce(Output(output.logits - 30), target)\n",
    "refusing": "    raise ValueError('never.')\n",
    "speechless": "    raise ValueError('no')\n",
    "one_sided": "    return (1 - target.classes) .mul(output.logits[:, 0].sigmoid()).mean()\n",
}  # fmt: skip
"""Losses that nobody should learn with."""

HEAD = "import torch\nfrom delineate.core import Output, Target\nfrom delineate.losses.bce import bce\n"


@pytest.mark.parametrize("name", BAD)
def test_a_bad_loss_breaks_the_contract(name, add_file, broken):
    add_file("losses", name, f"{HEAD}def {name}(output, target):\n{BAD[name]}")
    assert broken(name)


def test_a_good_loss_of_any_scale_keeps_the_contract(add_file, broken):
    """Not even above 0.5 where all is wrong."""
    text = "    return 0.01 * bce(output, target) + 3\n"
    add_file("losses", "faint", f"{HEAD}def faint(output, target):\n{text}")
    assert broken("faint") is None


def test_sizes_and_heads_that_are_missing_are_told():
    bce = load_loss([Call("bce")])
    with pytest.raises(ValueError, match="has no dense head"):
        bce(Output(image=torch.zeros(2, 3)), Target(torch.zeros(2, 4, 4).long()))
    with pytest.raises(ValueError, match="has no image head"):
        bce(Output(torch.zeros(2, 3, 4, 4)), Target(image=torch.zeros(2, 3)))


REGIONS = Output(torch.zeros(2, 3, 4, 4)), Target(regions=torch.ones(2, 3, 4, 4))
IMAGE = Output(image=torch.zeros(2, 2)), Target(image=torch.tensor([[1.0, 0.0], [0.0, math.nan]]))


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("cross_entropy", REGIONS, "labels that exclude each other, but the task has labels that overlap."),
        ("cross_entropy", IMAGE, "labels that exclude each other, but the task has image-level labels."),
        ("dice", IMAGE, "masks, but the task has image-level labels."),
        ("structure", IMAGE, "masks, but the task has image-level labels."),
    ],
)  # fmt: skip
def test_what_a_loss_cannot_learn_from_is_told(name, given, said):
    with pytest.raises(UnfitError, match=rf"^the loss needs {re.escape(said)}$"):
        load_loss([Call(name)])(*given)
