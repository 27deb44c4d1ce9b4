"""What `check` accepts, training can build: every argument of every catalogue, with values nobody means."""

import inspect
from dataclasses import replace
from typing import Annotated, Any, Literal, get_args, get_origin

import numpy as np
import pytest
import torch

from delineate.core import Geometry, Image, Label, LabelSet, Output, Segmentation, Target
from delineate.data import load_cases
from delineate.inference import wrap_network
from delineate.losses import load_loss
from delineate.metrics import forget, load_metrics
from delineate.models import load_model
from delineate.prepare import Layers, load_prepare
from delineate.prepare.augment import case_rng, load_augment
from delineate.recipe import load_recipe
from delineate.refine import load_refine
from delineate.resolve import CATALOGUES, GIVEN, Call, RecipeError, build, check, hints_of, names
from delineate.resolve import resolve as resolved
from delineate.training.options import Options, load_options
from delineate.training.rehearse import build_parts, rehearse
from delineate.training.schedules import Progress
from delineate.verbs._audit import AuditOptions
from delineate.verbs.evaluate_masks import MaskSettings

LABELS = LabelSet((Label("liver", 1), Label("lesion", 2, "thing")))
PLACE = "r.yaml:7"
NEEDED = {
    "crop": {"shape": [8, 8]}, "resize": {"shape": [8, 8]}, "pad": {"multiple": 4}, "channels": {"count": 3},
    "resample": {"spacing": 1.0}, "window": {"level": 40, "width": 80}, "remove_small_objects": {"min_size": 4},
    "smp": {"arch": "unet", "encoder": "resnet18"}, "folder": {"root": "."}, "unet": {"features": [4, 8]},
    "pranet": {"encoder": "mobilenetv3_small_050"}, "emcad": {"encoder": "mobilenetv3_small_050"},
    "sliding_window": {"size": [8, 8]}, "flips": {"axes": [0]}, "scales": {"factors": [1]},
}  # fmt: skip
BAD: list[Any] = [
    -1, 0, 1, 2, 0.5, -0.5, 1.5, 7, 16, True, None, "", "x", "pollyp", float("nan"), "nan", float("inf"), "1.0e+400",
    float("1e300"), 10**400, 2**31, 2**63, [], [0], [1], [1, 2], [0, 16], [16, 0], [2, 1], [-1, 1], [5, 9], [0, 0],
    [float("nan"), 1], [1, 2, 3, 4, 5], [[0, 7]], [[0, 0]], [[0, 1]], ["pollyp"], {}, {"a": 1}, "9" * 5000,
]  # fmt: skip
CHECKED = [
    c
    for c in CATALOGUES
    if c not in ("audit", "formats", "data", "loggers", "tasks", "deep_supervision")
]
ENTRIES = [(c, name) for c in CATALOGUES if c != "formats" for name in names(c)]
SECTIONS = (Options, AuditOptions, Label, MaskSettings)


def arguments(thing, given=()):
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [
        n
        for n, p in inspect.signature(thing).parameters.items()
        if n not in given and p.kind in kinds
    ]


def unbounded(hint, inside=False):
    """Whether a number without limits is in a type."""
    if get_origin(hint) is Annotated:
        inner, *limits = get_args(hint)
        known = any(getattr(limit, n, None) is not None for limit in limits for n in ("ge", "gt"))
        return unbounded(inner, known)
    if get_origin(hint) is Literal:
        return False
    if get_args(hint):
        return any(unbounded(part) for part in get_args(hint))
    return hint in (int, float) and not inside


@pytest.mark.parametrize(("catalogue", "name"), ENTRIES)
def test_every_number_that_a_recipe_may_write_has_its_limits_in_the_signature(catalogue, name):
    thing = resolved(catalogue, name)
    hints = hints_of(thing)
    for argument in arguments(thing, GIVEN.get(catalogue, ())):
        assert argument in hints, f"{argument} of {catalogue}.{name} has no type"
        assert not unbounded(hints[argument]), f"{argument} of {catalogue}.{name} has no limits"


@pytest.mark.parametrize("section", SECTIONS)
def test_so_has_every_number_of_a_section(section):
    hints = hints_of(section)
    assert not [name for name in arguments(section) if unbounded(hints[name])]


# ---- what training does with each kind of thing, on numbers rather than on empty pixels


def image(ndim, channels=3):
    shape = (16, 20, 18)[:ndim]
    pixels = np.random.default_rng(0).integers(0, 255, (channels, *shape), np.uint8)
    geometry = Geometry.in_pixels(shape)
    if ndim == 3:
        geometry = Geometry.in_patient(shape, np.eye(4) + np.diag([1.0, 1, 0, 0]))
    return Image(pixels, geometry)


def segmentation(ndim):
    grid = image(ndim).geometry
    classes = np.random.default_rng(1).integers(0, 3, grid.shape, np.uint8)
    maps = np.random.default_rng(2).random((3, *grid.shape), np.float32)
    return Segmentation(classes, LABELS, grid, probabilities=maps / maps.sum(0))


def use_prepare(call):
    for ndim in (2, 3):
        try:
            load_prepare([call])(image(ndim, 1 if call.name == "window" else 3))
            return
        except ValueError as error:  # it may be made for the other number of axes, or for scans
            kept = error
    raise kept


def use_augment(call):
    step = load_augment([replace(call, labels=None)], LABELS)
    pixels = image(2).pixels
    for epoch in range(8):
        step(pixels, Layers.of(segmentation(2)), case_rng(0, epoch, 0))


def use_models(call):
    model = load_model(call, 3, {"dense": 3}, 2)
    output = model(torch.rand(2, 3, 32, 32))
    output.logits.sum().backward()


def use_losses(call):
    logits = torch.randn(2, 3, 12, 12, requires_grad=True)
    load_loss([call])(Output(logits), Target(torch.randint(0, 3, (2, 12, 12)))).backward()


def use_optimizers(call):
    weights = torch.nn.Parameter(torch.rand(3))
    optimizer = build("optimizers", call, params=[weights])
    if not any(call.args.get(flag) for flag in ("capturable", "fused")):  # those ask for a GPU
        weights.grad = torch.rand(3)
        optimizer.step()


def use_schedules(call):
    args = check("schedules", call)
    for t in np.linspace(0, 1, 21):
        progress = Progress(float(t), 100 * float(t), (0.1, 0.2, 0.2, 0.2))
        assert np.isfinite(resolved("schedules", call.name)(progress, **args))


def use_metrics(call):
    for metric in load_metrics([call]).values():
        metric(segmentation(2), segmentation(2))
    forget()


def use_refine(call):
    for step in load_refine([call]):
        step(segmentation(2), image(2))


def use_predict(call):
    if call.name == "ensemble":  # no path among the values is that of a bundle
        raise ValueError("no bundle there")
    network = wrap_network([call], lambda pixels: Output(pixels[:, :1]))
    assert network(np.zeros((1, 3, 18, 20), np.float32)).logits.shape == (1, 1, 18, 20)


def recipe_with(tmp_path, section, call):
    """A recipe in memory whose `section` is one call as the recipe has it."""
    path = tmp_path / "r.yaml"
    if not path.exists():
        path.write_text(
            "data: {phantom: {scene: abdomen, cases: 8, shape: [16, 32], split: {train: 0.5, test: 0.5}}}\n"
            "labels: {liver: 1, lesion: {value: 2, kind: thing}}\n"
            "prepare: [{window: {level: 40, width: 400}}, {channels: 3}]\n"
            "model: {unet: {features: [4, 8]}}\nloss: dice\ntrainer: {loggers: []}\n"
        )
    plain = load_recipe(path)
    many = isinstance(getattr(plain, section), tuple)
    return replace(plain, **{section: (call,) if many else call})


SECTION = {"models": "model", "losses": "loss", "optimizers": "optimizer", "schedules": "schedule"}
USE = {c: globals()[f"use_{c}"] for c in CHECKED}


def refusal(function, *args):
    """What a function says to a recipe that it refuses; None where it takes it."""
    try:
        function(*args)
    except RecipeError as error:
        return str(error)
    return None


def rehearsed(recipe):
    """What check does with a recipe after its names and types."""
    build_parts(recipe)
    rehearse(recipe, load_cases(recipe))


def failure(use, call):
    try:
        use(call)
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize(
    ("catalogue", "name"), [(c, n) for c, n in ENTRIES if c in CHECKED and n != "smp"]
)
@pytest.mark.filterwarnings("ignore")
def test_what_check_accepts_can_be_used(catalogue, name, tmp_path, needed):
    """And the other way round: whatever raises in use has been refused before, with its place."""
    given = GIVEN.get(catalogue, ())
    usual = NEEDED.get(name) or needed(resolved(catalogue, name), given)
    for argument in arguments(resolved(catalogue, name), given):
        for value in BAD:
            args = {**usual, argument: value}
            call = Call(name, args, PLACE, labels=LABELS.names)
            said = refusal(check, catalogue, call)
            if said is not None:
                assert said.startswith(f"{PLACE}: {name}: {argument} is ")
                assert "; expected " in said
                continue
            error = failure(USE[catalogue], call)
            if error is None or (catalogue == "prepare" and isinstance(error, ValueError)):
                continue  # check prepares every image
            recipe = recipe_with(tmp_path, SECTION.get(catalogue, catalogue), call)
            said = refusal(rehearsed, recipe)
            assert said is not None, f"{argument}: {value!r} is accepted: {error!r}"
            assert said.startswith(f"{PLACE}: ")


@pytest.mark.parametrize("argument", arguments(Options))
def test_the_trainer_section_refuses_with_its_place(argument):
    for value in BAD:
        said = refusal(load_options, Call("trainer", {argument: value}, PLACE))
        assert said is None or said.startswith(f"{PLACE}: ")
