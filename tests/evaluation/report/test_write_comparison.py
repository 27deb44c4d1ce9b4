import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from delineate.core import Geometry, Image, Label, LabelSet, Segmentation
from delineate.evaluation.compare import Ablation, compare
from delineate.evaluation.report._comparison import ComparisonPage
from delineate.evaluation.report._difference import probability, sentence, signed
from delineate.evaluation.report.write_comparison import write_comparison
from delineate.evaluation.table import Row, Table
from delineate.metrics import Tally

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Reads a page as a browser would, and fails where tags do not close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.tags = [], "", []
        self.feed(text)
        self.close()
        assert self.open == []
        self.text = " ".join(self.text.replace("\N{NO-BREAK SPACE}", " ").split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def table(mean, *, labels=("polyp",), cases=30, seed=0, columns=True):
    """A predictor with about this Dice, and other scores that follow from it."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(cases):
        for label in labels:
            dice = float(np.clip(mean + rng.normal(0, 0.05), 0, 1))
            scores = {
                "dice": Tally("ratio", (round(1000 * dice), 1000)),
                "hd95": 100 * (1 - dice),
                "volume_error": dice - 0.9,
                "mask_ap": Tally("ratio", (round(1000 * dice), 1000)),
            }
            about = {"site": "AB"[i % 2]} if columns else {}
            rows.append(Row(f"case <{i}>", f"p{i // 2}", label, prediction_samples=90, truth_samples=100 + i,
                            truth_size=100.0 + i, unit="px²", scores=scores, columns=about))  # fmt: skip
    return Table("test", tuple(scores), tuple(rows))


def show(shape=(48, 64), names=("old", "new")):
    geometry = Geometry.in_pixels(shape)
    labels = LabelSet((Label("polyp", 1),))
    classes = np.zeros(shape, np.uint8)
    classes[(slice(5, 20),) * len(shape)] = 1
    truth = Segmentation(classes, labels, geometry)
    pixels = np.random.default_rng(0).integers(0, 255, (3, *shape), np.uint8)
    image = Image(pixels if len(shape) == 2 else pixels[:1], geometry)
    return lambda _: (image, dict.fromkeys(names, truth), truth)


def written(path, tables, *, how=None, **what):
    comparison = compare(tables, resamples=200, **(how or {}))
    write_comparison(path, **{"title": "Polyps", "comparison": comparison, "facts": {}, **what})
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pair():
    return {"old": table(0.7), "new": table(0.8, seed=1)}


def test_everything_is_there_and_nothing_is_fetched(tmp_path, pair):
    page = written(
        tmp_path / "report.html", pair, gallery=show(),
        facts={"command": "delineate compare <a> <b>", "recipe": "model: unet\nloss: dice\n"},
        about={"old": {"folder": "runs/old"}, "new": {"folder": "runs/new", "epochs": "50"}},
    )  # fmt: skip
    whole = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "http" not in whole
    assert "<script" not in whole
    assert not re.search(r"url\((?!#)", whole)
    assert [image["src"][:22] for image in page.all("img")] == ["data:image/webp;base64"] * 16
    assert all(image["alt"] for image in page.all("img"))
    for said in ("Polyps", "old and new on the same 30 cases of 15 groups", "new is better than old",
                 "its mean Dice of polyp is higher by", "after correction for 3 tests", "HD95",
                 "→ 0", "Mask AP, pooled", "By site", "By size", "← old better", "new better →",
                 "one against the other", "difference of each case", "case <3>", "delineate compare <a> <b>",
                 "runs/new", "loss: dice", "not a medical device", "Holm", "Wilcoxon",
                 "Empty masks (only truth / only prediction / both empty"):  # fmt: skip
        assert said in page.text, said
    assert all(cell.get("scope") for cell in page.all("th"))
    assert len(whole) < 1_000_000
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_the_contents_lead_to_every_section(tmp_path, pair):
    page = written(tmp_path / "r.html", pair, facts={"a": "b"})
    links = [a["href"] for a in page.all("a") if a["href"].startswith("#")]
    assert set(links) == {f"#{section['id']}" for section in page.all("section")}


def test_no_id_is_used_twice_and_every_reference_leads_somewhere(tmp_path):
    tables = {
        n: table(0.7 + 0.05 * i, labels=("liver", "tumour"), seed=i) for i, n in enumerate("abc")
    }
    written(tmp_path / "r.html", tables)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) <= set(ids)


def test_plots_take_the_colours_of_the_page(tmp_path, pair):
    written(tmp_path / "r.html", pair)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    plots = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(plots) == 4
    for plot in plots:
        assert "currentColor" in plot
        assert not re.findall(r"(?:fill|stroke): ?#", plot)


def test_kinds_of_one_case_are_told_in_words_and_numbers_stand_in_order():
    kinds = ["10"] * 4 + ["2"] * 4 + ["1"] * 4 + ["3", "7"]

    def with_kinds(table):
        rows = [
            replace(row, columns={"polyps": kind})
            for row, kind in zip(table.rows, kinds, strict=True)
        ]
        return replace(table, rows=tuple(rows))

    tables = {n: with_kinds(table(0.7, cases=14, seed=i)) for i, n in enumerate("ab")}
    (pair,) = ComparisonPage(compare(tables, resamples=50), {}, {}, None).pairs
    forest = pair.forests["polyp"][0]
    groups = {
        name: (tuple(b.name for b in branches), note) for name, branches, note in forest.groups
    }
    assert groups["polyps"] == (("1", "2", "10"), "2 values with one case each are not shown")
    assert groups[""] == (("All cases",), "")


def test_a_tolerance_is_told_wherever_the_score_is(tmp_path):
    def judged(seed):
        scores = np.random.default_rng(seed).uniform(0.5, 1, 12)
        rows = tuple(
            Row(f"c{i}", f"p{i}", "polyp", truth_samples=9, truth_size=9.0 + i, unit="mm³",
                scores={"nsd(tolerance=2.0)": s, "f_beta": s})
            for i, s in enumerate(scores)
        )  # fmt: skip
        return Table("test", ("nsd(tolerance=2.0)", "f_beta"), rows)

    page = written(tmp_path / "r.html", {"a": judged(0), "b": judged(1)})
    for said in ("mean NSD at 2 mm of polyp", "NSD at 2 mm, polyp", "NSD at 2 mm: polyp",
                 "The tolerance is 2 mm.", "F2", "beta is 2, the default"):  # fmt: skip
        assert said in page.text, said
    assert "tolerance=" not in page.text


def test_of_several_each_pair_is_told_and_all_are_ranked(tmp_path):
    tables = {n: table(0.7 + 0.1 * i, seed=i) for i, n in enumerate(("one", "two", "three"))}
    page = written(tmp_path / "r.html", tables)
    for said in ("one, two and three on the same", "two against one", "three against one",
                 "three against two", "Dice, polyp: all of them"):  # fmt: skip
        assert said in page.text
    ranked = page.text[page.text.index("all of them") :]
    assert ranked.index("three") < ranked.index("two") < ranked.index("one")


def test_many_labels_and_many_tables_fold_away(tmp_path):
    names = tuple(f"organ {i}" for i in range(5))
    tables = {f"t{i}": table(0.7, labels=names, seed=i, cases=8) for i in range(5)}
    page = written(tmp_path / "r.html", tables)
    assert page.all("details")
    assert "1 more pair" in page.text
    assert "2 more labels" in page.text


def test_a_table_against_itself_shows_no_difference(tmp_path):
    same = table(0.7)
    page = written(tmp_path / "r.html", {"a": same, "again": same}, gallery=show())
    assert "No difference between again and a is shown" in page.text
    assert page.all("img") == []  # none is better anywhere
    assert "difference of each case" not in page.text
    assert "Each dot is a case; all differences are 0." in page.text
    assert "in 0, equal in 30 and worse in 0 of 30 cases. All differences are 0." in page.text
    assert "not to say that they are equal" not in page.text


def test_one_case_is_enough(tmp_path):
    page = written(
        tmp_path / "r.html", {n: table(0.7, cases=1, seed=i) for i, n in enumerate("ab")}
    )
    assert "one group: no interval" in page.text


def test_cases_left_out_are_named(tmp_path):
    tables = {"a": table(0.7, cases=12), "b": table(0.7, cases=10)}
    page = written(tmp_path / "r.html", tables, how={"common": True})
    assert (
        "2 cases of a left out, since another table does not have them: case <10>, case <11>."
        in page.text
    )


def test_rightly_found_nothing_is_told(tmp_path):
    def judged(scores, prediction):
        rows = [Row(f"c{i}", f"p{i}", "polyp", prediction_samples=f, truth_samples=0 if i < 2 else 9,
                    scores={"dice": s}) for i, (s, f) in enumerate(zip(scores, prediction, strict=True))]  # fmt: skip
        return Table("test", ("dice",), tuple(rows))

    tables = {
        "a": judged([math.nan, math.nan, 0.5], [0, 0, 9]),
        "b": judged([0.0, math.nan, 0.5], [9, 0, 9]),
    }
    page = written(tmp_path / "r.html", tables)
    assert (
        "In 1 case without polyp, the mask is empty, as it should be, for a and not empty for b"
        in page.text
    )


def test_a_volume_is_shown_by_a_slice(tmp_path, pair):
    page = written(tmp_path / "r.html", pair, gallery=show(shape=(24, 24, 24)))
    assert "the slice with most foreground" in page.text


def test_whoever_is_not_shown_is_named(tmp_path, pair):
    with pytest.raises(ValueError, match="nothing to show of new; there are old"):
        written(tmp_path / "r.html", pair, gallery=show(names=("old",)))
    assert list(tmp_path.iterdir()) == []


def test_where_less_is_better_the_sentence_and_the_axis_turn_round():
    a, b = table(0.7), table(0.8, seed=1)
    comparison = compare({"a": a, "b": b}, metrics=["hd95"], resamples=200)
    (found,) = comparison.differences
    assert sentence(comparison, found).startswith(
        "b is better than a: its mean HD95 of polyp is lower by"
    )
    turned = compare({"b": b, "a": a}, metrics=["hd95"], resamples=200)
    assert sentence(turned, turned.differences[0]).startswith("b is better than a")


def test_numbers_are_printed_as_they_are_read():
    assert [signed(v) for v in (0.0214, -0.0214, 0.0001, -0.0001, math.nan)] == [
        "+0.021", "−0.021", "0.000", "0.000", "–"
    ]  # fmt: skip
    assert [probability(p) for p in (1e-5, 0.0123, 0.456, 1.0)] == [
        "< 0.001",
        "0.012",
        "0.46",
        "> 0.99",
    ]


def test_an_ablation_has_a_table_of_stages_and_five_cases_with_each_stage(tmp_path):
    stages = {"no refinement": 0.6, "components": 0.61, "vote": 0.7}
    tables = {name: table(mean, seed=i) for i, (name, mean) in enumerate(stages.items())}
    comparison = compare(tables, resamples=200, reference="no refinement")
    ablation = Ablation(comparison, {"unet": {name: name for name in stages}})
    path = tmp_path / "report.html"
    write_comparison(
        path, title="unet: refinement", comparison=comparison, facts={}, ablation=ablation,
        about={"unet": {"folder": "runs/unet"}}, gallery=show(names=tuple(stages)),
    )  # fmt: skip
    page = Page(path.read_text(encoding="utf-8"))
    assert len(page.all("img")) == 5 * (2 + 3)
    alts = [image["alt"] for image in page.all("img")[:5]]
    assert [alt.partition(": ")[2] for alt in alts] == [
        "the image alone",
        "the truth",
        *(f"the prediction, {name}, and the truth as a dashed outline" for name in stages),
    ]
    for said in ("Step by step", "Dice by stage", "Against no refinement", "Against the stage before",
                 "These cases are not a sample", "vote is better than no refinement", "runs/unet"):  # fmt: skip
        assert said in page.text, said
    assert "none" not in page.text.split()
