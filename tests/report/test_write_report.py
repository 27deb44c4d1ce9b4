import math
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from delineate.core import Geometry, Image, Label, LabelSet, Segmentation
from delineate.metrics import EMPTY_RULE
from delineate.report import write_report
from delineate.table import Row, Table

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Reads a page as a browser would, and fails where tags do not close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.tags, self.style = [], "", [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def labels(*names):
    return LabelSet(tuple(Label(name, i) for i, name in enumerate(names, start=1)))


def table(scores, names=("polyp",), metrics=("dice", "iou"), groups=None):
    """One case per score; every label has the same."""
    rows = []
    for i, (case, score) in enumerate(scores.items()):
        group = groups[i] if groups else case
        for name in names:
            size = 10.0 + i
            rows.append(Row(case, group, name, 5, 1, 1, 9, 6, 6, size, size, "px²",
                            dict.fromkeys(metrics, score)))  # fmt: skip
        rows.append(Row(case, group, "all", unit="px²", scores={"pixel_accuracy": 0.9}))
    return Table("test", (*metrics, "pixel_accuracy"), tuple(rows))


def show(shape=(48, 64), names=("polyp",)):
    geometry = Geometry.in_pixels(shape)
    channels = 3 if len(shape) == 2 else 1
    classes = np.zeros(shape, np.uint8)
    classes[(slice(5, 20),) * len(shape)] = 1
    found = Segmentation(classes, labels(*names), geometry)
    image = Image(np.full((channels, *shape), 90, np.uint16), geometry)
    return lambda _: (image, found, found)


def written(path, **what):
    write_report(path, **{"title": "polyp-quick", "facts": {}, **what})
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text(
        "epoch,train/loss,val/loss,val/dice,lr,seconds\n1,1.0,0.9,,0.1,3\n2,0.8,0.7,0.5,0.05,6\n"
    )
    return path


def test_everything_is_there_and_nothing_is_fetched(tmp_path, log):
    scores = {f"case {i}": i / 30 for i in range(31)}
    facts = {
        "Command": "delineate train <recipe>",
        "Seed": "0",
        "Recipe": "model: unet\nloss: dice\n",
    }
    page = written(
        tmp_path / "report.html", table=table(scores), facts=facts, curves=log, gallery=show()
    )
    whole = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "http" not in whole
    assert "<script" not in whole
    assert not re.search(r"url\((?!#)", whole)
    assert all(image["src"].startswith("data:image/webp;base64,") for image in page.all("img"))
    assert len(page.all("img")) == 2 * 18
    assert all(image["alt"] for image in page.all("img"))
    assert [
        s
        for s in ("Scores", "Case by case", "Pictures", "Training", "What was run")
        if s not in page.text
    ] == []
    for said in ("polyp-quick", "0.500", "95 % interval", "case 0", "case 30", "31 cases", EMPTY_RULE,
                 "delineate train <recipe>", "loss: dice", "not a medical device",
                 "Learning rate", "Dice, pooled", "Pixel accuracy"):  # fmt: skip
        assert said in page.text
    assert "prefers-color-scheme: dark" in page.style
    assert all(cell.get("scope") for cell in page.all("th"))
    assert len(whole) < 1_000_000
    assert sorted(p.name for p in tmp_path.iterdir()) == ["metrics.csv", "report.html"]


def test_no_id_is_used_twice_and_every_reference_leads_somewhere(tmp_path, log):
    scores = {f"case {i}": i / 30 for i in range(31)}
    written(tmp_path / "r.html", table=table(scores, ("liver", "tumour")), curves=log)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) <= set(ids)


def test_plots_take_the_colours_of_the_page(tmp_path, log):
    written(tmp_path / "r.html", table=table({"a": 0.5, "b": 0.7}), curves=log)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    plots = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(plots) == 5
    for plot in plots:
        assert "currentColor" in plot
        assert "<text" in plot
        assert not re.findall(r"(?:fill|stroke): ?#", plot)


def test_without_curves_and_pictures(tmp_path):
    page = written(
        tmp_path / "r.html", table=table({"a": 0.5, "b": 0.7}), curves=tmp_path / "none.csv"
    )
    assert "Training" not in page.text
    assert "Pictures" not in page.text
    assert "What was run" not in page.text


def test_a_log_of_no_epoch_draws_nothing(tmp_path):
    log = tmp_path / "metrics.csv"
    log.write_text("epoch,train/loss\n")
    assert "Training" not in written(tmp_path / "r.html", table=table({"a": 0.5}), curves=log).text


def test_two_labels(tmp_path):
    names = ("liver", "tumour")
    page = written(
        tmp_path / "r.html", table=table({"a": 0.5, "b": 0.7}, names), gallery=show(names=names)
    )
    for said in ("Dice, liver", "Dice, tumour", "Dice by size: tumour", "liver 0.500 · tumour 0.500",
                 "liver found"):  # fmt: skip
        assert said in page.text


def test_groups_are_named_where_they_are_not_the_cases(tmp_path):
    scores = {"a": 0.5, "b": 0.7, "c": 0.8}
    page = written(
        tmp_path / "r.html", table=table(scores, groups=["p1", "p1", "p2"]), gallery=show()
    )
    assert "3 cases of 2 groups" in page.text
    assert "group p1" in page.text


def test_a_volume(tmp_path):
    page = written(
        tmp_path / "r.html", table=table({"ct": 0.5, "mr": 0.6}), gallery=show((20, 32, 24))
    )
    assert [(image["width"], image["height"]) for image in page.all("img")] == [("345", "460")] * 4


def test_scores_that_are_nan(tmp_path):
    page = written(tmp_path / "r.html", table=table({"a": math.nan, "b": math.nan}), gallery=show())
    assert "no case to score" in page.text
    assert "nan" not in page.text.lower()
    page = written(tmp_path / "r.html", table=table({"a": math.nan, "b": 0.25}), gallery=show())
    assert "0.250" in page.text
    assert "one group: no interval" in page.text


def test_a_metric_beyond_one(tmp_path):
    scores = {f"case {i}": 3.0 * i for i in range(6)}
    page = written(tmp_path / "r.html", table=table(scores, metrics=("distance",)), gallery=show())
    assert "7.500" in page.text


def test_names_are_escaped(tmp_path):
    evil = '<script>alert("x")</script>'
    names = ("<b>$polyp_1$",)
    page = written(
        tmp_path / "r.html",
        title=evil,
        table=table({evil: 0.5, "'\">": 0.7}, names),
        facts={evil: evil, f"{evil}2": f"{evil}\n{evil}"},
        gallery=show(names=names),
    )
    assert not page.all("script")
    assert not [attrs for _, attrs in page.tags if "onerror" in attrs or "alert" in attrs]
    assert page.text.count(evil) >= 5
    assert "'\">" in page.text
    assert "Dice, <b>$polyp_1$" in page.text
    assert any(evil in image["alt"] for image in page.all("img"))


def test_a_report_that_fails_leaves_nothing(tmp_path):
    def broken(case):
        raise OSError(f"{case} is gone")

    with pytest.raises(OSError, match="a is gone"):
        written(tmp_path / "r.html", table=table({"a": 0.5}), gallery=broken)
    assert list(tmp_path.iterdir()) == []


def test_only_shown_cases_are_looked_at(tmp_path):
    seen = []

    def gallery(case):
        seen.append(case)
        return show()(case)

    written(
        tmp_path / "r.html", table=table({f"c{i}": i / 99 for i in range(100)}), gallery=gallery
    )
    assert len(seen) == len(set(seen)) == 18


def test_drawing_an_overlay_does_not_wait_for_matplotlib():
    code = "import sys; from delineate.report import overlay; print('matplotlib' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
