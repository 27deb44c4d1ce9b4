"""Statistics over the facts of all cases, ready for JSON, and their form as lines and rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from delineate.audit._case_facts import QUANTILES, CaseFacts
from delineate.core import LabelSet

SIZES = {"min": 0.0, "p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "max": 1.0}

SHOWN = {True: "yes", False: "no", None: ""}
"""Image-level labels in the table."""

TABLED = {"min": 0, "p0.5": 1, "median": 4, "p99.5": 7, "max": 8}
"""The quantiles in the table, by their place in `QUANTILES`."""


def by_split(cases: Sequence[CaseFacts], labels: LabelSet) -> dict[str, Any]:
    """Counts of each split (cases, groups, without truth, unusable), and of each label (cases, share, objects, sizes).

    Shares, objects and sizes are computed from masks; image-level labels have none.
    """
    return {
        split: _of_split([case for case in cases if case.split == split], labels)
        for split in dict.fromkeys(case.split for case in cases)
    }


def fingerprint(cases: Sequence[CaseFacts]) -> dict[str, Any]:
    """Statistics of the images: shapes, types, channels, spacings, and intensities per channel."""
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
    """The quantiles `SIZES` of the values; empty without values."""
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
        "image_level": sum(case.truth is not None and not case.truth.outlined for case in cases),
        "empty": sum(
            case.truth is not None and all(case.truth.shows(name) is False for name in labels.names)
            for case in cases
        ),
        "labels": {name: _of_label(cases, name) for name in labels.names},
    }


def _of_label(cases: Sequence[CaseFacts], name: str) -> dict[str, Any]:
    known = [c for c in cases if c.truth and c.image]
    drawn = [c for c in known if c.truth and c.truth.objects[name]]
    sizes: dict[str, list[float]] = {}
    for case in drawn:
        sizes.setdefault(case.size_unit, []).extend(case.sizes(name))
    return {
        "cases": sum(c.truth is not None and c.truth.shows(name) is True for c in known),
        "not_known": sum(c.truth is not None and c.truth.shows(name) is None for c in known),
        "share": quantiles([share(case, name) for case in drawn]),
        "objects": sum(map(len, sizes.values())),
        "objects_per_case": quantiles([len(c.truth.objects[name]) for c in drawn if c.truth]),
        "size": {unit: quantiles(values) for unit, values in sizes.items()},
    }


def share(case: CaseFacts, name: str) -> float:
    """The fraction of the image that a label covers."""
    if not case.truth or not case.image:
        return 0.0
    return sum(case.truth.objects[name]) / float(np.prod(case.image.shape))


def _counted(kinds: Iterable[str]) -> Mapping[str, int]:
    return dict(Counter(kinds).most_common())


def split_line(name: str, split: Mapping[str, Any]) -> str:
    """A line about one split of `by_split`."""
    parts = [f"{name:<8} {split['cases']} cases of {split['groups']} groups"]
    for label, of in split["labels"].items():
        unknown = f", not known of {of['not_known']}" if of.get("not_known") else ""
        median = f", median {of['share']['median']:.1%} of the image" if of["share"] else ""
        masks = of["objects"] or (not of["cases"] and split.get("image_level", 0) < split["cases"])
        objects = f", {of['objects']} objects" if masks else ""
        parts.append(f"{label} in {of['cases']}{unknown}{median}{objects}")
    if split["empty"]:
        parts.append(f"{split['empty']} empty")
    if split.get("image_level"):
        parts.append(f"{split['image_level']} with image-level labels only")
    for what in ("without_truth", "unusable"):
        if split[what]:
            parts.append(f"{split[what]} {what.replace('_', ' ')}")
    return "; ".join(parts)


def most_common(counted: Mapping[str, int]) -> str:
    """The most frequent kinds, and the number of the others."""
    most = [f"{what} ({n})" for what, n in list(counted.items())[:4]]
    rest = len(counted) - len(most)
    return ", ".join(most) + (f" and {rest} other kinds" if rest else "")


def row_of(case: CaseFacts) -> dict[str, str]:
    """The facts of a case as a row of the CSV, by column."""
    row = {"id": case.id, "split": case.split, "group": case.group}
    return row | dict(_numbers(case))


def _numbers(case: CaseFacts) -> Iterator[tuple[str, str]]:
    if case.image:
        yield "shape", "x".join(map(str, case.image.shape))
        yield "channels", str(case.image.channels)
        yield "type", case.image.dtype
        yield "spacing", "x".join(f"{s:.4g}" for s in case.image.spacing)
        yield "unit", case.image.unit
        yield "orientation", case.image.orientation
        for number, channel in enumerate(case.image.quantiles):
            for name, quantile in TABLED.items():
                yield f"{name} of channel {number}", f"{channel[quantile]:.6g}"
    if case.mask:
        yield "mask type", case.mask.dtype
        yield "mask values", str(case.mask.values)
    if case.truth:
        for name in case.truth.present:
            yield f"{name} shown", SHOWN[case.truth.shows(name)]
        for name, objects in case.truth.objects.items() if case.truth.outlined else ():
            yield f"{name} objects", str(len(objects))
            yield f"{name} size", f"{sum(case.sizes(name)):.6g}"
            yield f"{name} share", f"{share(case, name):.6g}"
