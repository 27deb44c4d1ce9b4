import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.core import Label, LabelSet
from delineate.prepare import Layers
from delineate.prepare.augment import Warp, case_rng, load_augment
from delineate.resolve import GIVEN, Call, RecipeError, names, resolve

LABELS = LabelSet(
    (Label("left", 3), Label("right", 4), Label("spine", 9), Label("void", 200, "ignore"))
)
SHAPES = {2: (33, 47), 3: (9, 14, 12)}
DTYPES = [np.uint8, np.uint16, np.float32]

every = pytest.mark.parametrize("name", names("augment"))
IDENTITY = {  # arguments with which an augmentation changes nothing
    "blur": {"sigma": (0, 0)},
    "brightness_contrast": {"brightness": 0, "contrast": 0},
    "channel_gain": {"gain": 0},
    "colour_jitter": {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0},
    "dropout": {"holes": (0, 0)},
    "elastic": {"magnitude": 0.0},
    "flip": {"axes": ()},
    "gamma": {"gamma": (1, 1)},
    "grid_distortion": {"limit": 0},
    "low_resolution": {"zoom": (1, 1)},
    "noise": {"std": (0, 0)},
    "rotate": {"degrees": 0},
    "rotate90": {"p": 0},
    "scale": {"factor": (1, 1)},
    "shear": {"degrees": 0},
    "shift": {"fraction": 0},
}
GEOMETRIC = ["elastic", "flip", "grid_distortion", "rotate", "rotate90", "scale", "shear", "shift"]


class OfMaps:
    """An augmentation of pixels and a plain label map."""

    def __init__(self, augment):
        self.augment = augment
        self.steps = augment.steps

    def __call__(self, pixels, classes, rng):
        prediction, truth = self.augment(pixels, Layers(classes, LABELS), rng)
        return prediction, truth.classes


def augment(*calls):
    return OfMaps(load_augment([Call(name, args) for name, args in calls], LABELS))


def example(ndim, dtype=np.uint8, channels=3, seed=0):
    """Pixels in a photograph's memory order, and a label map."""
    rng = np.random.default_rng(seed)
    values = rng.random((*SHAPES[ndim], channels))
    full = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    pixels = np.moveaxis((values * full).astype(dtype), -1, 0)
    return pixels, rng.choice(np.array([0, 3, 4, 9, 200], np.uint8), SHAPES[ndim])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ndim", [2, 3])
@every
def test_every_augmentation_keeps_what_it_must(name, ndim, dtype, needed):
    given = needed(resolve("augment", name), GIVEN["augment"], ndim)
    for channels in (1, 3, 5):
        pixels, classes = example(ndim, dtype, channels)
        before = pixels.copy(), classes.copy()
        step = augment((name, {**given, "p": 1.0}))
        found, moved = step(pixels, classes, case_rng(0, 1, 2))
        assert found.shape == pixels.shape
        assert found.dtype == dtype
        assert moved.shape == classes.shape
        assert moved.dtype == classes.dtype
        assert set(np.unique(moved)) <= set(np.unique(classes))
        if np.dtype(dtype).kind == "f":
            assert found.min() >= 0
            assert found.max() <= 1
        np.testing.assert_array_equal(pixels, before[0])
        np.testing.assert_array_equal(classes, before[1])
        again = step(pixels, classes, case_rng(0, 1, 2))
        np.testing.assert_array_equal(found, again[0])
        np.testing.assert_array_equal(moved, again[1])
        parts = [step.steps[0].draw(case_rng(0, 0, seed), classes.shape) for seed in range(9)]
        drawn = [part for part in parts if part is not None]
        assert drawn, "with p: 1 nothing is drawn"
        if not any(isinstance(part, Warp) for part in drawn):
            np.testing.assert_array_equal(moved, classes)


@pytest.mark.parametrize("ndim", [2, 3])
@every
def test_what_is_not_drawn_changes_nothing_and_what_is_drawn_differs_from_case_to_case(
    name, ndim, needed
):
    given = needed(resolve("augment", name), GIVEN["augment"], ndim)
    pixels, classes = example(ndim)
    found, moved = augment((name, {**given, "p": 0.0}))(pixels, classes, case_rng(0, 0, 0))
    np.testing.assert_array_equal(found, pixels)
    np.testing.assert_array_equal(moved, classes)
    step = augment((name, {**given, "p": 0.5}))
    ways = {step(pixels, classes, case_rng(0, 0, seed))[0].tobytes() for seed in range(12)}
    assert len(ways) > 1


@pytest.mark.parametrize("ndim", [2, 3])
@every
def test_image_and_mask_move_together_whatever_is_drawn(name, ndim, needed):
    """A mask that is drawn into the image still lies on it; where the image is only recoloured, the mask stays."""
    given = needed(resolve("augment", name), GIVEN["augment"], ndim)
    shape = (60, 50) if ndim == 2 else (24, 30, 26)
    index, length = np.indices(shape), np.array(shape).reshape(-1, *[1] * ndim)
    mask = (((index - 0.45 * length) / (0.3 * length)) ** 2).sum(0) < 1
    step = augment((name, {**given, "p": 1.0}))
    for seed in range(4):
        parts = [p.draw(case_rng(0, 0, seed), shape) for p in step.steps]
        found, moved = step((mask * np.uint8(255))[None], mask * np.uint8(9), case_rng(0, 0, seed))
        if any(isinstance(part, Warp) for part in parts):
            assert (moved[found[0] > 240] == 9).all()
            assert (moved[found[0] < 15] == 0).all()
        else:
            np.testing.assert_array_equal(moved == 9, mask)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", IDENTITY)
def test_identity_parameters_change_nothing(name, ndim):
    pixels, classes = example(ndim)
    args = {"p": 1.0, **IDENTITY[name]}
    found, moved = augment((name, args))(pixels, classes, case_rng(0, 0, 0))
    np.testing.assert_array_equal(found, pixels)
    np.testing.assert_array_equal(moved, classes)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", GEOMETRIC)
def test_image_and_mask_move_together(name, ndim):
    shape = (80, 70) if ndim == 2 else (40, 46, 42)
    index = np.indices(shape)
    length = np.array(shape).reshape(-1, *[1] * ndim)
    mask = (((index - 0.45 * length) / (0.3 * length)) ** 2).sum(0) < 1
    pixels = (mask * np.uint8(255))[None].repeat(3, axis=0)
    for seed in range(5):
        step = augment((name, {"p": 1.0}))
        found, moved = step(pixels, mask * np.uint8(9), case_rng(0, 0, seed))
        # The nearest sample has at least 1/4 (2D) or 1/8 (3D) of the weight of the linear mean.
        assert (moved[found[0] > 240] == 9).all()
        assert (moved[found[0] < 15] == 0).all()
        assert (moved == 9).any()


@pytest.mark.parametrize("ndim", [2, 3])
def test_flips_along_left_right_swap_pairs_and_others_do_not(ndim):
    pixels, classes = example(ndim)
    pair = (("left", "right"),)
    swapped = classes.copy()
    swapped[classes == 3], swapped[classes == 4] = 4, 3
    for axis in range(ndim):
        step = augment(("flip", {"axes": [axis], "p": 1, "swap": pair, "swap_axis": ndim - 1}))
        found, moved = step(pixels, classes, case_rng(0, 0, 0))
        expected = swapped if axis == ndim - 1 else classes
        np.testing.assert_array_equal(moved, np.flip(expected, axis))
        np.testing.assert_array_equal(found, np.flip(pixels, axis + 1))


def test_pairs_swap_with_a_rotation_too_and_twice_is_not_at_all():
    pixels, classes = example(2)
    once = ("flip", {"axes": [-1], "p": 1, "swap": [["left", "right"]]})
    still = ("rotate", {"degrees": 0, "p": 1})
    _, moved = augment(once, once, still)(pixels, classes, case_rng(0, 0, 0))
    np.testing.assert_array_equal(moved, classes)
    left_only = np.where(classes == 3, 3, 0).astype(np.uint8)
    _, moved = augment(once, ("rotate", {"degrees": 20, "p": 1}))(
        pixels, left_only, case_rng(0, 0, 0)
    )
    assert set(np.unique(moved)) == {0, 4}


@given(seed=st.integers(0, 10**6), ndim=st.sampled_from([2, 3]))
@settings(max_examples=25, deadline=None)
def test_a_fused_warp_is_its_parts_one_after_the_other(seed, ndim):
    rng = np.random.default_rng(seed)
    chosen = ("rotate", "shear", "scale", "shift")
    steps = augment(*[(name, {"p": 1}) for name in chosen]).steps
    first, *later = parts = [step.draw(rng, SHAPES[ndim]) for step in steps]
    fused = first
    for part in later:
        fused = fused.then(part)
    point = np.append(rng.random(ndim) * SHAPES[ndim], 1)
    expected = point
    for part in reversed(parts):  # a warp says where a result comes from
        expected = part.matrix @ expected
    np.testing.assert_allclose(fused.matrix @ point, expected)


def test_displacements_add_up_and_mirrored_borders_win():
    one = Warp(np.eye(3), (np.ones((4, 1)), np.zeros((1, 5))), "reflect")
    other = Warp(np.eye(3), (np.ones((4, 5)), np.ones((4, 5))))
    both = Warp(np.eye(3)).then(one).then(other)
    assert both.displacement[0].tolist() == [[2] * 5] * 4
    assert both.displacement[1].tolist() == [[1] * 5] * 4
    assert both.border == "reflect"


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_shift_moves_by_whole_samples(ndim):
    pixels, classes = example(ndim)
    n = SHAPES[ndim][-1]
    step = augment(("shift", {"fraction": (2 / n, 2 / n), "p": 1}))
    part = step.steps[0].draw(np.random.default_rng(0), SHAPES[ndim])
    offset = np.rint(-part.matrix[:-1, -1]).astype(int)
    assert offset[-1] == 2
    only_last = Warp(np.eye(ndim + 1))
    only_last.matrix[-2, -1] = -2
    from delineate.prepare.augment._warp import warp

    prediction, truth = warp(pixels, Layers(classes, LABELS), only_last)
    moved = truth.classes
    np.testing.assert_array_equal(prediction[..., 2:], pixels[..., :-2])
    np.testing.assert_array_equal(moved[..., 2:], classes[..., :-2])
    assert (moved[..., :2] == 0).all()
    assert (prediction[..., :2] == 0).all()


def test_reflected_borders_bring_in_the_image():
    ones = np.full((3, 40, 40), 200, np.uint8), np.full((40, 40), 9, np.uint8)
    for border, whole in (("reflect", True), ("zero", False)):
        step = augment(("rotate", {"degrees": (30, 30), "p": 1, "border": border}))
        found, moved = step(*ones, case_rng(0, 0, 0))
        assert (found == 200).all() == whole
        assert (moved == 9).all() == whole


@pytest.mark.parametrize(("ndim", "times"), [(2, 1), (3, 1), (2, 2), (2, 5)])
def test_quarter_turns_are_exact_for_any_number_of_channels(ndim, times):
    pixels, classes = (a[..., :9, :9] for a in example(ndim))
    pixels = np.concatenate([pixels] * times)
    turned = {np.rot90(classes, k, (-2, -1)).tobytes() for k in (1, 2, 3)}
    for seed in range(6):
        found, moved = augment(("rotate90", {"p": 1}))(pixels, classes, case_rng(0, 0, seed))
        assert np.ascontiguousarray(moved).tobytes() in turned
        k = next(k for k in (1, 2, 3) if (np.rot90(classes, k, (-2, -1)) == moved).all())
        np.testing.assert_array_equal(found, np.rot90(pixels, k, (-2, -1)))


def test_random_numbers_are_those_of_the_case():
    draws = {case_rng(*key).random() for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]}
    assert len(draws) == 4
    assert case_rng(5, 6, 7).random() == case_rng(5, 6, 7).random()


def test_what_cannot_be_is_refused_where_it_is_written():
    for name, args, message in (
        ("flip", {"swap": [["left", "lft"]]}, "'lft'; the labels are left"),
        ("flip", {"swap": [["left", "right"], ["left", "spine"]]}, "twice"),
        ("rotate", {"degrees": [30, 10]}, r"rotate: degrees is \[30"),
        ("rotate", {"p": 1.5}, "p is 1.5"),
        ("shear", {"degrees": 60}, "less than 45"),
        ("grid_distortion", {"limit": 1}, "limit is 1; expected a number from 0 to below 1"),
        ("dropout", {"size": [0.1, 2]}, "a list of 2, each a number from 0 to 1"),
        ("colour_jitter", {"hue": -0.1}, "0 or more"),
    ):
        with pytest.raises(RecipeError, match=message):
            augment((name, args))
    with pytest.raises(RecipeError, match="has to be the first"):
        augment(("rotate90", {}), ("flip", {"swap": [["left", "right"]]}))
    with pytest.raises(ValueError, match="Add window or rescale_intensity"):
        augment(("gamma", {}))(
            np.zeros((1, 4, 4), np.int16), np.zeros((4, 4), np.uint8), case_rng(0, 0, 0)
        )
    with pytest.raises(ValueError, match="and classes"):
        augment(("gamma", {}))(
            np.zeros((1, 4, 4), np.uint8), np.zeros((5, 4), np.uint8), case_rng(0, 0, 0)
        )


HEAD = """\
import numpy as np
from delineate.prepare.augment import Warp
from delineate.prepare.augment._part import Curve, Filter

class Mine:
    def __init__(self, p):
        self.p = p
    def draw(self, rng, shape):
        if rng.random() >= self.p:
            return None
"""
BAD = {
    "still": "        return Curve(lambda values: values)\n",
    "dreaming": "        return Filter(lambda pixels: (pixels * np.random.random()).astype(pixels.dtype))\n",
    "spoiling": "        def spoil(pixels):\n            pixels[:] = rng.random() * 9\n            return pixels\n"
                "        return Filter(spoil)\n",
    "turning": "        k = rng.integers(1, 4)\n"
               "        return Filter(lambda pixels: np.ascontiguousarray(np.rot90(pixels, k, (-2, -1))))\n",
    "floating": "        return Filter(lambda pixels: pixels * rng.random())\n",
    "never": "        return None\n",
    "always": "        pass\n    def draw(self, rng, shape):\n"
              "        return Curve(lambda v: v * 0.5 + 0.3 * rng.random())\n",
}  # fmt: skip


def augmentation_file(name, body):
    make = f"def {name}(p: Fraction = 0.5):\n    return Mine(p)\n"
    return f"from delineate.arguments import Fraction\n{HEAD}{body}\n{make}"


@pytest.mark.parametrize("name", BAD)
def test_a_bad_augmentation_breaks_the_contract(name, add_file, broken):
    add_file("augment", name, augmentation_file(name, BAD[name]))
    assert broken(name)


def test_an_augmentation_of_no_name_keeps_the_contract(add_file, broken):
    body = "        share = rng.uniform(0.3, 0.9)\n        return Curve(lambda values: values * share)\n"
    add_file("augment", "dimmed", augmentation_file("dimmed", body))
    assert broken("dimmed") is None
