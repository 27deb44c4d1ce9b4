"""What the steps that work on regions have in common, and each of them beside a slow independent implementation."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from delineate.core import Geometry, Image, Instance, Label, LabelSet, Segmentation
from delineate.refine.classify import classify
from delineate.refine.colour import colour
from delineate.refine.components import components
from delineate.refine.morphology import morphology
from delineate.refine.vote import vote

LABELS = LabelSet((Label("red", 1, "thing"), Label("green", 2, "thing"), Label("?", 3, "ignore")))
NESTED = LabelSet((Label("liver", 1, includes=("tumour",)), Label("tumour", 2), Label("gut", 3)))


def by_votes(found, image):
    """classify by the votes of the labels; the least certain regions are removed."""
    names = [name for name in found.labels.names if name != "tumour"]
    weights = {name: {f"vote_{name}": 1.0} for name in names}
    return classify(weights, {"bias": 0.5, "mean": -1.0})(found, image)


STEPS = {
    "components": components(min_size=4, min_ratio=0.1),
    "components at a threshold": components(threshold=0.4, min_size=4),
    "morphology": morphology(closing=0.1, opening=0.1, min_diameter=3),
    "vote": vote(),
    "colour": colour(alike=0.5, far=0.5, clear=0.99, gap=0.3, keep=0.5, min_diameter=3),
    "classify": by_votes,
}
steps = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
CORNERS = {2: np.ones((3, 3)), 3: np.ones((3, 3, 3))}


def numbered(mask):
    return ndimage.label(mask, CORNERS[mask.ndim])


@st.composite
def blobs(draw, ndim=2, ignored=False):
    """A prediction with several blobs, mixed labels and probabilities that agree with it, and an image."""
    seed = draw(st.integers(0, 2**20))
    shape = draw(hnp.array_shapes(min_dims=ndim, max_dims=ndim, min_side=1, max_side=24))
    smooth = draw(st.sampled_from([0.5, 1.0, 2.0]))
    return scene(seed, shape, smooth, ignored)


def scene(seed, shape, smooth=1.0, ignored=False):
    rng = np.random.default_rng(seed)
    logits = np.stack([ndimage.gaussian_filter(rng.normal(size=shape), smooth) for _ in range(3)])
    logits *= 2 / max(logits.std(), 1e-6)
    powers = np.exp(logits)
    maps = (powers / powers.sum(0)).astype(np.float32)
    classes = maps.argmax(0).astype(np.uint8)
    if ignored:
        classes[rng.random(shape) < 0.05] = 3
    there = tuple(
        Instance(label.name, 0.9, classes == label.value, (0,) * len(shape))
        for label in LABELS
        if (classes == label.value).any()
    )
    geometry = Geometry(tuple(shape), (1.0,) * len(shape), "mm")
    pixels = rng.integers(0, 256, (3, *shape)).astype(np.uint8)
    found = Segmentation(classes, LABELS, geometry, there, probabilities=maps)
    return found, Image(pixels, geometry)


def hard(classes, labels=LABELS):
    """A segmentation whose probabilities are 0 or 1, and an image of the same values."""
    classes = np.asarray(classes, np.uint8)
    inside = [labels.mask(name, classes) for name in labels.names]
    maps = np.stack([~np.logical_or.reduce(inside), *inside]).astype(np.float32)
    found = Segmentation(classes, labels, Geometry.in_pixels(classes.shape), probabilities=maps)
    return found, Image((classes * 80)[None], found.geometry)


def open_to_growth(found):
    """The same, with some probability of the first label everywhere."""
    maps = found.probabilities.copy()
    maps[0] = np.minimum(maps[0], 0.7)
    maps[1] = np.maximum(maps[1], 0.3)
    return replace(found, probabilities=maps)


def turned(found, image, turn):
    classes = turn(found.classes)
    geometry = Geometry.in_pixels(classes.shape)
    maps = np.stack([turn(m) for m in found.probabilities])
    pixels = np.stack([turn(c) for c in image.pixels])
    there = Segmentation(classes, found.labels, geometry, probabilities=maps)
    return there, Image(pixels, geometry)


TURNS = {
    "flipped": lambda a: a[::-1],
    "mirrored": lambda a: a[..., ::-1],
    "turned": lambda a: np.rot90(a, axes=(0, -1)),
    "transposed": lambda a: np.moveaxis(a, 0, -1),
    "in Fortran order": np.asfortranarray,
    "in reverse memory": lambda a: a[::-1].copy()[::-1],
}


@steps
@pytest.mark.parametrize("ndim", [2, 3])
@settings(max_examples=12, deadline=None)
@given(data=st.data(), turn=st.sampled_from(list(TURNS)))
def test_a_turned_image_gives_the_turned_result(step, ndim, data, turn):
    found, image = data.draw(blobs(ndim))
    found = replace(found, instances=())
    turning = TURNS[turn]
    expected = turning(step(found, image).classes)
    assert (step(*turned(found, image, turning)).classes == expected).all()


@steps
@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
def test_so_do_hard_probabilities_where_all_is_a_tie(step, turn):
    rng = np.random.default_rng(0)
    for _ in range(40):
        found, image = hard(rng.integers(0, 3, (9, 7)) * rng.integers(0, 2, (9, 7)))
        expected = turn(step(found, image).classes)
        assert (step(*turned(found, image, turn)).classes == expected).all()


@steps
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_ignored_samples_stay_and_instances_agree_with_the_map(step, data):
    found, image = data.draw(blobs(ignored=True))
    result = step(found, image)
    assert ((result.classes == 3) == (found.classes == 3)).all()
    assert set(np.unique(result.classes)) <= {0, 1, 2, 3}
    for instance in result.instances:
        assert instance.mask.any()
        assert (result.mask(instance.label)[instance.box] >= instance.mask).all()
    changed = result.classes != found.classes
    same = ~changed
    assert (result.probabilities[:, same] == found.probabilities[:, same]).all()
    assert set(np.unique(result.probabilities[:, changed])) <= {0.0, 1.0}


@steps
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_region_gets_only_labels_it_had_or_background(step, data):
    if step in (STEPS["colour"], STEPS["components at a threshold"], STEPS["classify"]):
        return  # these look beyond the region, or give it any label, and say so
    found, image = data.draw(blobs())
    after = step(found, image).classes
    numbers, count = numbered(found.classes > 0)
    for number in range(1, count + 1):
        inside = numbers == number
        assert set(np.unique(after[inside])) <= set(np.unique(found.classes[inside])) | {0}


@steps
@pytest.mark.parametrize("value", [0, 1, 2])
def test_an_empty_and_a_full_map_stay(step, value):
    for shape in ((1, 1), (1, 9), (16, 16), (5, 6, 7), (1, 1, 4)):
        found, image = hard(np.full(shape, value))
        assert (step(found, image).classes == value).all()


@steps
def test_without_probabilities_there_is_one_clear_error(step):
    found, image = hard(np.eye(4, dtype=int))
    with pytest.raises(ValueError, match="needs the probabilities of the prediction"):
        step(replace(found, probabilities=None), image)
    nan = found.probabilities.copy()
    nan[1, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity"):
        step(replace(found, probabilities=nan), image)


@steps
def test_a_part_stays_inside_what_includes_it(step):
    rng = np.random.default_rng(3)
    for _ in range(30):
        classes = rng.integers(0, 4, (4, 4)).repeat(4, 0).repeat(4, 1)
        found, image = hard(classes, NESTED)
        result = step(found, image)
        assert set(np.unique(result.classes)) <= {0, 1, 2, 3}
        assert (result.mask("liver") >= result.mask("tumour")).all()
        assert (result.probabilities[1] >= result.probabilities[2]).all()


@steps
def test_only_the_named_labels_change(step):
    make = {
        "components": lambda **more: components(min_size=9, min_share=0.1, **more),
        "morphology": lambda **more: morphology(closing=0.3, opening=0.3, min_diameter=3, **more),
        "vote": vote,
        "colour": lambda **more: colour(far=0.1, doubt=1.0, **more),
    }
    for maker in make.values():
        for seed in range(10):
            found, image = scene(seed, (24, 24), 1.5)
            after = maker(labels=["green"])(found, image)
            assert ((after.classes == 1) == (found.classes == 1)).all()


# ---- components


@settings(max_examples=30, deadline=None)
@given(data=st.data(), ratio=st.sampled_from([0.0, 0.1, 0.5]), share=st.sampled_from([0.0, 0.1]))
def test_components_equal_a_loop_over_regions(data, ratio, share):
    found, image = data.draw(blobs())
    after = components(min_ratio=ratio, min_share=share, certain=0.8)(found, image).classes
    expected = found.classes.copy()
    numbers, count = numbered(expected > 0)
    areas = {n: int((numbers == n).sum()) for n in range(1, count + 1)}
    if areas:
        least = max(share * expected.size, ratio * max(areas.values()))
        keep = {n for n in areas if areas[n] >= least}
        if not keep:
            sure = {n: float((1 - found.probabilities[0])[numbers == n].max()) for n in areas}
            best = max(areas, key=lambda n: (sure[n], areas[n]))
            keep = {best} if sure[best] > 0.8 else set()
        for n in set(areas) - keep:
            expected[numbers == n] = 0
    assert (after == expected).all()


@settings(max_examples=30, deadline=None)
@given(data=st.data(), name=st.sampled_from(["components", "components at a threshold", "vote"]))
def test_components_and_vote_twice_are_once(data, name):
    found, image = data.draw(blobs(data.draw(st.sampled_from([2, 3]))))
    once = STEPS[name](found, image)
    assert (STEPS[name](once, image).classes == once.classes).all()


def test_components_at_a_threshold_decides_anew():
    maps = np.array([[[0.1, 0.5, 0.65, 0.9]], [[0.6, 0.3, 0.05, 0.0]], [[0.3, 0.2, 0.3, 0.1]]])
    classes = np.array([[1, 0, 0, 0]], np.uint8)
    found = Segmentation(
        classes, LABELS, Geometry.in_pixels((1, 4)), probabilities=maps.astype(np.float32)
    )
    image = Image(np.zeros((1, 1, 4)), found.geometry)
    assert components(threshold=0.3)(found, image).classes.tolist() == [[1, 1, 2, 0]]
    assert components(threshold=0.6)(found, image).classes.tolist() == [[1, 0, 0, 0]]
    assert components(threshold=0.95)(found, image).classes.tolist() == [[0, 0, 0, 0]]


def test_a_threshold_writes_a_part_where_it_is_above_it_too():
    maps = np.array([[[0.2, 0.55]], [[0.8, 0.45]], [[0.7, 0.1]], [[0.0, 0.0]]], np.float32)
    found = Segmentation(
        np.zeros((1, 2), np.uint8), NESTED, Geometry.in_pixels((1, 2)), probabilities=maps
    )
    image = Image(np.zeros((1, 1, 2)), found.geometry)
    assert components(threshold=0.4)(found, image).classes.tolist() == [[2, 1]]


def test_a_small_region_stays_if_it_is_certain_and_alone():
    classes = np.zeros((200, 200), int)
    classes[3, 3:5] = 1
    found, image = hard(classes)
    assert components(min_size=50)(found, image).classes.sum() == 2
    assert components(min_size=50, certain=1)(found, image).classes.sum() == 0
    unsure = replace(found, probabilities=found.probabilities * np.float32(0.9))
    unsure.probabilities[0] = 1 - unsure.probabilities[1]
    assert components(min_size=50, certain=0.95)(unsure, image).classes.sum() == 0


def test_the_default_size_follows_the_image_and_leaves_scans_alone():
    classes = np.zeros((995, 1280), int)
    classes[100:300, 100:300] = 1
    classes[600:611, 600:609] = 1  # 99 px
    found, image = hard(classes)
    assert (components(min_ratio=0)(found, image).classes == 1).sum() == 40000
    classes[600, 609] = 1
    found, image = hard(classes)
    assert (components(min_ratio=0)(found, image).classes == 1).sum() == 40100
    scan = np.zeros((30, 30, 30), int)
    scan[3:9, 3:9, 3:9] = scan[20, 20, 20] = 1
    found, image = hard(scan)
    assert components(min_ratio=0)(found, image).classes.sum() == 217
    assert components()(found, image).classes.sum() == 216


# ---- vote


@settings(max_examples=30, deadline=None)
@given(data=st.data(), margin=st.sampled_from([0.0, 0.1, 0.4]), ndim=st.sampled_from([2, 3]))
def test_vote_equals_a_loop_over_regions(data, margin, ndim):
    found, image = data.draw(blobs(ndim))
    after = vote(margin=margin, min_part=1.0)(found, image).classes
    expected = found.classes.copy()
    numbers, count = numbered(expected > 0)
    for number in range(1, count + 1):
        inside = numbers == number
        one, two = (found.probabilities[c][inside].sum(dtype=float) for c in (1, 2))
        both = {1, 2} <= set(expected[inside])
        if both and one != two and abs(one - two) >= margin * (one + two):
            expected[inside] = 1 if one > two else 2
    assert (after == expected).all()


def discs(radius, apart):
    rows, columns = np.mgrid[:40, :70]
    classes = np.zeros((40, 70), int)
    for value, at in ((1, 20), (2, 20 + apart)):
        classes[((rows - 20) ** 2 + (columns - at) ** 2 <= radius**2) & (classes == 0)] = value
    return classes


def test_two_objects_that_touch_keep_their_labels():
    classes = discs(12, 25)
    classes[18:22, 31:34] = 1  # a narrow neck
    kept, image = hard(classes)
    assert numbered(classes > 0)[1] == 1
    weak = kept.probabilities.copy()
    weak[2] *= 0.5  # the vote alone is clear
    kept = replace(kept, probabilities=weak)
    assert (vote()(kept, image).classes == classes).all()
    assert (vote(min_part=0.6)(kept, image).classes == (classes > 0)).all()
    assert (vote(max_neck=0.01)(kept, image).classes == (classes > 0)).all()
    assert (vote(min_depth=0.9)(kept, image).classes == (classes > 0)).all()


def test_two_halves_of_one_object_take_one_label():
    rows, columns = np.mgrid[:40, :40]
    classes = ((rows - 20) ** 2 + (columns - 20) ** 2 <= 200) * (1 + (columns > 20))
    found, image = hard(classes)
    weak = found.probabilities.copy()
    weak[2] *= 0.5
    found = replace(found, probabilities=weak)
    assert (vote()(found, image).classes == (classes > 0)).all()


def test_a_neck_whose_labels_do_not_follow_it_is_one_object():
    classes = discs(12, 25)
    classes[18:22, 31:34] = 1
    classes[(classes > 0) & (np.arange(40)[:, None] < 20)] = 1
    classes[(classes > 0) & (np.arange(40)[:, None] >= 20)] = 2
    found, image = hard(classes)
    weak = found.probabilities.copy()
    weak[2] *= 0.5
    found = replace(found, probabilities=weak)
    assert (vote()(found, image).classes == (classes > 0)).all()


def test_parts_of_a_winner_stay_and_included_labels_do_not_vote():
    classes = np.zeros((6, 12), int)
    classes[1:5, 1:8] = 1
    classes[2:4, 2:6] = 2  # a tumour larger than what is left of its liver does not win over it
    classes[1:5, 8:10] = 3
    expected = np.where(classes == 3, 1, classes)
    found, image = hard(classes, NESTED)
    assert (vote()(found, image).classes == expected).all()
    assert (vote(labels=["gut"])(found, image).classes == classes).all()


# ---- morphology


def slow_morphology(found, closing, opening, limit, keep, hole):
    """One region at a time on the whole grid, with scipy; for regions that stay far apart."""
    result = found.classes.copy()
    foreground = 1 - found.probabilities[0]
    numbers, count = numbered(result > 0)
    for number in range(1, count + 1):
        mask = numbers == number
        d = 2 * np.sqrt(mask.sum() / np.pi)
        disc = ball(max(1, int(closing * d + 0.5)))
        beyond = np.pad(mask, 20)
        closed = ndimage.binary_erosion(ndimage.binary_dilation(beyond, disc), disc)[20:-20, 20:-20]
        grown = mask | (closed & (foreground > limit))
        outside, holes = ndimage.label(~grown)
        for h in range(1, holes + 1):
            one = outside == h
            if one.sum() <= hole * mask.sum() and not edge(one):
                grown |= one
        parts, _ = numbered(grown)
        grown = parts == parts[mask][0]
        d = 2 * np.sqrt(grown.sum() / np.pi)
        disc = ball(max(1, int(opening * d + 0.5)))
        opened = ndimage.binary_dilation(
            ndimage.binary_erosion(grown, disc, border_value=True), disc
        )
        if opened.sum() < keep * grown.sum() or numbered(opened)[1] != 1:
            opened = grown
        result[mask & ~opened] = 0
        result[opened & ~mask] = found.classes[mask].max()
    return result


def ball(radius):
    steps = np.arange(-radius, radius + 1)
    return steps[:, None] ** 2 + steps**2 <= radius**2


def edge(mask):
    return any(np.take(mask, end, axis).any() for axis in range(mask.ndim) for end in (0, -1))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    closing=st.sampled_from([0.02, 0.1, 0.3]),
    opening=st.sampled_from([0.02, 0.1]),
    keep=st.sampled_from([0.0, 0.9]),
)
def test_morphology_equals_a_loop_on_the_whole_grid(seed, closing, opening, keep):
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=(40, 48)), 2)
    inside = noise > np.quantile(noise, 0.6)
    numbers, _ = numbered(inside)
    inside = numbers == np.argmax(np.bincount(numbers.ravel())[1:]) + 1  # the largest, alone
    found, image = hard(np.where(inside, 2, 0))
    soft = np.clip(ndimage.gaussian_filter(inside.astype(float), 1.5), 0, 1).astype(np.float32)
    maps = np.stack([1 - soft, np.zeros_like(soft), soft])
    found = replace(found, probabilities=maps)
    step = morphology(closing=closing, opening=opening, keep=keep, min_diameter=3)
    expected = slow_morphology(found, closing, opening, 0.2, keep, 0.05)
    assert (step(found, image).classes == expected).all()


@settings(max_examples=30, deadline=None)
@given(data=st.data(), ndim=st.sampled_from([2, 3]), closing=st.sampled_from([0.05, 0.3, 1.0]))
def test_morphology_never_joins_or_splits_regions(data, ndim, closing):
    found, image = data.draw(blobs(ndim))
    for limit in (0.0, 0.3):
        step = morphology(closing=closing, opening=0.1, min_foreground=limit, min_diameter=2)
        after = step(found, image).classes > 0
        before, count = numbered(found.classes > 0)
        now, found_now = numbered(after)
        assert found_now == count
        for number in range(1, count + 1):
            assert len(np.unique(now[(before == number) & after])) == 1


def test_of_two_regions_that_grow_together_the_more_probable_one_grows():
    classes = np.zeros((20, 24), int)
    classes[2, 2:20] = classes[16, 2:20] = classes[2:17, 2] = 1  # a U, open to the right
    classes[7, 6:20] = classes[11, 6:20] = classes[7:12, 19] = 1  # in it a U, open to the left
    found, image = hard(classes)
    found = open_to_growth(found)
    inner = np.zeros(classes.shape, bool)
    inner[8:11, 12:15] = True  # both would grow here
    step = morphology(closing=1.0, opening=0, min_diameter=0)
    assert not step(found, image).classes[inner].any()  # a tie
    for weaker, grows in ((1, True), (2, False)):
        weak = found.probabilities.copy()
        weak[1][numbered(classes > 0)[0] == weaker] = 0.9
        weak[0] = 1 - weak[1]
        after = step(replace(found, probabilities=weak), image).classes
        assert numbered(after > 0)[1] == 2
        assert after[inner].all() == grows


def test_growth_needs_foreground_and_a_hole_does_not():
    classes = np.zeros((20, 20), int)
    classes[4:16, 4:16] = 2
    classes[8, 8] = 0
    classes[4:7, 9] = 0
    found, image = hard(classes)
    step = morphology(closing=0.2, opening=0)
    filled = classes.copy()
    filled[8, 8] = 2
    assert (step(found, image).classes == filled).all()
    maps = found.probabilities.copy()
    maps[:, 4:7, 9] = np.array([0.7, 0.2, 0.1])[
        :, None
    ]  # red is more probable, but not in the region
    filled[5:7, 9] = 2  # the disc does not fit into the mouth of the slit
    assert (step(replace(found, probabilities=maps), image).classes == filled).all()
    assert (morphology(max_hole=0, opening=0)(found, image).classes == classes).all()


def test_morphology_measures_in_the_unit_of_a_scan():
    scan = np.zeros((9, 40, 40), int)
    scan[2:7, 8:32, 8:32] = 1
    scan[4, 19:21, 8:14] = 0  # a slit of 2 samples
    found, image = hard(scan)
    thick = replace(open_to_growth(found), geometry=Geometry(scan.shape, (5.0, 1.0, 1.0), "mm"))
    step = morphology(closing=0.06, opening=0, min_foreground=0)
    after = step(thick, Image(image.pixels, thick.geometry)).classes
    assert after[4, 19:21, 10:14].all()
    assert after[[1, 7]].sum() == 0


def test_closing_does_not_grow_to_the_edge_and_opening_does_not_wear_it_off():
    classes = np.zeros((40, 40), int)
    classes[1:39, 0:20] = 1
    found, image = hard(classes)
    after = morphology(closing=0.2, opening=0.1, keep=0)(open_to_growth(found), image).classes
    assert not after[[0, 39]].any()
    assert after[6:34, 0].all()


# ---- colour


def painted(classes, colours):
    classes = np.asarray(classes)
    rng = np.random.default_rng(0)
    pixels = np.moveaxis(np.array(colours, float)[classes], -1, 0)
    return pixels + rng.normal(0, 4, pixels.shape)


def three_parts():
    """A large red part, two small green ones beside it; they are less sure."""
    classes = np.zeros((40, 60), int)
    classes[10:30, 10:30] = 1
    classes[15:20, 31:36] = 2
    classes[22:27, 31:36] = 2
    found, _ = hard(classes)
    maps = found.probabilities.copy()
    maps[1][classes == 2] = 0.45
    maps[2][classes == 2] = 0.55
    return classes, replace(found, probabilities=maps)


@pytest.mark.parametrize("scale", [1, 257])
def test_neighbours_that_look_alike_agree_and_others_do_not(scale):
    classes, found = three_parts()
    drawn = classes.copy()
    drawn[22:27, 31:36] = 3  # the second neighbour has another colour
    drawn[15:20, 31:36] = 1
    pixels = np.clip(
        painted(drawn, [(90, 90, 90), (180, 70, 70), (0, 0, 0), (70, 160, 70)]), 0, 255
    )
    dtype = np.uint8 if scale == 1 else np.uint16
    image = Image(pixels.astype(np.uint8).astype(dtype) * dtype(scale), found.geometry)
    after = colour(gap=0.5)(found, image).classes
    expected = classes.copy()
    expected[15:20, 31:36] = 1
    assert (after == expected).all()
    assert (colour(gap=0.05)(found, image).classes == classes).all()
    assert (colour(gap=0.5, clear=0.05)(found, image).classes == classes).all()


def test_a_rim_that_looks_like_the_surroundings_is_removed_where_it_is_unsure():
    classes = np.zeros((60, 60), int)
    classes[10:50, 10:50] = 1
    drawn = classes.copy()
    drawn[10:12, 10:50] = 0  # the mask is two rows too large
    found, _ = hard(classes)
    maps = found.probabilities.copy()
    maps[:, 10:12, 10:50] = np.array([0.4, 0.6, 0.0])[:, None, None]
    found = replace(found, probabilities=maps)
    image = Image(painted(drawn, [(90, 90, 90), (180, 70, 70)]), found.geometry)
    after = colour()(found, image).classes
    assert not after[10, 11:49].any()
    assert after[12:50, 10:50].all()
    assert (colour(doubt=0.6)(found, image).classes == classes).all()
    assert (colour(keep=0.99)(found, image).classes == classes).all()
    grey = Image(image.pixels[:1], image.geometry)
    assert not colour()(found, grey).classes[10, 11:49].any()
    opaque = Image(np.concatenate([image.pixels, 0 * image.pixels[:1] + 255]), image.geometry)
    assert (colour()(found, opaque).classes == after).all()


@pytest.mark.parametrize("value", [0, 7, 65535])
def test_an_image_of_one_colour_removes_nothing(value):
    for seed in range(5):
        found, image = scene(seed, (30, 30), 2.0)
        flat = Image(np.full((3, 30, 30), value, np.uint16), image.geometry)
        union = found.classes > 0
        assert ((STEPS["colour"](found, flat).classes > 0) == union).all()


def test_an_image_of_another_grid_is_refused():
    found, _ = hard(np.eye(4, dtype=int))
    other = Image(np.zeros((3, 5, 5), np.uint8), Geometry.in_pixels((5, 5)))
    with pytest.raises(ValueError, match="expected the same grid"):
        colour()(found, other)


@steps
def test_thousands_of_specks_take_little_time(step):
    rng = np.random.default_rng(0)
    classes = ((rng.random((256, 256)) < 0.3) * rng.integers(1, 3, (256, 256))).astype(np.uint8)
    maps = rng.random((3, 256, 256), np.float32)
    found = Segmentation(
        classes, LABELS, Geometry.in_pixels(classes.shape), probabilities=maps / maps.sum(0)
    )
    image = Image(rng.integers(0, 256, (3, 256, 256)).astype(np.uint8), found.geometry)
    start = time.process_time()
    step(found, image)
    assert time.process_time() - start < 3
