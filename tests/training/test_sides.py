"""A recipe that reflects left and right without swapping their labels is refused, with the line to write."""

from dataclasses import replace

import numpy as np
import pytest

from delineate.core import Geometry
from delineate.recipe import load_recipe
from delineate.resolve import RecipeError
from delineate.training.sides import left_right_axis, refuse_unswapped_sides

RECIPE = """\
data: phantom
labels: {liver: 1, left_kidney: 2, right_kidney: 3}
model: {unet: {features: [4, 8]}}
loss: dice
"""
PHOTO = Geometry.in_pixels((20, 30))
SAGITTAL = Geometry.in_patient((4, 5), np.array([[0, 0, 3], [0, 1, 0], [-1, 0, 0], [0, 0, 1.0]]))
RAS = Geometry.in_patient((4, 5, 6), np.diag([-1.0, -1, 2, 1]))  # as most NIfTI files store a body
SPL = Geometry.in_patient((4, 5, 6), np.array([[0, 0, 1, 0], [0, 1, 0, 0], [2, 0, 0, 0], [0, 0, 0, 1.0]]))  # fmt: skip


@pytest.fixture
def refused(tmp_path):
    def message(grid, *overrides):
        (tmp_path / "r.yaml").write_text(RECIPE)
        recipe = load_recipe(tmp_path / "r.yaml", overrides)
        try:
            refuse_unswapped_sides(recipe, grid)
        except RecipeError as error:
            return str(error)
        return ""

    return message


def test_left_right_axis_follows_the_geometry():
    assert left_right_axis(RAS) == 0
    assert left_right_axis(SPL) == 2
    assert left_right_axis(SAGITTAL) is None
    assert left_right_axis(PHOTO) is None
    tilted = RAS.to_patient.copy()
    tilted[:2, :2] = [[-0.9, 0.44], [0.44, 0.9]]
    assert left_right_axis(Geometry.in_patient((4, 5, 6), tilted)) == 0


PAIR = "swap: [[left_kidney, right_kidney]]"


@pytest.mark.parametrize(
    ("grid", "section", "written", "right"),
    [
        (PHOTO, "augment", "flip", f"{{flip: {{{PAIR}}}}}"),
        (PHOTO, "augment", "{flip: {p: 0.2, axes: [0, 1]}}", f"{{flip: {{axes: [0, 1], p: 0.2, {PAIR}}}}}"),
        (SPL, "augment", "{flip: {axes: [2]}}", f"{{flip: {{axes: [2], {PAIR}}}}}"),
        (RAS, "augment", "{flip: {axes: [0]}}", f"{{flip: {{axes: [0], {PAIR}, swap_axis: 0}}}}"),
        (RAS, "augment", f"{{flip: {{axes: [0], {PAIR}}}}}", f"{{flip: {{axes: [0], {PAIR}, swap_axis: 0}}}}"),
        (SAGITTAL, "augment", f"{{flip: {{axes: [1], {PAIR}}}}}", "{flip: {axes: [1], swap: []}}"),
        (PHOTO, "predict", "{flips: [1]}", f"{{flips: {{axes: [1], {PAIR}}}}}"),
        (RAS, "predict", "{flips: [0, 1]}", f"{{flips: {{axes: [0, 1], {PAIR}, swap_axis: 0}}}}"),
    ],
)  # fmt: skip
def test_a_reflection_without_swap_is_refused_with_the_line_that_passes(
    grid, section, written, right, refused
):
    said = refused(grid, f"{section}=[{written}]")
    assert said.startswith("--set")
    assert f"Write: {right}." in said
    assert refused(grid, f"{section}=[{right}]") == ""


@pytest.mark.parametrize(
    ("grid", "override"),
    [
        (PHOTO, "augment=[{flip: {axes: [0]}}]"),
        (PHOTO, "predict=[{flips: [0]}]"),
        (RAS, "augment=[{flip: {axes: [1, 2]}}]"),
        (RAS, "predict=[{flips: [1, 2]}]"),
        (SAGITTAL, "augment=[flip]"),
        (PHOTO, "augment=[{flip: {swap: []}}]"),
        (PHOTO, "predict=[{flips: {axes: [0, 1], swap: []}}]"),
        (PHOTO, "augment=[rotate90, {rotate: {degrees: 180}}]"),
        (PHOTO, "augment=[{flip: {swap: [[left_kidney, right_kidney]]}}, {rotate: {degrees: 45}}]"),
        (PHOTO, "augment=[{flip: {axes: [1], swap: [[left_kidney, right_kidney]]}}, rotate90]"),
        (SPL, "augment=[{flip: {axes: [1]}}, {rotate90: {plane: [0, 1]}}]"),
        (SPL, "augment=[{flip: {axes: [1]}}, {rotate: {degrees: 180, planes: [[0, 1]]}}]"),
    ],
)
def test_what_keeps_every_label_on_its_side_passes(grid, override, refused):
    assert refused(grid, override) == ""


@pytest.mark.parametrize("turn", ["rotate90", "{rotate: {degrees: 90}}", "{rotate: {degrees: [0, 180]}}"])  # fmt: skip
def test_half_a_turn_beside_a_flip_of_the_other_axis_is_refused(turn, refused):
    flip = "{flip: {swap: [[left_kidney, right_kidney]]}}"
    assert "contradict each other" in refused(PHOTO, f"augment=[{flip}, {turn}]")


def test_labels_without_sides_may_be_flipped(refused):
    labels = "labels={liver: 1, left_kidney: 2}"
    assert refused(PHOTO, labels, "augment=[flip, rotate90]", "predict=[{flips: [0, 1]}]") == ""


@pytest.mark.parametrize("axes", ["[0, 2]", "[2, 0]", "[0, 1, 2]"])
@pytest.mark.parametrize(
    "flip",
    [
        "flip",
        "{flip: {axes: [1]}}",
        f"{{flip: {{{PAIR}}}}}",
        f"{{flip: {{axes: [0, 1], {PAIR}, swap_axis: 0}}}}",
        f"{{flip: {{axes: [1], {PAIR}, swap_axis: 0}}}}",
    ],
)
def test_slices_of_which_some_only_show_left_and_right_are_not_flipped_along_it(
    axes, flip, refused
):
    said = refused(SPL, f"slices={{axes: {axes}}}", f"augment=[{flip}]")
    assert "axis 1 of the slices along axis 0" in said
    assert "none of the slices along axis 2" in said
    assert "Leave out flip, or cut slices along one axis." in said
    assert "swap: []" not in said


@pytest.mark.parametrize(
    ("axes", "flip"),
    [
        ("[0, 2]", "{flip: {axes: [0]}}"),
        ("[0, 2]", f"{{flip: {{axes: [0], {PAIR}}}}}"),  # acts along no axis that it flips
        ("[0, 2]", "{flip: {swap: []}}"),  # said by the user: they differ in more than their side
        ("[0, 1]", f"{{flip: {{{PAIR}}}}}"),
        ("[2]", "flip"),
    ],
)
def test_flips_of_slices_that_keep_every_label_on_its_side_pass(axes, flip, refused):
    assert refused(SPL, f"slices={{axes: {axes}}}", f"augment=[{flip}]") == ""


def test_training_refuses_it_before_anything_runs(tmp_path):
    from delineate.data import load_cases
    from delineate.training.rehearse import rehearse

    data = "data: {phantom: {scene: abdomen, cases: 4, shape: [32, 32], split: {train: 1}}}"
    text = RECIPE.replace("data: phantom", data) + "prepare: {window: abdomen}\n"
    (tmp_path / "r.yaml").write_text(text)
    recipe = load_recipe(tmp_path / "r.yaml")
    rehearse(recipe, load_cases(recipe))
    wrong = load_recipe(tmp_path / "r.yaml", "augment=[flip]")
    with pytest.raises(RecipeError, match="would leave the labels left_kidney and right_kidney"):
        rehearse(replace(recipe, augment=wrong.augment), load_cases(recipe))
