"""Mask AP of 100 images of 512 x 512 with 20 objects each: ours, pycocotools, faster-coco-eval and torchmetrics.

Ours starts from objects cut to their boxes, as a segmentation holds them; pycocotools and faster-coco-eval from masks
that are run-length encoded already; torchmetrics from whole masks. All give the same AP, torchmetrics nearly. Best of
several rounds, the ways taken in turn, on one thread. Then a bootstrap of 2000 resamples over the images, ours alone.
"""

from __future__ import annotations

import contextlib
import copy
import io
import time
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np

from delineate.core import Geometry, Instance, Label, LabelSet, Segmentation
from delineate.metrics import pool, pool_weighted
from delineate.metrics.mask_ap import mask_ap

RATIOS = (("pycocotools", 2.0), ("torchmetrics", 10.0), ("faster-coco-eval", None))
ROUNDS = 3
IMAGES, OBJECTS, SIDE = 100, 20, 512
LABELS = LabelSet((Label("cell", 1, "thing"),))


def main() -> dict[str, float]:
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    cases = [_case(seed) for seed in range(IMAGES)]
    encoded = [_encoded(*case) for case in cases]
    tensors = [_tensors(*case) for case in cases]
    ways: dict[str, Callable[[], float]] = {
        "ours": lambda: _ours(cases),
        "pycocotools": lambda: _coco("pycocotools", encoded),
        "faster-coco-eval": lambda: _coco("faster_coco_eval", encoded),
        "torchmetrics": lambda: _torchmetrics(tensors),
    }
    expected = _ours(cases)
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.perf_counter()
            score = way()
            best[name] = min(best[name], time.perf_counter() - start)
            # torchmetrics keeps thresholds and recalls in single precision
            tolerance = 1e-3 if name == "torchmetrics" else 1e-9
            assert abs(score - expected) < tolerance, (name, score, expected)
    print(f"AP {expected:.4f}")
    for name, seconds in best.items():
        print(f"{name:18}{seconds:8.3f} s")
    ratios = {}
    for name, goal in RATIOS:
        ratios[name] = best[name] / best["ours"]
        print(f"{name + ' / ours':26}{ratios[name]:8.2f}" + (f"   goal {goal}" if goal else ""))
    ratios["bootstrap, s"] = _bootstrap(cases)
    print(f"{'2000 resamples':18}{ratios['bootstrap, s']:8.3f} s")
    return ratios


Case = tuple[Segmentation, Segmentation]


def _case(seed: int) -> Case:
    """Ellipses, and the same moved and resized a little, some missed and some invented."""
    rng = np.random.default_rng(seed)
    truth, prediction = [], []
    for _ in range(OBJECTS):
        centre, axes = rng.integers(40, SIDE - 40, 2), rng.integers(10, 40, 2)
        truth.append(_ellipse(centre, axes, 1.0))
        if rng.random() < 0.1:
            centre = rng.integers(40, SIDE - 40, 2)
        moved = centre + rng.integers(-4, 5, 2)
        prediction.append(_ellipse(moved, axes + rng.integers(-3, 4, 2), float(rng.random())))
    geometry = Geometry.in_pixels((SIDE, SIDE))
    nothing = np.zeros((SIDE, SIDE), np.uint8)
    return (
        Segmentation(nothing, LABELS, geometry, tuple(prediction)),
        Segmentation(nothing, LABELS, geometry, tuple(truth)),
    )


def _ellipse(centre: np.ndarray, axes: np.ndarray, score: float) -> Instance:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.ellipse(mask, centre.tolist(), axes.tolist(), 0, 0, 360, 1, -1)
    x, y, width, height = cv2.boundingRect(mask)
    cut = mask[y : y + height, x : x + width].astype(bool)
    return Instance("cell", score, cut, (y, x))


def _whole(one: Instance) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[one.box] = one.mask
    return mask


def _ours(cases: list[Case]) -> float:
    return pool(mask_ap(prediction, truth)["cell"] for prediction, truth in cases)  # type: ignore[misc]


def _encoded(prediction: Segmentation, truth: Segmentation) -> list[list[dict[str, Any]]]:
    from pycocotools import mask as rle

    sides = []
    for side in (prediction, truth):
        records = []
        for one in side.instances:
            code = rle.encode(np.asfortranarray(_whole(one), np.uint8))
            area = int(one.mask.sum())
            records.append({"segmentation": code, "score": one.score, "area": area, "iscrowd": 0})
        sides.append(records)
    return sides


def _coco(package: str, encoded: list[list[list[dict[str, Any]]]]) -> float:
    if package == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    else:
        from faster_coco_eval import COCO
        from faster_coco_eval import COCOeval_faster as COCOeval

    sides: list[list[dict[str, Any]]] = [[], []]
    for image, pair in enumerate(encoded, start=1):
        for side, records in zip(sides, pair, strict=True):
            for record in records:
                box = {"image_id": image, "category_id": 1, "id": len(side) + 1}
                side.append(copy.copy(record) | box)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": i + 1, "height": SIDE, "width": SIDE} for i in range(len(encoded))],
            "annotations": [a | {"bbox": [0, 0, 1, 1]} for a in sides[1]],
            "categories": [{"id": 1, "name": "cell"}],
        }
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(sides[0]), "segm")
        judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e10]], ["all"]
        judge.params.maxDets = [100]
        judge.evaluate()
        judge.accumulate()
    return float(judge.eval["precision"].mean())


def _tensors(prediction: Segmentation, truth: Segmentation) -> tuple[Mapping[str, Any], ...]:
    import torch

    sides = []
    for side in (prediction, truth):
        masks = torch.from_numpy(np.stack([_whole(one) for one in side.instances]))
        scores = torch.tensor([one.score for one in side.instances], dtype=torch.float64)
        labels = torch.zeros(len(scores), dtype=torch.int64)
        sides.append({"masks": masks, "scores": scores, "labels": labels})
    return tuple(sides)


def _torchmetrics(tensors: list[tuple[Mapping[str, Any], ...]]) -> float:
    from torchmetrics.detection import MeanAveragePrecision

    metric = MeanAveragePrecision(iou_type="segm", backend="faster_coco_eval")
    metric.warn_on_many_detections = False
    for prediction, truth in tensors:
        metric.update([prediction], [truth])
    with contextlib.redirect_stdout(io.StringIO()):
        return float(metric.compute()["map"])


def _bootstrap(cases: list[Case]) -> float:
    tallies = [mask_ap(prediction, truth)["cell"] for prediction, truth in cases]
    weights = np.random.default_rng(0).multinomial(IMAGES, np.full(IMAGES, 1 / IMAGES), 2000)
    start = time.perf_counter()
    pool_weighted(tallies, weights.astype(float))  # type: ignore[arg-type]
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
