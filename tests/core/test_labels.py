import numpy as np
import pytest

from delineate.core import Label, LabelSet


def test_iterating_leaves_out_what_is_ignored():
    labels = LabelSet((Label("lung", 1), Label("device", 255, "ignore")))
    assert labels.names == ("lung",)
    assert labels.values == (1,)
    assert labels.ignored == (255,)
    assert len(labels) == 1


def test_colour_as_bytes():
    assert Label("polyp", 1, colour="#e4572e").rgb == (0xE4, 0x57, 0x2E)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Label("liver", 0), "0 is background"),
        (lambda: Label("all", 1), "scores of the whole image"),
        (lambda: Label("liver", 1, colour="red"), "#rrggbb"),
        (lambda: LabelSet((Label("a", 1), Label("b", 1))), "share the value 1"),
        (lambda: LabelSet((Label("a", 1), Label("a", 2))), "share the name a"),
        (lambda: LabelSet((Label("a", 1, "ignore"),)), "no label to segment"),
        (lambda: LabelSet((Label("a", 1, includes=("b",)),)), "includes 'b', which is not a label"),
        (lambda: LabelSet((Label("a", 1, includes=("a",)),)), "includes itself"),
        (
            lambda: LabelSet((Label("a", 1, includes=("b",)), Label("b", 2, includes=("a",)))),
            "includes itself",
        ),
    ],
)
def test_nonsense_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_an_unknown_name_lists_the_known():
    with pytest.raises(KeyError, match="liver"):
        LabelSet((Label("liver", 1),))["spleen"]


def test_a_region_has_the_values_of_its_parts():
    labels = LabelSet(
        (
            Label("tumour core", 1, includes=("enhancing",)),
            Label("whole tumour", 2, includes=("tumour core",)),
            Label("enhancing", 4),
        )
    )
    assert labels.overlap
    assert labels.values_of("whole tumour") == (2, 1, 4)
    assert labels.values_of("enhancing") == (4,)
    assert labels.parts("whole tumour") == ("tumour core", "enhancing")
    for dtype in (np.uint8, np.uint16):
        classes = np.arange(6, dtype=dtype)
        assert np.flatnonzero(labels.mask("whole tumour", classes)).tolist() == [1, 2, 4]
        assert np.flatnonzero(labels.mask("tumour core", classes)).tolist() == [1, 4]
    assert [labels.value_without(name) for name in labels.names] == [2, 0, 1]
    assert [label.name for label in labels.inner_first] == [
        "enhancing",
        "tumour core",
        "whole tumour",
    ]
    assert not LabelSet((Label("polyp", 1),)).overlap


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["left_kidney", "right_kidney"], [("left_kidney", "right_kidney")]),
        (["kidney_right", "liver", "kidney_left"], [("kidney_left", "kidney_right")]),
        (["Left Kidney", "right kidney"], [("Left Kidney", "right kidney")]),
        (["LeftKidney", "RightKidney"], [("LeftKidney", "RightKidney")]),
        (["lung_l", "lung_r"], [("lung_l", "lung_r")]),
        (["LungL", "LungR"], [("LungL", "LungR")]),
        (["R", "L"], [("L", "R")]),
        (["lung (lt)", "lung (rt)"], [("lung (lt)", "lung (rt)")]),
        (["upper-lobe left", "upper-lobe right", "lower-lobe left"], [("upper-lobe left", "upper-lobe right")]),
        (["left_kidney", "liver"], []),
        (["bright", "blight"], []),
        (["1", "2"], []),
    ],
)  # fmt: skip
def test_labels_of_left_and_right_are_found_by_their_names(names, pairs):
    labels = LabelSet(tuple(Label(name, value) for value, name in enumerate(names, start=1)))
    assert labels.sides == tuple(pairs)


def test_partners_are_each_other_and_in_one_pair_only():
    labels = LabelSet((Label("a", 1), Label("b", 2), Label("c", 3)))
    assert labels.partners([("a", "c")]) == {"a": "c", "c": "a"}
    assert labels.partners([]) == {}
    with pytest.raises(ValueError, match="swap names 'd'; the labels are a, b, c"):
        labels.partners([("a", "d")])
    with pytest.raises(ValueError, match="twice"):
        labels.partners([("a", "b"), ("b", "c")])
