"""Which patient a case belongs to; whatever expression a recipe brings, within seconds."""

import time

import pytest

from delineate.core import Label, LabelSet
from delineate.data import _groups
from delineate.data._groups import group_names
from delineate.data._paths import by_stem
from delineate.resolve import Call, RecipeError, build

POLYP = LabelSet((Label("polyp", 1),))


@pytest.mark.parametrize(
    ("expression", "groups"),
    [
        (r"(p\d+)_", ["p1", "p1", "p2"]),
        (r"(?P<group>p\d+)_(\w)", ["p1", "p1", "p2"]),
        (r"p1_|(p2)_", ["", "", "p2"]),
        (r"(p\d+)(?=_)", ["p1", "p1", "p2"]),
    ],
)
def test_an_expression_takes_the_group_out_of_the_id(expression, groups):
    ids = ["p1_a", "p1_ü", "p2_c"]
    assert group_names(ids, expression, {}) == dict(zip(ids, groups, strict=True))


def test_a_column_within_text_tells_the_groups_of_two_data_sets_apart():
    rows = {"a": {"patient": "7"}, "b": {"patient": "7"}, "c": {"patient": "{8}"}}
    assert group_names(["a", "b", "c"], "south-{column:patient}", rows) == {
        "a": "south-7",
        "b": "south-7",
        "c": "south-{8}",
    }
    with pytest.raises(ValueError, match="no such column"):
        group_names(["a"], "south-{column:person}", rows)
    both = {"a": {"place": "N", "patient": "7"}, "b": {"place": "S", "patient": "7"}}
    assert list(group_names(["a", "b"], "{column:place}-{column:patient}", both).values()) == [
        "N-7",
        "S-7",
    ]
    for mixed in ("{stem}-{column:patient}", "(.){column:patient}"):
        with pytest.raises(ValueError, match="no braces or parentheses"):
            group_names(["a"], mixed, rows)


@pytest.mark.parametrize("expression", ["(a+)+$", "((?:a|a)*)$", "(a*a*a*a*a*a*a*a*a*a*)$"])
def test_an_expression_that_never_ends_is_broken_off(expression, monkeypatch):
    monkeypatch.setattr(_groups, "SECONDS", 1)
    begun = time.monotonic()
    with pytest.raises(ValueError, match=r"group is .*took more than 1 s"):
        group_names(["a" * 200 + "b"], expression, {})
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("(", "not a valid regular expression"),
        (
            "a{99999999999999999999}()",
            "not a valid regular expression: the repetition number is too large",
        ),
        ("(" * 400 + ")" * 400, "not a valid regular expression|with one group"),
        ("ab", "with one group"),
        (r"(q\d)", "matches 0 of 1 ids, but not p1_a"),
    ],
)
def test_what_is_no_expression_of_a_group(expression, said):
    with pytest.raises(ValueError, match=said):
        group_names(["p1_a"], expression, {})


@pytest.mark.parametrize(
    "pattern", ["*" * 1 + "a*" * 20 + "{stem}.png", "**/" * 5 + "*.png", "[!a]*/*?*?*?*?{stem}*"]
)
def test_a_glob_that_takes_too_long_is_refused(pattern, tmp_path):
    (tmp_path / ("a" * 200 + ".png")).touch()
    begun = time.monotonic()
    with pytest.raises(ValueError, match="images is .*expected at most 3"):
        by_stem(tmp_path, pattern, "images")
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    "pattern", [".", "/", "./", "..", "a\0b", "***", "[", "~", "{stem}", "x" * 900]
)
def test_a_glob_of_nothing_is_refused_in_words(pattern, tmp_path):
    call = Call("folder", {"root": str(tmp_path), "images": pattern}, "r.yaml:2")
    with pytest.raises(RecipeError, match="^r.yaml:2: (images|folder: .*too long)"):
        build("data", call, labels=POLYP, folder=tmp_path, seed=0)
