"""Masks of another tool, judged as if a model of ours had found them."""

import cv2
import numpy as np
import pytest

from delineate.core import Label, LabelSet
from delineate.data import prediction_masks
from delineate.data.folder import folder

LABELS = LabelSet((Label("liver", 1), Label("spleen", 2)))


@pytest.fixture
def truth(tmp_path):
    for part in ("truth", "theirs"):
        (tmp_path / part).mkdir()
    rng = np.random.default_rng(0)
    for name in "abc":
        mask = rng.integers(0, 3, (6, 8), np.uint8)
        cv2.imwrite(str(tmp_path / "truth" / f"{name}.png"), mask)
        cv2.imwrite(str(tmp_path / "theirs" / f"{name}_seg.png"), mask * 5)
    cases = folder(
        labels=LABELS, folder=tmp_path, seed=0, root=".", images="truth/*", masks="truth/*",
        split={"test": 1.0},
    )["test"]  # fmt: skip
    return tmp_path, cases


def test_values_and_names_of_another_tool_are_understood(truth):
    home, cases = truth
    values = {"liver": 5, "spleen": 10}
    predictor = prediction_masks(
        home / "theirs", cases, LABELS, values=values, pattern="{stem}_seg.png"
    )
    for case in cases:
        np.testing.assert_array_equal(predictor(case).classes, case.truth.classes)


def test_labels_nobody_asked_for_can_be_background(truth):
    home, cases = truth
    values = {"liver": 5, "spleen": [], "background": ">0"}
    predictor = prediction_masks(
        home / "theirs", cases, LABELS, values=values, pattern="{stem}_seg.png"
    )
    found = predictor(cases[0])
    np.testing.assert_array_equal(found.classes, cases[0].truth.mask("liver"))


def test_what_is_missing_is_listed_on_each_side(truth):
    home, cases = truth
    (home / "theirs" / "b_seg.png").rename(home / "theirs" / "z_seg.png")
    said = (
        r"1 of 3 cases have no mask there: b; 1 of 3 masks match no case: z\. Names must be equal"
    )
    with pytest.raises(ValueError, match=said):
        prediction_masks(home / "theirs", cases, LABELS, pattern="{stem}_seg.png")
    with pytest.raises(ValueError, match="no such folder"):
        prediction_masks(home / "nowhere", cases, LABELS)


def test_values_that_are_unknown_are_to_be_named_under_predictions(truth):
    home, cases = truth
    predictor = prediction_masks(home / "theirs", cases, LABELS, pattern="{stem}_seg.png")
    with pytest.raises(
        ValueError,
        match=r"values without a label: .* Write the values of each label: predictions: \{name",
    ):
        predictor(cases[0])
    with pytest.raises(ValueError, match="predictions does not name spleen"):
        prediction_masks(
            home / "theirs", cases, LABELS, values={"liver": 5}, pattern="{stem}_seg.png"
        )
