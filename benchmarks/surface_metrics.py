"""HD95, HD, NSD and ASSD together: MONAI and distance transforms of the crop against ours, on one core.

A scan of 128 x 256 x 256 with spacing (2.5, 0.8, 0.8) mm and one label. MONAI is asked for HD95 and NSD alone, and
for NSD both by samples (its default) and by surface elements (`use_subvoxels`, what our `nsd` is). The transforms
measure at surface elements, as DeepMind's surface-distance does. Best of ROUNDS in turn, CPU time.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import numpy as np
from scipy.ndimage import correlate, distance_transform_edt, zoom

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics import _surface_distances
from delineate.metrics._surface_distances import surfel_areas
from delineate.metrics.assd import assd
from delineate.metrics.hausdorff import hausdorff
from delineate.metrics.hd95 import hd95
from delineate.metrics.nsd import nsd
from delineate.metrics.nsd_voxel import nsd_voxel

SHAPE = (128, 256, 256)
SPACING = (2.5, 0.8, 0.8)
LABELS = LabelSet((Label("organ", 1),))
ROUNDS = 7

# radius in mm, how far the surface is off it, the goals against MONAI and against distance transforms
OBJECTS = {"organ": (60.0, 3.0, 3.5, 4.0), "lesion": (8.0, 1.0, 30.0, 2.0)}


def main() -> dict[str, float]:
    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message=".*always_return_as_numpy", category=FutureWarning)
    ratios = {}
    print(f"{'ms':8}" + "".join(f"{way:>29}" for way in _ways(*_pair(*OBJECTS["lesion"][:2]))))
    for name, (radius, rough, monai, transforms) in OBJECTS.items():
        ways = _ways(*_pair(radius, rough))
        times = _best(ways)
        print(f"{name:8}" + "".join(f"{1e3 * seconds:29.1f}" for seconds in times.values()))
        ours = times["ours"]
        for way, seconds in times.items():
            if not way.startswith("ours"):
                ratios[f"{name}, {way}"] = seconds / ours
        print(f"{'ratio':8}" + "".join(f"{seconds / ours:29.1f}" for seconds in times.values()))
        print(f"{'':8}goals: {monai} against MONAI, {transforms} against distance transforms")
    return ratios


def _ways(prediction: Segmentation, truth: Segmentation) -> dict[str, Callable[[], object]]:
    import torch
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice

    tensors = [torch.from_numpy(s.mask("organ"))[None, None] for s in (prediction, truth)]

    def monai(subvoxels: bool) -> None:
        compute_hausdorff_distance(
            *tensors, include_background=True, percentile=95, spacing=SPACING
        )
        compute_surface_dice(
            *tensors, [2.0], include_background=True, spacing=SPACING, use_subvoxels=subvoxels
        )

    def ours(*metrics: Callable[..., object]) -> None:
        for once in ("_crops", "sample_distances", "surfel_distances"):
            getattr(_surface_distances, once).cache_clear()
        for metric in metrics:
            metric(prediction, truth)

    return {
        "MONAI HD95, NSD": lambda: monai(False),
        "MONAI HD95, NSD by area": lambda: monai(True),
        "transforms HD95, NSD by area": lambda: _transforms(prediction, truth),
        "ours": lambda: ours(hd95, hausdorff, nsd, assd),
        "ours, NSD by samples": lambda: ours(hd95, hausdorff, nsd_voxel, assd),
    }


def _transforms(prediction: Segmentation, truth: Segmentation) -> tuple[float, float]:
    masks = [s.classes == 1 for s in (prediction, truth)]
    either = masks[0] | masks[1]
    ends = [np.flatnonzero(either.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    box = tuple(slice(end[0], end[-1] + 1) for end in ends)
    kernel = 2 ** np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    crops = [np.pad(mask[box], 1).astype(np.uint8) for mask in masks]
    codes = [correlate(crop, kernel, mode="constant", origin=-1) for crop in crops]
    borders = [(code != 0) & (code != 255) for code in codes]
    there, back = (distance_transform_edt(~border, sampling=SPACING) for border in borders[::-1])
    both = [(there[borders[0]], codes[0][borders[0]]), (back[borders[1]], codes[1][borders[1]])]
    within = whole = far = 0.0
    for distances, code in both:
        areas = surfel_areas(SPACING)[code]
        order = np.argsort(distances)
        share = np.cumsum(areas[order]) / areas.sum()
        far = max(far, distances[order[np.searchsorted(share, 0.95)]])
        within += areas[distances <= 2.0].sum()
        whole += areas.sum()
    return far, within / whole


def _pair(radius: float, rough: float) -> tuple[Segmentation, Segmentation]:
    """A bumpy ball and another like it, shifted by half a slice."""
    pair = []
    for seed, shift in ((1, 0.0), (2, 2.0)):
        noise = np.random.default_rng(seed).normal(size=(20, 13, 13))
        bumps = zoom(noise, np.array(SHAPE) / noise.shape, order=3)
        places = [(np.arange(n) - n / 2) * s - shift for n, s in zip(SHAPE, SPACING, strict=True)]
        z, y, x = np.ix_(*places)
        mask = np.sqrt(z**2 + y**2 + x**2) < radius + rough * bumps
        pair.append(Segmentation(mask.astype(np.uint8), LABELS, Geometry(SHAPE, SPACING, "mm")))
    return pair[0], pair[1]


def _best(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Least seconds of CPU time for one call, the ways taken in turn."""
    times = dict.fromkeys(ways, np.inf)
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.process_time()
            way()
            times[name] = min(times[name], time.process_time() - start)
    return times


if __name__ == "__main__":
    main()
