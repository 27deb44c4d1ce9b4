"""Window intensities, such as Hounsfield units, by name or by level and width."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
from annotated_types import Len

from delineate.arguments import MOST, Number, Positive, Text
from delineate.prepare._step import ValueStep
from delineate.resolve import nearest, shown


class Window(NamedTuple):
    """A range of Hounsfield units: its centre and its width."""

    level: float
    width: float


WINDOWS: Mapping[str, Window] = MappingProxyType(
    {
        "abdomen": Window(50, 400),
        "soft_tissue": Window(50, 400),
        "liver": Window(30, 150),
        "lung": Window(-600, 1500),
        "mediastinum": Window(50, 350),
        "angio": Window(200, 600),
        "bone": Window(400, 1800),
        "spine": Window(50, 250),
        "pelvis": Window(40, 400),
        "brain": Window(40, 80),
        "subdural": Window(75, 215),
        "stroke": Window(40, 40),
        "temporal_bone": Window(600, 2800),
    }
)
"""The usual windows of CT, in Hounsfield units.

Source: Radiopaedia, "Windowing (CT)", radiopaedia.org/articles/windowing-ct. Where it gives a range (subdural: level 50
to 100, width 130 to 300), the middle is taken; of its two windows for stroke, the second. Soft tissue is that of the
abdomen, angio is "vascular/heart", spine is the soft tissue of the spine. Pelvis is the soft tissue window of OHIF.
"""

_BLOCK = 2**15
"""Samples that are windowed at a time, so that all passes over them stay in the cache of the CPU."""


def read_window(text: str) -> Window:
    """The window of a name in `WINDOWS`, or of "level/width" in numbers.

    Case does not matter in a name, nor whether its words are joined by a space, a hyphen or an underscore.

    >>> read_window("Lung"), read_window("soft tissue"), read_window("-500/1400")
    (Window(level=-600, width=1500), Window(level=50, width=400), Window(level=-500.0, width=1400.0))

    Raises:
        ValueError: no such name, no numbers, or a width that is not above 0.
    """
    level, slash, width = text.partition("/")
    if slash:
        try:
            window = Window(float(level), float(width))
        except ValueError:
            window = Window(0, 0)
        if not 0 < window.width <= MOST or not abs(window.level) <= MOST:
            raise ValueError(
                f"the window is {shown(text)}; expected level/width with a width above 0, such as 50/400."
            )
        return window
    name = re.sub(r"[\s_-]+", "_", text.strip().lower())
    if name not in WINDOWS:
        raise ValueError(
            f"there is no window {shown(text)}{nearest(name, WINDOWS)} There are: {', '.join(WINDOWS)}; or give "
            "level/width, such as 50/400."
        )
    return WINDOWS[name]


def window(
    name: Text | Annotated[tuple[Text, ...], Len(1, 64)] | None = None,
    *,
    level: Number | Annotated[tuple[Number, ...], Len(1)] | None = None,
    width: Positive | Annotated[tuple[Positive, ...], Len(1)] | None = None,
) -> ValueStep:
    """Map a window of Hounsfield units (or other values) to 0 to 1, and clip the others.

    DICOM's LINEAR_EXACT (PS3.3 C.11.2.1.3): (x - level) / width + 0.5. Several windows make one channel each, from an
    image with one channel: [lung, abdomen, bone] shows a scan as RGB to a network that was trained on photographs.

    Args:
        name: abdomen (50/400), soft_tissue (50/400), liver (30/150), lung (-600/1500), mediastinum (50/350),
            angio (200/600), bone (400/1800), spine (50/250), pelvis (40/400), brain (40/80), subdural (75/215),
            stroke (40/40) or temporal_bone (600/2800); or level/width, such as 60/300; or a list of these.
        level: the centre of the window, or several; instead of a name.
        width: the width of the window; one per level, or one for all.
    """
    if (name is None) == (level is None) or (level is None) != (width is None):
        raise ValueError(
            "window: give a name, as in {window: abdomen}, or both level and width, as in "
            "{window: {level: 50, width: 400}}."
        )
    if name is not None:
        names = (name,) if isinstance(name, str) else tuple(name)
        return _Windows(tuple(read_window(each) for each in names))
    levels, widths = _several(level), _several(width)
    widths = widths * len(levels) if len(widths) == 1 else widths
    if len(levels) != len(widths):
        raise ValueError(
            f"window: {len(levels)} levels and {len(widths)} widths; give one width for each level."
        )
    return _Windows(tuple(map(Window, levels, widths)))


def _several(value: float | Sequence[float] | None) -> tuple[float, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, int | float) else tuple(value)


@dataclass(frozen=True)
class _Windows:
    windows: tuple[Window, ...]
    after_augment: ClassVar[bool] = False

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        several = len(self.windows) > 1
        if several and pixels.shape[0] != 1:
            raise ValueError(
                f"window: {len(self.windows)} windows need an image with one channel; "
                f"this one has {pixels.shape[0]}."
            )
        planes = (
            np.broadcast_to(pixels, (len(self.windows), *pixels.shape[1:])) if several else pixels
        )
        windows = self.windows if several else self.windows * len(pixels)
        windowed = np.empty(planes.shape, np.float32)
        rows = max(1, _BLOCK // max(1, pixels[0, :1].size))
        for start in range(0, pixels.shape[1], rows):
            block = slice(start, start + rows)
            for plane, target, (level, width) in zip(planes, windowed, windows, strict=True):
                part = target[block]
                np.subtract(plane[block], level, out=part, dtype=np.float32)
                part /= width
                part += 0.5
                np.clip(part, 0, 1, out=part)
        return windowed
