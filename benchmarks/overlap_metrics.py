"""Every overlap metric of a pair from one confusion matrix, against torchmetrics and MONAI, which give one of them.

512 x 512, background and five labels, from label maps. Ours gives the matrix, Dice, IoU, precision, recall, specificity
and F-beta; torchmetrics its confusion matrix alone, MONAI Dice alone, on the one-hot masks that its tutorials make of
label maps first. One thread, best of runs taken in turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from monai.metrics import DiceMetric
from monai.networks import one_hot
from torchmetrics.functional.classification import multiclass_confusion_matrix

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics import counts
from delineate.resolve import resolve

GOALS = {"torchmetrics ConfusionMatrix": 15, "MONAI DiceMetric": 20}
METRICS = [resolve("metrics", n) for n in ("dice", "iou", "precision", "recall", "specificity", "f_beta")]  # fmt: skip
PAIRS = 50
ROUNDS = 7


def main() -> dict[str, float]:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    maps = _maps()
    tensors = [tuple(torch.from_numpy(m.astype(np.int64)) for m in pair) for pair in maps]
    labels = LabelSet(tuple(Label(f"organ {v}", v) for v in range(1, 6)))
    dice = DiceMetric()
    grid = Geometry.in_pixels((512, 512))

    def ours() -> list[np.ndarray]:
        matrices = []
        for pair in maps:
            prediction, truth = (Segmentation(m, labels, grid) for m in pair)
            for metric in METRICS:
                metric(prediction, truth)
            matrices.append(counts(prediction, truth).matrix)
        return matrices

    seconds = _best(
        {
            "ours": ours,
            "torchmetrics ConfusionMatrix": lambda: [
                multiclass_confusion_matrix(f, t, 6) for f, t in tensors
            ],
            "MONAI DiceMetric": lambda: [
                dice(y_pred=one_hot(f[None, None], 6), y=one_hot(t[None, None], 6))
                for f, t in tensors
            ],
        }
    )
    for matrix, (f, t) in zip(ours(), tensors, strict=True):
        assert (matrix == multiclass_confusion_matrix(f, t, 6).numpy().T).all()
    print(f"{'ours':30}{seconds['ours'] / PAIRS * 1e3:8.3f} ms per pair")
    ratios = {}
    for name, goal in GOALS.items():
        ratios[name] = seconds[name] / seconds["ours"]
        took = seconds[name] / PAIRS * 1e3
        print(f"{name:30}{took:8.3f} ms per pair{ratios[name]:8.1f} x (goal {goal})")
    return ratios


def _maps() -> list[tuple[np.ndarray, np.ndarray]]:
    """Blobs of five labels, and the same moved a little."""
    rng = np.random.default_rng(0)
    pairs = []
    for _ in range(PAIRS):
        coarse = rng.choice(6, size=(9, 9), p=(0.5, 0.1, 0.1, 0.1, 0.1, 0.1)).astype(np.uint8)
        truth = cv2.resize(coarse, (512, 512), interpolation=cv2.INTER_NEAREST)
        pairs.append((np.roll(truth, (5, 9), (0, 1)), truth))
    return pairs


def _best(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Least seconds of each way over rounds in which they take turns."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    return {name: min(t) for name, t in times.items()}


if __name__ == "__main__":
    main()
