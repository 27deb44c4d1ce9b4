import weakref
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from delineate.core import Case, Geometry, Image, Label, LabelSet, Segmentation
from delineate.evaluation.evaluate import evaluate
from delineate.metrics import Traits, load_metrics, traits, traits_of
from delineate.resolve import Call

LABELS = LabelSet((Label("polyp", 1), Label("instrument", 2)))
METRICS = load_metrics([Call("dice"), Call("pixel_accuracy")])


def segmentation(classes, geometry=None):
    classes = np.array(classes, np.uint8)
    return Segmentation(classes, LABELS, geometry or Geometry.in_pixels(classes.shape))


def case(name, truth, group="p", columns=None):
    shape = (2, 3) if truth is None else truth.classes.shape
    image = Image(np.zeros((3, *shape), np.uint8), Geometry.in_pixels(shape))
    return Case(
        name, group, lambda: image, None if truth is None else lambda: truth, columns=columns or {}
    )


def test_one_row_per_case_and_label_and_one_for_the_image():
    truths = [segmentation([[1, 1, 0], [0, 0, 0]]), segmentation([[0, 0, 0], [0, 2, 2]])]
    found = segmentation([[1, 0, 0], [1, 0, 0]])
    table = evaluate(
        lambda _: found,
        [case("a", truths[0], "p"), case("b", truths[1], "q")],
        METRICS,
        split="val",
        progress=False,
    )
    assert (table.split, table.metrics) == ("val", ("dice", "pixel_accuracy"))
    assert (table.cases, table.groups) == (("a", "b"), ("p", "q"))
    assert [(row.case, row.label) for row in table.rows] == [
        (name, label) for name in "ab" for label in ("polyp", "instrument", "all")
    ]
    first, _, whole = table.rows[:3]
    assert (first.tp, first.fp, first.fn, first.tn) == (1, 1, 1, 3)
    assert (first.prediction_samples, first.truth_samples, first.unit) == (2, 2, "px²")
    assert first.scores == {"dice": 0.5}
    assert whole.scores == {"pixel_accuracy": pytest.approx(4 / 6)}
    assert whole.tp is None
    means = table.means()
    assert means["polyp"] == {"dice": 0.25}  # found where it is not: 0, not left out
    assert means["instrument"] == {"dice": 0.0}  # neither there nor found in a: left out


def test_scores_remember_their_parts_and_metrics_what_is_known_of_them():
    truths = [segmentation([[1, 1, 0], [0, 0, 0]]), segmentation([[1, 1, 1], [1, 0, 0]])]
    found = segmentation([[1, 1, 1], [1, 0, 0]])
    cases = [case("a", truths[0], "p"), case("b", truths[1], "q")]
    error = partial(traits(lower_is_better=True, range=None)(lambda found, truth: {"all": 2.0}))
    table = evaluate(lambda _: found, cases, {**METRICS, "error": error}, progress=False)
    assert table.mean("polyp", "dice") == pytest.approx((2 / 3 + 1) / 2)
    assert table.pooled("polyp", "dice") == pytest.approx(12 / 14)
    assert table.pooled("all", "error") is None
    assert table.traits["error"] == Traits(lower_is_better=True, range=None)
    assert table.traits["dice"] == traits_of(METRICS["dice"])


def test_facts_of_the_case_are_in_every_row():
    truth = segmentation([[1, 0, 0], [0, 0, 0]])
    sites = ["A", "A", "B", "B", ""]
    cases = [
        case(f"c{i}", truth, f"p{i}", {"site": site, "device": ""}) for i, site in enumerate(sites)
    ]
    table = evaluate(lambda _: truth, cases, METRICS, progress=False)
    expected = [{"site": site} if site else {} for site in sites for _ in range(3)]
    assert [row.columns for row in table.rows] == expected


def test_only_facts_that_make_subgroups_leave_the_data():
    """A table is sent around: names stay at home, and so does what tells each patient apart."""
    truth = segmentation([[1, 0, 0], [0, 0, 0]])
    columns = [
        {
            "PatientName": ["Ann", "Bob"][i % 2], "MRN": str(100 + i % 3), "patient_id": "xy"[i % 2],
            "referring mail": "xy"[i % 2], "DateOfBirth": ["1950", "1960"][i % 2], "patient": "xy"[i % 2],
            "PatientSex": "FM"[i % 2], "site": "AB"[i % 2], "device": "XYZ"[i % 3], "valid_until": "no"[i % 2],
            "group": f"p{i // 2:02}", "notes": f"note {i}", "era": "now", "odd": "x" if i else "y",
            "many": str(i % 13),
        }
        for i in range(26)
    ]  # fmt: skip
    cases = [case(f"c{i}", truth, f"p{i // 2:02}", of) for i, of in enumerate(columns)]
    table = evaluate(lambda _: truth, cases, METRICS, progress=False)
    kept = {name for row in table.rows for name in row.columns}
    assert kept == {"PatientSex", "site", "device", "valid_until"}


def test_each_truth_has_a_digest_that_tells_it_from_others_of_its_size():
    def digests(classes):
        truth = segmentation(classes)
        table = evaluate(lambda _: truth, [case("a", truth)], METRICS, progress=False)
        return {row.label: row.truth_digest for row in table.rows}

    first = digests([[1, 1, 0], [0, 0, 2]])
    assert first == digests(np.asfortranarray(np.array([[1, 1, 0], [0, 0, 2]], np.uint8)))
    assert first["all"] == ""
    moved, turned = digests([[0, 1, 1], [0, 0, 2]]), digests([[1, 0, 0], [1, 0, 2]])
    assert len({of["polyp"] for of in (first, moved, turned)}) == 3
    assert first["instrument"] == moved["instrument"]
    assert digests([[1, 1, 0], [0, 0, 0]])["instrument"] != first["instrument"]  # empty: known too


def test_a_case_is_let_go_of_before_the_next_is_predicted():
    """Two volumes with probabilities at a time would be twice the memory."""
    truth = segmentation([[1, 0, 0], [0, 0, 0]])
    gone = []

    def predictor(_):
        assert all(ref() is None for ref in gone)
        maps = np.full((3, 2, 3), 1 / 3, np.float32)
        prediction = segmentation([[1, 1, 0], [0, 0, 0]])
        prediction = replace(prediction, probabilities=maps)
        gone.extend((weakref.ref(prediction), weakref.ref(maps)))
        return prediction

    names = ("dice", "hd95", "nsd", "pq", "ece", "ece_top", "auroc", "brier")
    metrics = load_metrics([Call(name) for name in names])
    evaluate(predictor, [case(c, truth) for c in "abc"], metrics, progress=False)
    assert len(gone) == 6
    assert all(ref() is None for ref in gone)


def test_probabilities_are_asked_for_before_anything_is_scored():
    def never(prediction, truth):
        raise AssertionError("scored")

    @traits(needs=frozenset({"probabilities"}))
    def needy(prediction, truth):
        return {"polyp": float(prediction.probabilities.max())}

    metrics = {"first": never, "auroc": needy}
    truth = segmentation([[1, 0, 0]])
    with pytest.raises(
        ValueError, match=r"^a: auroc needs the probability of each label.*leave out this metric"
    ):
        evaluate(lambda _: truth, [case("a", truth)], metrics, progress=False)
    given = replace(truth, probabilities=np.full((3, 1, 3), 0.5, np.float32))
    table = evaluate(lambda _: given, [case("a", truth)], {"auroc": needy}, progress=False)
    assert table.mean("polyp", "auroc") == 0.5


@pytest.mark.parametrize("which", ["truth", "prediction"])
def test_masks_are_asked_for_before_anything_is_scored(which):
    """An empty label map of an image of which only image-level labels are known is no mask."""
    outlined = segmentation([[1, 0, 0]])
    alone = replace(segmentation([[0, 0, 0]]), present={"polyp": True}, outlined=False)
    truth, prediction = (alone, outlined) if which == "truth" else (outlined, alone)
    told = rf"^ct-7: dice needs a label map, and the {which} has image-level labels only"
    with pytest.raises(ValueError, match=told):
        evaluate(lambda _: prediction, [case("ct-7", truth)], METRICS, progress=False)


def test_sizes_are_in_the_unit_of_the_geometry():
    geometry = Geometry((1, 2, 2), (5.0, 0.5, 0.5), "mm")
    truth = segmentation([[[1, 1], [1, 0]]], geometry)
    row = evaluate(lambda _: truth, [case("ct", truth)], METRICS, progress=False).rows[0]
    assert (row.truth_samples, row.truth_size, row.unit) == (3, 3.75, "mm³")


def test_on_case_sees_each_case_once():
    truth = segmentation([[1, 0, 0], [0, 0, 0]])
    seen = []
    cases = [case("a", truth), case("b", truth)]
    evaluate(
        lambda _: truth, cases, METRICS, progress=False, on_case=lambda *what: seen.append(what)
    )
    assert seen == [(one, truth, truth) for one in cases]


def test_progress_is_shown_unless_it_is_not_wanted(capsys):
    truth = segmentation([[1, 0, 0]])
    evaluate(lambda _: truth, [case("a", truth)], METRICS, progress=False)
    assert capsys.readouterr().err == ""
    evaluate(lambda _: truth, [case("a", truth)], METRICS)
    assert "evaluate test" in capsys.readouterr().err


def test_refuses_before_anything_is_predicted():
    truth = segmentation([[1, 0, 0]])

    def predictor(_):
        raise AssertionError("predicted")

    with pytest.raises(ValueError, match="b: has no truth"):
        evaluate(predictor, [case("a", truth), case("b", None)], METRICS)
    with pytest.raises(ValueError, match="2 cases have the id 'a'"):
        evaluate(predictor, [case("a", truth), case("a", truth)], METRICS)
    with pytest.raises(ValueError, match="'test' has no case"):
        evaluate(predictor, [], METRICS)
    with pytest.raises(ValueError, match="no metric"):
        evaluate(predictor, [case("a", truth)], {})


def test_names_the_case_whose_grids_differ():
    truth = segmentation([[1, 0, 0]])
    with pytest.raises(ValueError, match=r"^a: prediction and truth are on different grids"):
        evaluate(lambda _: segmentation([[1, 0]]), [case("a", truth)], METRICS, progress=False)


def test_a_label_with_its_parts_is_counted_measured_and_known_as_one_mask():
    labels = LabelSet((Label("liver", 300, includes=("tumour",)), Label("tumour", 2)))
    plain = LabelSet((Label("liver", 1),))
    grid = Geometry((3, 4), (2.0, 0.5), "mm")
    classes = np.array([[0, 300, 300, 2], [0, 0, 2, 2], [0, 0, 0, 0]], np.uint16)

    def row(truth):
        image = Image(np.zeros((1, 3, 4), np.uint8), grid)
        cases = [Case("a", "p", lambda: image, lambda: truth)]
        return evaluate(lambda _: truth, cases, METRICS, progress=False).rows[0]

    together = row(Segmentation(classes, labels, grid))
    alone = row(Segmentation((classes > 0).astype(np.uint8), plain, grid))
    assert together == alone
    assert (together.tp, together.truth_size, together.unit) == (5, 5.0, "mm²")
