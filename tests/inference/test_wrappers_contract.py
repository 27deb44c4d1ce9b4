"""What every wrapper of the folder keeps; a new file is tested by being there."""

import inspect
import pickle
import re
from dataclasses import replace
from typing import Literal, get_args, get_origin

import numpy as np
import pytest

from delineate.core import Case, Geometry, Image, Label, LabelSet, Objects, Output, Segmentation
from delineate.inference import CasePredictor, wrap_network, wrap_predictor
from delineate.prepare import load_prepare
from delineate.resolve import GIVEN, Call, hints_of, names, resolve
from delineate.tasks import load_task

every = pytest.mark.parametrize("name", names("predict"))
SHAPES = ((37, 23), (8, 9), (13, 5), (13, 9, 7), (4, 5, 11))
of_each_shape = pytest.mark.parametrize("shape", SHAPES)
LABELS = LabelSet((Label("polyp", 1),))


# ---- networks whose answer is known: each logit depends on its own sample alone, each image-level one on the mean


def dense(pixels):
    return Output(np.concatenate([2 * pixels - 1, pixels**2], axis=1))


def same(pixels):
    """Its output is its input: who writes into one writes into the other."""
    return Output(pixels)


def image_level(pixels):
    mean = pixels.mean(axis=tuple(range(2, pixels.ndim)))
    return Output(image=np.concatenate([mean, mean**2, 1 - mean], axis=1))


def both(pixels):
    return Output(dense(pixels).dense, image=image_level(pixels).image)


def objects(pixels):
    ndim = pixels.ndim - 2
    box = np.stack([np.zeros((1, ndim)), np.full((1, ndim), 3)], axis=1).astype(np.float32)
    one = Objects(np.ones((1, 1), np.float32), box, np.ones((1, *[4] * ndim), np.float32))
    return Output(objects=(one,) * len(pixels))


def dense_and_objects(pixels):
    return Output(dense(pixels).dense, objects=objects(pixels).objects)


NETWORKS = {f.__name__: f for f in (dense, same, image_level, both, objects, dense_and_objects)}


# ---- wrappers


def wraps(name):
    """What a wrapper wraps: network or predictor."""
    return next(iter(inspect.signature(resolve("predict", name)).parameters))


def only_of(what, name):
    if wraps(name) != what:
        pytest.skip(f"{name} wraps a {wraps(name)}")


def variants(name, needed, ndim):
    """The wrapper as it is, and with each choice that it offers by a word or a switch."""
    function = resolve("predict", name)
    args = needed(function, GIVEN["predict"], ndim)
    yield Call(name, args)
    hints = hints_of(function)
    for argument, parameter in inspect.signature(function).parameters.items():
        hint = hints[argument] if argument not in GIVEN["predict"] else None
        choices = get_args(hint) if get_origin(hint) is Literal else ()
        for choice in (True, False) if hint is bool else choices:
            if choice != parameter.default:
                yield Call(name, {**args, argument: choice})


def accepted(name, shape, needed):
    """Each variant around each network that it acts on; it refuses the others by the name of a head."""
    found = []
    for call in variants(name, needed, len(shape)):
        for what, network in NETWORKS.items():
            pixels = noise(shape)
            heads = network(pixels).heads
            wrapped = wrap_network([call], network)
            try:
                wrapped(pixels)
            except ValueError as error:
                said = str(error)
                assert any(head in said for head in heads), (
                    f"refuses {what} without the name of a head: {said}"
                )
                assert name in said, f"refuses {what} without its own name: {said}"
                assert said.endswith("."), f"refuses {what} without a sentence: {said}"
                continue
            found.append((f"{name} {dict(call.args)}, {what}", wrapped, network))
    assert found, f"{name} acts on no head there is: {', '.join(NETWORKS)}"
    return found


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=(1, 1, *shape)).astype(np.float32)


def ramp(shape):
    """Values that differ from sample to sample by another number along each axis."""
    steps = (np.arange(n) * (0.02 + 0.01 * axis) for axis, n in enumerate(shape))
    return sum(np.meshgrid(*steps, indexing="ij"))[None, None].astype(np.float32)


def differences(output, other):
    """The largest difference of each head that has an array."""
    pairs = {"dense": (output.dense, other.dense), "image": (output.image, other.image)}
    return {
        head: float(np.abs(one - two).max())
        for head, (one, two) in pairs.items()
        if one is not None
    }


@of_each_shape
@every
def test_keeps_every_head_its_shape_and_its_type(name, shape, needed):
    only_of("network", name)
    for said, wrapped, network in accepted(name, shape, needed):
        output, alone = wrapped(noise(shape)), network(noise(shape))
        assert isinstance(output, Output), said
        assert output.heads == alone.heads, said
        assert len(output.objects or ()) == len(alone.objects or ()), said
        for head in ("dense", "image"):
            now, before = getattr(output, head), getattr(alone, head)
            if before is not None:
                assert (now.shape, now.dtype) == (before.shape, before.dtype), f"{said}: {head}"


@of_each_shape
@every
def test_gives_of_one_value_everywhere_what_the_network_alone_gives(name, shape, needed):
    only_of("network", name)
    for said, wrapped, network in accepted(name, shape, needed):
        for value in (-1.5, 0.0, 2.25):
            flat = np.full((1, 1, *shape), value, np.float32)
            for head, off in differences(wrapped(flat), network(flat)).items():
                assert off < 1e-4, f"{said}: {head}"


@of_each_shape
@every
def test_gives_each_sample_what_the_network_alone_gives_it(name, shape, needed):
    """Of a ramp. Resizing cannot know what lies beyond the border, and may be wrong there by half a sample."""
    only_of("network", name)
    for said, wrapped, network in accepted(name, shape, needed):
        pixels = ramp(shape)
        alone = network(pixels)
        half = {head: 0.0 for head in alone.heads}
        for axis in range(len(shape)):  # half of what the logits change from one sample to the next
            if alone.dense is not None:
                half["dense"] += np.abs(np.diff(alone.dense, axis=axis + 2)).max() / 2
            if alone.image is not None:
                half["image"] += np.abs(np.diff(pixels, axis=axis + 2)).max() / 2
        for head, off in differences(wrapped(pixels), alone).items():
            assert off < half[head] + 1e-4, f"{said}: {head}"


@of_each_shape
@every
def test_changes_nothing_and_says_the_same_again(name, shape, needed):
    only_of("network", name)
    for said, wrapped, network in accepted(name, shape, needed):
        pixels, kept = noise(shape), noise(shape)
        first = wrapped(pixels)
        assert np.array_equal(pixels, kept), f"{said}: changes the image"
        copies = first.map(np.copy)
        wrapped(noise(tuple(n + 4 for n in shape), 1))
        wrapped(noise(shape, 1))
        assert set(differences(first, copies).values()) <= {0.0}, f"{said}: writes into its output"
        again = wrapped(pixels)
        assert set(differences(again, copies).values()) <= {0.0}, f"{said}: says something else"
        other = pickle.loads(pickle.dumps(wrapped))  # a bundle is loaded in another process
        assert set(differences(other(pixels), copies).values()) <= {0.0}, said
        assert network(pixels).heads == first.heads


@of_each_shape
@every
def test_shows_the_network_images_that_it_can_take(name, shape, needed):
    """(batch, channel, *spatial) float32 with as many channels and axes, contiguous, as torch and ONNX ask."""
    only_of("network", name)
    seen = []

    def network(pixels):
        seen.append((pixels.flags.c_contiguous, pixels.dtype, pixels.shape[1], pixels.ndim))
        return dense(pixels)

    for call in variants(name, needed, len(shape)):
        try:
            wrap_network([call], network)(noise(shape))
        except ValueError:
            continue
    assert set(seen) == {(True, np.dtype(np.float32), 1, len(shape) + 2)}, seen


# ---- wrappers of predictors


def sure(pixels):
    """Far from 0 everywhere, so that rounding decides nothing."""
    return Output(np.where(pixels > 0.3, 4 + pixels, pixels - 4).astype(np.float32))


def sure_of_the_image(pixels):
    return Output(image=pixels.max(axis=tuple(range(2, pixels.ndim))) - 1)


PREDICTED = {"semantic": sure, "regions": sure, "presence": sure_of_the_image}
of_each_task = pytest.mark.parametrize("task", PREDICTED)


def predictor(task):
    return CasePredictor(
        load_prepare([]), PREDICTED[task], load_task(Call(task), LABELS), keep_probabilities=True
    )


def case(shape, seed=0):
    image = Image(noise(shape, seed)[0], Geometry.in_pixels(shape))
    return Case("photo", "p", lambda: image)


@of_each_task
@of_each_shape
@every
def test_of_a_predictor_is_a_predictor_of_the_same_that_says_the_same(name, shape, task, needed):
    """Where all bundles that it names are the model itself."""
    only_of("predictor", name)
    one = predictor(task)
    alone = one(case(shape))
    for call in variants(name, needed, len(shape)):
        wrapped = wrap_predictor([call], one, lambda path: predictor(task))
        assert isinstance(wrapped, CasePredictor)
        assert (wrapped.labels, wrapped.task) == (one.labels, one.task)
        assert (wrapped.keep_probabilities, wrapped.temperature) == (True, 1.0)
        photo = case(shape)
        kept = photo.image.pixels.copy()
        found = wrapped(photo)
        assert isinstance(found, Segmentation)
        assert np.array_equal(photo.image.pixels, kept), "changes the image"
        assert (found.geometry, found.labels) == (alone.geometry, alone.labels)
        assert np.array_equal(found.classes, alone.classes)
        assert found.present == alone.present
        assert found.scores == pytest.approx(alone.scores, abs=1e-5, nan_ok=True)
        if alone.probabilities is not None:
            assert found.probabilities.dtype == alone.probabilities.dtype
            assert found.probabilities == pytest.approx(alone.probabilities, abs=1e-5)
        other = case(shape, 1)
        assert np.array_equal(wrapped(other).classes, one(other).classes), "of another image"
        again = wrapped(photo)
        assert np.array_equal(again.classes, found.classes), "says something else"
        assert again.scores == pytest.approx(found.scores, nan_ok=True)
        assert np.array_equal(one(case(shape)).classes, alone.classes), "changes the predictor"


class Detect:
    """A task of objects."""

    heads, labels, gives = {"objects": 1}, LABELS, frozenset({"instances"})


@every
def test_of_a_predictor_names_the_heads_that_it_cannot_join(name, needed):
    only_of("predictor", name)
    ours = replace(predictor("semantic"), task=Detect())
    for call in variants(name, needed, 2):
        try:
            wrap_predictor([call], ours, lambda path: ours)
        except ValueError as error:
            said = str(error)
            assert "objects" in said, said
            assert name in said, said
            assert said.endswith("."), said


# ---- files that keep it, and files that do not

HEAD = """\
from dataclasses import dataclass, replace
from functools import partial
import numpy as np
from delineate.arguments import Count
from delineate.core import Label, LabelSet, Output, Probabilities
from delineate.inference.wrappers._mean import mean_output
"""

BAD = {
    "not_turned_back": "mean_output((network(pixels), network(np.flip(pixels, 2).copy())), 'not_turned_back')",
    "summing": "network(pixels).map(lambda x: 2 * x)",
    "shifting": "network(np.roll(pixels, 1, -1))",
    "dropping": "Output(network(pixels).dense)",
    "doubles": "network(pixels).map(lambda x: x.astype(np.float64))",
    "padding": "network(np.pad(pixels, [(0, 0), (0, 0), *[(0, -n % 4) for n in pixels.shape[2:]]]))",
    "spoiling": "(network(pixels).map(np.copy), pixels.__imul__(2))[0]",
    "writing": "(lambda output: (output.map(np.copy), output.map(lambda x: x.__imul__(2)))[0])(network(pixels))",
    "dreaming": "network(pixels + np.float32(1e-6) * np.random.random(pixels.shape).astype(np.float32))",
    "flat": "network(pixels) if pixels.ndim < 5 else network(pixels[:, :, 0])",
    "backwards": "network(pixels[:, :, ::-1]).map(lambda x: x[:, :, ::-1] if x.ndim > 2 else x)",
    "remembering": "KEPT.setdefault((network, pixels.shape), network(pixels))",
    "speechless": "(_ for _ in ()).throw(ValueError('no')) if network(pixels).image is not None else network(pixels)",
    "deaf": "(_ for _ in ()).throw(ValueError('dense and image: deaf.'))",
    "array": "network(pixels).dense",
}  # fmt: skip
"""What a wrapper gives in place of what the network says, each wrong in its own way."""


@pytest.mark.parametrize("name", BAD)
def test_a_bad_wrapper_of_networks_breaks_the_contract(name, add_file, broken):
    add_file(
        "predict",
        name,
        f"{HEAD}KEPT = {{}}\ndef {name}(network):\n    return partial(_inner, network)\n"
        f"def _inner(network, pixels):\n    return {BAD[name]}\n",
    )
    assert broken(name)


def test_a_wrapper_that_cannot_be_pickled_breaks_the_contract(add_file, broken):
    text = "def closed(network):\n    return lambda pixels: network(pixels)\n"
    add_file("predict", "closed", HEAD + text)
    assert re.search("pickle|local", broken("closed"))


BAD_PREDICTORS = {
    "renaming": "replace(predictor, task=replace(predictor.task, labels=LabelSet((Label('stool', 1),))))",
    "certain": "replace(predictor, source=lambda case: rounded(predictor.probabilities(case)))",
    "forgetting": "replace(predictor, keep_probabilities=False)",
    "first_case": "replace(predictor, source=First(predictor))",
    "upside_down": "replace(predictor, source=lambda case: turned(predictor.probabilities(case)))",
    "number": "7",
}  # fmt: skip
PARTS = """
def rounded(found):
    return replace(found, maps=None if found.maps is None else found.maps.round(), image={n: 1.0 for n in found.image})

def turned(found):
    return found if found.maps is None else replace(found, maps=found.maps[:, ::-1])

class First:
    def __init__(self, predictor):
        self.predictor, self.kept = predictor, {}

    def __call__(self, case):
        found = self.kept.setdefault("first", self.predictor.probabilities(case))
        return found
"""


@pytest.mark.parametrize("name", BAD_PREDICTORS)
def test_a_bad_wrapper_of_predictors_breaks_the_contract(name, add_file, broken):
    text = f"def {name}(predictor):\n    return {BAD_PREDICTORS[name]}\n"
    add_file("predict", name, HEAD + PARTS + text)
    assert broken(name)


def test_wrappers_of_no_name_keep_the_contract(add_file, broken):
    add_file(
        "predict",
        "rolled",
        f"{HEAD}def rolled(network, by: Count):\n    return partial(_rolled, network, by)\n"
        "def _rolled(network, by, pixels):\n"
        "    axes = tuple(range(2, pixels.ndim))\n"
        "    output = network(np.ascontiguousarray(np.roll(pixels, by, axes)))\n"
        "    if output.objects is not None:\n"
        "        raise ValueError('rolled cannot roll objects back. Leave it out of predict.')\n"
        "    dense = None if output.dense is None else np.roll(output.dense, [-by] * len(axes), axes)\n"
        "    return replace(output, dense=dense)\n",
    )
    assert broken("rolled") is None
    add_file(
        "predict",
        "twice",
        f"{HEAD}from delineate.inference.wrappers.ensemble import mean\ndef twice(predictor):\n"
        "    return replace(predictor, source=lambda case: mean(predictor.probabilities(case) for _ in (1, 2)))\n",
    )
    assert broken("twice") is None
