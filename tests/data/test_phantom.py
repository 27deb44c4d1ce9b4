"""The phantom is the same everywhere, true to its own pictures, and hard enough to need learning."""

import pickle

import cv2
import numpy as np
import pytest

from delineate.core import Case, Geometry, Label, LabelSet, Splits
from delineate.data.phantom import SCENES, phantom
from delineate.resolve import Call, RecipeError, build

SMALL = {
    "endoscopy": (96, 96),
    "chest": (96, 96),
    "abdomen": (96, 96),
    "abdomen_3d": (40, 40, 20),
}


def things(*names: str) -> LabelSet:
    return LabelSet(tuple(Label(name, value, "thing") for value, name in enumerate(names, 1)))


def cases_of(splits: Splits) -> list[Case]:
    return sorted((case for cases in splits.values() for case in cases), key=lambda case: case.id)


def draw(
    scene: str,
    cases: int = 12,
    *,
    names: tuple[str, ...] = (),
    seed: int = 0,
    shape: tuple[int, ...] | None = None,
) -> list[Case]:
    labels = things(*(names or SCENES[scene].names))
    shape = shape or SMALL[scene]
    one = {"train": 1.0}
    return cases_of(
        phantom(labels=labels, seed=seed, scene=scene, cases=cases, shape=shape, split=one)
    )


def indices(mask: np.ndarray, geometry: Geometry) -> np.ndarray:
    """The middle of a mask in LPS coordinates, mm."""
    assert geometry.to_patient is not None
    return geometry.to_patient[:3] @ [*np.argwhere(mask).mean(axis=0), 1.0]


@pytest.mark.parametrize("scene", SCENES)
def test_same_seed_same_case_in_any_order_and_process(scene):
    first = draw(scene, 4)
    pixels = [case.image.pixels for case in first]
    again = [pickle.loads(pickle.dumps(case)) for case in draw(scene, 9)]
    for n in (3, 0, 2):
        np.testing.assert_array_equal(again[n].image.pixels, pixels[n])
        np.testing.assert_array_equal(again[n].truth.classes, first[n].truth.classes)
    assert not np.array_equal(pixels[0], pixels[1])
    assert not np.array_equal(draw(scene, 4, seed=1)[0].image.pixels, pixels[0])


@pytest.mark.parametrize(
    ("scene", "mean", "spread", "share"),
    [
        ("endoscopy", 90.27, 60.58, 0.1257),
        ("chest", 2334.0, 1216.0, 0.3059),
        ("abdomen", -576.6, 468.7, 0.09234),
        ("abdomen_3d", -376.3, 425.9, 0.1088),
    ],
)
def test_golden_statistics(scene, mean, spread, share):
    case = draw(scene, 6)[3]
    pixels = case.image.pixels.astype(np.float64)
    found = (pixels.mean(), pixels.std(), (case.truth.classes > 0).mean())
    assert found == pytest.approx((mean, spread, share), rel=0.01)


@pytest.mark.parametrize("scene", SCENES)
def test_image_and_truth_are_on_one_grid(scene):
    case = draw(scene, 4)[0]
    image, truth = case.image, case.truth
    assert truth is not None
    assert image.geometry == truth.geometry
    assert image.geometry.shape == SMALL[scene]
    assert truth.classes.dtype == np.uint8
    dtypes = {"endoscopy": np.uint8, "chest": np.uint16}
    assert image.pixels.dtype == dtypes.get(scene, np.int16)
    assert image.channels == (3 if scene == "endoscopy" else 1)
    image.pixels[:] = 0  # what a caller does to his copy
    assert case.image.pixels.any()


def test_photograph_lies_in_memory_as_opencv_has_it():
    pixels = draw("endoscopy", 4)[0].image.pixels
    assert np.moveaxis(pixels, 0, -1).flags.c_contiguous


@pytest.mark.parametrize("scene", SCENES)
def test_instances_paint_back_to_the_label_map(scene):
    for case in draw(scene, 6):
        truth = case.truth
        assert truth is not None
        painted = np.zeros_like(truth.classes)
        for instance in truth.instances:
            assert instance.score == 1.0
            assert instance.mask.any()
            assert all(instance.mask.any(axis=axis).any() for axis in range(instance.mask.ndim))
            assert not painted[instance.box][instance.mask].any()
            painted[instance.box][instance.mask] = truth.labels[instance.label].value
        np.testing.assert_array_equal(painted, truth.classes)


@pytest.mark.parametrize("scene", SCENES)
def test_every_label_appears(scene):
    names = [name for name in SCENES[scene].names if name != "polyp"]
    found = {
        v for case in draw(scene, 10, names=tuple(names)) for v in np.unique(case.truth.classes)
    }
    assert found == set(range(len(names) + 1))


def test_only_what_is_counted_has_instances_and_values_are_those_given():
    labels = LabelSet((Label("heart", 200), Label("lung", 300, "thing")))
    case = cases_of(phantom(labels=labels, seed=0, scene="chest", cases=8, shape=(64, 64)))[0]
    assert case.truth.classes.dtype == np.uint16
    assert set(np.unique(case.truth.classes)) == {0, 200, 300}
    assert [instance.label for instance in case.truth.instances] == ["lung", "lung"]


@pytest.mark.parametrize("scene", SCENES)
def test_a_label_lies_where_it_lies_whatever_else_is_asked_for(scene):
    wholes = {"polyp", "lung", "liver"}  # these lose to a part of them that has a label of its own
    alone = {name: draw(scene, 3, names=(name,)) for name in set(SCENES[scene].names) - wholes}
    for n, case in enumerate(draw(scene, 3)):
        for name, cases in alone.items():
            np.testing.assert_array_equal(cases[n].truth.mask(name), case.truth.mask(name))


def test_what_is_not_asked_for_belongs_to_what_holds_it():
    for scene, whole, part in (("chest", "lung", "pneumothorax"), ("abdomen", "liver", "lesion")):
        both = draw(scene, 9, names=(whole, part))
        alone = draw(scene, 9, names=(whole,))
        assert any(case.truth.mask(part).any() for case in both)
        for one, other in zip(both, alone, strict=True):
            np.testing.assert_array_equal(one.truth.classes > 0, other.truth.mask(whole))


def test_kinds_of_polyp_make_up_the_polyps():
    kinds = draw("endoscopy", 9, names=("neoplastic", "non_neoplastic"))
    for one, other in zip(kinds, draw("endoscopy", 9, names=("polyp",)), strict=True):
        np.testing.assert_array_equal(one.truth.classes > 0, other.truth.classes > 0)


def test_patients_stay_on_one_side_of_the_split():
    splits = phantom(labels=things("polyp"), seed=4, cases=90)
    groups = {name: {case.group for case in cases} for name, cases in splits.items()}
    assert sum(len(g) for g in groups.values()) == len(set().union(*groups.values())) == 30
    assert {name: len(cases) / 90 for name, cases in splits.items()} == pytest.approx(
        {"train": 0.7, "val": 0.15, "test": 0.15}, abs=0.05
    )
    sizes = [sum(case.group == group for case in cases_of(splits)) for group in groups["train"]]
    assert set(sizes) == {2, 3, 4}


def test_some_frames_hold_no_polyp_and_some_films_a_pneumothorax():
    frames = [
        case.truth.classes.any() for case in draw("endoscopy", 60, names=("polyp",), shape=(32, 32))
    ]
    assert 0.08 < 1 - np.mean(frames) < 0.3
    films = [
        case.truth.classes.any()
        for case in draw("chest", 60, names=("pneumothorax",), shape=(32, 32))
    ]
    assert 0.12 < np.mean(films) < 0.35


def test_no_threshold_finds_the_polyps():
    cases = [
        case
        for case in draw("endoscopy", 24, names=("polyp",), shape=(64, 64))
        if case.truth.classes.any()
    ]
    truth = np.stack([case.truth.classes > 0 for case in cases])
    photos = [np.ascontiguousarray(np.moveaxis(case.image.pixels, 0, -1)) for case in cases]
    channels = np.stack(
        [np.dstack([photo, cv2.cvtColor(photo, cv2.COLOR_RGB2LAB)]) for photo in photos]
    )
    best = 0.0
    for channel in np.moveaxis(channels, -1, 0):
        for threshold in np.quantile(channel, np.linspace(0.02, 0.98, 15)):
            for found in (channel > threshold, channel < threshold):
                both = (found & truth).sum((1, 2))
                best = max(best, np.mean(2 * both / (found.sum((1, 2)) + truth.sum((1, 2)))))
    assert best < 0.5


@pytest.mark.parametrize("scene", ["abdomen", "abdomen_3d"])
def test_hounsfield_units_are_those_of_the_tissue(scene):
    plausible = {
        "liver": (60, 140),
        "spleen": (60, 160),
        "left_kidney": (90, 230),
        "right_kidney": (90, 230),
        "lesion": (-5, 190),
    }
    for case in draw(scene, 6):
        pixels, truth = case.image.pixels[0], case.truth
        assert np.median(pixels[truth.geometry.shape[0] // 2 :][-1:]) < -900  # air at the rim
        for name, (low, high) in plausible.items():
            mask = cv2.erode(truth.mask(name).astype(np.uint8), np.ones((3, 3))) > 0
            if mask.sum() > 20:
                assert low < np.median(pixels[mask]) < high, name


@pytest.mark.parametrize("scene", ["abdomen", "abdomen_3d"])
def test_sides_are_the_patients(scene):
    """In LPS coordinates the first axis grows to the patient's left, the second to the back."""
    seen = 0
    for case in draw(scene, 8):
        truth = case.truth
        middle = {
            label.name: indices(truth.mask(label.name), truth.geometry)
            for label in truth.labels
            if truth.mask(label.name).sum() > 10
        }
        if {"left_kidney", "right_kidney", "liver", "bowel"} <= set(middle):
            seen += 1
            assert middle["left_kidney"][0] > 30 > -30 > middle["right_kidney"][0]
            assert middle["liver"][0] < 0
            assert middle["bowel"][1] < middle["left_kidney"][1]
        if "spleen" in middle:
            assert middle["spleen"][0] > 50
    assert seen
    assert truth.geometry.unit == "mm"


def test_default_volume_has_the_stated_spacing():
    cases = cases_of(phantom(labels=things("liver"), seed=0, scene="abdomen_3d", cases=3))
    assert cases[0].load_image.args[1] == (96, 96, 48)
    geometry = cases[0].image.geometry
    assert geometry.spacing == pytest.approx((3.5, 3.5, 5.0))


@pytest.mark.parametrize("scene", SCENES)
def test_shapes_need_not_be_square(scene):
    shape = (40, 56, 20)[: len(SMALL[scene])]
    labels = things(*SCENES[scene].names)
    cases = cases_of(phantom(labels=labels, seed=0, scene=scene, cases=8, shape=shape))
    assert cases[0].image.pixels.shape[1:] == cases[0].truth.classes.shape == shape


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"labels": things("tumour")}, "'tumour'; its labels are polyp, neoplastic"),
        ({"labels": things("liver"), "scene": "chest"}, "'liver'; its labels are lung, heart"),
        ({"shape": (64, 64, 64)}, "2 axes"),
        ({"shape": (64, 8)}, "16 samples"),
        ({"cases": 0}, "cases 0"),
        ({"cases": 2}, "1 groups"),
        ({"seed": -1}, "seed is -1"),
        ({"split": {"train": 0.5, "val": 0.4}}, "sum to 1"),
    ],
)
def test_errors_say_what_was_given(given, message):
    with pytest.raises(ValueError, match=message):
        phantom(**{"labels": things("polyp"), "seed": 0, **given})


@pytest.mark.parametrize("scene", SCENES)
def test_without_masks_the_truth_is_what_the_masks_would_show(scene):
    labels = things(*SCENES[scene].names)
    given = {"labels": labels, "seed": 0, "scene": scene, "cases": 12, "shape": SMALL[scene]}
    with_masks, without = cases_of(phantom(**given)), cases_of(phantom(masks=False, **given))
    for drawn, said in zip(with_masks, without, strict=True):
        assert drawn.id == said.id
        truth = said.truth
        assert not truth.outlined
        assert truth.geometry == drawn.truth.geometry
        assert truth.present == {name: drawn.truth.shows(name) for name in labels.names}


def test_recipe_builds_it_and_refuses_an_unknown_scene():
    call = Call("phantom", {"cases": 9, "shape": [32, 32]}, "recipe.yaml:3")
    splits = build("data", call, labels=things("polyp"), seed=0, folder=None)
    assert cases_of(splits)[0].image.pixels.shape == (3, 32, 32)
    with pytest.raises(RecipeError, match="recipe.yaml:3: phantom: scene is 'brain'"):
        build(
            "data",
            Call("phantom", {"scene": "brain"}, "recipe.yaml:3"),
            labels=things("polyp"),
            seed=0,
        )


def test_an_object_holds_what_its_label_includes():
    labels = LabelSet((Label("liver", 1, "thing", includes=("lesion",)), Label("lesion", 2, "thing")))  # fmt: skip
    cases = cases_of(phantom(labels=labels, seed=0, scene="abdomen", cases=9, shape=(96, 96)))
    assert any(case.truth.mask("lesion").any() for case in cases)
    for case in cases:
        truth = case.truth
        for name in labels.names:
            painted = np.zeros(truth.classes.shape, bool)
            for instance in truth.instances:
                if instance.label == name:
                    painted[instance.box] |= instance.mask
            np.testing.assert_array_equal(painted, truth.mask(name))
