import json
import re
from functools import partial
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from delineate.audit import Audit, Finding, audit
from delineate.core import Case, Label, LabelSet
from delineate.data._masks import read_truth
from delineate.data._values import mask_values
from delineate.data.phantom import phantom
from delineate.evaluation.report.write_audit import FOLDED, LISTED, write_audit
from delineate.files import read_image

LABELS = LabelSet((Label("polyp", 1, "thing"),))
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Reads a page as a browser would, and fails where tags do not close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.tags = [], "", []
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
        if "style" not in self.open:
            self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def splits(tmp_path):
    """Two equal images on two sides, one that cannot be read, and a few that are in order."""
    made = {"train": [], "test": []}
    random = np.random.default_rng(0)
    pictures = [
        cv2.GaussianBlur(random.integers(0, 255, (60, 80, 3), np.uint8), (0, 0), 3)
        for _ in range(6)
    ]
    mask = np.zeros((60, 80), np.uint8)
    mask[20:40, 20:50] = 1
    for i, picture in enumerate([*pictures, pictures[0]]):
        files = tmp_path / f"{i}.png", tmp_path / f"{i}_mask.png"
        cv2.imwrite(str(files[0]), picture)
        cv2.imwrite(str(files[1]), mask)
        if i == 5:
            files[0].write_bytes(b"")
        truth = partial(read_truth, *files, mask_values(LABELS))
        case = Case(
            f"<case {i}>", f"{i}", partial(read_image, files[0]), truth, files[:1], files[1:]
        )
        made["train" if i < 4 else "test"].append(case)
    return {split: tuple(cases) for split, cases in made.items()}


def written(path, splits, found=None, labels=LABELS, **what):
    found = audit(splits, labels, progress=False) if found is None else found
    write_audit(path, title="polyps & more", audit=found, splits=splits, labels=labels, **what)
    text = path.read_text(encoding="utf-8")
    assert "http" not in text
    assert "<script" not in text
    assert not re.search(r"url\((?!#)", text)
    return Page(text)


def test_the_verdict_stands_on_top_with_its_reasons(splits, tmp_path):
    page = written(tmp_path / "audit.html", splits)
    for words in (
        "Refused", "1 file cannot be read", "1 image on two sides of the split", "is empty (0 bytes)",
        "<case 0> = <case 6>", "audit: {allow: [duplicates_across_splits]}", "polyps & more",
    ):  # fmt: skip
        assert words in page.text
    assert "Fit to train on" not in page.text
    assert page.text.index("Refused") < page.text.index("Findings", page.text.index("Refused"))


def test_what_is_allowed_is_told_apart(splits, tmp_path):
    page = written(
        tmp_path / "audit.html", splits, allowed=["unreadable", "duplicates_across_splits"]
    )
    assert "To train nevertheless" not in page.text
    assert "Fit to train on" in page.text
    assert "Allowed by name" in page.text
    assert "Refused: results" not in page.text
    assert re.search(r"0\s*refusals", page.text)
    assert re.search(r"2\s*allowed refusals", page.text)


def test_only_what_can_be_allowed_is_offered_and_only_while_it_is_not(splits, tmp_path):
    page = written(tmp_path / "audit.html", splits)
    offered = re.findall(r"audit: {allow: \[(\w+)\]}", page.text)
    assert offered == ["duplicates_across_splits"]  # what cannot be read cannot be trained on
    page = written(tmp_path / "audit.html", splits, allowed=["duplicates_across_splits"])
    assert "1 file cannot be read" in page.text
    assert "allow: [" not in page.text


def test_pairs_are_shown_side_by_side_and_cases_of_each_split(splits, tmp_path):
    page = written(tmp_path / "audit.html", splits)
    images = page.all("img")
    assert all(image["src"].startswith("data:image/webp;base64,") for image in images)
    assert all(image["alt"] for image in images)
    # The pair, and of each split what can be read; "<case 5>" cannot.
    assert len(images) == 2 + 4 + 2
    assert len([a for a in page.all("figure") if a.get("class") == "plot"]) == 1 + 3
    again = written(tmp_path / "again.html", splits, seed=0)
    assert again.text == page.text


def test_long_lists_are_folded_and_cut(splits, tmp_path):
    many = tuple((f"case {i}",) for i in range(FOLDED + 10))
    found = Audit(
        (Finding("tiny_objects", "warn", "many", "Look.", many),),
        {},
        audit({}, LABELS, progress=False).fingerprint,
    )
    page = written(tmp_path / "audit.html", {}, found)
    assert f"{FOLDED + 10 - LISTED} more" in page.text
    assert "And 10 more, in the table of cases." in page.text
    assert f"case {FOLDED - 1}" in page.text
    assert f"case {FOLDED + 1}" not in page.text


def test_an_audit_that_comes_from_a_file_is_shown_without_plots(splits, tmp_path):
    found = Audit.from_json(json.loads(json.dumps(audit(splits, LABELS, progress=False).as_json())))
    page = written(tmp_path / "audit.html", splits, found)
    assert "<case 0> = <case 6>" in page.text
    assert not [a for a in page.all("figure") if a.get("class") == "plot"]


@pytest.mark.parametrize(
    ("scene", "names"), [("abdomen_3d", ("liver", "spleen")), ("chest", ("lung", "heart"))]
)
def test_volumes_and_several_labels(scene, names, tmp_path):
    labels = LabelSet(tuple(Label(name, i) for i, name in enumerate(names, 1)))
    drawn = phantom(
        labels=labels, seed=0, scene=scene, cases=6, shape=(32,) * (3 if "3d" in scene else 2)
    )
    page = written(tmp_path / "audit.html", drawn, labels=labels)
    assert "Fit to train on" in page.text
    assert all(name in page.text for name in names)
    assert ("Spacing, 3D" in page.text) == (scene == "abdomen_3d")
