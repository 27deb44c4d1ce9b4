"""The refinement without a network, against the loop over regions that is usually written with SciPy.

512 x 512, background and two labels, with probabilities: one to three blobs with wavy outlines, holes, patches of the
wrong label and specks. Ours runs components, morphology, vote, colour, fill_holes and classify. The usual loop drops
small regions, closes, fills and opens each of the others on the whole image, and lets its probabilities vote; it has
nothing like colour or classify. Both have one thread; least of 15 runs, in ms of processor time per image.

Goal of the project: ours below 5 ms, all six steps. `python benchmarks/refine.py DIR` takes the masks (values 1 and
2) and images of the folders DIR/masks and DIR/images in place of the drawn ones.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage

from delineate.core import Geometry, Image, Label, LabelSet, Segmentation
from delineate.refine import load_refine
from delineate.resolve import Call

GOAL_MS = 5.0
SCENES, ROUNDS, SIDE = 12, 15, 512
NAMES = ("components", "morphology", "vote", "colour", "fill_holes", "classify")
LABELS = LabelSet((Label("neoplastic", 1, "thing"), Label("non_neoplastic", 2, "thing")))
Scene = tuple[Segmentation, Image]


def main(folder: str | None = None) -> dict[str, float]:
    cv2.setNumThreads(1)
    truths = _drawn() if folder is None else _read(Path(folder))
    scenes = [_scene(mask, pixels, seed) for seed, (mask, pixels) in enumerate(truths)]
    weights = {"labels": {label.name: {f"vote_{label.name}": 1.0} for label in LABELS}}
    calls = [Call(name, weights if name == "classify" else {}) for name in NAMES]
    steps = dict(zip(NAMES, load_refine(calls), strict=True))

    def ours(scene: Scene) -> None:
        prediction, image = scene
        for step in steps.values():
            prediction = step(prediction, image)

    ways: dict[str, Callable[[Scene], object]] = {"ours": ours, "scipy loop": _usual}
    alone: dict[str, list[Scene]] = {}
    for prediction, image in scenes:
        for name, step in steps.items():
            alone.setdefault(name, []).append((prediction, image))
            prediction = step(prediction, image)
    times = {way: [_best(run, scene) for scene in scenes] for way, run in ways.items()}
    for name, inputs in alone.items():
        times[name] = [_best(lambda scene, s=steps[name]: s(*scene), scene) for scene in inputs]
    for way, taken in times.items():
        print(
            f"{way:14}{np.median(taken):8.2f} ms (median of {len(taken)} images), most {max(taken):.2f}"
        )
    ratio = float(np.median(times["scipy loop"]) / np.median(times["ours"]))
    print(f"{ratio:.1f} x the usual loop; goal below {GOAL_MS:g} ms")
    return {"scipy loop": ratio, "ours ms": float(np.median(times["ours"]))}


def _best(run: Callable[[Scene], object], scene: Scene) -> float:
    taken = []
    for _ in range(ROUNDS):
        start = time.process_time()
        run(scene)
        taken.append(time.process_time() - start)
    return min(taken) * 1e3


def _usual(scene: Scene) -> np.ndarray:
    """Small regions, closing, holes, opening and vote, one region at a time on the whole image."""
    prediction, _ = scene
    maps = prediction.probabilities
    assert maps is not None
    numbers, count = ndimage.label(prediction.classes > 0, np.ones((3, 3)))
    result = np.zeros_like(prediction.classes)
    areas = [int((numbers == number).sum()) for number in range(1, count + 1)]
    for number, area in enumerate(areas, start=1):
        if area < max(100 / (1280 * 995) * numbers.size, 0.01 * max(areas)):
            continue
        mask = numbers == number
        across = 2 * np.sqrt(area / np.pi)
        mask = ndimage.binary_closing(mask, _disc(np.clip(round(0.04 * across), 1, 15)))
        mask = ndimage.binary_fill_holes(mask)
        opened = ndimage.binary_opening(mask, _disc(np.clip(round(0.02 * across), 1, 15)))
        if across >= 12 and opened.sum() >= 0.9 * mask.sum():
            mask = opened
        result[mask] = 1 + int(np.argmax([maps[c][mask].sum() for c in (1, 2)]))
    return result


def _disc(radius: float) -> np.ndarray:
    steps = np.arange(-radius, radius + 1)
    return np.asarray(steps[:, None] ** 2 + steps**2 <= radius**2)


def _scene(mask: np.ndarray, pixels: np.ndarray, seed: int) -> Scene:
    """The truth as a network would predict it: blurred, moved, with patches of the wrong label, specks and holes."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    bent = cv2.remap(
        mask, columns + 4 * _noise(rng, 24), rows + 4 * _noise(rng, 24), cv2.INTER_NEAREST
    )
    blurred = [cv2.GaussianBlur((bent == c).astype(np.float32), (0, 0), 5) for c in range(3)]
    logits = np.log(np.stack(blurred) + 0.01)
    logits += np.stack([0.5 * _noise(rng, 12) for _ in range(3)])
    inside = np.argwhere(bent)
    for what, number, size in (("patch", 3, 0.04), ("hole", 3, 0.01), ("speck", 6, 0.008)):
        for _ in range(number):
            y, x = rng.integers(SIDE, size=2) if what == "speck" else rng.choice(inside)
            spread = rng.uniform(0.5, 1.5) * size * SIDE
            bump = 5 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * spread**2))
            if what == "patch":
                logits[3 - bent[y, x]] += bump * (bent > 0)
            else:
                logits[0 if what == "hole" else rng.integers(1, 3)] += bump
    powers = np.exp(logits)
    maps = np.ascontiguousarray(powers / powers.sum(axis=0), np.float32)
    grid = Geometry.in_pixels((SIDE, SIDE))
    classes = maps.argmax(axis=0).astype(np.uint8)
    return Segmentation(classes, LABELS, grid, probabilities=maps), Image(pixels, grid)


def _noise(rng: np.random.Generator, cell: int) -> np.ndarray:
    coarse = rng.normal(size=(SIDE // cell, SIDE // cell)).astype(np.float32)
    return cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def _drawn() -> list[tuple[np.ndarray, np.ndarray]]:
    """Ellipses of two labels on a mottled background."""
    truths = []
    for seed in range(SCENES):
        rng = np.random.default_rng(100 + seed)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        for _ in range(1 + seed % 3):
            centre, axes = rng.integers(90, SIDE - 90, 2), rng.integers(25, 110, 2)
            value = int(rng.integers(1, 3))
            cv2.ellipse(mask, centre.tolist(), axes.tolist(), rng.uniform(0, 180), 0, 360, value, -1)  # fmt: skip
        ground = np.array([150, 80, 60]) + (mask > 0)[..., None] * np.array([25, -10, -5])
        pixels = ground + 12 * _noise(rng, 16)[..., None] + rng.normal(0, 6, (SIDE, SIDE, 3))
        truths.append((mask, np.moveaxis(np.clip(pixels, 0, 255).astype(np.uint8), -1, 0)))
    return truths


def _read(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    truths = []
    paths = sorted((folder / "masks").glob("*.png"))
    for path in paths[:: max(1, len(paths) // SCENES)][:SCENES]:
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        image = cv2.imread(str(next((folder / "images").glob(f"{path.stem}.*"))))[:, :, ::-1]
        mask = cv2.resize(mask, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
        truths.append((mask, np.moveaxis(cv2.resize(image, (SIDE, SIDE)), -1, 0)))
    return truths


if __name__ == "__main__":
    main(*sys.argv[1:])
