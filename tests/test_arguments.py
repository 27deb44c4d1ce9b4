from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Le, Len

from delineate.arguments import (
    Count,
    Fraction,
    FractionBelowOne,
    FractionBetween,
    LabelName,
    LabelNames,
    NonNegative,
    Number,
    OddCount,
    Positive,
    Seed,
    Shape,
    Text,
    WholeNumber,
    in_words,
)
from delineate.resolve import OWN, Call, RecipeError, bind


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (Number, "a number"),
        (Positive, "a number above 0"),
        (NonNegative, "a number of 0 or more"),
        (Fraction, "a number from 0 to 1"),
        (FractionBelowOne, "a number from 0 to below 1"),
        (FractionBetween | None, "a number above 0 and below 1, or null"),
        (Count, "a whole number of 1 or more"),
        (OddCount, "a whole number of 1 or more, odd"),
        (Annotated[WholeNumber, Ge(2), Le(64)], "a whole number from 2 to 64"),
        (Seed, "a whole number from 0 to 4294967295"),
        (Shape, "a list of 1 to 3 whole numbers from 1 to 65536"),
        (Annotated[tuple[Positive, ...], Len(1)], "a list of 1 or more numbers above 0"),
        (NonNegative | tuple[Number, Number], "a number of 0 or more, or a list of 2, each a number"),
        (tuple[int, str], "a list of a whole number, a text"),
        (Literal["batch", "image"], "one of 'batch', 'image'"),
        (dict[str, Fraction] | str, "name: a number from 0 to 1, or a text"),
        (dict[str, Any], "key: value"),
        (list[str], "a list of texts"),
        (Text, "a text that is not empty"),
        (bool, "true or false"),
        (LabelName, "the name of a label"),
        (LabelNames | None, "a list of 1 or more names of labels, or null"),
    ],
)  # fmt: skip
def test_types_in_words(hint, words):
    assert in_words(hint) == words


def step(strength: Positive = 1.0, times: Count = 1, labels: LabelNames | None = None) -> None:
    """What a lab might write."""


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"strength": 0}, "strength is 0; expected a number above 0."),
        ({"strength": True}, "strength is True; expected a number above 0."),
        ({"strength": "nan"}, "strength is 'nan'; expected a number above 0."),
        ({"strength": float("inf")}, "strength is inf; expected a number above 0."),
        ({"strength": 1e300}, r"strength is 1e\+300; expected a number above 0 \(at most 1e\+12\)."),
        ({"times": 1.5}, "times is 1.5; expected a whole number of 1 or more."),
        ({"times": False}, "times is False; expected a whole number"),
        (
            {"labels": ["pollyp"]},
            r"labels is \['pollyp'\]; expected a list of 1 or more names of labels \(polyp, stool\), or null",
        ),
        ({"labels": []}, r"labels is \[\]; expected"),
        ({"labels": "x" * 5000}, r"labels is 'x{5,60}\.\.\.x{5,60}'; expected"),
        ({"": 2, "strength": 2}, "strength is given twice"),
        ({1: 2}, "takes no argument 1"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_told_in_words_with_its_place(args, said):
    places = dict.fromkeys(args, "--set refine.step.x=1")
    call = Call("step", args, "r.yaml:7", places, labels=("polyp", "stool"))
    with pytest.raises(RecipeError, match=f"^--set refine.step.x=1: step.*{said}"):
        bind(step, call)


def test_a_name_is_any_where_the_labels_are_not_known():
    assert bind(step, Call("step", {"labels": ["liver"]})) == {"labels": ["liver"]}
    assert bind(step, Call("step", {"labels": ["liver"]}, labels=("liver",)))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("..x:y", "is not the name of a function"),
        ("a:b:c", "is not the name of a function"),
        (":", "is not the name of a function"),
        ("math:pi", "math:pi is 3.14159.*; expected a function"),
        ("broken_lab:loss", "broken_lab:loss cannot be imported: ZeroDivisionError"),
    ],
)
def test_a_name_of_nothing_that_can_be_called(name, said, tmp_path, monkeypatch):
    from delineate.resolve import check

    (tmp_path / "broken_lab.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RecipeError, match=f"^r.yaml:3: .*{said}"):
        check("models", Call(name, {}, "r.yaml:3", trust=OWN))
