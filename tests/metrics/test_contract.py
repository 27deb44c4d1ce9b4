"""What every metric says of itself, in its own file and nowhere else."""

import csv
import importlib.util
import inspect
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import delineate.metrics
from delineate.core import Case, Geometry, Image, Label, LabelSet, Segmentation
from delineate.evaluation.evaluate import evaluate
from delineate.evaluation.report import write_report
from delineate.evaluation.report._glossary import explained
from delineate.evaluation.report._words import title
from delineate.metrics import (
    PARTS,
    Traits,
    family_of_metrics,
    fitting,
    full_set,
    load_metrics,
    pool,
    refuse_unfit,
    traits_by_name,
    traits_of,
)
from delineate.resolve import OWN, Call, RecipeError, names, resolve
from delineate.verbs.list_names import list_names

every_metric = pytest.mark.parametrize("name", names("metrics"))
MASKS = frozenset({"classes", "probabilities"})
POLYP = LabelSet((Label("polyp", 1, "thing"),))
ORGANS = LabelSet((Label("liver", 1), Label("spleen", 2)))
NESTED = LabelSet((Label("liver", 1, includes=("tumour",)), Label("tumour", 2, "thing")))


@every_metric
def test_says_what_a_report_calls_it_and_what_it_means(name):
    known = traits_of(resolve("metrics", name))
    assert known.title
    assert known.title[0].isupper() or known.title == "clDice"
    assert known.family
    assert len(known.meaning) > 20
    assert known.meaning[0].isupper()
    assert known.meaning.endswith(".")
    assert known.meaning.isascii()
    assert "`" not in known.meaning
    assert known.empty is not None
    parameters = inspect.signature(resolve("metrics", name)).parameters
    assert set(known.arguments) <= set(parameters)


@every_metric
def test_needs_known_parts_and_has_one_direction(name):
    known = traits_of(resolve("metrics", name))
    assert known.needs <= set(PARTS)
    assert known.needs
    assert not (known.lower_is_better and known.signed)
    assert known.unit != "length" or known.lower_is_better or known.signed or known.range
    low, high = known.bounds
    assert low <= known.best <= high
    assert not known.expects or (known.expects in names("metrics") and not known.one_on_itself)


def test_the_full_set_has_one_order_and_no_title_stands_for_two():
    known = {name: traits_of(resolve("metrics", name)) for name in names("metrics")}
    places = [of.place for of in known.values() if of.place is not None]
    assert len(places) == len(set(places))
    assert len({of.title for of in known.values()}) == len(known)


def test_the_full_set_of_masks_and_of_a_model_is_what_it_was():
    assert [(call.name, dict(call.args)) for call in full_set(POLYP, MASKS)] == [
        ("dice", {}), ("iou", {}), ("precision", {}), ("recall", {}), ("specificity", {}),
        ("f_beta", {"beta": 2.0}), ("hd95", {}), ("nsd", {"tolerance": 2.0}), ("assd", {}),
        ("volume_error", {}), ("pq", {}), ("sq", {}), ("rq", {}), ("mask_ap", {}), ("lesion_recall", {}),
        ("lesion_precision", {}), ("lesion_f1", {}), ("auroc", {}), ("average_precision", {}), ("ece", {}),
        ("ece_top", {}), ("brier", {}), ("balanced_accuracy", {}), ("pixel_accuracy", {}),
        ("expected_dice", {}),
    ]  # fmt: skip
    of_masks = [call.name for call in full_set(ORGANS, {"classes"})]
    assert of_masks == [
        "dice", "iou", "precision", "recall", "specificity", "f_beta", "hd95", "nsd", "assd", "volume_error",
        "pq", "sq", "rq", "balanced_accuracy", "pixel_accuracy",
    ]  # fmt: skip
    assert "ece_top" not in [call.name for call in full_set(NESTED, MASKS)]
    assert "dice" not in [call.name for call in full_set(POLYP, {"present"})]


@pytest.mark.parametrize(
    ("name", "labels", "gives", "told"),
    [
        ("dice", POLYP, {"present"}, "dice needs a label map, and the task x gives image-level labels"),
        ("auroc", POLYP, {"classes"}, "auroc needs the probability of each label in each pixel or voxel"),
        ("lesion_f1", ORGANS, MASKS, "needs labels of the kind thing, and liver, spleen have another kind"),
        ("ece_top", NESTED, MASKS, "needs labels that exclude each other, and liver includes tumour"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_what_does(name, labels, gives, told):
    call = Call(name, where="recipe.yaml:3")
    with pytest.raises(RecipeError, match=told) as error:
        refuse_unfit([call], labels, gives, "the task x")
    assert str(error.value).startswith("recipe.yaml:3: ")
    listed = str(error.value).partition("Metrics that fit: ")[2].rstrip(".")
    assert listed == (", ".join(fitting(labels, gives)) or "none")
    assert name not in listed.split(", ")


def test_an_unknown_metric_is_refused_with_its_place():
    with pytest.raises(RecipeError, match="recipe.yaml:3: no 'dicee' in metrics; did you mean"):
        refuse_unfit([Call("dicee", where="recipe.yaml:3")], POLYP, MASKS, "the task x")


@every_metric
def test_its_family_is_asked_for_by_name(name):
    assert name in family_of_metrics(traits_of(resolve("metrics", name)).family)


def foo(prediction, truth):
    """The share of samples that agree."""
    return {"all": float((prediction.classes == truth.classes).mean())}


def polyp(mask):
    mask = np.asarray(mask, np.uint8)
    return Segmentation(mask, POLYP, Geometry.in_pixels(mask.shape))


def cases():
    rng = np.random.default_rng(0)
    truths = [polyp(np.kron(rng.random((4, 4)) < 0.5, np.ones((4, 4)))) for _ in range(4)]
    return [
        Case(
            f"c{i}", f"p{i}",
            lambda: Image(np.zeros((1, 16, 16), np.uint8), Geometry.in_pixels((16, 16))),
            lambda truth=truth: truth,
        )
        for i, truth in enumerate(truths)
    ]  # fmt: skip


def test_one_of_ones_own_needs_nothing_said_and_has_its_name_as_title(tmp_path, monkeypatch):
    (tmp_path / "my_lab_metrics.py").write_text(inspect.getsource(foo))
    monkeypatch.syspath_prepend(tmp_path)
    name = "my_lab_metrics:foo"
    call = Call(name, trust=OWN)
    refuse_unfit([call], POLYP, {"present"}, "the task presence")
    table = evaluate(lambda case: case.truth, cases(), load_metrics([call]), progress=False)
    assert table.traits[name] == Traits()
    assert (title(name, table.traits[name]), explained(name, table.traits[name])) == (name, "")
    table.save(tmp_path / "cases.csv")
    write_report(
        tmp_path / "r.html", title="t", facts={}, table=type(table).load(tmp_path / "cases.csv")
    )
    assert name in (tmp_path / "r.html").read_text()


NEW = '''"""Half-way."""

import numpy as np

from delineate.metrics import Empty, Tally, added, traits


def _roots(parts, weights):
    return np.sqrt(added(parts, weights)[:, 0])


@traits(
    title="Half-way score at {step}",
    meaning="A score that was put into the folder a moment ago.",
    family="overlap",
    needs=frozenset({"classes"}),
    place=15,
    roles=frozenset({"compared", "on top"}),
    range=None,
    pooled=_roots,
    empty=Empty(truth="scored", prediction="scored", both="scored"),
)
def half_way(prediction, truth, *, step: int = 3):
    """A score of the test."""
    return {name: Tally("half_way", [4.0 * step]) for name in truth.labels.names}
'''


@pytest.fixture
def half_way(tmp_path, monkeypatch):
    """A metric that is one new file in the folder of metrics."""
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "half_way.py").write_text(NEW)
    monkeypatch.setattr(
        delineate.metrics,
        "__path__",
        [*delineate.metrics.__path__, str(folder)],
    )
    yield "half_way"
    sys.modules.pop("delineate.metrics.half_way", None)
    if hasattr(delineate.metrics, "half_way"):
        del delineate.metrics.half_way


def test_a_new_file_is_judged_told_explained_and_listed_with_nothing_else_touched(
    half_way, tmp_path
):
    order = [call.name for call in full_set(POLYP, {"classes"})]
    assert order[:3] == ["dice", "half_way", "iou"]
    metrics = load_metrics(full_set(POLYP, {"classes"}))
    table = evaluate(lambda case: case.truth, cases(), metrics, progress=False)
    table.save(tmp_path / "cases.csv")
    with open(tmp_path / "cases.csv", newline="") as file:
        assert "half_way(step=3)" in next(csv.reader(file))
    again = type(table).load(tmp_path / "cases.csv")
    assert again.traits["half_way(step=3)"] == traits_by_name("half_way")
    tallies = again.tallies("polyp", "half_way(step=3)")
    assert pool(tallies) == again.pooled("polyp", "half_way(step=3)") == np.sqrt(4 * 12.0)
    scores = json.loads(json.dumps(again.scores()))
    assert scores["labels"]["polyp"]["metrics"]["half_way(step=3)"]["pooled"] == np.sqrt(48.0)
    write_report(tmp_path / "r.html", title="t", facts={}, table=again)
    page = (tmp_path / "r.html").read_text()
    assert "Half-way score at 3" in page.partition('id="terms"')[0]
    assert "put into the folder a moment ago" in page.partition('id="terms"')[2]
    assert "half_way" in [entry.name for entry in list_names("metrics")]
    assert "half_way" in family_of_metrics("overlap")
    spec = importlib.util.spec_from_file_location(
        "make_reference", Path(__file__).parents[2] / "docs" / "make_reference.py"
    )
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    assert "**Half-way score at {step}**" in reference.page("metrics")
