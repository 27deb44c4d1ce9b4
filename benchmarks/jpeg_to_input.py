"""A JPEG file -> the network's input, 512 x 512 and standardised: the plain way against ours, on one core.

Plain is Pillow: open, convert, resize (its BILINEAR, which does not alias), then NumPy, or torchvision's own
normalisation. Ours is read_image and prepare as a recipe would have it. The figures are medians of CPU time,
the ways taken in turn in one process.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from PIL import Image as PillowImage

from delineate.files import read_image
from delineate.prepare import load_prepare
from delineate.resolve import Call

GOAL = 2.0
ROUNDS = 60
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def main() -> dict[str, float]:
    import torch
    from torchvision.transforms.v2 import functional

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    prepare = load_prepare(
        [Call("resize", {"shape": [512, 512]}), Call("standardize", {"by": "imagenet"})]
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        path.write_bytes(simplejpeg.encode_jpeg(_photo(1072, 1920), 90, colorsubsampling="420"))

        def pillow() -> PillowImage.Image:
            with PillowImage.open(path) as picture:
                return picture.convert("RGB").resize((512, 512), PillowImage.Resampling.BILINEAR)

        def with_numpy() -> np.ndarray:
            return np.ascontiguousarray(
                ((np.asarray(pillow(), np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)
            )

        def with_torchvision() -> np.ndarray:
            pixels = functional.to_dtype(functional.pil_to_tensor(pillow()), scale=True)
            return functional.normalize(pixels, MEAN.tolist(), STD.tolist()).numpy()

        def ours() -> np.ndarray:
            return prepare(read_image(path))[0]

        gap = np.abs(ours() - with_numpy())
        size = path.stat().st_size // 1000
        seconds = _medians({"ours": ours, "numpy": with_numpy, "torchvision": with_torchvision})
    least = min(seconds["numpy"], seconds["torchvision"]) / seconds["ours"]
    print(f"1920 x 1072, quality 90, {size} kB -> 512 x 512 (goal {GOAL} times)")
    for name, label in (("numpy", "Pillow, NumPy"), ("torchvision", "Pillow, torchvision")):
        ratio = seconds[name] / seconds["ours"]
        print(f"{label:22} {seconds[name] * 1e3:6.2f} ms   ours is {ratio:.2f} times as fast")
    print(f"{'ours':22} {seconds['ours'] * 1e3:6.2f} ms")
    print(f"difference in one standard deviation: mean {gap.mean():.5f}, largest {gap.max():.5f}")
    return {
        "ms": seconds["ours"] * 1e3,
        "ratio_to_pillow_numpy": seconds["numpy"] / seconds["ours"],
        "ratio_to_pillow_torchvision": seconds["torchvision"] / seconds["ours"],
        "least_ratio": least,
        "largest_difference": float(gap.max()),
        "mean_difference": float(gap.mean()),
    }


def _photo(rows: int, columns: int) -> np.ndarray:
    """Something whose JPEG is as large as that of a photograph: noise at many scales, most of it coarse."""
    rng = np.random.default_rng(0)
    picture = np.full((rows, columns, 3), 128.0, np.float32)
    for step, strength in ((256, 40), (64, 20), (16, 9), (4, 5), (1, 2.5)):
        coarse = (rows // step + 2, columns // step + 2, 3)
        noise = rng.standard_normal(coarse).astype(np.float32) * strength
        picture += cv2.resize(noise, (columns, rows), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _medians(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of CPU time, the ways taken in turn."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.process_time()
            way()
            times[name].append(time.process_time() - start)
    return {name: float(np.median(t)) for name, t in times.items()}


if __name__ == "__main__":
    main()
