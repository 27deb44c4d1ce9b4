"""Lines of text are found where they are, and nothing else is taken for one."""

import cv2
import numpy as np
import pytest

from delineate.audit._text import text_lines

SHAPE = (300, 400)


def channels(picture: np.ndarray) -> np.ndarray:
    """(y, x) or (y, x, channel) -> (channel, y, x)."""
    return picture[None] if picture.ndim == 2 else np.moveaxis(picture, -1, 0)


def written(picture: np.ndarray, text="NAME 12/03", at=(20, 60), size=0.5, colour=(255, 255, 255)):
    """A colour picture with text whose feet stand at (x, y)."""
    colours = np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture.copy()
    return cv2.putText(colours, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)


@pytest.fixture
def ground(picture):
    """Tissue: soft, and no brighter than two thirds."""
    return (picture(3, SHAPE) // 2 + 30).astype(np.uint8)


@pytest.mark.parametrize("size", [0.5, 0.65, 0.8])
@pytest.mark.parametrize("colour", [(255, 255, 255), (230, 230, 230), (255, 255, 0), (0, 255, 0)])
def test_text_is_found_where_it_is(ground, size, colour):
    found = text_lines(channels(written(ground, at=(40, 200), size=size, colour=colour)))
    (width, height), _ = cv2.getTextSize("NAME 12/03", cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    assert found
    for y, x, h, w in found:
        assert y * SHAPE[0] >= 200 - height - 4
        assert (y + h) * SHAPE[0] <= 200 + 0.3 * height + 4
        assert x * SHAPE[1] >= 36
        assert (x + w) * SHAPE[1] <= 44 + width


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32])
def test_grey_pictures_of_every_depth(ground, dtype):
    grey = written(ground)[..., 0].astype(dtype)
    bytes_ = text_lines(channels(written(ground)[..., 0]))
    assert len(bytes_) == 1
    assert np.allclose(text_lines(channels(grey * dtype(16))), bytes_, atol=0.01)
    if dtype == np.float32:
        grey[0, 0], grey[0, 1] = np.nan, np.inf
        assert np.allclose(text_lines(channels(grey)), bytes_, atol=0.01)


@pytest.mark.parametrize("layout", ["interleaved", "planes"])
def test_the_order_in_memory_and_of_lines(ground, layout):
    pixels = channels(written(written(ground, at=(200, 250)), "13:24:55", (20, 40)))
    pixels = np.ascontiguousarray(pixels) if layout == "planes" else pixels
    before = pixels.copy()
    first, *_, last = text_lines(pixels)
    assert (pixels == before).all()
    assert first[0] < 0.15
    assert last[0] > 0.7


def test_a_large_picture_is_as_its_small_copy(ground):
    small = written(ground, size=0.7)
    large = cv2.resize(small, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    assert np.allclose(text_lines(channels(large)), text_lines(channels(small)), atol=0.02)


def highlights(ground):
    """Ellipses of pure white of every size and direction."""
    random = np.random.default_rng(0)
    for _ in range(120):
        at = tuple(int(v) for v in random.uniform(0, 1, 2) * SHAPE[::-1])
        axes = tuple(int(v) for v in random.uniform(1, 7, 2))
        cv2.ellipse(ground, at, axes, random.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA)
    return ground


def cells(ground):
    """Discs of a few sizes, anywhere."""
    random = np.random.default_rng(1)
    for _ in range(80):
        at = tuple(int(v) for v in random.uniform(0, 1, 2) * SHAPE[::-1])
        cv2.circle(ground, at, int(random.integers(3, 14)), 220, -1, cv2.LINE_AA)
    return ground


def vessels(ground):
    """Bright lines of every direction."""
    random = np.random.default_rng(2)
    for _ in range(40):
        ends = random.uniform(0, 1, (2, 2)) * SHAPE[::-1]
        cv2.line(ground, *ends.astype(int).tolist(), 230, int(random.integers(1, 5)), cv2.LINE_AA)
    return ground


def ribs(ground):
    """Arcs one above the other."""
    for y in range(20, 300, 35):
        cv2.ellipse(ground, (200, y + 60), (150, 60), 0, 200, 340, 230, 4, cv2.LINE_AA)
    return ground


def noise(ground):
    return np.random.default_rng(3).integers(0, 256, SHAPE, np.uint8)


def edge(ground):
    ground[:, :150] = 0
    ground[200:] = 255
    return ground


def letter(ground):
    """A marker of the side: single letters are not looked for."""
    return written(ground, "R", size=0.9)


@pytest.mark.parametrize(
    "draw", [lambda ground: ground, highlights, cells, vessels, ribs, noise, edge, letter]
)
def test_nothing_else_is_taken_for_text(ground, draw):
    assert text_lines(channels(draw(ground))) == ()


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 4, 5), (1, 64, 2), (5, 30, 30)])
def test_pictures_with_nothing_in_them(shape):
    assert text_lines(np.zeros(shape, np.uint8)) == ()
    assert text_lines(np.full(shape, 7, np.float32)) == ()


def test_many_channels_are_looked_at(ground):
    pixels = np.repeat(ground[None], 6, axis=0)
    pixels[4] = written(ground)[..., 0]
    assert text_lines(pixels)
