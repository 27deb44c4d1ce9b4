"""Pairs that show the same are found, and others are not."""

import cv2
import numpy as np
import pytest

from delineate.audit import _alike, _candidates
from delineate.audit._alike import alike
from delineate.audit._look import SIDE, WHOLE, looks, pictures_of
from delineate.core import Geometry, Image


def image(pixels, geometry=None):
    pixels = np.asarray(pixels)
    planes = (
        np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 and pixels.shape[-1] == 3 else pixels[None]
    )
    return Image(planes, geometry or Geometry.in_pixels(planes.shape[1:]))


def seen(pixels, geometry=None):
    return pictures_of(looks(image(pixels, geometry))[0])


def pairs_of(pictures):
    """The pairs that are found, by number."""
    wholes = [pictures_of(looks(image(picture))[1]) for picture in pictures]
    return {(pair.first, pair.second) for pair in alike([*map(seen, pictures)], wholes)}


def framed(pixels):
    """The same picture smaller, in the corner of a black screen with a box on it."""
    screen = np.zeros((200, 260), np.uint8)
    screen[12:182, 30:230] = cv2.resize(pixels, (200, 170), interpolation=cv2.INTER_AREA)
    screen[150:200, :60] = 0
    return screen


def compressed(pixels):
    return jpeg(pixels, 40)


def jpeg(pixels, quality):
    return cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0)


def tilted(pixels, angle, zoom=1.0):
    """The same picture turned and enlarged about its middle, black where it shows nothing."""
    rows, columns = pixels.shape
    onto = cv2.getRotationMatrix2D((columns / 2, rows / 2), angle, zoom)
    return cv2.warpAffine(np.ascontiguousarray(pixels), onto, (columns, rows))


CHANGED = {
    "equal": lambda p: p,
    "smaller": lambda p: cv2.resize(p, (80, 80), interpolation=cv2.INTER_AREA),
    "brighter": lambda p: (p * 0.6 + 90).astype(np.uint8),
    "in 16 bits": lambda p: p.astype(np.uint16) * 200 + 1000,
    "in colour": lambda p: np.stack([p, (p * 0.5).astype(np.uint8), p // 3], axis=-1),
    "as JPEG": compressed,
    "framed": framed,
    "cropped": lambda p: p[2:, 2:-1],
    "noisy": lambda p: (p + np.random.default_rng(1).normal(0, 4, p.shape)).clip(0, 255).astype(np.uint8),
}  # fmt: skip
TILTED = {
    **{f"cropped {k}": lambda p, k=k: p[k:-k, k:-k] for k in (5, 10, 14)},
    **{f"turned {angle} degrees": lambda p, angle=angle: tilted(p, angle) for angle in (-15, -9, 4, 12)},
    "smaller on black": lambda p: tilted(p, 0, zoom=0.8),
    "turned and cropped": lambda p: tilted(p, 8, zoom=1.15),
    "off the middle": lambda p: p[:-7, 6:],
    "mirrored, turned and cropped": lambda p: tilted(p[:, ::-1], -10, zoom=1.15),
}  # fmt: skip
TURNED = {
    "mirrored": lambda p: p[:, ::-1],
    "upside down": lambda p: p[::-1],
    "turned": lambda p: np.rot90(p),
    "turned and mirrored": lambda p: np.rot90(p)[:, ::-1],
}


@pytest.mark.parametrize("how", CHANGED | TILTED | TURNED)
@pytest.mark.parametrize("changed_first", [False, True])
def test_a_picture_is_known_again(picture, how, changed_first):
    others = [seen(picture(seed)) for seed in range(1, 6)]
    both = [seen(picture(0)), seen((CHANGED | TILTED | TURNED)[how](picture(0)))]
    one, other = both[::-1] if changed_first else both
    pairs = alike([one, *others, other])
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 6)]
    assert pairs[0].turned == (how in TURNED or how.startswith("mirrored"))
    assert pairs[0].score > (0.99 if how == "equal" else 0.75)


def test_pictures_with_one_frame_are_not_alike_for_it(picture):
    assert alike([seen(framed(picture(seed))) for seed in range(12)]) == []
    assert pairs_of([framed(picture(seed)) for seed in range(12)]) == set()
    assert pairs_of([fundus(picture(seed)) for seed in range(12)]) == set()


def fundus(pixels):
    """A disc of the picture on black, as of an eye."""
    rows, columns = np.indices(pixels.shape)
    inside = (rows - 60) ** 2 + (columns - 75) ** 2 < 55**2
    return (pixels * inside).astype(np.uint8)


def dark(seed):
    """Cells that glow a little on a dark and noisy ground: the darkest sample is no measure of the ground."""
    random = np.random.default_rng(seed)
    rows, columns = np.indices((256, 320))
    glow = np.zeros((256, 320))
    for _ in range(12):
        y, x, size = random.uniform(0, 256), random.uniform(0, 320), random.uniform(5, 11)
        near = ((rows - y) ** 2 + (columns - x) ** 2) / size**2
        glow = np.maximum(glow, random.uniform(10, 40) / (1 + near**3))
    return (7 + glow + random.normal(0, 1.5, glow.shape)).clip(0, 255).astype(np.uint8)


def bare(seed):
    """A bright field with something in a corner only."""
    random = np.random.default_rng(seed)
    field = 180 + random.normal(0, 1, (256, 320))
    something = cv2.GaussianBlur(random.normal(size=(60, 80)), (0, 0), 5)
    field[-60:, -80:] -= 80 * (something > 0.02)
    return field.clip(0, 255).astype(np.uint8)


AS_THEY_LIE = {
    "JPEG 60": lambda p: jpeg(p, 60),
    "half the size": lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "a third of the size": lambda p: cv2.resize(p, None, fx=0.35, fy=0.35),
    "brighter": lambda p: (p * 1.2 + 10).clip(0, 255).astype(np.uint8),
    "gamma 0.6": lambda p: (255 * (p / 255.0) ** 0.6).astype(np.uint8),
    "gamma 1.6": lambda p: (255 * (p / 255.0) ** 1.6).astype(np.uint8),
    "white for the most part": lambda p: (p.astype(float) * 255 / np.percentile(p, 40)).clip(0, 255).astype(np.uint8),
}  # fmt: skip


WHITE = "white for the most part"


@pytest.mark.parametrize(
    ("what", "how"),
    [(what, how) for what in ("dark", "bare", "fundus") for how in AS_THEY_LIE if how != WHITE]
    + [("texture", how) for how in AS_THEY_LIE],
)
def test_a_copy_that_lies_as_it_did_is_always_found(what, how, picture):
    make = {
        "dark": dark,
        "bare": bare,
        "fundus": lambda seed: fundus(picture(seed)),
        "texture": picture,
    }[what]
    pictures = [make(seed) for seed in range(12)]
    copies = [AS_THEY_LIE[how](made) for made in pictures]
    assert pairs_of([*pictures, *copies]) == {(i, 12 + i) for i in range(12)}


def test_a_pair_that_cannot_be_laid_better_is_compared_as_it_was_found(picture, monkeypatch):
    def gives_up(*_):
        raise cv2.error("The algorithm stopped before its convergence")

    monkeypatch.setattr(_alike.cv2, "findTransformECC", gives_up)
    pairs = alike([seen(picture(0)), seen(picture(1)), seen(compressed(picture(0))[:, ::-1])])
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 2)]
    assert pairs[0].turned


def test_a_tilted_and_compressed_picture_is_known_among_many(picture):
    many = [seen(picture(seed)) for seed in range(80)]
    copies = [seen(compressed(tilted(picture(seed), 9, zoom=1.1))) for seed in range(0, 80, 20)]
    pairs = alike([*many, *copies])
    assert {(pair.first, pair.second) for pair in pairs} == {(0, 80), (20, 81), (40, 82), (60, 83)}


def test_volumes_are_known_again_whichever_way_they_are_stored(picture):
    random = np.random.default_rng(0)
    volume = cv2.GaussianBlur(random.normal(size=(60, 50, 40)), (0, 0), 2).astype(np.float32)
    other = cv2.GaussianBlur(random.normal(size=(60, 50, 40)), (0, 0), 2).astype(np.float32)
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    grid = Geometry.in_patient(volume.shape, affine)
    stored = grid.reordered((2, 0, 1), (True, False, True))
    turned = volume.transpose(2, 0, 1)[::-1, :, ::-1]
    looks = [seen(volume, grid), seen(other, grid), seen(turned, stored), seen(volume[::-1], grid)]
    found = {(pair.first, pair.second): pair.turned for pair in alike(looks)}
    assert found == {(0, 2): False, (0, 3): True, (2, 3): True}


def test_looks_are_small_and_empty_of_an_image_that_shows_nothing(picture):
    assert looks(image(np.full((30, 40), 7, np.uint8))) == ((), ())
    shown, whole = looks(image(picture(0)))
    assert len(shown) == 1
    assert len(shown[0]) < 16_000
    assert pictures_of(shown).shape == (1, SIDE, SIDE)
    assert len(whole[0]) < 4_000
    assert pictures_of(whole).shape == (1, WHOLE, WHOLE)
    assert alike([]) == []


def test_of_many_copies_all_are_found(picture, monkeypatch):
    sizes = {"FEW": 2, "NEAREST": 3, "ROWS": 4, "COLUMNS": 4}
    for name, size in sizes.items():
        monkeypatch.setattr(_candidates, name, size)
    copies = [
        seen(picture(0)),
        *[seen(picture(seed)) for seed in (1, 2, 3)],
        *[seen(picture(0))] * 9,
    ]
    pairs = alike(copies)
    assert {i for pair in pairs for i in (pair.first, pair.second)} == {0, *range(4, 13)}
