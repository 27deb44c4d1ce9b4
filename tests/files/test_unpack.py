import bz2
import gzip
import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from delineate.files import UnreadableFile
from delineate.files._unpack import unpack

PACK = {"gzip": gzip.compress, "zlib": zlib.compress, "bzip2": bz2.compress}
PACKINGS = [*PACK, "zlib or gzip"]


def pack(data, packing):
    return PACK.get(packing, zlib.compress)(data)


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("size", [0, 1, 1000, 1 << 20, (1 << 20) + 1])
@pytest.mark.parametrize("values", [1, 256])
def test_what_was_packed_comes_back(packing, size, values):
    data = np.random.default_rng(0).integers(0, values, size, dtype=np.uint8)
    packed = pack(data.tobytes(), packing)
    np.testing.assert_array_equal(unpack(io.BytesIO(packed), size, packing), data)


@pytest.mark.parametrize("packing", PACKINGS)
@given(data=st.binary(max_size=300), at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_changed_bit_is_refused_or_changes_nothing(packing, data, at, bit):
    packed = bytearray(pack(data, packing))
    packed[at % len(packed)] ^= 1 << bit
    try:
        found = unpack(io.BytesIO(bytes(packed)), len(data), packing)
    except UnreadableFile:
        return
    assert found.tobytes() == data  # as the time in the header of gzip


@pytest.mark.parametrize("packing", PACKINGS)
@given(data=st.binary(min_size=1, max_size=300), share=st.floats(0, 0.999))
def test_what_was_cut_short_is_refused(packing, data, share):
    packed = pack(data, packing)
    with pytest.raises(UnreadableFile, match="again"):
        unpack(io.BytesIO(packed[: int(len(packed) * share)]), len(data), packing)


@pytest.mark.parametrize("packing", PACKINGS)
def test_another_length_than_declared_is_refused(packing):
    packed = pack(bytes(1000), packing)
    with pytest.raises(UnreadableFile, match="unpacks to 1000 bytes, but its header declares 1001"):
        unpack(io.BytesIO(packed), 1001, packing)
    with pytest.raises(UnreadableFile, match="more than the 999 bytes"):
        unpack(io.BytesIO(packed), 999, packing)


def test_several_streams_and_zeros_after_them_are_one():
    packed = gzip.compress(b"ab") + gzip.compress(b"cd") + bytes(600_000)
    assert unpack(io.BytesIO(packed), 4, "gzip").tobytes() == b"abcd"
    with pytest.raises(UnreadableFile, match="damaged gzip"):
        unpack(io.BytesIO(packed + b"x"), 4, "gzip")
    with pytest.raises(UnreadableFile, match="goes on after the end"):
        unpack(io.BytesIO(zlib.compress(b"ab") + b"x"), 2, "zlib")
