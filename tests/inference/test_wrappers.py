import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from delineate.core import Output
from delineate.inference import Ensemble, Flipped, Windowed


def pointwise(pixels):
    """Each logit depends on its own pixel alone."""
    return Output(np.concatenate([2 * pixels, pixels**2], axis=1))


def ramp(pixels):
    """Depends on the place, so that flips and windows show."""
    return Output(pixels + np.arange(pixels.shape[-1], dtype=np.float32))


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
    st.sampled_from(["gaussian", "uniform"]),
)
def test_windows_change_nothing_for_a_pointwise_network(pixels, size, overlap, weight):
    windowed = Windowed(pointwise, (size,) * (pixels.ndim - 2), overlap, weight)
    assert windowed(pixels).logits == pytest.approx(pointwise(pixels).logits, abs=1e-4)


@settings(max_examples=20, deadline=None)
@given(IMAGES)
def test_flips_change_nothing_for_a_pointwise_network(pixels):
    flipped = Flipped(pointwise, tuple(range(pixels.ndim - 2)))
    assert flipped(pixels).logits == pytest.approx(pointwise(pixels).logits, abs=1e-5)


def test_flips_average_what_depends_on_the_place():
    pixels = np.zeros((1, 1, 2, 3), np.float32)
    assert Flipped(ramp, (1,))(pixels).logits == pytest.approx(np.ones((1, 1, 2, 3)))
    with pytest.raises(ValueError, match="the image has 2"):
        Flipped(ramp, (2,))(pixels)


def test_a_network_sees_windows_of_the_size_asked_for():
    seen = []

    def network(pixels):
        seen.append(pixels.shape[2:])
        return pointwise(pixels)

    Windowed(network, (4, 6))(np.zeros((1, 1, 10, 5), np.float32))
    assert set(seen) == {(4, 6)}
    assert len(seen) == 4


def test_ensembles_average():
    pixels = np.ones((1, 1, 2, 2), np.float32)
    both = Ensemble((ramp, lambda p: Output(3 * ramp(p).logits)))
    assert both(pixels).logits == pytest.approx(2 * ramp(pixels).logits)


def about(pixels):
    """A network with an image-level head besides the dense one."""
    return Output(pixels, image=pixels.mean(axis=(2, 3)))


def test_image_level_logits_are_averaged_too():
    pixels = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)
    both = Ensemble((about, lambda p: Output(p, image=np.zeros((1, 1), np.float32))))
    assert both(pixels).image == pytest.approx(np.array([[1.25]]))
    assert Flipped(about, (0, 1))(pixels).image == pytest.approx(np.array([[2.5]]))


def test_heads_that_a_wrapper_cannot_join_are_refused_by_name():
    pixels = np.zeros((1, 1, 8, 8), np.float32)
    with pytest.raises(
        ValueError, match="join dense logits only, and the network gives dense, image"
    ):
        Windowed(about, (4, 4))(pixels)
    with pytest.raises(ValueError, match="objects cannot be averaged"):
        Flipped(lambda p: Output(objects=()), (0,))(pixels)
    with pytest.raises(ValueError, match=r"the heads \('dense',\) and \('dense', 'image'\)"):
        Ensemble((ramp, about))(pixels)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Ensemble(()), "at least one"),
        (lambda: Windowed(pointwise, (4, 4), overlap=1.0), "overlap is 1.0"),
        (lambda: Windowed(pointwise, (4, 0)), "needs a sample"),
        (lambda: Windowed(pointwise, (4,))(np.zeros((1, 1, 4, 4), np.float32)), "does not fit"),
    ],
)
def test_nonsense_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()
