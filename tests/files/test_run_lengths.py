"""Masks as run lengths: what is written is read back, and what is damaged is refused with its row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.files import RUN_LENGTH_TABLES, RunLengthCode

SIIM = RunLengthCode("columns", first=0, gaps=True, empty="-1")
KAGGLE = RunLengthCode("columns")
NEOPOLYP = RUN_LENGTH_TABLES["neopolyp-csv"]
TWO = LabelSet((Label("non_neoplastic", 7), Label("neoplastic", 300)))
EXAMPLE = np.array([[0, 1, 0], [1, 1, 0], [1, 0, 0], [0, 0, 1]], bool)

masks = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))
codes = st.builds(
    RunLengthCode, st.sampled_from(["rows", "columns"]), st.integers(0, 1), st.booleans(),
    st.sampled_from(["", "-1"]),
)  # fmt: skip


@pytest.mark.parametrize(
    ("code", "text"),
    [(SIIM, "1 2 1 2 5 1"), (KAGGLE, "2 2 5 2 12 1"), (NEOPOLYP.code, "2 1 4 2 7 1 12 1")],
)
def test_three_conventions_of_one_mask(code, text):
    assert code.write(EXAMPLE) == text
    np.testing.assert_array_equal(code.read(text, EXAMPLE.shape), EXAMPLE)


@given(masks, codes)
def test_a_mask_is_read_back(mask, code):
    np.testing.assert_array_equal(code.read(code.write(mask), mask.shape), mask)


@pytest.mark.parametrize("code", [SIIM, KAGGLE, NEOPOLYP.code])
@pytest.mark.parametrize("places", [[], [0], [-1], [0, -1], slice(None)])
def test_the_first_and_the_last_pixel_are_not_lost(code, places):
    mask = np.zeros((5, 7), bool)
    mask.ravel()[places] = True
    np.testing.assert_array_equal(code.read(code.write(mask), mask.shape), mask)


def test_an_empty_mask_has_its_own_text():
    assert NEOPOLYP.code.write(np.zeros((3, 3), bool)) == ""
    assert SIIM.write(np.zeros((3, 3), bool)) == "-1"
    assert not SIIM.read(" -1", (3, 3)).any()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1", "has 1 numbers; expected pairs"),
        ("1 2 x 4", "expected pairs of a start and a length, not '1 2 x 4'"),
        ("-1", "expected pairs"),
        ("1 -2", "expected pairs"),
        ("1.5 2", "expected pairs"),
        ("\u0661 2", "expected pairs"),  # a digit of another script
        ("0 2", "from pixel 1 on"),
        ("1 0", "expected runs of 1 pixel or more"),
        ("5 2 1 2", "each after the one before"),
        ("1 3 3 2", "each after the one before"),
        ("11 3", r"a run ends at pixel 13; the image has 3 x 4 pixels"),
        ("1 9999999", "has the number 9999999"),
        ("1 99999999999999999999999", "expected pairs"),
    ],
)
def test_text_that_is_no_mask_of_the_image_is_refused(text, told):
    with pytest.raises(ValueError, match=told):
        NEOPOLYP.code.read(text, (3, 4))


def test_gaps_that_leave_the_image_are_refused():
    with pytest.raises(ValueError, match="a run ends at pixel 14"):
        SIIM.read("2 4 4 4", (3, 4))
    with pytest.raises(ValueError, match="has 3 axes"):
        SIIM.write(np.zeros((2, 2, 2), bool))


def segmentation(classes, labels=TWO):
    values = np.array([0, *labels.values])[np.asarray(classes)]
    return Segmentation(values.astype(np.uint16), labels, Geometry.in_pixels(values.shape))


label_maps = arrays(
    np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 2)
)
names = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=8)


@given(st.dictionaries(names, label_maps, min_size=1, max_size=5))
def test_masks_of_any_names_are_read_back_from_the_file(tmp_path_factory, found):
    path = tmp_path_factory.mktemp("rle") / "s.csv"
    of = NEOPOLYP.labels_of(TWO)
    rows = {}
    for name, classes in found.items():
        rows |= NEOPOLYP.rows(name, segmentation(classes), of)
    NEOPOLYP.write(rows, path)
    again = NEOPOLYP.read(path, {name: classes.shape for name, classes in found.items()}, TWO)
    for name, classes in found.items():
        np.testing.assert_array_equal(again[name].classes, segmentation(classes).classes)


def test_the_file_is_that_of_the_challenge(tmp_path):
    classes = np.zeros((4, 3), np.uint8)
    classes[EXAMPLE] = 2
    classes[0, 0] = 1
    rows = NEOPOLYP.rows("b", segmentation(classes), NEOPOLYP.labels_of(TWO))
    rows |= NEOPOLYP.rows("a", segmentation(0 * classes), NEOPOLYP.labels_of(TWO))
    NEOPOLYP.write(rows, tmp_path / "s.csv")
    assert (tmp_path / "s.csv").read_bytes() == (
        b"Id,Expected\na_0,\na_1,\nb_0,2 1 4 2 7 1 12 1\nb_1,1 1\n"
    )


def test_classes_are_labels_by_name_or_as_given():
    assert NEOPOLYP.labels_of(TWO) == {
        "neoplastic": "neoplastic",
        "non_neoplastic": "non_neoplastic",
    }
    with pytest.raises(ValueError, match=r"labels are polyp.*--to-label neoplastic=polyp"):
        NEOPOLYP.labels_of(POLYP)
    of = NEOPOLYP.labels_of(POLYP, {"neoplastic": "polyp", "non_neoplastic": None})
    assert NEOPOLYP.rows("a", segmentation([[0, 1]], POLYP), of) == {"a_0": "2 1", "a_1": ""}


POLYP = LabelSet((Label("polyp", 1),))
THREE = LabelSet((*TWO.labels, Label("undefined", 3)))


@pytest.mark.parametrize(
    ("labels", "given", "told"),
    [
        (POLYP, {"neoplastic": "polyp"}, "for the class non_neoplastic .*non_neoplastic= if the"),
        (POLYP, {"neoplastic": "polyp", "non_neoplastic": "polyp"}, "two classes of neopolyp-csv"),
        (TWO, {"red": "neoplastic"}, "has no class 'red'; its classes are neoplastic"),
        (TWO, {"red": None}, "has no class 'red'"),
        (THREE, {}, "undefined has no class in neopolyp-csv.*--to-label undefined= to leave it"),
        (THREE, {"undefined": "neoplastic"}, "has no class 'undefined'"),
        (THREE, {"neoplastic": "undefined"}, "the label neoplastic has no class"),
        (
            POLYP,
            {"neoplastic": "polyp", "non_neoplastic": None, "polyp": None},
            "polyp is left out and given for the class neoplastic",
        ),
    ],
)
def test_labels_and_classes_that_do_not_fit_are_refused_with_what_is_wrong(labels, given, told):
    with pytest.raises(ValueError, match=told):
        NEOPOLYP.labels_of(labels, given)


@pytest.mark.parametrize(("left_out", "kept"), [("undefined", "12"), ("neoplastic", "1")])
def test_a_label_may_be_left_out(tmp_path, left_out, kept):
    found = segmentation([[0, 1, 2, 3]], THREE)
    given = {"undefined": None} | {left_out: None}
    rows = NEOPOLYP.rows("a", found, NEOPOLYP.labels_of(THREE, given))
    assert rows == {"a_0": "3 1" if "2" in kept else "", "a_1": "2 1"}
    NEOPOLYP.write(rows, tmp_path / "s.csv")
    again = NEOPOLYP.read(tmp_path / "s.csv", {"a": (1, 4)}, THREE, given)["a"]
    assert again.mask("non_neoplastic").tolist() == [[False, True, False, False]]
    assert again.mask("neoplastic").sum() == len(kept) - 1


def test_labels_that_overlap_are_refused_unless_one_is_left_out():
    nested = LabelSet((Label("polyp", 1, includes=("tumour",)), Label("tumour", 2)))
    both = {"neoplastic": "tumour", "non_neoplastic": "polyp"}
    with pytest.raises(ValueError, match="tumour and polyp overlap, and masks .* must not"):
        NEOPOLYP.labels_of(nested, both)
    given = {"neoplastic": "polyp", "non_neoplastic": None, "tumour": None}
    rows = NEOPOLYP.rows("a", segmentation([[1, 2, 0]], nested), NEOPOLYP.labels_of(nested, given))
    assert rows == {"a_0": "1 2", "a_1": ""}


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\0b", "caf\udce9"])
def test_a_name_that_no_line_can_hold_is_refused(name):
    with pytest.raises(ValueError, match="cannot be written to neopolyp-csv: it has a line break"):
        NEOPOLYP.rows(name, segmentation([[0, 1]]), NEOPOLYP.labels_of(TWO))


GOOD = "Id,Expected\na_0,1 2\na_1,\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "begins with ''; expected 'Id,Expected'"),
        (b"ImageId,EncodedPixels\n", "begins with 'ImageId,EncodedPixels'"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (GOOD.encode() + b"a_0,3 1\n", r"s.csv:4: a second row for 'a_0'"),
        (GOOD.encode() + b"b\n", r"s.csv:4: "),
        (GOOD.encode() + b'"b,c"d",1 2\n', r"s.csv:4: expected an id and run lengths"),
        (
            GOOD.encode() + b'b_0,"1 2\n',
            r"s.csv:4: the run lengths have a quote that is not closed",
        ),
        (
            GOOD.encode() + b'b_0,1 2"\n',
            r"s.csv:4: the run lengths have a quote that is not closed",
        ),
        (GOOD.encode() + b"b_0,1 1\n", "1 rows are of no known image: b_0"),
        (b"Id,Expected\na_0,1 2\n", "1 rows are missing: a_1"),
        (b"Id,Expected\na_0,1 2\na_1,2 2\n", "the row a_1: overlaps the mask of another class"),
        (b"Id,Expected\na_0,1 9\na_1,\n", "the row a_0: has the number 9|a run ends at pixel 9"),
    ],
)
def test_a_damaged_file_is_refused_with_its_place(tmp_path, text, told):
    (tmp_path / "s.csv").write_bytes(text)
    with pytest.raises(ValueError, match=told) as error:
        NEOPOLYP.read(tmp_path / "s.csv", {"a": (2, 3)}, TWO)
    assert "s.csv" in str(error.value)


def test_other_programs_write_crlf_quotes_and_a_mark(tmp_path):
    text = '\ufeff"Id","Expected"\r\n"a_0","1 2"\r\na_1,\r\n'
    (tmp_path / "s.csv").write_text(text, encoding="utf-8", newline="")
    found = NEOPOLYP.read(tmp_path / "s.csv", {"a": (2, 3)}, TWO)
    assert found["a"].mask("neoplastic").sum() == 2


def test_a_mask_of_very_many_runs_is_no_longer_than_a_field_may_be(tmp_path):
    classes = np.indices((300, 400)).sum(axis=0) % 2
    rows = NEOPOLYP.rows("a", segmentation(classes), NEOPOLYP.labels_of(TWO))
    assert len(rows["a_1"]) > 131_072  # what the csv module reads at most
    NEOPOLYP.write(rows, tmp_path / "s.csv")
    found = NEOPOLYP.read(tmp_path / "s.csv", {"a": classes.shape}, TWO)
    np.testing.assert_array_equal(found["a"].classes, segmentation(classes).classes)
