"""The figures of a report as files of their own."""

import csv
import re
import xml.etree.ElementTree as ET

import cv2
import numpy as np
import pytest

from delineate.core import Case, Geometry, Image, Label, LabelSet, Segmentation
from delineate.evaluation.evaluate import evaluate
from delineate.evaluation.report import write_report
from delineate.evaluation.report._confusion import Confusion
from delineate.evaluation.report._figures import Plot
from delineate.evaluation.report.write_figures import _matrix, sheet
from delineate.metrics import load_metrics
from delineate.resolve import Call

METRICS = (
    "dice",
    "iou",
    "recall",
    "auroc",
    "average_precision",
    "ece",
    "balanced_accuracy",
    "pixel_accuracy",
)


def geometry(shape):
    affine = np.zeros((4, len(shape) + 1))
    affine[: len(shape), :-1] = np.diag([2.0] * len(shape))
    affine[3, -1] = 1
    return Geometry.in_patient(shape, affine)


def scored(tmp_path, shape, count, names=("liver", "spleen"), absent=()):
    """A report with its figures on `count` cases; labels in `absent` are in no truth."""
    known = LabelSet(tuple(Label(name, i) for i, name in enumerate(names, start=1)))
    grid = geometry(shape)

    def truth(case):
        classes = np.zeros(shape, np.uint8)
        for i, name in enumerate(names):
            at = 2 + 6 * i + int(case.id[1:]) % 2
            if name not in absent:
                classes[(slice(at, at + 5),) * len(shape)] = i + 1
        return Segmentation(classes, known, grid)

    def predictor(case):
        found = np.roll(truth(case).classes, 1, axis=0)
        given = np.stack([found == i for i in range(len(names) + 1)]).astype(np.float32)
        given = given * 0.8 + 0.2 / len(given)
        return Segmentation(found, known, grid, probabilities=given)

    pixels = np.random.default_rng(0).integers(0, 4000, (1, *shape)).astype(np.int16)
    image = Image(pixels, grid)
    cases = [
        Case(f"c{i}", f"p{i}", lambda: image, lambda i=i: truth(cases[i])) for i in range(count)
    ]
    table = evaluate(predictor, cases, load_metrics([Call(m) for m in METRICS]), progress=False)
    log = tmp_path / "metrics.csv"
    log.write_text(
        "epoch,train/loss,val/loss,val/pixel_accuracy,lr\n1,1,0.9,0.5,0.1\n2,0.8,0.7,0.7,0.1\n"
    )
    write_report(
        tmp_path / "report.html",
        title="x",
        facts={},
        table=table,
        curves=log,
        gallery=lambda case: (image, predictor(cases[int(case[1:])]), truth(cases[int(case[1:])])),
        card={"training": {"epoch": 2}},
        figures=tmp_path / "figures",
    )
    return table, tmp_path / "figures", (tmp_path / "report.html").read_text(encoding="utf-8")


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize(("shape", "sizes"), [((20, 20), "areas"), ((16, 20, 18), "volumes")])
def test_every_figure_of_the_report_is_a_file(tmp_path, shape, sizes):
    _, folder, page = scored(tmp_path, shape, 3)
    assert sorted(path.name for path in folder.iterdir()) == sorted([
        "roc.svg", "roc.csv", "precision_recall.svg", "reliability.svg", "confusion.svg", "confusion.csv",
        "training_curves.svg", f"{sizes}.svg", f"{sizes}.csv", "panels",
    ])  # fmt: skip
    for path in folder.glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(--" not in text
        assert "currentColor" not in text
    panels = sorted(path.name for path in (folder / "panels").iterdir())
    assert panels == ["best_1_c2.png", "median_1_c1.png", "worst_1_c0.png"]
    assert cv2.imread(str(folder / "panels" / panels[0])).shape[1] > 1000
    assert "in the folder figures beside it" in page


def test_confusion_csv_has_a_row_per_true_label(tmp_path):
    table, folder, _ = scored(tmp_path, (20, 20), 3)
    header, *body = rows(folder / "confusion.csv")
    assert header == ["truth", "background", "liver", "spleen"]
    assert [row[0] for row in body] == header[1:]
    counts = np.array([row[1:] for row in body], int)
    liver = table.rows_of("liver")
    assert counts[1].sum() == sum(row.truth_samples for row in liver)
    assert counts[:, 1].sum() == sum(row.prediction_samples for row in liver)
    assert counts.sum() == 3 * 20 * 20


def test_the_area_under_the_points_of_the_roc_curve_is_the_auroc(tmp_path):
    table, folder, _ = scored(tmp_path, (20, 20), 3)
    header, *body = rows(folder / "roc.csv")
    assert header == ["label", "false_positive_rate", "true_positive_rate", "threshold"]
    for label in ("liver", "spleen"):
        x, y = np.array([row[1:3] for row in body if row[0] == label], float).T
        assert np.trapezoid(y, x) == pytest.approx(table.pooled(label, "auroc"), abs=1e-5)


def test_volumes_are_in_millilitres(tmp_path):
    table, folder, page = scored(tmp_path, (16, 20, 18), 3)
    header, first, *_ = rows(folder / "volumes.csv")
    assert header == ["case", "group", "label", "prediction_ml", "truth_ml", "difference_ml"]
    assert first == ["c0", "p0", "liver", "1", "1", "0"]  # 5 x 5 x 5 voxels of 8 mm³
    size = table.scores()["labels"]["liver"]["size"]
    assert (size["unit"], size["truth"], size["difference"]) == ("ml", 1.0, 0.0)
    assert "Limits of agreement" in page


def test_a_label_that_no_truth_has_is_shown_with_a_dash(tmp_path):
    _, folder, page = scored(tmp_path, (20, 20), 2, absent=("spleen",))
    assert {row[0] for row in rows(folder / "roc.csv")[1:]} == {"liver"}
    assert "spleen –" in page
    assert "A dash: not defined" in page
    assert not re.search(r"\bnan\b", re.sub(r'base64,[^"]+', "", page.lower()))


@pytest.mark.parametrize("shape", [(20, 20), (16, 20, 18)])
def test_one_case_with_one_label_has_figures(tmp_path, shape):
    _, folder, page = scored(tmp_path, shape, 1, names=("liver",))
    assert (folder / "roc.svg").is_file()
    assert (folder / "confusion.csv").is_file()
    assert len(list((folder / "panels").iterdir())) == 1
    assert not list(folder.glob("[av]*.svg"))  # one case has no limits of agreement
    assert "Mean difference" in page


def test_a_title_cannot_break_the_drawing():
    svg = '<svg aria-hidden="true" viewBox="0 0 100 50"><g/></svg>'
    drawn = ET.fromstring(sheet([Plot("<b>&", svg, "", [("first", "a < b")])]))
    assert [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")] == [
        "<b>&",
        "a < b",
    ]


def test_a_matrix_of_long_names_or_many_labels_is_drawn():
    """A drawing that leaves the place of the names to a layout engine has no room for these."""
    for count, name in ((3, "liver without vessel, lesion, cyst"), (30, "organ")):
        shares = ((1.0,) * count,) * count
        known = Confusion((name,) * count, ((12_345,) * count,) * count, shares, shares)
        drawn = ET.fromstring(sheet([_matrix(known)]))
        text = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
        assert text.count(name) == 2 * count
        assert ("12k" in text) == (count == 3)
