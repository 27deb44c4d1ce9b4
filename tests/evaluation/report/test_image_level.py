"""What a report shows of image-level labels."""

import numpy as np
import pytest

from delineate.core import Geometry, Image, Label, LabelSet, Segmentation
from delineate.evaluation.report._image_level import (
    confident_errors,
    decisions,
    image_curves,
    image_sentences,
    is_image_level,
)
from delineate.evaluation.table import Row, Table
from delineate.metrics import load_metrics, traits_of
from delineate.resolve import Call

POLYP = LabelSet((Label("polyp", 1),))
GRID = Geometry.in_pixels((8, 8))
METRICS = load_metrics([Call("image_auroc"), Call("image_sensitivity")])
SEEN = [(0.9, True), (0.8, False), (0.7, True), (0.4, True), (0.3, False), (0.2, False), (0.1, None)]  # fmt: skip


def show(case):
    pixels = np.full((1, 8, 8), 90, np.uint8)
    pixels[0, :4] = 10
    nothing = Segmentation(np.zeros((8, 8), np.uint8), POLYP, GRID, outlined=False)
    return Image(pixels, GRID), nothing, nothing


def table(seen=SEEN):
    rows = []
    for i, (p, there) in enumerate(seen):
        said = Segmentation(
            np.zeros((8, 8), np.uint8), POLYP, GRID,
            scores={"presence of polyp": p}, present={"polyp": p >= 0.5}, outlined=False,
        )  # fmt: skip
        truth = Segmentation(
            np.zeros((8, 8), np.uint8), POLYP, GRID, present={"polyp": there}, outlined=False
        )
        scores = {name: metric(said, truth)["polyp"] for name, metric in METRICS.items()}
        rows.append(
            Row(f"c{i}", f"p{i}", "polyp", scores=scores, image_truth=there, image_prediction=p >= 0.5,
                image_probability=p)
        )  # fmt: skip
    traits = {name: traits_of(metric) for name, metric in METRICS.items()}
    return Table("test", tuple(METRICS), tuple(rows), traits)


def test_the_decisions_are_counted_and_unknown_truth_apart():
    (one,) = decisions(table())
    assert (one.tp, one.fn, one.fp, one.tn, one.unknown) == (2, 1, 1, 2, 1)
    assert is_image_level(table())
    masks = Table("test", ("dice",), (Row("a", "a", "polyp", scores={"dice": 1.0}),))
    assert not is_image_level(masks)
    assert not decisions(masks)


def test_the_sentences_say_how_many_and_how_well():
    of = table()
    (words,) = image_sentences(of, of.scores(resamples=50), unseen=True).values()
    assert words.startswith(
        "Of 6 unseen images, 3 show polyp and 3 do not. The truth of 1 more image is not known."
    )
    assert "recognised in 2 of the 3 that show it" in words
    assert "falsely predicted in 1 of the 3 that do not" in words
    assert "area under the ROC curve is 0.778" in words


def test_a_rate_over_single_images_has_its_exact_interval():
    score = table().scores(resamples=50)["labels"]["polyp"]["metrics"]["image_sensitivity"]
    assert score["exact_interval"] == pytest.approx([0.0943, 0.9916], abs=1e-4)  # 2 of 3
    assert score["cases"] == 3


def test_curves_need_both_kinds_and_reliability_one():
    assert [plot.title for plot in image_curves(table(), ["polyp"])] == [
        "ROC curve", "Precision-recall curve", "Reliability",
    ]  # fmt: skip
    alone = table([(0.9, True), (0.2, True)])
    assert [plot.title for plot in image_curves(alone, ["polyp"])] == ["Reliability"]
    assert not image_curves(table([(0.9, None)]), ["polyp"])


def test_the_most_confident_errors_are_shown_without_an_outline():
    missed, alarms = confident_errors(table(), show, 4).values()
    assert [(look.case, look.outlined, len(look.pictures)) for look in missed] == [("c3", False, 1)]
    assert alarms[0].scores == (("polyp", ("polyp: does not show it, probability 0.800",)),)
    assert not confident_errors(table([(0.9, True), (0.1, False)]), show, 4)
