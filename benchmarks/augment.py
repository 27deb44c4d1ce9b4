"""The published recipes' augmentation of a 512 x 512 colour image with its mask: albumentations against ours.

The same operations with the same probabilities and like ranges, on one core. Ours turns hue in YIQ, albumentations
in HSV; ours blurs with a kernel as wide as its sigma asks for. Medians of CPU time over batches taken in turn.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import cv2
import numpy as np

from delineate.core import Label, LabelSet
from delineate.prepare import Layers
from delineate.prepare.augment import case_rng, load_augment
from delineate.resolve import Call

GOAL = 1.5
ROUNDS = 25
BATCH = 60

# Each operation alone: ours, and albumentations' name and arguments.
OPERATIONS = {
    "flips": (("flip", {"p": 0.5}), (("HorizontalFlip", {}), ("VerticalFlip", {})), 0.5),
    "rotate": (("rotate", {"degrees": 45}), (("Rotate", {"limit": 45, "border_mode": 0}),), 0.5),
    "grid distortion": (
        ("grid_distortion", {"cells": 5, "limit": 0.3}),
        (("GridDistortion", {"num_steps": 5, "distort_limit": 0.3}),),
        0.3,
    ),
    "dropout": (
        ("dropout", {"holes": [1, 8], "size": [0.05, 0.15]}),
        (
            (
                "CoarseDropout",
                {
                    "num_holes_range": (1, 8),
                    "hole_height_range": (0.05, 0.15),
                    "hole_width_range": (0.05, 0.15),
                },
            ),
        ),
        0.2,
    ),
    "colour jitter": (
        ("colour_jitter", {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.1}),
        (
            (
                "ColorJitter",
                {
                    "brightness": (0.8, 1.2),
                    "contrast": (0.8, 1.2),
                    "saturation": (0.8, 1.2),
                    "hue": (-0.1, 0.1),
                },
            ),
        ),
        0.5,
    ),
    "blur": (
        ("blur", {"sigma": [0.5, 1.5]}),
        (("GaussianBlur", {"sigma_limit": (0.5, 1.5), "blur_limit": 0}),),
        0.2,
    ),
    "gamma": (
        ("gamma", {"gamma": [0.8, 1.2]}),
        (("RandomGamma", {"gamma_limit": (80, 120)}),),
        0.3,
    ),
}


def main() -> dict[str, float]:
    cv2.setNumThreads(1)
    ratios = {}
    print(f"{'':18}{'albumentations':>16}{'ours':>10}{'ratio':>8}   images/s")
    for name, (mine, theirs, _) in OPERATIONS.items():
        always = 0.5 if name == "flips" else 1.0
        ratios[name] = _compare(name, [(mine, always)], [(t, always) for t in theirs])
    whole = "whole recipe"
    ratios[whole] = _compare(
        f"{whole} (goal {GOAL})",
        [(mine, p) for mine, _, p in OPERATIONS.values()],
        [(t, p) for _, theirs, p in OPERATIONS.values() for t in theirs],
    )
    return ratios


def _compare(name: str, mine: list, theirs: list) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a newer release of itself
        import albumentations

    rng = np.random.default_rng(0)
    photo = cv2.resize(rng.integers(0, 256, (32, 32, 3), np.uint8), (512, 512), interpolation=2)
    mask = (photo[..., 0] > 128).astype(np.uint8)
    pixels = np.moveaxis(photo, -1, 0)
    peer = albumentations.Compose(
        [getattr(albumentations, op)(**args, p=p) for (op, args), p in theirs], seed=0
    )
    labels = LabelSet((Label("polyp", 1),))
    augment = load_augment([Call(op, {**args, "p": p}) for (op, args), p in mine], labels)
    truth = Layers(mask, labels)
    count = iter(range(10**9))

    seconds = _medians(
        {
            "ours": lambda: augment(pixels, truth, case_rng(0, 0, next(count))),
            "albumentations": lambda: peer(image=photo, mask=mask),
        }
    )
    ratio = seconds["albumentations"] / seconds["ours"]
    speeds = [1 / seconds[way] for way in ("albumentations", "ours")]
    print(f"{name:24}{speeds[0]:10.0f}{speeds[1]:10.0f}{ratio:8.2f}")
    return ratio


def _medians(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of CPU time for one call: medians over batches, the ways taken in turn."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.process_time()
            for _ in range(BATCH):
                way()
            times[name].append((time.process_time() - start) / BATCH)
    return {name: float(np.median(t)) for name, t in times.items()}


if __name__ == "__main__":
    main()
