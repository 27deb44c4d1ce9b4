"""Facts of many cases -> tables about them, ready for JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from delineate.audit._case_facts import QUANTILES, CaseFacts
from delineate.core import LabelSet

SIZES = {"min": 0.0, "p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "max": 1.0}


def by_split(cases: Sequence[CaseFacts], labels: LabelSet) -> dict[str, Any]:
    """Per split: cases, groups, those without truth or of no use; per label: in how many, its share, its objects."""
    return {
        split: _of_split([case for case in cases if case.split == split], labels)
        for split in dict.fromkeys(case.split for case in cases)
    }


def fingerprint(cases: Sequence[CaseFacts]) -> dict[str, Any]:
    """What the images are like: shapes, types, channels, spacings; and intensities, per channel."""
    images = [case.image for case in cases if case.image]
    return {
        "images": len(images),
        "shapes": _counted("x".join(map(str, image.shape)) for image in images),
        "types": _counted(image.dtype for image in images),
        "channels": _counted(str(image.channels) for image in images),
        "units": _counted(image.unit for image in images),
        "spacings": {
            str(ndim): [
                quantiles([i.spacing[axis] for i in images if len(i.spacing) == ndim])
                for axis in range(ndim)
            ]
            for ndim in sorted({len(image.spacing) for image in images})
        },
        "intensities": [
            {
                f"p{100 * q:g}": quantiles([i.quantiles[c][n] for i in images if c < i.channels])
                for n, q in enumerate(QUANTILES)
            }
            for c in range(max((image.channels for image in images), default=0))
        ],
    }


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Those of `SIZES`; nothing of no values."""
    if not len(values):
        return {}
    found = np.quantile(np.asarray(values, np.float64), list(SIZES.values()))
    return dict(zip(SIZES, (float(f"{value:.6g}") for value in found), strict=True))


def _of_split(cases: Sequence[CaseFacts], labels: LabelSet) -> dict[str, Any]:
    return {
        "cases": len(cases),
        "groups": len({case.group for case in cases}),
        "without_truth": sum(case.truth is None and not case.problems for case in cases),
        "unusable": sum(bool(case.problems) and None in (case.image, case.truth) for case in cases),
        "empty": sum(
            case.truth is not None and not any(case.truth.objects.values()) for case in cases
        ),
        "labels": {name: _of_label(cases, name) for name in labels.names},
    }


def _of_label(cases: Sequence[CaseFacts], name: str) -> dict[str, Any]:
    shown = [c for c in cases if c.truth and c.image and c.truth.objects[name]]
    sizes: dict[str, list[float]] = {}
    for case in shown:
        sizes.setdefault(case.size_unit, []).extend(case.sizes(name))
    return {
        "cases": len(shown),
        "share": quantiles([share(case, name) for case in shown]),
        "objects": sum(map(len, sizes.values())),
        "objects_per_case": quantiles([len(c.truth.objects[name]) for c in shown if c.truth]),
        "size": {unit: quantiles(values) for unit, values in sizes.items()},
    }


def share(case: CaseFacts, name: str) -> float:
    """How much of the image a label takes."""
    if not case.truth or not case.image:
        return 0.0
    return sum(case.truth.objects[name]) / float(np.prod(case.image.shape))


def _counted(kinds: Iterable[str]) -> Mapping[str, int]:
    return dict(Counter(kinds).most_common())
