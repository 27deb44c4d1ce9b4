"""AUROC and average precision over ten million samples: scikit-learn's sort against our histogram.

Three networks that rank alike and differ in how sure they are; the last puts most samples within 1e-5 of 0 and 1. One
thread, best of runs taken in turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.special import expit
from sklearn.metrics import average_precision_score, roc_auc_score

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics import Metric
from delineate.metrics.auroc import auroc
from delineate.metrics.average_precision import average_precision

GOAL, ERROR = 50, 1e-6
SHAPE = (100, 250, 400)
NETWORKS = {"smooth": 1, "trained": 3, "overconfident": 10}
ROUNDS = 3


def main() -> dict[str, float]:
    figures = {}
    for name, sharpness in NETWORKS.items():
        prediction, truth = _pair(sharpness)
        flat = truth.classes.ravel(), prediction.probabilities[1].ravel()
        for metric, ours, theirs in (
            ("auroc", auroc, roc_auc_score),
            ("average precision", average_precision, average_precision_score),
        ):
            (mine, value), (peer, expected) = _best(
                partial(_score, ours, prediction, truth), partial(theirs, *flat)
            )
            figures[f"{metric}, {name}"] = peer / mine
            figures[f"{metric}, {name}, error"] = abs(value - expected)
            goal = f" (goal {GOAL}, {ERROR:g})" if metric == "auroc" else ""
            print(
                f"{metric:18}{name:14}{peer:7.2f} s{mine * 1e3:7.0f} ms{peer / mine:7.0f} x,"
                f" off by {abs(value - expected):.0e}{goal}"
            )
    return figures


def _pair(sharpness: float) -> tuple[Segmentation, Segmentation]:
    """A box in a volume, and a network that sees it through noise."""
    rng = np.random.default_rng(0)
    there = np.zeros(SHAPE, np.uint8)
    there[30:60, 60:160, 100:250] = 1
    logits = sharpness * (rng.normal(size=SHAPE) + 2.0 * there - 1)
    p = expit(logits).astype(np.float32)
    labels, grid = LabelSet((Label("organ", 1),)), Geometry.in_pixels(SHAPE)
    found = Segmentation(
        (p > 0.5).astype(np.uint8), labels, grid, probabilities=np.stack([1 - p, p])
    )
    return found, Segmentation(there, labels, grid)


def _score(metric: Metric, prediction: Segmentation, truth: Segmentation) -> float:
    """The score of the same pair as new objects, of which nothing is remembered."""
    return metric(replace(prediction), replace(truth))["organ"]


def _best(*ways: Callable[[], float]) -> list[tuple[float, float]]:
    """Least seconds of each way over rounds in which they take turns, and what it gave."""
    times: list[list[float]] = [[] for _ in ways]
    values = [0.0] * len(ways)
    for _ in range(ROUNDS):
        for i, way in enumerate(ways):
            start = time.perf_counter()
            values[i] = float(way())
            times[i].append(time.perf_counter() - start)
    return [(min(t), value) for t, value in zip(times, values, strict=True)]


if __name__ == "__main__":
    main()
