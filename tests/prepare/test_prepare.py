import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.core import Geometry, Image, Instance, Label, LabelSet, Segmentation
from delineate.prepare import load_prepare
from delineate.resolve import OWN, Call, names

LABELS = LabelSet((Label("liver", 1), Label("tumour", 4)))
POLYP = LabelSet((Label("polyp", 255),))
AFFINE = np.array([[0, 0, 0.8, 0], [0, 0.8, 0, 0], [-2.0, 0, 0, 0], [0, 0, 0, 1.0]])
lengths = st.integers(5, 40)

ARGUMENTS = {  # what each step needs, for n axes
    "channels": lambda n: {"count": 3},
    "crop": lambda n: {"shape": [12] * n},
    "orient": lambda n: {"axes": "SPL" if n == 3 else "PL"},
    "pad": lambda n: {"multiple": 8},
    "resize": lambda n: {"shape": [16, 11, 13][:n]},
    "respace": lambda n: {"spacing": 1.3},
    "window": lambda n: {"level": 40, "width": 400},
}


def disc(shape):
    index = np.indices(shape)
    middle = np.array(shape).reshape(-1, *[1] * len(shape)) / 2 - 0.5
    return (((index - middle) / (0.3 * np.array(shape)).reshape(middle.shape)) ** 2).sum(0) < 1


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def certain(truth):
    """A segmentation with the probabilities of somebody quite sure."""
    values = (0, *truth.labels.values)
    maps = np.stack([truth.classes == v for v in values]).astype(np.float32)
    return Segmentation(truth.classes, truth.labels, truth.geometry, probabilities=maps)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", names("prepare"))
def test_every_step_can_be_undone_and_leaves_its_input(name, ndim):
    shape = (9, 21, 17)[-ndim:]
    geometry = Geometry.in_patient(shape, AFFINE[:, 3 - ndim :])
    pixels = np.random.default_rng(0).integers(0, 99, (1, *shape)).astype(np.uint8)
    kept = pixels.copy()
    prepare = load_prepare([Call(name, ARGUMENTS.get(name, lambda n: {})(ndim))])
    image = Image(pixels, geometry)
    found, grid = prepare(image)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    assert found.shape[1:] == grid.shape == prepare.grid(geometry).shape
    np.testing.assert_array_equal(pixels, kept)
    np.testing.assert_array_equal(prepare.finish(prepare.fixed(image).pixels), found)

    classes = disc(shape).astype(np.uint8)
    truth = prepare.truth(Segmentation(classes, LABELS, geometry))
    assert truth.geometry == grid
    back = prepare.restore(truth, geometry)
    assert back.geometry == geometry
    assert back.classes.dtype == np.uint8
    assert set(np.unique(back.classes)) <= {0, 1}


@given(
    shape=st.tuples(lengths, lengths, lengths), ndim=st.sampled_from([2, 3]), seed=st.integers(0, 9)
)
@settings(max_examples=20, deadline=None)
def test_what_is_found_comes_back_on_the_grid_of_the_file(shape, ndim, seed):
    geometry = Geometry.in_pixels(shape[:ndim])
    calls = [
        Call("pad", {"multiple": 7}),
        Call("resize", {"shape": [23, 18, 20][:ndim], "keep_aspect": bool(seed % 2)}),
        Call("crop", {"shape": [20, 25, 14][:ndim]}),
    ]
    prepare = load_prepare(calls)
    rng = np.random.default_rng(seed)
    grid = prepare.grid(geometry)
    maps = rng.dirichlet(np.ones(3), grid.shape).astype(np.float32)
    maps = np.moveaxis(maps, -1, 0)
    found = Segmentation(np.zeros(grid.shape, np.uint8), LABELS, grid, probabilities=maps)
    back = prepare.restore(found, geometry)
    assert back.geometry is geometry
    assert back.classes.shape == geometry.shape
    assert back.probabilities.shape == (3, *geometry.shape)
    assert back.probabilities.dtype == np.float32
    np.testing.assert_allclose(back.probabilities.sum(0), 1, atol=1e-5)
    expected = np.array([0, 1, 4])[back.probabilities.argmax(0)]
    np.testing.assert_array_equal(back.classes, expected)


def test_steps_that_change_nothing_give_labels_back_exactly():
    geometry = Geometry.in_pixels((32, 64))
    same = {"shape": [32, 64]}
    prepare = load_prepare(
        [Call("resize", same), Call("pad", {"multiple": 32}), Call("crop", same)]
    )
    classes = np.random.default_rng(0).choice(np.array([0, 1, 4], np.uint8), geometry.shape)
    truth = prepare.truth(Segmentation(classes, LABELS, geometry))
    np.testing.assert_array_equal(truth.classes, classes)
    np.testing.assert_array_equal(prepare.restore(truth, geometry).classes, classes)
    np.testing.assert_array_equal(prepare.restore(certain(truth), geometry).classes, classes)


@given(shape=st.tuples(st.integers(80, 200), st.integers(80, 200)))
@settings(max_examples=10, deadline=None)
def test_a_smooth_shape_survives_the_journey(shape):
    geometry = Geometry.in_pixels(shape)
    prepare = load_prepare([Call("resize", {"shape": [64, 48]})])
    mask = disc(shape)
    there = prepare.truth(Segmentation(mask * np.uint8(255), POLYP, geometry))
    for found in (there, certain(there)):
        back = prepare.restore(found, geometry)
        assert dice(back.mask("polyp"), mask) > 0.95
    assert back.probabilities.shape == (2, *shape)


def test_outside_a_crop_is_background():
    geometry = Geometry.in_pixels((10, 10))
    prepare = load_prepare([Call("crop", {"shape": [4, 4]})])
    for labels in (POLYP, LABELS):
        grid = prepare.grid(geometry)
        value = labels.values[0]
        found = Segmentation(np.full((4, 4), value, np.uint8), labels, grid)
        inside = np.zeros((10, 10), bool)
        inside[3:7, 3:7] = True
        for given_ in (found, certain(found)):
            back = prepare.restore(given_, geometry)
            np.testing.assert_array_equal(back.classes == value, inside)
        np.testing.assert_array_equal(back.probabilities[0], ~inside)


def test_instances_come_back_and_the_truth_goes_without():
    geometry = Geometry.in_pixels((20, 30))
    prepare = load_prepare([Call("resize", {"shape": [10, 15]})])
    grid = prepare.grid(geometry)
    instance = Instance("liver", 0.7, np.ones((3, 4), bool), (2, 5))
    found = Segmentation(np.zeros((10, 15), np.uint8), LABELS, grid, (instance,), {"sick": 0.4})
    back = prepare.restore(found, geometry)
    (restored,) = back.instances
    assert restored.start == (4, 10)
    assert restored.mask.shape == (6, 8)
    assert restored.score == 0.7
    assert back.scores == {"sick": 0.4}
    assert prepare.truth(back).instances == ()


def test_a_photograph_is_cached_as_bytes():
    photo = np.moveaxis(np.zeros((40, 50, 3), np.uint8), -1, 0)
    prepare = load_prepare(
        [Call("resize", {"shape": [20, 20]}), Call("standardize", {"by": "imagenet"})]
    )
    fixed = prepare.fixed(Image(photo, Geometry.in_pixels((40, 50))))
    assert fixed.pixels.dtype == np.uint8


def test_a_segmentation_of_another_grid_is_refused():
    prepare = load_prepare([Call("resize", {"shape": [8, 8]})])
    wrong = Segmentation(np.zeros((9, 8), np.uint8), LABELS, Geometry.in_pixels((9, 8)))
    with pytest.raises(ValueError, match=r"prepared to \(8, 8\)"):
        prepare.restore(wrong, Geometry.in_pixels((20, 20)))


def test_no_steps_at_all():
    image = Image(np.ones((2, 3, 4), np.int16), Geometry.in_pixels((3, 4)))
    pixels, grid = load_prepare([])(image)
    assert pixels.dtype == np.float32
    assert grid == image.geometry


def test_a_step_of_ones_own(monkeypatch, tmp_path):
    (tmp_path / "my_steps.py").write_text(
        "class Doubled:\n    after_augment = False\n    def apply(self, pixels):\n        return pixels * 2\n"
        "def doubled():\n    return Doubled()\ndef nothing():\n    return None\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    image = Image(np.ones((1, 2, 2), np.uint8), Geometry.in_pixels((2, 2)))
    assert (load_prepare([Call("my_steps:doubled", trust=OWN)])(image)[0] == 2).all()
    with pytest.raises(ValueError, match="expected a GridStep or a ValueStep"):
        load_prepare([Call("my_steps:nothing", trust=OWN)])
