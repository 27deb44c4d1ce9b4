"""PQ of a 512 x 512 image with 24 segments: panopticapi's loop over pairs, torchmetrics, and ours.

The loop is restated here from its rules. Segments come numbered in one map, or as objects that are drawn into one
first, or as a label map whose components are found first (for the loop by SciPy). All give the same PQ. Best of several
rounds, the ways taken in turn, on one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping

import cv2
import numpy as np
from scipy import ndimage

from delineate.core import Geometry, Instance, Label, LabelSet, Segmentation
from delineate.metrics._objects import segments
from delineate.metrics._overlaps import overlaps_of
from delineate.metrics._panoptic import matches, panoptic
from delineate.metrics.pq import pq

RATIOS = (
    ("panopticapi, numbered", "ours, numbered", 2),
    ("panopticapi, numbered", "ours, objects", None),
    ("panopticapi, label map", "ours, label map", 2),
    ("torchmetrics, numbered", "ours, objects", 300),
)
ROUNDS = 8
OFFSET = 256**3  # between numbers of the truth, as panopticapi has it
LABELS = LabelSet((Label("nucleus", 1, "thing"), Label("gland", 2, "thing"), Label("fat", 3)))


def pairwise_pq(
    prediction: np.ndarray,
    truth: np.ndarray,
    prediction_labels: Mapping[int, str],
    truth_labels: Mapping[int, str],
    *,
    void: int | None = None,
    crowds: Collection[int] = (),
) -> dict[str, tuple[float, int, int, int]]:
    """Summed IoU, TP, FP and FN per label of two maps of segment numbers, by the rules of panopticapi.

    A number without label is of no segment. `void` is the number that the truth ignores, `crowds` are the numbers of
    its crowds.
    """
    areas = np.unique(prediction, return_counts=True)
    prediction_area = {f: 0 for f in prediction_labels} | dict(
        zip(*(a.tolist() for a in areas), strict=True)
    )
    code = truth.astype(np.uint64) * OFFSET + prediction.astype(np.uint64)
    codes, times = (a.tolist() for a in np.unique(code, return_counts=True))
    shared = {divmod(c, OFFSET): n for c, n in zip(codes, times, strict=True)}
    truth_area = dict.fromkeys(truth_labels, 0)
    for (t, _), n in shared.items():
        if t in truth_area:
            truth_area[t] += n

    stats = {name: [0.0, 0, 0, 0] for name in {*prediction_labels.values(), *truth_labels.values()}}
    matched = set()
    for (t, f), n in shared.items():
        label = truth_labels.get(t)
        if label is None or label != prediction_labels.get(f) or t in crowds:
            continue
        iou = n / (truth_area[t] + prediction_area[f] - n - shared.get((void, f), 0))
        if iou > 0.5:
            stats[label][0] += iou
            stats[label][1] += 1
            matched |= {("found", f), ("truth", t)}
    for t, label in truth_labels.items():
        if truth_area[t] and t not in crowds and ("truth", t) not in matched:
            stats[label][3] += 1
    for f, label in prediction_labels.items():
        if not prediction_area[f] or ("found", f) in matched:
            continue
        excused = shared.get((void, f), 0)
        excused += sum(shared.get((t, f), 0) for t in crowds if truth_labels[t] == label)
        if excused / prediction_area[f] <= 0.5:
            stats[label][2] += 1
    return {label: (iou, tp, fp, fn) for label, (iou, tp, fp, fn) in stats.items()}


def main() -> dict[str, float]:
    import torch
    from torchmetrics.detection import PanopticQuality

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    prediction, truth = _scene(1), _scene(0)
    maps = [_numbered(s) for s in (prediction, truth)]
    numbered = [segments(s, LABELS) for s in (prediction, truth)]
    plain = [Segmentation(s.classes, LABELS, s.geometry) for s in (prediction, truth)]
    peer = PanopticQuality(things={1, 2}, stuffs={0, 3}, return_per_class=True)
    pairs = [
        torch.from_numpy(np.stack([s.classes, numbers], -1).astype(np.int64))[None]
        for s, (numbers, _) in zip((prediction, truth), maps, strict=True)
    ]

    def loop(maps: list[tuple[np.ndarray, dict[int, str]]]) -> dict[str, float]:
        stats = pairwise_pq(maps[0][0], maps[1][0], maps[0][1], maps[1][1])
        return {name: iou / (tp + (fp + fn) / 2) for name, (iou, tp, fp, fn) in stats.items()}

    def matching() -> dict[str, float]:
        n = matches(overlaps_of(*numbered, valid=None), LABELS.names)
        return dict(zip(n.names, n.iou / (n.tp + (n.fp + n.fn) / 2), strict=True))

    def whole(pair: list[Segmentation]) -> dict[str, float]:
        panoptic.cache_clear()
        return pq(*pair)

    def torchmetrics() -> dict[str, float]:
        peer.reset()
        scores = peer(*pairs)[0].tolist()  # in the order of things, then stuff
        return dict(zip(("nucleus", "gland", "background", "fat"), scores, strict=True))

    ways: dict[str, Callable[[], dict[str, float]]] = {
        "ours, numbered": matching,
        "ours, objects": lambda: whole([prediction, truth]),
        "ours, label map": lambda: whole(plain),
        "panopticapi, numbered": lambda: loop(maps),
        "panopticapi, label map": lambda: loop([_labelled(s.classes) for s in plain]),
        "torchmetrics, numbered": torchmetrics,
    }
    expected = matching()
    for name, way in ways.items():
        score = way()
        assert all(abs(score[label] - expected[label]) < 1e-6 for label in expected), name
    best = _best(ways)
    for name, seconds in best.items():
        print(f"{name:26}{seconds * 1e3:9.3f} ms")
    ratios = {}
    for theirs, mine, goal in RATIOS:
        ratio = best[theirs] / best[mine]
        ratios[f"{theirs} / {mine}"] = ratio
        print(f"{theirs + ' / ' + mine:46}{ratio:8.1f}" + (f"   goal {goal}" if goal else ""))
    return ratios


def _scene(shift: int) -> Segmentation:
    """A grid of 23 discs of two kinds on fat, moved a little."""
    classes = np.full((512, 512), 0, np.uint8)
    classes[300:, :] = 3
    instances = []
    for i in range(23):
        label = LABELS.labels[i % 2]
        centre = (50 + 100 * (i % 5) + 9 * shift * (i % 3), 50 + 100 * (i // 5))
        mask = cv2.circle(np.zeros((512, 512), np.uint8), centre, 40, 1, -1).astype(bool)
        classes[mask] = label.value
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        start = int(rows[0]), int(columns[0])
        cut = mask[start[0] : rows[-1] + 1, start[1] : columns[-1] + 1].copy()
        instances.append(Instance(label.name, 1.0, cut, start))
    return Segmentation(classes, LABELS, Geometry.in_pixels(classes.shape), tuple(instances))


def _numbered(segmentation: Segmentation) -> tuple[np.ndarray, dict[int, str]]:
    numbers = (segmentation.classes == 3).astype(np.int32)
    labels = {1: "fat"}
    for number, one in enumerate(segmentation.instances, start=2):
        numbers[one.box][one.mask] = number
        labels[number] = one.label
    return numbers, labels


def _labelled(classes: np.ndarray) -> tuple[np.ndarray, dict[int, str]]:
    """Numbers of what hangs together, by SciPy."""
    numbers = (classes == 3).astype(np.int32)
    labels = {1: "fat"}
    for label in LABELS.labels[:2]:
        parts, count = ndimage.label(classes == label.value, np.ones((3, 3)))
        numbers += np.where(parts > 0, parts + len(labels), 0).astype(np.int32)
        labels |= {1 + len(labels) + i: label.name for i in range(count)}
    return numbers, labels


def _best(ways: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, way in ways.items():
            for _ in range(3):  # the first finds the cache full of the way before
                start = time.perf_counter()
                way()
                best[name] = min(best[name], time.perf_counter() - start)
    return best


if __name__ == "__main__":
    main()
