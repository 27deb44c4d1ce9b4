import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.core import (
    Geometry,
    Image,
    Label,
    LabelSet,
    Objects,
    Probabilities,
    Segmentation,
)
from delineate.prepare import load_prepare
from delineate.resolve import OWN, Call, names, resolve

LABELS = LabelSet((Label("liver", 1), Label("tumour", 4)))
POLYP = LabelSet((Label("polyp", 255),))
AFFINE = np.array([[0, 0, 0.8, 0], [0, 0.8, 0, 0], [-2.0, 0, 0, 0], [0, 0, 0, 1.0]])
lengths = st.integers(5, 40)

ARGUMENTS = {  # of steps whose defaults fit no image of n axes, or that need what no type says
    "channels": lambda n: {"count": 3},
    "orient": lambda n: {"axes": "SPL" if n == 3 else "PL"},
    "pad": lambda n: {"multiple": 8},
    "resize": lambda n: {"shape": [16, 11, 13][:n]},
    "resample": lambda n: {"spacing": 1.3},
    "window": lambda n: {"name": "abdomen"},
}
every = pytest.mark.parametrize("name", names("prepare"))


def step_of(name, ndim, needed):
    """The preparation that is one step alone."""
    known = ARGUMENTS.get(name, lambda n: needed(resolve("prepare", name), ndim=n))
    return load_prepare([Call(name, known(ndim))])


def disc(shape):
    index = np.indices(shape)
    middle = np.array(shape).reshape(-1, *[1] * len(shape)) / 2 - 0.5
    return (((index - middle) / (0.3 * np.array(shape)).reshape(middle.shape)) ** 2).sum(0) < 1


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def certain(truth):
    """The probabilities of somebody quite sure."""
    values = (0, *truth.labels.values)
    maps = np.stack([truth.classes == v for v in values]).astype(np.float32)
    return Probabilities(maps, (1.0, *[0.0] * len(truth.labels)))


def decided(probabilities, labels, dtype=np.uint8):
    """The value of the likeliest."""
    return np.array([0, *labels.values], dtype)[probabilities.maps.argmax(0)]


@pytest.mark.parametrize("ndim", [2, 3])
@every
def test_every_step_can_be_undone_and_leaves_its_input(name, ndim, needed):
    shape = (9, 21, 17)[-ndim:]
    geometry = Geometry.in_patient(shape, AFFINE[:, 3 - ndim :])
    pixels = np.random.default_rng(0).integers(0, 99, (1, *shape)).astype(np.uint8)
    kept = pixels.copy()
    prepare = step_of(name, ndim, needed)
    image = Image(pixels, geometry)
    prediction, grid = prepare(image)
    assert prediction.dtype == np.float32
    assert prediction.flags.c_contiguous
    assert prediction.shape[1:] == grid.shape == prepare.grid(geometry).shape
    np.testing.assert_array_equal(pixels, kept)
    np.testing.assert_array_equal(prepare.finish(prepare.fixed(image).pixels), prediction)
    np.testing.assert_array_equal(prepare(image)[0], prediction)

    classes = disc(shape).astype(np.uint8)
    truth = prepare.truth(Segmentation(classes, LABELS, geometry))
    assert truth.geometry == grid
    back = prepare.restore(certain(truth), geometry)
    assert back.maps.shape == (3, *shape)
    assert back.maps.dtype == np.float32
    assert back.maps.flags.c_contiguous
    np.testing.assert_allclose(back.maps.sum(0), 1, atol=1e-5)
    assert (
        back.maps.argmax(0)[tuple(n // 2 for n in shape)] == 1
    )  # the middle is seen by every step


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
    back = prepare.restore(Probabilities(maps, (1.0, 0.0, 0.0)), geometry)
    assert back.maps.shape == (3, *geometry.shape)
    assert back.maps.dtype == np.float32
    np.testing.assert_allclose(back.maps.sum(0), 1, atol=1e-5)


def test_steps_that_change_nothing_give_labels_back_exactly():
    geometry = Geometry.in_pixels((32, 64))
    same = {"shape": [32, 64]}
    prepare = load_prepare(
        [Call("resize", same), Call("pad", {"multiple": 32}), Call("crop", same)]
    )
    classes = np.random.default_rng(0).choice(np.array([0, 1, 4], np.uint8), geometry.shape)
    truth = prepare.truth(Segmentation(classes, LABELS, geometry))
    np.testing.assert_array_equal(truth.classes, classes)
    back = prepare.restore(certain(truth), geometry)
    np.testing.assert_array_equal(decided(back, LABELS), classes)


@given(shape=st.tuples(st.integers(80, 200), st.integers(80, 200)))
@settings(max_examples=10, deadline=None)
def test_a_smooth_shape_survives_the_journey(shape):
    geometry = Geometry.in_pixels(shape)
    prepare = load_prepare([Call("resize", {"shape": [64, 48]})])
    mask = disc(shape)
    there = prepare.truth(Segmentation(mask * np.uint8(255), POLYP, geometry))
    back = prepare.restore(certain(there), geometry)
    assert dice(decided(back, POLYP) == 255, mask) > 0.95


def test_outside_a_crop_is_background():
    geometry = Geometry.in_pixels((10, 10))
    prepare = load_prepare([Call("crop", {"shape": [4, 4]})])
    inside = np.zeros((10, 10), bool)
    inside[3:7, 3:7] = True
    for outside in [(0.0,), (1.0, 0.0)]:
        maps = np.full((len(outside), 4, 4), 0.7, np.float32)
        back = prepare.restore(Probabilities(maps, outside), geometry)
        for channel, value in zip(back.maps, outside, strict=True):
            np.testing.assert_array_equal(channel, np.where(inside, np.float32(0.7), value))


@pytest.mark.parametrize("ndim", [2, 3])
@every
def test_objects_come_back_where_they_were(name, ndim, needed):
    """Each step moves an array whose samples are their own indices; a box has to move as they do."""
    shape = (9, 21, 17)[-ndim:]
    geometry = Geometry.in_patient(shape, AFFINE[:, 3 - ndim :])
    prepare = step_of(name, ndim, needed)
    grid = prepare.grid(geometry)
    low = np.array([n // 4 for n in grid.shape])
    high = np.array([n - n // 3 for n in grid.shape])
    whole = np.zeros((1, *grid.shape), np.float32)
    whole[(0, *map(slice, low, high))] = 1
    window = np.linspace(0, 1, 2 * 3 ** (ndim - 1), dtype=np.float32).reshape(2, *[3] * (ndim - 1))
    objects = Objects(np.ones((1, 1)), np.array([[low, high]], float), window[None])
    back = prepare.restore(Probabilities(whole, (0.0,), objects=objects), geometry)
    middle = np.argwhere(back.maps[0] > 0.5).mean(axis=0) + 0.5
    extent = [
        (back.maps[0] > 0.5).any(tuple(a for a in range(ndim) if a != axis)).sum()
        for axis in range(ndim)
    ]
    box = np.clip(back.objects.boxes[0], 0, shape)  # a box may reach into what was padded
    np.testing.assert_allclose(box.mean(axis=0), middle, atol=1.0)
    np.testing.assert_allclose(box[1] - box[0], extent, atol=1.5)
    assert (box[1] > box[0]).all()


def test_the_mask_of_an_object_turns_with_its_axes():
    geometry = Geometry.in_patient((4, 6, 8), AFFINE)
    prepare = load_prepare([Call("orient", {"axes": "SPL"})])
    inner = np.arange(4 * 6 * 8, dtype=np.float32).reshape(4, 6, 8)
    seen = prepare.fixed(Image(inner[None], geometry)).pixels
    box = np.array([[[0, 0, 0], seen.shape[1:]]], float)
    back = prepare.restore(
        Probabilities(objects=Objects(np.ones((1, 1)), box, seen)), geometry
    ).objects
    np.testing.assert_array_equal(back.masks[0], inner)
    np.testing.assert_allclose(back.boxes[0], [[0, 0, 0], [4, 6, 8]], atol=1e-9)


def test_a_photograph_is_cached_as_bytes():
    photo = np.moveaxis(np.zeros((40, 50, 3), np.uint8), -1, 0)
    prepare = load_prepare(
        [Call("resize", {"shape": [20, 20]}), Call("standardize", {"by": "imagenet"})]
    )
    fixed = prepare.fixed(Image(photo, Geometry.in_pixels((40, 50))))
    assert fixed.pixels.dtype == np.uint8


def test_a_segmentation_of_another_grid_is_refused():
    prepare = load_prepare([Call("resize", {"shape": [8, 8]})])
    wrong = Probabilities(np.zeros((1, 9, 8), np.float32), (0.0,))
    with pytest.raises(ValueError, match=r"preprocessed to \(8, 8\)"):
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


HEAD = """\
import numpy as np
from dataclasses import replace
from delineate.core import Geometry

class Mine:
"""
BAD = {
    "spoiling": "    after_augment = True\n    def apply(self, pixels):\n        pixels += 1\n        return pixels\n",
    "shrinking": "    after_augment = True\n    def apply(self, pixels):\n        return pixels[..., ::2]\n",
    "dreaming": "    after_augment = True\n    def apply(self, pixels):\n"
                "        return pixels + np.random.random(pixels.shape)\n",
    "half": "    def grid(self, before):\n"
            "        return before.cropped([0] * before.ndim, [n // 2 for n in before.shape])\n"
            "    def forward(self, array, before, carry):\n"
            "        return array[(slice(None), *(slice(n // 2) for n in before.shape))]\n"
            "    def backward(self, array, before, carry):\n        return array\n",
    "mirrored": "    def grid(self, before):\n        return before\n"
                "    def forward(self, array, before, carry):\n        return array[..., ::-1]\n"
                "    def backward(self, array, before, carry):\n        return 0 * array\n",
    "neither": "    pass\n",
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_step_breaks_the_contract(name, add_file, broken):
    add_file("prepare", name, f"{HEAD}{BAD[name]}\ndef {name}():\n    return Mine()\n")
    assert broken(name)


def test_a_step_of_no_name_keeps_the_contract(add_file, broken):
    body = (
        "    after_augment = True\n    def apply(self, pixels):\n        return np.sqrt(pixels)\n"
    )
    add_file("prepare", "root", f"{HEAD}{body}\ndef root():\n    return Mine()\n")
    assert broken("root") is None
