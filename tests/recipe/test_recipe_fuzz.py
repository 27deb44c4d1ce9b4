"""Recipes and files of labels with one thing replaced by what nobody means: valid, or one line with the place."""

import copy
import random
import warnings
from pathlib import Path

import pytest
import yaml

from delineate.data import load_cases
from delineate.recipe import load_recipe
from delineate.resolve import NOBODY, RecipeError
from delineate.training.rehearse import rehearse
from delineate.verbs.evaluate_masks import _read_labels
from delineate.verbs.train import check_calls

HOME = Path(__file__).parents[2]
RECIPES = sorted([*HOME.glob("recipes/*.yaml"), HOME / "src/delineate/verbs/demo.yaml"])
SMALL = """\
data: {phantom: {scene: endoscopy, cases: 8, shape: [32, 32], split: {train: 0.5, test: 0.5}}}
labels: {polyp: {value: 1, kind: thing, colour: "#00c2a8"}, stool: 2}
audit: {allow: []}
prepare: [{channels: 3}, {resize: {shape: [16, 16]}}, {standardize: imagenet}]
augment: [{flip: {axes: [0, 1], swap: []}}, {rotate: {degrees: 45}}, {dropout: {holes: [1, 3]}}]
model: {unet: {features: [4, 8], dropout: 0.1}}
loss: [{dice: {weight: 0.5, smooth: 1.0}}, {cross_entropy: {class_weights: [1, 2, 3]}}]
optimizer: {adamw: {lr: 1.0e-2, betas: [0.9, 0.99]}}
schedule: {cosine: {warmup: 0.1}}
trainer: {epochs: 3, batch_size: 4, ema: 0.9, gradient_clip: 1.0, loggers: [{tensorboard: {}}], monitor: val/dice}
predict: [{sliding_window: {size: [16, 16], overlap: 0.5}}, {flips: [0]}, {scales: {factors: [1, 2]}}]
refine: [{remove_small_objects: {min_size: 4, labels: [polyp]}}, fill_holes]
metrics: [dice, {nsd: {tolerance: 2}}]
seed: 3
name: small
"""
LABELS = """\
labels:
  polyp: {value: 1, kind: thing, colour: "#00c2a8", code: "a:b:c"}
  stool: 2
values: {polyp: 255, stool: ["#ff0000", 3]}
found: {polyp: 5, background: ">0", stool: []}
tolerance: 3
metrics: [dice, {nsd: {tolerance: 2}}]
"""
NESTED = [[[[[[[[["deep"]]]]]]]]]
ODD = (
    None, "", " ", [], {}, -1, 0, 2, 1.5, True, False, float("inf"), float("nan"), 10**18, -(10**18), "1.0e+400",
    "x" * 5000, "../..", "..x:y", ":", "a:b:c", "math:pi", "os:nothing", "no_such_lab:f", "json:JSONDecodeError",
    "a\0b", "*" * 30, "(a+)+$", "$" + "{HOME}", "$" + "{NO_SUCH_VARIABLE}", NESTED, {"a": {"b": {"c": [1]}}}, {1: 2},
    {None: None}, {"": 1}, [{}], [None], [[]], ["x", "x"], [1, -1], {"polyp": 1.5}, "{stem}", "column:x", "ü" * 50,
)  # fmt: skip


def nodes(tree, place=()):
    """The place of every part of a tree."""
    yield place
    for key, value in (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree)
        if isinstance(tree, list)
        else ()
    ):
        yield from nodes(value, (*place, key))


def changed(tree, place, value):
    if not place:
        return value
    tree = copy.deepcopy(tree)
    inner = tree
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return tree


def mutations(text, count, seed):
    """`count` trees with one or two parts replaced; every part is, if there are enough."""
    rng = random.Random(seed)
    tree = yaml.safe_load(text)
    places = [place for place in nodes(tree) if place]
    for i in range(count):
        other = changed(tree, places[(i + seed) % len(places)], rng.choice(ODD))
        if rng.random() < 0.2:
            other = changed(other, rng.choice([p for p in nodes(other) if p]), rng.choice(ODD))
        yield other


def told(path, use):
    """Use a file: it is valid, or refused in one line that begins with its place."""
    try:
        use()
    except RecipeError as error:
        said = str(error)
        at = said.startswith(str(path))
        assert at, f"without its place: {said}\n{path.read_text()}"
        assert "\n" not in said
        assert len(said) < 2500
    except Exception as error:
        raise AssertionError(f"{error!r} of\n{path.read_text()}") from error


def refusal(path, override):
    try:
        load_recipe(path, [override])
    except RecipeError as error:
        return str(error)
    return None


def checked(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_calls(load_recipe(path))


def rehearsed(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan = load_recipe(path)
        check_calls(plan)
        rehearse(plan, load_cases(plan))


def written(tree, path):
    path.write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipes_with_a_part_replaced(recipe, tmp_path):
    for i, tree in enumerate(mutations(recipe.read_text(), 25, seed=0)):
        path = written(tree, tmp_path / f"r{i}.yaml")
        told(path, lambda path=path: checked(path))


def test_a_recipe_with_a_part_replaced_that_is_rehearsed(tmp_path):
    for i, tree in enumerate(mutations(SMALL, 150, seed=1)):
        path = written(tree, tmp_path / f"r{i}.yaml")
        told(path, lambda path=path: rehearsed(path))


def test_files_of_labels_with_a_part_replaced(tmp_path):
    for i, tree in enumerate(mutations(LABELS, 300, seed=2)):
        path = written(tree, tmp_path / f"l{i}.yaml")
        told(path, lambda path=path: _read_labels(path, NOBODY))


@pytest.mark.parametrize("seed", range(3))
def test_overrides_with_odd_values_and_odd_names(seed, tmp_path):
    rng = random.Random(seed)
    path = tmp_path / "r.yaml"
    path.write_text(SMALL)
    places = [place for place in nodes(yaml.safe_load(SMALL)) if place]
    for _ in range(100):
        keys = list(rng.choice(places))
        if rng.random() < 0.3:
            keys[rng.randrange(len(keys))] = rng.choice(
                ["x", "0", "99", "²", "9" * 5000, "", "polyp"]
            )
        value = yaml.safe_dump(rng.choice(ODD), default_flow_style=True).split("\n")[0]
        text = f"{'.'.join(map(str, keys))}={value}"
        said = refusal(path, text)
        assert said is None or said.startswith((f"--set {text}"[:1500], str(path)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 20))
def test_many_more(seed, tmp_path):
    for recipe in RECIPES:
        for tree in mutations(recipe.read_text(), 150, seed):
            path = written(tree, tmp_path / "r.yaml")
            told(path, lambda path=path: checked(path))
    for tree in mutations(SMALL, 300, seed):
        path = written(tree, tmp_path / "s.yaml")
        told(path, lambda path=path: rehearsed(path))
    for tree in mutations(LABELS, 300, seed):
        path = written(tree, tmp_path / "l.yaml")
        told(path, lambda path=path: _read_labels(path, NOBODY))
