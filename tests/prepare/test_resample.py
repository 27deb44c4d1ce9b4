import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from scipy.ndimage import zoom

from delineate.prepare import _resample
from delineate.prepare._resample import linear, majority

lengths = st.integers(3, 90)


def photo(rows, columns, seed=0):
    values = np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), dtype=np.uint8)
    return np.moveaxis(values, -1, 0)


@pytest.mark.parametrize("resizer", [_resample.cykooz_resizer, None])
@given(old=st.tuples(lengths, lengths), new=st.tuples(lengths, lengths))
@settings(max_examples=15, deadline=None)
def test_photographs_are_resized_as_pillow_does(resizer, old, new):
    pixels = photo(*old)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_resample, "cykooz_resizer", resizer)
        found = linear(pixels, new)
    picture = PillowImage.fromarray(np.ascontiguousarray(np.moveaxis(pixels, 0, -1)))
    expected = np.asarray(picture.resize(new[::-1], PillowImage.Resampling.BILINEAR))
    assert found.dtype == np.uint8
    assert np.abs(np.moveaxis(found, 0, -1).astype(int) - expected).max() <= 1
    assert np.moveaxis(found, 0, -1).flags.c_contiguous


@given(old=st.tuples(lengths, lengths), new=st.tuples(lengths, lengths))
@settings(max_examples=15, deadline=None)
def test_floats_are_resized_as_pillow_does(old, new):
    pixels = photo(*old)[:1].astype(np.float32)
    found = linear(pixels, new)[0]
    picture = PillowImage.fromarray(np.ascontiguousarray(pixels[0]))
    expected = np.asarray(picture.resize(new[::-1], PillowImage.Resampling.BILINEAR))
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_a_volume_grows_as_scipy_has_it():
    volume = np.random.default_rng(0).random((1, 5, 8, 7), np.float32)
    expected = zoom(volume[0], (2, 2, 3), order=1, mode="grid-constant", grid_mode=True)
    inner = (
        slice(1, -1),
        slice(1, -1),
        slice(2, -2),
    )  # at the edge SciPy mixes with what is outside
    found = linear(volume, (10, 16, 21))[0]
    np.testing.assert_allclose(found[inner], expected[inner], atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (30, 30), (7, 9)])
def test_the_dtype_is_kept_and_a_constant_stays_constant(dtype, shape):
    for channels in (1, 2, 3, 5):
        pixels = np.full((channels, 13, 17), 77, dtype)
        found = linear(pixels, shape)
        assert found.dtype == dtype
        assert found.shape == (channels, *shape)
        np.testing.assert_allclose(found, 77, rtol=1e-6)


def test_majority_takes_what_most_of_a_block_is():
    labels = np.array([[[7, 7, 0, 3], [7, 7, 3, 3], [0, 0, 5, 5], [0, 0, 5, 5]]], np.uint16)
    found = majority(labels, (2, 2))
    assert found.tolist() == [[[7, 3], [0, 5]]]
    assert found.dtype == np.uint16


@given(shape=st.tuples(lengths, lengths, lengths), seed=st.integers(0, 9))
@settings(max_examples=10, deadline=None)
def test_no_label_is_invented(shape, seed):
    labels = np.random.default_rng(seed).choice(np.array([0, 4, 9], np.uint8), (1, 9, 14, 11))
    assert set(np.unique(majority(labels, shape))) <= {0, 4, 9}
