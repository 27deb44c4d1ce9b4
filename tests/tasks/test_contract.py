"""What every task of the folder keeps; a new file is tested by being there."""

import pickle

import numpy as np
import pytest

from delineate.core import (
    Geometry,
    Label,
    LabelSet,
    Objects,
    Output,
    Probabilities,
    Segmentation,
    Target,
)
from delineate.core.output import HEADS
from delineate.resolve import GIVEN, Call, names, resolve
from delineate.tasks import load_task

every = pytest.mark.parametrize("name", names("tasks"))
LABELS = {
    "one": LabelSet((Label("polyp", 255, "thing"),)),
    "two, and some ignored": LabelSet(
        (Label("liver", 1), Label("tumour", 4, "thing"), Label("unsure", 9, "ignore"))
    ),
    "nested": LabelSet((Label("organ", 2, includes=("lesion",)), Label("lesion", 1))),
}
of_labels = pytest.mark.parametrize("of", LABELS)
of_axes = pytest.mark.parametrize("ndim", [2, 3])
HOLDS = {"classes", "probabilities", "present", "instances"}


def load(name, of, needed):
    return load_task(Call(name, needed(resolve("tasks", name), GIVEN["tasks"])), LABELS[of])


def truth_of(of, ndim, seed=0, shown=True):
    shape = (7, 6, 5)[:ndim]
    values = [0, *LABELS[of].values, *LABELS[of].ignored] if shown else [0]
    classes = np.random.default_rng(seed).choice(np.array(values, np.uint16), shape)
    return Segmentation(classes, LABELS[of], Geometry.in_pixels(shape))


def right(task, target):
    """The output of a network that knows the truth, made from the target: quite sure of it."""
    heads = {}
    if "dense" in task.heads:
        if target.regions is not None:
            heads["dense"] = 20.0 * target.regions - 10
        elif task.heads["dense"] == 1:
            heads["dense"] = 20.0 * (target.classes[None] == 1) - 10
        else:
            channels = np.arange(task.heads["dense"]).reshape(-1, *[1] * target.classes.ndim)
            heads["dense"] = 20.0 * (target.classes[None] == channels) - 10
    if "image" in task.heads:
        heads["image"] = 20 * np.nan_to_num(target.image) - 10
    batch = {head: logits[None].astype(np.float32) for head, logits in heads.items()}
    if "objects" in task.heads:
        (objects,) = target.objects
        batch["objects"] = (Objects(20 * objects.scores - 10, objects.boxes, 20 * objects.masks - 10),)  # fmt: skip
    return Output(**batch)


@of_labels
@every
def test_says_which_heads_it_needs_and_what_its_segmentations_hold(name, of, needed):
    task = load(name, of, needed)
    assert task.heads
    assert set(task.heads) <= set(HEADS)
    assert all(isinstance(count, int) and count > 0 for count in task.heads.values())
    assert task.gives
    assert set(task.gives) <= HOLDS
    again = pickle.loads(pickle.dumps(task))  # it goes to the processes that load cases
    assert (again.heads, again.gives) == (task.heads, task.gives)


@of_axes
@of_labels
@every
def test_a_truth_becomes_a_target_of_its_heads_and_stays_as_it_is(name, of, ndim, needed):
    task, truth = load(name, of, needed), truth_of(of, ndim)
    kept = truth.classes.copy()
    target = task.encode(truth)
    assert isinstance(target, Target)
    assert np.array_equal(truth.classes, kept)
    if "dense" in task.heads:
        assert (target.classes is None) != (target.regions is None)
        if target.classes is None:
            assert target.regions.shape == (task.heads["dense"], *truth.classes.shape)
            assert set(np.unique(target.regions)) <= {0, 1}
        else:
            assert target.classes.shape == truth.classes.shape
            assert target.classes.max() < max(2, task.heads["dense"])
        ignored = np.isin(truth.classes, LABELS[of].ignored)
        valid = np.ones_like(ignored) if target.valid is None else target.valid
        assert np.array_equal(valid, ~ignored), "what is to be ignored is not valid, all else is"
    if "image" in task.heads:
        assert target.image.shape == (task.heads["image"],)
    if "objects" in task.heads:
        assert len(target.objects) == 1
    stacked = Target.stack([target, task.encode(truth_of(of, ndim, 1))])
    if "dense" in task.heads:
        assert len(stacked.regions if stacked.classes is None else stacked.classes) == 2


@pytest.mark.parametrize("shown", [True, False])
@of_axes
@of_labels
@every
def test_a_network_that_is_right_gives_the_truth_back(name, of, ndim, shown, needed):
    task, truth = load(name, of, needed), truth_of(of, ndim, shown=shown)
    output = right(task, task.encode(truth))
    kept = [array.copy() for array in output.arrays()]
    probabilities = task.read(output, truth.geometry)
    assert isinstance(probabilities, Probabilities)
    prediction = task.decide(probabilities, truth.geometry)
    assert isinstance(prediction, Segmentation)
    assert all(np.array_equal(a, b) for a, b in zip(output.arrays(), kept, strict=True))
    assert prediction.labels.names == truth.labels.names
    assert prediction.geometry == truth.geometry
    judged = ~np.isin(truth.classes, LABELS[of].ignored)
    for label in truth.labels:
        if "classes" in task.gives:
            there, expected = prediction.mask(label.name), truth.mask(label.name)
            assert np.array_equal(there & judged, expected & judged), label.name
        if "present" in task.gives:
            assert prediction.shows(label.name) == truth.shows(label.name), label.name
    assert prediction.outlined == ("classes" in task.gives)
    assert (prediction.probabilities is not None) == ("probabilities" in task.gives)
    if prediction.probabilities is not None:
        assert prediction.probabilities.shape == (1 + len(truth.labels), *truth.classes.shape)
        assert prediction.probabilities.min() >= 0
        assert prediction.probabilities.max() <= 1


@of_axes
@of_labels
@every
def test_what_is_read_is_probabilities_and_what_is_decided_follows_them(name, of, ndim, needed):
    """Any logits are read; the other way round, the decision is another."""
    task, truth = load(name, of, needed), truth_of(of, ndim)
    output = right(task, task.encode(truth))
    rng = np.random.default_rng(0)
    wild = output.map(lambda a: (500 * rng.normal(size=a.shape)).astype(np.float32))
    decisions = []
    for said in (output, output.map(lambda a: -a)) if "objects" not in task.heads else (output,):
        decisions.append(task.decide(task.read(said, truth.geometry), truth.geometry))
    if "objects" not in task.heads:
        read = task.read(wild, truth.geometry)
        numbers = [*np.ravel(read.maps if read.maps is not None else 0), *read.image.values()]
        assert 0 <= min(numbers) <= max(numbers) <= 1
        one, other = decisions
        shown = [[one.shows(n), other.shows(n)] for n in truth.labels.names]
        assert (one.classes != other.classes).any() or any(a != b for a, b in shown)


@of_labels
@every
def test_an_output_of_other_channels_is_refused_with_both_shapes(name, of, needed):
    task, truth = load(name, of, needed), truth_of(of, 2)
    if set(task.heads) == {"objects"}:
        pytest.skip("objects have no fixed number")
    output = right(task, task.encode(truth))
    wider = output.map(lambda a: np.concatenate([a, a], axis=1))
    with pytest.raises(ValueError, match="expected"):
        task.read(wider, truth.geometry)


HEAD = """\
from dataclasses import dataclass
import numpy as np
from delineate.core import Output, Probabilities, Target
from delineate.tasks.semantic import Semantic

@dataclass(frozen=True)
class Mine(Semantic):
"""
BAD = {
    "unknown_head": "    heads = {'boxes': 3}\n",
    "no_heads": "    heads = {}\n",
    "lying": "    gives = frozenset({'present'})\n",
    "unsaid": "    gives = frozenset({'contours'})\n",
    "by_value": "    def encode(self, truth):\n        return Target(truth.classes, truth.valid)\n",
    "never_ignoring": "    def encode(self, truth):\n        return Target(super().encode(truth).classes)\n",
    "stubborn": "    def decide(self, probabilities, geometry):\n"
                "        found = super().decide(probabilities, geometry)\n"
                "        return found.changed(0 * found.classes)\n",
    "raw": "    def read(self, output, grid):\n"
           "        return Probabilities(output.logits[0], (0.0,) * output.logits.shape[1])\n",
    "lenient": "    def read(self, output, grid):\n        n = self.heads['dense']\n"
               "        return super().read(Output(output.logits[:, :n]), grid)\n",
    "spoiling": "    def read(self, output, grid):\n        output.logits[:] *= 2\n"
                "        return super().read(output, grid)\n",
    "unpicklable": "    heads = {'dense': lambda: 1}\n",
}  # fmt: skip


def task_file(name, body):
    return f"{HEAD}{body}\ndef {name}(labels):\n    return Mine(labels)\n"


@pytest.mark.parametrize("name", BAD)
def test_a_bad_task_breaks_the_contract(name, add_file, broken):
    add_file("tasks", name, task_file(name, BAD[name]))
    assert broken(name)
