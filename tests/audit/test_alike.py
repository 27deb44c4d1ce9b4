"""Pairs that show the same are found, and others are not."""

import cv2
import numpy as np
import pytest

from delineate.audit import _candidates
from delineate.audit._alike import alike
from delineate.audit._look import SIDE, look, pictures_of
from delineate.core import Geometry, Image


def seen(pixels, geometry=None):
    pixels = np.asarray(pixels)
    planes = (
        np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 and pixels.shape[-1] == 3 else pixels[None]
    )
    return pictures_of(look(Image(planes, geometry or Geometry.in_pixels(planes.shape[1:]))))


def framed(pixels):
    """The same picture smaller, in the corner of a black screen with a box on it."""
    screen = np.zeros((200, 260), np.uint8)
    screen[12:182, 30:230] = cv2.resize(pixels, (200, 170), interpolation=cv2.INTER_AREA)
    screen[150:200, :60] = 0
    return screen


def compressed(pixels):
    return cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 0)


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
    assert look(Image(np.full((1, 30, 40), 7, np.uint8), Geometry.in_pixels((30, 40)))) == ()
    shown = look(Image(picture(0)[None], Geometry.in_pixels((120, 150))))
    assert len(shown) == 1
    assert len(shown[0]) < 16_000
    assert pictures_of(shown).shape == (1, SIDE, SIDE)
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
