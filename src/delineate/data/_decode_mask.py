"""The pixels of a mask file -> a label map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from delineate.data._values import BACKGROUND, Colour, MaskValues
from delineate.data._words import some

MOST_VALUES = 1 << 20
"""A mask with larger values is none; their table would be larger than the mask."""


def decode_mask(pixels: np.ndarray, values: MaskValues) -> np.ndarray:
    """The label map (*spatial) of a mask's unsigned pixels (1 or 3, *spatial).

    Raises:
        ValueError: a value or colour that is neither background nor a label, or several channels where
            `values` has no colours.
    """
    if values.colours:
        return _by_colour(pixels, values)
    if len(pixels) == 3 and (pixels[:1] == pixels[1:]).all():
        pixels = pixels[:1]
    if len(pixels) != 1:
        raise ValueError(
            f"{len(pixels)} channels that differ, so labels are colours here. Write {values.key}: "
            f"{{{values.labels.names[0]}: '#rrggbb'}}, and a tolerance if masks are JPEG."
        )
    return _by_number(pixels[0], values)


def _by_number(raw: np.ndarray, values: MaskValues) -> np.ndarray:
    highest = int(raw.max())
    if highest >= MOST_VALUES:
        raise ValueError(f"values up to {highest}. Is this an image rather than a mask?")
    candidates = np.arange(highest + 1)
    table = np.zeros(len(candidates), _dtype(values))
    known = (candidates == 0) | bool(values.thresholds)
    for above, value in values.thresholds.items():
        table[candidates > above.raw] = value
    for number, value in values.numbers.items():
        table[candidates == number] = value
        known |= candidates == number
    if not known[raw].all():
        raise ValueError(_unknown_values(raw, candidates[known], values))
    return np.asarray(table[raw])


def _by_colour(pixels: np.ndarray, values: MaskValues) -> np.ndarray:
    named = dict(values.colours)
    if 0 not in named.values():
        named.setdefault(Colour(0, 0, 0), 0)
    channels = np.broadcast_to(pixels, (3, *pixels.shape[1:])).astype(np.int32)
    classes = np.zeros(pixels.shape[1:], _dtype(values))
    nearest = np.full(pixels.shape[1:], np.iinfo(np.int32).max, np.int32)
    for colour, value in named.items():
        squared = np.zeros_like(nearest)
        for channel, wanted in zip(channels, colour, strict=True):
            squared += (channel - wanted) ** 2
        nearer = squared < nearest
        nearest[nearer] = squared[nearer]
        classes[nearer] = value
    unknown = nearest > values.tolerance**2
    if unknown.any():
        raise ValueError(_unknown_colours(channels[:, unknown], named, values))
    return classes


def _dtype(values: MaskValues) -> type[np.unsignedinteger]:
    largest = max(label.value for label in values.labels.labels)
    return np.uint8 if largest < 256 else np.uint16


def _unknown_values(raw: np.ndarray, known: np.ndarray, values: MaskValues) -> str:
    found, counts = np.unique(raw, return_counts=True)
    unknown = ~np.isin(found, known)
    label = values.labels.names[0]
    names = {0: BACKGROUND} | {label.value: label.name for label in values.labels.labels}
    expected = {0: BACKGROUND} | {number: names[v] for number, v in values.numbers.items()}
    if _is_lossy(found, counts):
        advice = (
            "It looks like a JPEG-compressed or soft mask: write a threshold, "
            f"{values.key}: {{{label}: '>127'}}."
        )
    elif unknown.sum() == 1 and len(values.labels) == 1:
        advice = f"If that is {label}, write {values.key}: {{{label}: {found[unknown][0]}}}."
    else:
        advice = f"Write what each stands for: {values.key}: {{name: [value, ...]}}."
    return (
        f"values without a label: {_counted(found[unknown], counts[unknown])}; "
        f"expected {', '.join(f'{raw} {name}' for raw, name in sorted(expected.items()))}. {advice}"
    )


def _unknown_colours(unknown: np.ndarray, named: Mapping[Colour, int], values: MaskValues) -> str:
    red, green, blue = unknown
    found, counts = np.unique(red << 16 | green << 8 | blue, return_counts=True)
    colours = [f"#{packed:06x}" for packed in found]
    return (
        f"colours without a label: {_counted(colours, counts)}; expected {some(named, 12)}, each "
        f"within {values.tolerance:g}. Name them in {values.key} or, for masks kept as JPEG, raise the tolerance "
        "(the edges of objects need about 200)."
    )


def _counted(found: Sequence[object] | np.ndarray, counts: np.ndarray) -> str:
    often_first = np.argsort(-counts, kind="stable")
    return some(f"{found[i]} ({counts[i]} times)" for i in often_first)


def _is_lossy(found: np.ndarray, counts: np.ndarray) -> bool:
    """Whether values crowd at the two ends of a byte with others between: a mask after JPEG."""
    ends = (found <= 20) | (found >= 235)
    return len(found) > 8 and found[-1] <= 255 and counts[ends].sum() > 0.8 * counts.sum()
