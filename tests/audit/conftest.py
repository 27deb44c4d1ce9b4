"""Folders of small pictures with truth, and facts without files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from delineate.audit import CaseFacts
from delineate.audit._case_facts import ImageFacts, MaskFacts, TruthFacts
from delineate.core import Case, Label, LabelSet, Splits
from delineate.data._masks import read_truth
from delineate.data._values import mask_values
from delineate.files import read_image

LABELS = LabelSet((Label("polyp", 1, "thing"),))


@pytest.fixture
def labels() -> LabelSet:
    return LABELS


def texture(seed: int, shape: tuple[int, int] = (120, 150)) -> np.ndarray:
    """A grey picture with something to see at every scale, unlike every other."""
    random = np.random.default_rng(seed)
    total = np.zeros(shape)
    for sigma in (2, 5, 12):
        noise = cv2.GaussianBlur(random.normal(size=shape), (0, 0), sigma)
        total += noise / noise.std()
    return np.clip(128 + 32 * total, 30, 255).astype(np.uint8)


@pytest.fixture
def picture() -> Callable[..., np.ndarray]:
    return texture


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Splits]:
    """Write images and masks by id and split, and give the cases that read them."""

    def write(splits: dict[str, dict[str, tuple]], values=None, groups=None) -> Splits:
        meaning = mask_values(LABELS, values)
        made: dict[str, list[Case]] = {}
        for split, members in splits.items():
            for id, (image, mask, *ending) in members.items():
                files = [
                    tmp_path / f"{id}{'.png' if not ending else ending[0]}",
                    tmp_path / f"{id}_mask.png",
                ]
                for path, pixels in zip(files, (image, mask), strict=True):
                    if isinstance(pixels, bytes):
                        path.write_bytes(pixels)
                    else:
                        cv2.imwrite(str(path), pixels)
                made.setdefault(split, []).append(
                    Case(
                        id,
                        (groups or {}).get(id, id),
                        partial(read_image, files[0]),
                        partial(read_truth, *files, meaning),
                        (files[0],),
                        (files[1],),
                    )
                )
        return {split: tuple(members) for split, members in made.items()}

    return write


@pytest.fixture
def square() -> np.ndarray:
    mask = np.zeros((120, 150), np.uint8)
    mask[20:60, 30:80] = 1
    return mask


@pytest.fixture
def facts() -> Callable[..., CaseFacts]:
    """The facts of a case that is in order, but for what is said."""

    def make(id: str, split: str = "train", group: str | None = None, **other) -> CaseFacts:
        image = {
            "shape": (8, 8), "channels": 1, "dtype": "uint8", "spacing": (1.0, 1.0), "unit": "px",
            "skew": 0.0, "quantiles": ((0.0, 1, 10, 20, 50, 80, 90, 100, 120),), "not_finite": 0, "pixels": id,
        }  # fmt: skip
        own = {name: other.pop(name) for name in list(other) if name in ImageFacts.__annotations__}
        kept = {
            "image": ImageFacts(**(image | own)),
            "mask": MaskFacts("uint8", 2),
            "truth": TruthFacts({"polyp": (20,)}, 0, f"truth of {id}"),
        }
        return CaseFacts(id, group or id, split, **(kept | other))

    return make
