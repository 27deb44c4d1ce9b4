"""A volume in three planes: axial, coronal and sagittal slices side by side, with a legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from delineate.core import Geometry, Image, Segmentation
from delineate.evaluation.report._view import as_bytes, display_limits, scaled
from delineate.prepare import Carry
from delineate.prepare.orient import orient

if TYPE_CHECKING:
    from PIL import ImageFont

NAMES = ("axial", "coronal", "sagittal")
ENDS = ("HF", "AP", "RL")
"""For each axis of a volume after `orient: IPL`, the letters at its start and its end."""

AS_IT_IS = Carry(lambda array, shape: array)
"""Turning an image resamples nothing."""

SHORTEST, LONGEST = 400, 768
"""Bounds of the longest side of a panel, in pixels."""

TEXT, MARGIN, GROUND, INK = 15, 24, (24, 24, 24), (230, 230, 230)
"""Height of the text and width of the margin around a panel in pixels; colours of the background and the text."""


@dataclass(frozen=True)
class Plane:
    """One slice of a volume, with square samples, and the label maps in the same place.

    picture: (H, W, 3) uint8.
    maps: label maps (H, W).
    name: the plane; "" if the patient's axes are unknown.
    ends: the letters at the top, bottom, left and right side; "" if unknown.
    lines: the row and the column in which the other two planes cut this one.
    """

    picture: np.ndarray
    maps: list[np.ndarray]
    name: str
    ends: str
    lines: tuple[int, int]


class Entry(NamedTuple):
    """A colour of the legend and what it means."""

    rgb: tuple[int, int, int]
    name: str


def planes(image: Image, shown: Sequence[Segmentation]) -> list[Plane]:
    """The axial, coronal and sagittal slice of a volume through the labels in `shown`, in radiological convention.

    The head and the front are up, the patient's right is on the left; a sagittal slice has the front on the left. An
    oblique volume is shown along its own axes, named by the nearest axes of the patient. If those are unknown, the
    slices are across the axes of the array, in its order. All three have the same scale in mm.

    Each slice is the one with the largest sum of the labels' areas, each relative to the label's largest area in this
    plane, so that a small organ counts as much as a large one. Without labels it is the middle slice.
    """
    geometry, pixels, maps = image.geometry, image.pixels, [s.classes for s in shown]
    known = geometry.to_patient is not None
    if known:
        turn = orient("IPL")
        pixels, *maps = (
            turn.forward(a, geometry, AS_IT_IS) for a in (pixels, *(m[None] for m in maps))
        )
        maps = [classes[0] for classes in maps]
        geometry = turn.grid(geometry)
    at = _fullest(shown, maps, geometry.shape)
    limits = display_limits(image)
    sizes = _sizes(geometry)
    found = []
    for across in range(3):
        down, right = (axis for axis in range(3) if axis != across)
        shape = sizes[down], sizes[right]
        lines = [int((at[a] + 0.5) * sizes[a] / geometry.shape[a]) for a in (down, right)]
        found.append(
            Plane(
                scaled(as_bytes(pixels.take(at[across], axis=across + 1), limits), shape),
                [scaled(classes.take(at[across], axis=across), shape) for classes in maps],
                NAMES[across] if known else "",
                ENDS[down] + ENDS[right] if known else "",
                (lines[0], lines[1]),
            )
        )
    return found


def montage(
    panels: Sequence[np.ndarray], cuts: Sequence[Plane], legend: Sequence[Entry]
) -> np.ndarray:
    """The panels side by side (H, W, 3) uint8, with names, the letters of their sides, and a legend.

    Ticks at the sides of a panel mark where the other two planes cut it.
    """
    from PIL import Image as Picture
    from PIL import ImageDraw

    height = max(len(panel) for panel in panels) + 2 * MARGIN
    width = sum(panel.shape[1] + 2 * MARGIN for panel in panels)
    font = _font()
    rows = _rows([(entry, round(font.getlength(entry.name))) for entry in legend], width)
    line = TEXT + 9
    sheet = Picture.new(
        "RGB", (width, height + line * len(rows) + (MARGIN // 2 if rows else 0)), GROUND
    )
    pen = ImageDraw.Draw(sheet)
    left = 0
    for panel, cut in zip(panels, cuts, strict=True):
        high, wide = panel.shape[:2]
        x, y = left + MARGIN, (height - high) // 2
        sheet.paste(Picture.fromarray(panel), (x, y))
        row, column = cut.lines
        for start, end in (
            ((x - 7, y + row), (x - 2, y + row)),
            ((x + wide + 1, y + row), (x + wide + 6, y + row)),
            ((x + column, y - 7), (x + column, y - 2)),
            ((x + column, y + high + 1), (x + column, y + high + 6)),
        ):
            pen.line((start, end), (120, 120, 120))
        pen.text((x, y - 3), cut.name, INK, font, anchor="ls")
        middle, beside = x + wide // 2, y + high // 2
        above = max(middle, round(x + font.getlength(cut.name)) + 10)  # beside the name
        places = (
            (above, y - 12),
            (middle, y + high + 12),
            (x - 13, beside),
            (x + wide + 12, beside),
        )
        for letter, place in zip(cut.ends, places, strict=False):
            pen.text(place, letter, INK, font, anchor="mm")
        left += wide + 2 * MARGIN
    for number, line_entries in enumerate(rows):
        middle = height + line * number + line // 2
        for entry, x in line_entries:
            pen.rectangle((x, middle - 6, x + 13, middle + 6), entry.rgb)
            pen.text((x + 20, middle), entry.name, INK, font, anchor="lm")
    return np.asarray(sheet)


def _fullest(
    shown: Sequence[Segmentation], maps: Sequence[np.ndarray], shape: Sequence[int]
) -> list[int]:
    """For each axis the slice with the largest sum of relative areas of the labels; the middle one without labels."""
    amount = [np.zeros(n) for n in shape]
    for segmentation, classes in zip(shown, maps, strict=True):
        for label in segmentation.labels:
            areas = _areas(segmentation.labels.mask(label.name, classes))
            for total, area in zip(amount, areas, strict=True):
                total += area / max(area.max(), 1)
    return [int(total.argmax()) if total.any() else len(total) // 2 for total in amount]


def _areas(mask: np.ndarray) -> list[np.ndarray]:
    """For each axis the number of samples in each slice across it. OpenCV's sums are many times faster than NumPy's."""
    order = np.argsort([-stride for stride in mask.strides], kind="stable")
    slices = np.ascontiguousarray(mask.transpose(order)).view(np.uint8)
    areas = [np.zeros(n, np.int64) for n in slices.shape]
    for index, one in enumerate(slices):
        count = cv2.countNonZero(one)
        if count:
            areas[0][index] = count
            areas[1] += cv2.reduce(one, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
            areas[2] += cv2.reduce(one, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
    return [areas[axis] for axis in np.argsort(order)]


def _sizes(geometry: Geometry) -> list[int]:
    """The length of each axis in pixels of the picture, on one scale in mm."""
    extent = np.array(geometry.shape) * np.array(geometry.spacing)
    scale = np.clip(1 / min(geometry.spacing), *(np.array([SHORTEST, LONGEST]) / extent.max()))
    return [max(1, round(length * scale)) for length in extent]


def _rows(entries: Sequence[tuple[Entry, int]], width: int) -> list[list[tuple[Entry, int]]]:
    """The rows of a legend, each entry with its place from the left. `entries`: with the widths of their names."""
    rows: list[list[tuple[Entry, int]]] = []
    x = width
    for entry, length in entries:
        if x + 20 + length > width - MARGIN:
            rows.append([])
            x = MARGIN
        rows[-1].append((entry, x))
        x += 20 + length + MARGIN
    return rows


def _font() -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings: it has the letters of most alphabets."""
    from matplotlib import get_data_path
    from PIL import ImageFont

    return ImageFont.truetype(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), TEXT)
