import math
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from delineate.audit import Finding
from delineate.core import Case, Geometry, Image, Label, LabelSet, Segmentation
from delineate.evaluation.evaluate import evaluate
from delineate.evaluation.report import write_report
from delineate.evaluation.table import Row, Table
from delineate.metrics import Tally, load_metrics
from delineate.resolve import Call

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Reads a page as a browser would, and fails where tags do not close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.tags, self.style = [], "", [], ""
        self.feed(text)
        self.close()
        assert self.open == []
        self.text = " ".join(self.text.split())

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

    @property
    def sections(self):
        return [attrs["id"] for attrs in self.all("section")]

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def labels(*names):
    return LabelSet(tuple(Label(name, i) for i, name in enumerate(names, start=1)))


def table(
    scores, names=("polyp",), metrics=("dice", "iou"), groups=None, traits=None, columns=None
):
    """One case per score; every label has the same; dice can be pooled."""
    rows = []
    for i, (case, score) in enumerate(scores.items()):
        group = groups[i] if groups else case
        for name in names:
            size = 10.0 + i
            told = dict.fromkeys(metrics, score)
            if "dice" in told and score == score:
                told["dice"] = Tally("ratio", (score, 1.0))
            known = {k: v[i % len(v)] for k, v in (columns or {}).items()}
            rows.append(Row(case, group, name, 5, 1, 1, 9, 6, 6, size, size, "px²", told, known))
        rows.append(Row(case, group, "all", unit="px²", scores={"pixel_accuracy": 0.9}))
    return Table("test", (*metrics, "pixel_accuracy"), tuple(rows), traits or {})


def show(shape=(48, 64), names=("polyp",), blank=False):
    geometry = Geometry.in_pixels(shape)
    channels = 3 if len(shape) == 2 else 1
    classes = np.zeros(shape, np.uint8)
    classes[(slice(5, 20),) * len(shape)] = 1
    found = Segmentation(classes, labels(*names), geometry)
    pixels = np.arange(channels * math.prod(shape), dtype=np.uint16).reshape(channels, *shape)
    image = Image(np.zeros_like(pixels) if blank else pixels, geometry)
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
    assert len(page.all("img")) == 3 * 12
    assert all(image["alt"] for image in page.all("img"))
    assert [
        s
        for s in (
            "Scores",
            "Case by case",
            "Where it fails",
            "Confusion",
            "Pictures",
            "Training",
            "What was run",
            "Checklist",
            "Terms",
        )
        if s not in page.text
    ] == []
    assert [
        (attrs["href"].removeprefix("#"), attrs["href"].removeprefix("#") in page.sections)
        for attrs in page.all("a")
        if attrs["href"] != "#terms"
    ] == [(name, True) for name in page.sections[:-1]]
    for said in ("polyp-quick", "0.500", "95 % interval", "case 0", "case 30", "31 cases",
                 "Only the truth empty", "Only the prediction empty", "Both empty",
                 "delineate train <recipe>", "loss: dice", "not a medical device",
                 "Learning rate", "Pooled", "Pixel accuracy"):  # fmt: skip
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
    assert page.sections == [
        "short", "scores", "cases", "confusion", "checklist", "terms"
    ]  # fmt: skip
    assert page.all("img") == []


def test_a_log_of_no_epoch_draws_nothing(tmp_path):
    log = tmp_path / "metrics.csv"
    log.write_text("epoch,train/loss\n")
    page = written(tmp_path / "r.html", table=table({"a": 0.5}), curves=log)
    assert "training" not in page.sections


def test_two_labels(tmp_path):
    names = ("liver", "tumour")
    page = written(
        tmp_path / "r.html", table=table({"a": 0.5, "b": 0.7}, names), gallery=show(names=names)
    )
    for said in ("Dice, liver", "Dice, tumour", "Dice by size: tumour", "liver Dice 0.500",
                 "liver", "tumour"):  # fmt: skip
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
    images = page.all("img")
    assert len(images) == 2  # each is a case: image, truth and prediction in three planes
    assert all("three planes" in image["alt"] for image in images)
    assert all(int(image["width"]) > int(image["height"]) for image in images)
    assert "Three planes through the labels." in page.text


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
    assert "7.5" in page.text
    assert "95 % interval" in page.text


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
    assert len(seen) == len(set(seen)) == 12


def test_drawing_an_overlay_does_not_wait_for_matplotlib():
    code = "import sys; from delineate.evaluation.report import overlay; print('matplotlib' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"


def judged(names=("liver", "tumour"), count=12, kind="thing"):
    """A table of real scores of generated predictions with probabilities, with sites and expected Dice."""
    rng = np.random.default_rng(0)
    known = LabelSet(tuple(Label(name, i, kind) for i, name in enumerate(names, start=1)))
    geometry = Geometry.in_pixels((40, 40))

    def truth(seed):
        classes = np.zeros((40, 40), np.uint8)
        for i in range(len(names)):
            low = 2 + (seed + 3 * i) % 8
            classes[low + 12 * i : low + 9 + 12 * i + seed % 3, 4:30] = i + 1
        return Segmentation(classes, known, geometry)

    def predictor(case):
        seed = int(case.id[1:])
        classes = np.roll(truth(seed).classes, seed % 4, axis=0)
        sure = 0.6 + 0.03 * (seed % 10)
        given = np.stack([classes == i for i in range(len(names) + 1)]).astype(np.float32)
        given = given * sure + rng.uniform(0, 1 - sure, given.shape)
        given = (given / given.sum(axis=0)).astype(np.float32)
        scores = {f"expected dice of {name}": 0.9 - 0.1 * (seed % 4) for name in names}
        return Segmentation(classes, known, geometry, scores=scores, probabilities=given)

    image = Image(np.zeros((1, 40, 40), np.uint8), geometry)
    cases = [Case(f"c{i}", f"p{i // 2}", lambda: image, lambda i=i: truth(i)) for i in range(count)]
    calls = [Call(name) for name in ("dice", "hd95", "auroc", "average_precision", "ece",
                                     "balanced_accuracy", "expected_dice")]  # fmt: skip
    scored = evaluate(predictor, cases, load_metrics(calls), progress=False)
    rows = [replace(row, columns={"site": "AB"[int(row.case[1:]) % 2]}) for row in scored.rows]
    return replace(scored, rows=tuple(rows))


CARD = {"seed": 3, "commit": "abc", "calibration": {"temperature": 1.3}, "training": {"epoch": 7}}
FINDINGS = (
    Finding(
        "leak",
        "refuse",
        "One picture is in train and test.",
        "Group them.",
        (("a", "b"),),
        ("same bytes",),
    ),
    Finding("empty", "note", "No mask is empty.", "", ()),
)


def test_all_that_a_model_can_tell(tmp_path, log):
    page = written(
        tmp_path / "r.html",
        table=replace(judged(), independent=True),
        facts={"seed": "3", "recipe": "name: x\ntask: semantic\nmodel: unet\n"},
        curves=log,
        gallery=show(names=("liver", "tumour"), blank=True),
        audit=FINDINGS,
        split={"train": (30, 15), "test": (12, 6)},
        card=CARD,
    )
    assert page.sections == [
        "short", "scores", "cases", "fails", "confusion", "probabilities", "confidence", "pictures",
        "training", "data", "run", "checklist", "terms",
    ]  # fmt: skip
    for said in (
        "In 12 unseen cases of 6 groups, liver was segmented with a mean Dice of",
        "HD95 px ↓", "Dice by size: liver", "HD95 by site: tumour", "Share of the truth that was predicted as",
        "ROC curve", "Precision-recall curve", "Reliability", "Risk and coverage: liver",
        "Sending the least confident", "by a temperature of 1.300", "71.4 %",
        "Makes results wrong: One picture is in train and test. Group them.", "a = b (same bytes)", "evaluated here",
        "Left open: how the reference standard was made.",
        "Cases of one group (patient) are not independent",
    ):  # fmt: skip
        assert said in page.text, said
    # Images that are all black are none: truth and prediction alone.
    assert len(page.all("img")) == 2 * 12
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) <= set(ids)
    assert "http" not in text
    assert "nan" not in page.text.lower()


def test_after_an_allowed_leak_nothing_is_said_to_be_unseen(tmp_path):
    leak = Finding(
        "duplicates_across_splits", "refuse", "1 image on two sides of the split", "Group them."
    )
    what = {"split": {"train": (30, 15), "test": (12, 6)}, "card": CARD}
    caveat = "The data are known to leak across the split: 1 image on two sides of the split."
    known = replace(judged(), independent=False, caveats=(caveat,))
    page = written(tmp_path / "r.html", table=known, audit=(leak,), **what)
    lead = page.text.index(f"Not independent. Do not report these scores as a test of the model. {caveat}")  # fmt: skip
    first = page.text.index(f"Dice, {known.labels[0]}")
    assert lead < first < page.text.index("In 12 cases of 6 groups, liver was segmented")
    assert page.text.index(caveat, first)  # among the limitations of the checklist
    for untrue in ("unseen", "did not learn from", "found none"):
        assert untrue not in page.text
    unseen = replace(judged(), independent=True)
    page = written(tmp_path / "r.html", table=unseen, audit=(), **what)
    assert "known to leak" not in page.text
    assert "Not independent" not in page.text
    for true in ("unseen", "did not learn from", "found none"):
        assert true in page.text


def test_an_audit_of_other_data_says_nothing_of_the_split(tmp_path):
    finding = {"check": "duplicates_across_splits", "level": "refuse", "says": "", "cases": 1}
    other = replace(judged(), split="external: b", independent=True)
    said = "groups and images on two sides of the split and found none"
    for audit, true in (({}, False), ({"findings": [finding]}, False), ({"findings": []}, True)):
        what = {"split": {"train": (30, 15), "test": (12, 6)}, "card": {**CARD, "audit": audit}}
        page = written(tmp_path / "r.html", table=other, audit=(), **what)
        assert (said in page.text) is true


def test_masks_of_another_tool(tmp_path):
    page = written(tmp_path / "r.html", table=table({f"c{i}": i / 9 for i in range(9)}), audit=())
    assert "In 9 cases, polyp was segmented" in page.text  # whether they are unseen is not known
    assert "found nothing to report" in page.text
    assert "Left open: the evaluated model." in page.text
    for section in ("probabilities", "confidence", "pictures", "training", "run"):
        assert section not in page.sections


def test_many_labels_unfold(tmp_path, monkeypatch):
    monkeypatch.setattr("delineate.evaluation.report._page.MOST", 4)
    names = tuple(f"organ {i}" for i in range(6))
    page = written(tmp_path / "r.html", table=table({"a": 0.5, "b": 0.7}, names))
    assert "Dice by label" in page.text
    assert page.text.count("3 more labels") == 1  # the sentences of labels 4 to 6
    assert page.text.count("1 more label") == 1  # the figures of label 4
    assert "2 further labels have no figures of their own" in page.text
    assert len(page.all("figure")) == 2 * 4


def test_less_is_better_of_a_distance(tmp_path):
    scores = {f"c{i}": 4.0 * i for i in range(12)}
    page = written(tmp_path / "r.html", table=table(scores, metrics=("hd95",)), gallery=show())
    assert "a mean HD95 of 22.0 px" in page.text
    alts = [image["alt"] for image in page.all("img")]
    assert alts[0].startswith("c11:")
    assert alts[-1].startswith("c0:")
    assert "highest 44.0" in page.text


def test_subgroups_are_drawn_over_one_axis(tmp_path):
    scores = {f"c{i}": i / 20 for i in range(20)}
    judged = table(scores, columns={"site": ("Ulm", "Oslo"), "device": ("old", "new", "new")})
    page = written(tmp_path / "r.html", table=judged)
    assert "Dice by site: polyp" in page.text
    assert "Dice by device: polyp" in page.text
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    axes = re.findall(r"<tfoot.*?</tfoot>", text, flags=re.DOTALL)
    assert len(axes) == 3
    assert len(set(axes)) == 1


def test_labels_that_include_others_are_said_to(tmp_path):
    nested = LabelSet((Label("liver", 1, includes=("lesion",)), Label("lesion", 2)))
    classes = np.zeros((24, 32), np.uint8)
    classes[4:20, 4:20], classes[8:12, 8:12] = 1, 2
    found = Segmentation(classes, nested, Geometry.in_pixels(classes.shape))
    image = Image(np.arange(768, dtype=np.uint16).reshape(1, 24, 32), found.geometry)
    matrix = np.diag([100, 80, 20])
    rows = table({"a": 0.5, "b": 0.7}, ("liver", "lesion"))
    kept = {"balanced_accuracy": Tally("balanced_accuracy", matrix)}
    rows = replace(
        rows,
        metrics=(*rows.metrics, "balanced_accuracy"),
        rows=tuple(replace(r, scores={**r.scores, **kept}) if r.label == "all" else r for r in rows.rows),
    )  # fmt: skip
    page = written(tmp_path / "r.html", table=rows, gallery=lambda _: (image, found, found))
    assert "liver includes lesion: both are evaluated as liver." in page.text
    assert "liver (with lesion)" in page.text
    assert "liver without lesion" in page.text  # a row of the confusion matrix
    names = ("liver", "lesion")
    plain = written(tmp_path / "p.html", table=table({"a": 0.5}, names), gallery=show(names=names))
    assert "includes" not in plain.text
