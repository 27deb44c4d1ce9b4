import pickle
import sys
import types
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from delineate.core import Case, Geometry, Image, Label, LabelSet, Output, Probabilities
from delineate.inference import CasePredictor, wrap_network, wrap_predictor
from delineate.inference.wrappers.ensemble import MeanProbabilities, ensemble, mean
from delineate.inference.wrappers.flips import flips
from delineate.inference.wrappers.scales import scales
from delineate.inference.wrappers.sliding_window import sliding_window
from delineate.prepare import load_prepare
from delineate.resolve import FIRST, OWN, Call, RecipeError
from delineate.tasks import load_task

LABELS = LabelSet((Label("polyp", 1),))


def pointwise(pixels):
    """Each logit depends on its own pixel alone."""
    return Output(np.concatenate([2 * pixels, pixels**2], axis=1))


def identity(pixels):
    return Output(pixels)


def ramp(pixels):
    """Depends on the place, so that flips and windows show."""
    return Output(pixels + np.arange(pixels.shape[-1], dtype=np.float32))


def about(pixels):
    """A network with an image-level head besides the dense one."""
    return Output(pixels, image=pixels.mean(axis=(2, 3)))


IMAGES = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=13).map(lambda s: (1, 1, *s)),
    elements=st.floats(-2, 2, width=16),
)


@settings(max_examples=30, deadline=None)
@given(
    IMAGES,
    st.integers(1, 7),
    st.sampled_from([0.0, 0.3, 0.5, 0.9]),
    st.sampled_from(["gaussian", "constant"]),
)
def test_windows_change_nothing_for_a_pointwise_network(pixels, size, overlap, blend):
    windowed = sliding_window(pointwise, (size,) * (pixels.ndim - 2), overlap, blend)
    assert windowed(pixels).logits == pytest.approx(pointwise(pixels).logits, abs=1e-4)


@settings(max_examples=20, deadline=None)
@given(IMAGES)
def test_flips_change_nothing_for_a_pointwise_network(pixels):
    flipped = flips(pointwise, tuple(range(pixels.ndim - 2)))
    assert flipped(pixels).logits == pytest.approx(pointwise(pixels).logits, abs=1e-5)


@settings(max_examples=20, deadline=None)
@given(IMAGES, st.floats(-2, 2, width=16), st.sampled_from([0.5, 0.75, 1.0, 1.5, 3.0]))
def test_wrappers_of_networks_give_what_a_constant_image_has(pixels, value, factor):
    """The identity of a constant is the constant, whatever is moved, cut or resized on the way."""
    flat, ndim = np.full_like(pixels, value), pixels.ndim - 2
    for wrapped in (
        flips(identity, tuple(range(ndim))),
        scales(identity, (factor, 1.0)),
        sliding_window(identity, (3,) * ndim),
    ):
        assert wrapped(flat).logits == pytest.approx(flat, abs=1e-5)


@settings(max_examples=20, deadline=None)
@given(IMAGES, st.sampled_from([0.5, 0.75, 1.25, 2.0]))
def test_flips_and_scales_in_either_order_are_the_same(pixels, factor):
    axes = tuple(range(pixels.ndim - 2))
    one = flips(scales(ramp, (1.0, factor)), axes)
    other = scales(flips(ramp, axes), (1.0, factor))
    assert one(pixels).logits == pytest.approx(other(pixels).logits, abs=1e-3)


@settings(max_examples=20, deadline=None)
@given(IMAGES, st.integers(1, 7))
def test_flips_around_or_inside_windows_are_the_same_where_windows_lie_alike(pixels, size):
    """Windows are spread evenly, up to half a sample, so that a flipped image is cut as the image is."""
    ndim = pixels.ndim - 2
    axes = tuple(range(ndim))
    one = flips(sliding_window(pointwise, (size,) * ndim), axes)
    other = sliding_window(flips(pointwise, axes), (size,) * ndim)
    assert one(pixels).logits == pytest.approx(other(pixels).logits, abs=1e-4)


def test_flips_average_what_depends_on_the_place():
    pixels = np.zeros((1, 1, 2, 3), np.float32)
    assert flips(ramp, (1,))(pixels).logits == pytest.approx(np.ones((1, 1, 2, 3)))
    with pytest.raises(ValueError, match="axes 0 to 1"):
        flips(ramp, (2,))(pixels)


SIDES = LabelSet((Label("liver", 1), Label("left", 5), Label("spine", 6), Label("right", 9)))


def by_side(pixels):
    """Sees the left organ on the right half of the image, and the right one on the left half."""
    column = np.linspace(-1, 1, pixels.shape[-1], dtype=np.float32)
    left, right = pixels * (column > 0), pixels * (column < 0)
    dense = np.concatenate([0 * pixels + 0.3, pixels**2, left, -pixels, right], axis=1)
    means = dense.mean(axis=tuple(range(2, pixels.ndim)))
    return Output(dense, image=means[:, 1:])


def without_background(pixels):
    return Output(by_side(pixels).dense[:, 1:])


@pytest.mark.parametrize("network", [by_side, without_background])
@pytest.mark.parametrize(("shape", "axes"), [((7, 8), (0, 1)), ((7, 8), (1,)), ((3, 4, 6), (0, 2))])
def test_flips_with_swap_change_nothing_for_a_network_that_tells_sides_by_the_place(
    network, shape, axes
):
    pixels = np.random.default_rng(0).random((2, 1, *shape), np.float32)
    call = Call("flips", {"axes": list(axes), "swap": [["left", "right"]]})
    swapped, expected = wrap_network([call], network, SIDES)(pixels), network(pixels)
    for found, right in zip(swapped.arrays(), expected.arrays(), strict=True):
        np.testing.assert_allclose(found, right, atol=1e-6)
    unswapped = wrap_network([call.without("swap")], network, SIDES)(pixels)
    assert not np.allclose(unswapped.logits, expected.logits, atol=0.1)


def test_flips_along_the_other_axis_swap_nothing_and_swap_axis_is_the_first_of_some_scans():
    pixels = np.random.default_rng(0).random((1, 1, 7, 8), np.float32)
    upright = flips(by_side, (0,), (("left", "right"),), labels=SIDES)
    np.testing.assert_allclose(upright(pixels).logits, by_side(pixels).logits, atol=1e-6)

    def turned(pixels):
        return Output(np.swapaxes(by_side(np.swapaxes(pixels, 2, 3)).logits, 2, 3))

    first = flips(turned, (0, 1), (("left", "right"),), 0, labels=SIDES)
    np.testing.assert_allclose(first(pixels).logits, turned(pixels).logits, atol=1e-6)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"swap": [["left", "rigt"]]}, "swap names 'rigt'; the labels are liver, left"),
        ({"swap": [["left", "right"], ["left", "spine"]]}, "twice"),
        ({"swap": [["left", "right"]], "swap_axis": 2}, "swap_axis is 2; the images have 2 axes"),
    ],
)
def test_flips_refuse_pairs_that_are_none(args, said):
    pixels = np.zeros((1, 1, 4, 4), np.float32)
    with pytest.raises(ValueError, match=said):
        wrap_network([Call("flips", {"axes": [1], **args})], by_side, SIDES)(pixels)
    one = flips(identity, (1,), (("left", "right"),), labels=SIDES)
    with pytest.raises(ValueError, match="4 labels, and the network gives 1 channels"):
        one(pixels)


def test_a_network_sees_windows_of_the_size_asked_for():
    seen = []

    def network(pixels):
        seen.append(pixels.shape[2:])
        return pointwise(pixels)

    sliding_window(network, (4, 6))(np.zeros((1, 1, 10, 5), np.float32))
    assert seen == [(4, 6)]


@pytest.mark.parametrize(("side", "calls"), [(8, [16]), (256, [4] * 4), (512, [1] * 16)])
def test_small_windows_are_given_to_the_network_together(side, calls):
    seen = []

    def network(pixels):
        seen.append(len(pixels))
        return pointwise(pixels)

    pixels = np.random.default_rng(0).random((1, 1, 4 * side, 4 * side), np.float32)
    together = sliding_window(network, (side, side), overlap=0)(pixels)
    assert seen == calls
    np.testing.assert_allclose(together.logits, pointwise(pixels).logits, rtol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_empty_windows_take_the_logits_of_one_of_them(channels):
    pixels = np.zeros((1, channels, 40, 48), np.float32)
    pixels += np.arange(channels, dtype=np.float32)[:, None, None]  # each channel has its own value
    pixels[..., 24:, :] += 5
    pixels[..., 3:9, 4:11] = np.random.default_rng(0).random((6, 7), np.float32)
    seen = []

    def network(pixels):
        seen.extend(pixels)
        smooth = ndimage.gaussian_filter(pixels.sum(axis=1, keepdims=True), (0, 0, 2, 2))
        return Output(np.concatenate([smooth, np.tanh(smooth)], axis=1))

    every = sliding_window(network, (8, 8))(pixels).logits
    several = [window for window in seen if (window == window[:, :1, :1]).all()]
    assert len(several) > 20
    full = len(seen) - len(several)
    seen.clear()
    skipped = sliding_window(network, (8, 8), skip_empty=True)(pixels).logits
    assert len(seen) == full + 2
    np.testing.assert_array_equal(skipped, every)


def test_windows_with_noise_are_not_empty():
    seen = []

    def network(pixels):
        seen.extend(pixels)
        return pointwise(pixels)

    pixels = np.zeros((1, 1, 16, 16), np.float32)
    pixels[..., ::4, ::4] = 1e-6
    sliding_window(network, (4, 4), overlap=0, skip_empty=True)(pixels)
    assert len(seen) == 16


def test_scaled_sizes_stay_divisible_as_encoders_ask():
    seen = []

    def network(pixels):
        seen.append(pixels.shape[2:])
        return Output(pixels)

    scales(network, (0.75, 1, 1.25))(np.zeros((1, 1, 352, 100), np.float32))
    assert seen == [(256, 76), (352, 100), (448, 124)]


def test_scales_average_logits_resized_back_to_the_grid():
    from skimage.transform import resize

    pixels = np.random.default_rng(0).random((1, 2, 24, 40), np.float32)
    found = scales(pointwise, (2.0, 1.0))(pixels).logits
    large = resize(pixels, (1, 2, 48, 80), order=1, mode="edge", anti_aliasing=False)
    back = pointwise(large).logits.reshape(1, 4, 24, 2, 40, 2)
    # halving by a triangle as wide as two new samples: weights 1 3 3 1 over 8 along each axis
    padded = np.pad(
        back.reshape(1, 4, 48, 80),
        ((0, 0), (0, 0), (1, 1), (1, 1)),
        mode="constant",
        constant_values=np.nan,
    )
    total, weight = np.zeros((1, 4, 24, 40)), np.zeros((1, 4, 24, 40))
    for i, a in enumerate((1, 3, 3, 1)):
        for j, b in enumerate((1, 3, 3, 1)):
            part = padded[..., i : i + 48 : 2, j : j + 80 : 2]
            total += np.nan_to_num(part) * a * b
            weight += ~np.isnan(part) * a * b
    expected = (total / weight + pointwise(pixels).logits) / 2
    assert found == pytest.approx(expected, abs=1e-4)


def test_image_level_logits_are_averaged_too():
    pixels = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)
    assert flips(about, (0, 1))(pixels).image == pytest.approx(np.array([[2.5]]))
    assert scales(about, (1, 2))(pixels).image == pytest.approx(np.array([[2.5]]))
    only = scales(lambda p: Output(image=p.mean(axis=(2, 3))), (1, 2))
    assert only(pixels).heads == ("image",)


def test_heads_that_a_wrapper_cannot_join_are_refused_by_name():
    pixels = np.zeros((1, 1, 8, 8), np.float32)
    with pytest.raises(
        ValueError, match="support dense logits only, but the network has the heads dense, image"
    ):
        sliding_window(about, (4, 4))(pixels)
    for wrap in (lambda n: flips(n, (0,)), lambda n: scales(n, (1,))):
        with pytest.raises(
            ValueError, match="has an objects head, which cannot be averaged. Remove"
        ):
            wrap(lambda p: Output(objects=()))(pixels)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: sliding_window(pointwise, (4, 4), overlap=1.0), "overlap is 1.0"),
        (lambda: sliding_window(pointwise, (4, 0)), "at least one sample"),
        (
            lambda: sliding_window(pointwise, (4,))(np.zeros((1, 1, 4, 4), np.float32)),
            "have 2 axes",
        ),
        (lambda: flips(pointwise, (1, 1)), "expected each axis once"),
        (lambda: scales(pointwise, ()), "at least one"),
    ],
)
def test_nonsense_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


# ---- wrappers of predictors


def sigmoid_of(pixels):
    return Output(pixels)


def shifted(pixels):
    return Output(pixels - 1)


def doubled(pixels):
    return Output(2 * pixels)


def predictor(network, *steps, labels=LABELS, task="semantic", **known):
    return CasePredictor(
        load_prepare(steps),
        network,
        load_task(Call(task), labels),
        keep_probabilities=True,
        **known,
    )


def case(seed=0, shape=(12, 20)):
    pixels = np.random.default_rng(seed).normal(size=(1, *shape)).astype(np.float32)
    image = Image(pixels, Geometry.in_pixels(shape))
    return Case("photo", "p", lambda: image)


def test_an_ensemble_of_one_is_the_member():
    one = predictor(sigmoid_of)
    alone = replace(one, source=MeanProbabilities((one,)))
    assert np.array_equal(alone(case()).probabilities, one(case()).probabilities)


def test_an_ensemble_averages_probabilities_on_the_grid_of_the_file():
    """Members differ in network and preparation; the mean is over what each alone says."""
    resized = predictor(shifted, Call("resize", {"shape": [8, 8]}))
    members = {"b": resized, "c": predictor(doubled)}
    ours = predictor(sigmoid_of)
    joined = ensemble(ours, ["b", "c"], members.__getitem__)
    alone = [p(case()).probabilities for p in (ours, *members.values())]
    found = joined(case())
    assert found.probabilities == pytest.approx(np.mean(alone, axis=0), abs=1e-6)
    assert np.array_equal(found.classes == 1, np.mean(alone, axis=0)[1] > 0.5)
    assert (joined.labels, joined.task, joined.keep_probabilities) == (LABELS, ours.task, True)


def test_image_level_probabilities_of_members_are_averaged():
    def shows(logit):
        return predictor(lambda p: Output(image=np.array([[logit]])), task="presence")

    both = ensemble(shows(-2.0), ["b"], lambda path: shows(3.0))
    expected = (1 / (1 + np.exp(2.0)) + 1 / (1 + np.exp(-3.0))) / 2
    assert both(case()).scores["presence of polyp"] == pytest.approx(expected)


def test_members_are_asked_one_after_the_other_and_the_image_is_read_once():
    reads, order = [], []

    def asked(name):
        def network(pixels):
            order.append(name)
            return Output(pixels)

        return predictor(network)

    photo = case()
    counted = replace(photo, load_image=lambda: reads.append(1) or photo.image)
    ensemble(asked("a"), ["b"], asked)(counted)
    assert order == ["a", "b"]
    assert len(reads) == 1


def test_what_members_say_of_unlike_images_is_told_of_all():
    parts = [
        Probabilities(np.zeros((1, 2)), (0.0,), unlike_training=words)
        for words in (("too dark",), ("too dark", "grey"))
    ]
    assert mean(parts).unlike_training == ("too dark", "grey")


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (
            predictor(sigmoid_of, labels=LabelSet((Label("stool", 1),))),
            "member b has the labels stool: 1, but the first model has polyp: 1",
        ),
        (
            predictor(sigmoid_of, labels=LabelSet((Label("polyp", 2),))),
            "member b has the labels polyp: 2, but",
        ),
        (predictor(sigmoid_of, task="presence"), "the task presence .* has semantic"),
        (predictor(sigmoid_of, task="regions"), "the task regions .* has semantic"),
    ],
)
def test_members_of_another_problem_are_refused_naming_both(member, said):
    with pytest.raises(ValueError, match=said):
        ensemble(predictor(sigmoid_of), ["b"], lambda path: member)


def test_labels_in_another_order_are_another_problem():
    two = Label("polyp", 1), Label("stool", 2)
    ours, theirs = (predictor(sigmoid_of, labels=LabelSet(labels)) for labels in (two, two[::-1]))
    with pytest.raises(ValueError, match="stool: 2, polyp: 1, but .* has polyp: 1, stool: 2"):
        ensemble(ours, ["b"], lambda path: theirs)


def test_objects_are_refused_before_anything_runs():
    class Detect:
        heads, labels, gives = {"objects": 1}, LABELS, frozenset()

    ours = replace(predictor(sigmoid_of), task=Detect())
    with pytest.raises(ValueError, match="objects cannot be averaged"):
        ensemble(ours, ["b"], lambda path: ours)


# ---- as a recipe lists them


def scaled_up(predictor, by: float = 2.0):
    """Somebody's own wrapper of predictors, which looks at another network."""
    return replace(predictor, network=lambda pixels: Output(by * pixels))


def not_a_predictor(predictor):
    return 7


def wraps_nothing(x=1):
    return x


def test_the_list_goes_from_the_inside_out():
    seen = []

    def network(pixels):
        seen.append(pixels.shape[2:])
        return Output(pixels)

    window, larger = Call("sliding_window", {"size": [4, 4]}), Call("scales", {FIRST: [2]})
    pixels = np.zeros((1, 1, 4, 4), np.float32)
    wrap_network([window, larger], network)(pixels)
    assert seen == [(4, 4)]  # nine windows in one call
    seen.clear()
    wrap_network([larger, window], network)(pixels)
    assert seen == [(8, 8)]


def test_a_wrapper_of_networks_after_one_of_predictors_is_refused():
    calls = [Call("ensemble", {"bundles": ["b"]}), Call("flips", {FIRST: [0]}, "r.yaml:9")]
    with pytest.raises(RecipeError, match=r"r.yaml:9: flips wraps a network but follows ens"):
        wrap_network(calls, identity)


def test_wrapped_networks_can_be_pickled():
    wrapped = flips(scales(sliding_window(identity, (3, 3)), (1, 2)), (0,))
    again = pickle.loads(pickle.dumps(wrapped))
    pixels = np.random.default_rng(0).random((1, 1, 7, 9), np.float32)
    assert np.array_equal(again(pixels).logits, wrapped(pixels).logits)


def test_a_wrapper_of_ones_own_is_checked():
    module = types.ModuleType("own_wrappers")
    for function in (scaled_up, not_a_predictor, wraps_nothing):
        function.__module__ = "own_wrappers"
        setattr(module, function.__name__, function)
    sys.modules["own_wrappers"] = module
    try:

        def call(name):
            return Call(f"own_wrappers:{name}", {}, "r.yaml:3", trust=OWN)

        ours = predictor(sigmoid_of)
        found = wrap_predictor([call("scaled_up")], ours, lambda path: ours)
        assert found.network(np.ones((1, 1, 2, 2))).logits.max() == 2
        with pytest.raises(RecipeError, match="r.yaml:3: .* returns int; expected a CasePredictor"):
            wrap_predictor([call("not_a_predictor")], ours, lambda path: ours)
        with pytest.raises(RecipeError, match="first argument of .* is x; expected network or pre"):
            wrap_network([call("wraps_nothing")], identity)
    finally:
        del sys.modules["own_wrappers"]
