"""The path's overhead: all that a predictor does for one case except the network, beside the same steps by hand.

Two photographs of the size of their file to 352 x 352 and 512 x 512, one label; a scan of about 40 x 50 x 40 and one of
256 x 256 x 64, three labels. The network returns logits that were prepared, at once. Each step is timed inside the
predictor; reading the file is a line of its own. By hand is what a script for one data set does: Pillow, OpenCV and
NumPy for photographs, SciPy for scans; MONAI is its transforms with `Invertd`. They prepare, activate, restore, decide
and keep the largest component; they do not look for NaN, expect a Dice, or compare an image with the training images.
So a peer is compared with those steps of ours that it has. One core, CPU time, the ways taken in turn: median, least.

`python benchmarks/path.py ours` leaves the peers out, and prints the figures of the predictor alone as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image as PillowImage
from scipy import ndimage

from delineate.core import Case, Geometry, Image, Label, LabelSet, Output, Segmentation
from delineate.files import read_image, write_image
from delineate.inference import CasePredictor, Fingerprint, Measures
from delineate.prepare import load_prepare
from delineate.refine import load_refine
from delineate.resolve import Call
from delineate.tasks import load_task

GOAL = 1.0
"""A peer that has the same steps takes at least this many times as long."""

SECONDS = 4.0
"""Of work for each way and scene."""

SHARED = ("prepare", "task", "restore", "refine")
"""The steps that peers have too; the task reads and decides."""

MEAN, STD = (np.array(v, np.float32) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


class Scene(NamedTuple):
    """A file, the shape that its image is prepared to, and the labels."""

    path: Path
    shape: tuple[int, ...]
    labels: LabelSet

    @property
    def is_photo(self) -> bool:
        """Or else a scan."""
        return len(self.shape) == 2


def main(*ways: str) -> dict[str, Any]:
    cv2.setNumThreads(1)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, scene in _scenes(Path(folder)):
            found[name] = _measured(scene, ways)
            _show(name, found[name])
    return found


def _scenes(folder: Path) -> Iterator[tuple[str, Scene]]:
    one = LabelSet((Label("polyp", 1, "thing"),))
    three = LabelSet(tuple(Label(f"part {v}", v) for v in (1, 2, 3)))
    real = Path(os.environ.get("DELINEATE_DATA", "")) / "kvasir_seg_352" / "native" / "images"
    photo = max(real.glob("*.jpg"), key=lambda path: path.stat().st_size, default=None)
    if photo is None:
        photo = folder / "photo.png"
        write_image(_drawn((1070, 1348), 3, np.uint8), photo)
    yield "photograph to 352", Scene(photo, (352, 352), one)
    yield "photograph to 512", Scene(photo, (512, 512), one)
    for name, shape, to in (
        ("scan 40 x 50 x 40", (40, 50, 40), (48, 56, 48)),
        ("scan 256 x 256 x 64", (256, 256, 64), (160, 160, 64)),
    ):
        path = folder / f"{name}.nii.gz"
        write_image(_drawn(shape, 1, np.int16), path)
        yield name, Scene(path, to, three)


def _drawn(shape: tuple[int, ...], channels: int, dtype: type) -> Image:
    """Noise at several scales, on a grid in mm where it is a scan."""
    values = 110 + 25 * np.stack([_smooth(shape, seed) for seed in range(channels)])
    grid = Geometry.in_pixels(shape)
    if len(shape) == 3:
        grid = Geometry.in_patient(shape, np.diag([0.8, 0.8, 2.0, 1.0]))
    return Image(np.clip(values, 0, 255).astype(dtype), grid)


def _smooth(shape: tuple[int, ...], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    total = np.zeros(shape, np.float32)
    for cells, strength in ((4, 1.0), (16, 0.4), (32, 0.2)):
        coarse = rng.standard_normal([min(cells, n) for n in shape]).astype(np.float32)
        zoom = [n / c for n, c in zip(shape, coarse.shape, strict=True)]
        total += strength * ndimage.zoom(coarse, zoom, order=1)
    return total


def _logits(scene: Scene) -> np.ndarray:
    """(channel, *shape): of each label a large object with a ragged edge, and a small one apart from it."""
    index = np.indices(scene.shape).reshape(len(scene.shape), -1).T / scene.shape
    maps = []
    for number, _ in enumerate(scene.labels):
        centres = np.full((2, len(scene.shape)), 0.25 + 0.25 * number)
        centres[1, -1] = (centres[0, -1] + 0.5) % 1
        ends = [
            8 * (1 - np.linalg.norm(index - centre, axis=1) / radius)
            for centre, radius in zip(centres, (0.2, 0.05), strict=True)
        ]
        blob = np.clip(np.max(ends, axis=0), -8, 8).reshape(scene.shape)
        maps.append((blob + _smooth(scene.shape, number)).astype(np.float32))
    return np.stack(maps if len(maps) == 1 else [np.zeros_like(maps[0]), *maps])


def _measured(scene: Scene, ways: tuple[str, ...]) -> dict[str, Any]:
    logits = _logits(scene)
    run, steps = _ours(scene, logits)
    image = read_image(scene.path)
    options: dict[str, Callable[[], object]] = {
        "ours": lambda: run(image),
        "reading": lambda: read_image(scene.path),
    }
    if not ways or "by hand" in ways:
        by_hand = _photo_by_hand if scene.is_photo else _scan_by_hand
        options["by hand"] = partial(by_hand, image, logits)
    if not ways or "monai" in ways:
        options["monai"] = partial(_with_monai(scene), image, logits)
    for way in options.values():
        way()
    steps.clear()
    times = _times(options)
    found: dict[str, Any] = {"ms": {name: _figures(taken) for name, taken in times.items()}}
    found["step ms"] = {name: _figures(taken) for name, taken in steps.items()}
    shared = float(np.median(np.sum([steps[name] for name in SHARED], axis=0))) * 1e3
    found["shared steps ms"] = shared
    for name in options:
        if name not in ("ours", "reading"):
            found[f"ratio to {name}"] = found["ms"][name]["median"] / shared
            there = options[name]()
            agreement = np.mean(np.asarray(there) == run(image).classes)
            found[f"agreement with {name}"] = float(agreement)
    return found


def _ours(
    scene: Scene, logits: np.ndarray
) -> tuple[Callable[[Image], Segmentation], dict[str, list[float]]]:
    """The predictor of a recipe, and the seconds that each of its steps took, call after call."""
    standardize = {"by": "imagenet" if scene.is_photo else "image"}
    prepare = load_prepare(
        [Call("resize", {"shape": [*scene.shape]}), Call("standardize", standardize)]
    )
    image = read_image(scene.path)
    steps: dict[str, list[float]] = defaultdict(list)
    timed = partial(_Timed, steps=steps)
    task = load_task(Call("semantic"), scene.labels)
    predictor = CasePredictor(
        prepare=timed(prepare, names={"__call__": "prepare", "restore": "restore"}),
        network=lambda pixels: Output(logits[None]),
        task=timed(task, names={"read": "task", "decide": "task"}),
        refine=[
            timed(step, names={"__call__": "refine"})
            for step in load_refine([Call("keep_largest_component")])
        ],
        fingerprint=Fingerprint.of([Measures.of(image, *prepare(image))] * 20),
    )
    home = sys.modules[CasePredictor.__module__]
    expected = timed(home.expected_dice, names={"__call__": "expected Dice"})
    measures = timed(Measures.of, names={"__call__": "fingerprint"})

    def run(image: Image) -> Segmentation:
        steps["task"].append(0.0)  # reads and decides: the sum of two calls
        with _replaced(home, "expected_dice", expected), _replaced(Measures, "of", measures):
            return predictor(Case("case", "case", lambda: image))

    return run, steps


class _Timed:
    """Something whose methods note the seconds of CPU time that they take; `names` says under which name each."""

    def __init__(self, of: Any, *, steps: dict[str, list[float]], names: dict[str, str]) -> None:
        self._of, self._steps, self._names = of, steps, names

    def __call__(self, *given: Any, **named: Any) -> Any:
        return self._call(self._of, "__call__", given, named)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._of, name)
        if name not in self._names:
            return found
        return lambda *given, **named: self._call(found, name, given, named)

    def _call(self, call: Any, name: str, given: Any, named: Any) -> Any:
        start = time.process_time()
        result = call(*given, **named)
        spent = time.process_time() - start
        if self._names[name] == "task":  # twice in a case
            self._steps["task"][-1] += spent
        else:
            self._steps[self._names[name]].append(spent)
        return result


@contextmanager
def _replaced(home: Any, name: str, value: Any) -> Iterator[None]:
    before = home.__dict__[name]
    setattr(home, name, value)
    try:
        yield
    finally:
        setattr(home, name, before)


def _photo_by_hand(image: Image, logits: np.ndarray) -> np.ndarray:
    """Pillow's resize with antialias, as ours has; the rest NumPy and OpenCV."""
    picture = PillowImage.fromarray(np.moveaxis(image.pixels, 0, -1))
    small = picture.resize(logits.shape[:0:-1], PillowImage.Resampling.BILINEAR)
    pixels = np.ascontiguousarray(
        ((np.asarray(small, np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)
    )
    assert pixels.shape[1:] == logits.shape[1:]
    probability = 1 / (1 + np.exp(-logits[0]))
    whole = cv2.resize(probability, image.geometry.shape[::-1], interpolation=cv2.INTER_LINEAR)
    mask = (whole > 0.5).astype(np.uint8)
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(mask)
    largest = 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
    return (numbers == largest).astype(np.uint8)


def _scan_by_hand(image: Image, logits: np.ndarray) -> np.ndarray:
    """SciPy's zoom, linear, there and back."""
    volume = image.pixels[0].astype(np.float32)
    zoom = [n / old for n, old in zip(logits.shape[1:], volume.shape, strict=True)]
    pixels = ndimage.zoom(volume, zoom, order=1, grid_mode=True, mode="nearest")
    pixels = (pixels - pixels.mean()) / pixels.std()
    assert pixels.shape == logits.shape[1:]
    powers = np.exp(logits - logits.max(axis=0))
    probabilities = powers / powers.sum(axis=0)
    back = [1 / z for z in zoom]
    whole = [ndimage.zoom(p, back, order=1, grid_mode=True, mode="nearest") for p in probabilities]
    classes = np.stack(whole).argmax(axis=0).astype(np.uint8)
    for value in range(1, len(logits)):
        numbers, count = ndimage.label(classes == value, np.ones((3, 3, 3)))
        if count > 1:
            largest = 1 + np.bincount(numbers.ravel())[1:].argmax()
            classes[(numbers > 0) & (numbers != largest)] = 0
    return classes


def _with_monai(scene: Scene) -> Callable[[Image, np.ndarray], np.ndarray]:
    import torch
    from monai.data import MetaTensor
    from monai.transforms import (
        Activationsd,
        AsDiscreted,
        Compose,
        Invertd,
        KeepLargestConnectedComponentd,
        NormalizeIntensityd,
        Resized,
    )

    torch.set_num_threads(1)
    mode = "bilinear" if scene.is_photo else "trilinear"
    by = (
        {"subtrahend": MEAN * 255, "divisor": STD * 255, "channel_wise": True}
        if scene.is_photo
        else {}
    )
    before = Compose(
        [
            Resized("image", scene.shape, mode=mode, anti_aliasing=scene.is_photo),
            NormalizeIntensityd("image", **by),
        ]
    )
    single = len(scene.labels) == 1
    after = Compose(
        [
            Activationsd("prediction", sigmoid=single, softmax=not single),
            Invertd(
                "prediction",
                transform=before,
                orig_keys="image",
                nearest_interp=False,
                to_tensor=True,
            ),
            AsDiscreted("prediction", threshold=0.5 if single else None, argmax=not single),
            KeepLargestConnectedComponentd("prediction", applied_labels=list(scene.labels.values)),
        ]
    )

    def run(image: Image, logits: np.ndarray) -> np.ndarray:
        data = {
            "image": MetaTensor(torch.from_numpy(np.ascontiguousarray(image.pixels, np.float32)))
        }
        data = before(data)
        data["prediction"] = MetaTensor(torch.from_numpy(logits), meta=data["image"].meta)
        return np.asarray(after(data)["prediction"][0]).astype(np.uint8)

    return run


def _times(ways: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds of CPU time, the ways taken in turn, a slow one less often."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(60):
        for name, way in ways.items():
            if turn > 4 and sum(times[name]) > SECONDS:
                continue
            start = time.process_time()
            way()
            times[name].append(time.process_time() - start)
    return times


def _figures(seconds: list[float]) -> dict[str, float]:
    return {"median": float(np.median(seconds)) * 1e3, "least": min(seconds) * 1e3}


def _show(name: str, found: dict[str, Any]) -> None:
    whole = found["ms"]["ours"]
    print(f"{name}: {whole['median']:.2f} ms without the network (least {whole['least']:.2f})")
    rest = whole["median"] - sum(step["median"] for step in found["step ms"].values())
    parts = [f"{step} {took['median']:.2f}" for step, took in found["step ms"].items()]
    print(
        f"    {', '.join(parts)}, the rest {rest:.2f}; reading {found['ms']['reading']['median']:.2f}"
    )
    for peer in ("by hand", "monai"):
        if peer in found["ms"]:
            print(
                f"    {peer:8} {found['ms'][peer]['median']:8.2f} ms, {found[f'ratio to {peer}']:5.2f} times the same "
                f"steps of ours ({found['shared steps ms']:.2f}); masks agree in {found[f'agreement with {peer}']:.4f}"
            )


if __name__ == "__main__":
    figures = main(*sys.argv[1:])
    if sys.argv[1:]:
        print(json.dumps(figures))
