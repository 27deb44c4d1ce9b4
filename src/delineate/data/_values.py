"""The labels of the values or colours in mask files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from delineate.arguments import NonNegative, NonNegativeWhole
from delineate.core import LabelSet
from delineate.resolve import nearest
from delineate.words import some

BACKGROUND = "background"

RawValue = NonNegativeWhole | str

Values = Mapping[str, RawValue | Sequence[RawValue]]
"""Name of a label, or "background" -> its values in mask files; see `mask_values`."""

JPEG: Literal["jpeg"] = "jpeg"
Tolerance = NonNegative | Literal["jpeg"]
"""Maximum distance of a sample from the nearest colour, Euclidean in RGB (0 to 442); or "jpeg", for masks stored as
JPEG, whose colours `decode_mask` cleans."""


class Colour(NamedTuple):
    """Red, green, blue, each 0 to 255."""

    red: int
    green: int
    blue: int

    def __str__(self) -> str:
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"


class Above(NamedTuple):
    """A threshold: every raw value larger than this."""

    raw: int


@dataclass(frozen=True)
class MaskValues:
    """Maps from raw values of mask files to values of labels, or 0 for background.

    numbers: raw value -> label value; takes precedence over thresholds.
    thresholds: in ascending order; the highest threshold that a raw value exceeds applies.
    colours: colour -> label value; if there are any, masks are read as colour images.
    tolerance: as `Tolerance`.
    key: the name of the mapping in messages: "values" or "predictions".
    """

    labels: LabelSet
    numbers: Mapping[int, int]
    thresholds: Mapping[Above, int]
    colours: Mapping[Colour, int]
    tolerance: Tolerance = 0.0
    key: str = "values"

    def holds(self, name: str) -> bool:
        """Whether masks can contain a label, or one that it includes."""
        mapped = {*self.numbers.values(), *self.thresholds.values(), *self.colours.values()}
        return not mapped.isdisjoint(self.labels.values_of(name))


def mask_values(
    labels: LabelSet,
    values: Mapping[str, RawValue | Sequence[RawValue]] | None = None,
    tolerance: Tolerance = 0.0,
    key: str = "values",
) -> MaskValues:
    """Parse the `values` of a recipe.

    Args:
        labels: the labels of the recipe.
        values: name of a label, or "background" -> a raw value, a threshold ">127", a colour "#rrggbb",
            or a list of these. None: files contain the values of the labels. 0 and black are background
            unless they are named, and so are values below all thresholds. Labels of kind ignore that are
            not named keep their own value.
        tolerance: maximum distance of a sample from the nearest colour, Euclidean in RGB; or "jpeg", as `decode_mask`.
        key: the name of `values` in messages.

    Raises:
        ValueError: an unknown or missing label, a value that cannot be parsed, one value for two labels,
            or colours mixed with numbers.
    """
    codes = {BACKGROUND: 0} | {label.name: label.value for label in labels.labels}
    values = {label.name: label.value for label in labels.labels} if values is None else values
    for name in values:
        if name not in codes:
            raise ValueError(
                f"{key} names {name!r}, which is not a label. "
                f"There are: {', '.join(codes)}{nearest(name, codes)}"
            )
    missing = [name for name in labels.names if name not in values]
    if missing:
        raise ValueError(
            f"{key} does not name {some(missing)}. Write [] for a label that is not in these masks."
        )
    meanings: dict[int | Above | Colour, int] = {}
    for name, written in values.items():
        for item in [written] if isinstance(written, int | str) else written:
            if meanings.setdefault(_parsed(name, item, key), codes[name]) != codes[name]:
                raise ValueError(f"{key} gives {item!r} to two labels; {name!r} is the second.")
    colours = {raw: value for raw, value in meanings.items() if isinstance(raw, Colour)}
    thresholds = {raw: meanings[raw] for raw in sorted(r for r in meanings if isinstance(r, Above))}
    numbers = {raw: value for raw, value in meanings.items() if isinstance(raw, int)}
    if colours and (numbers or thresholds):
        raise ValueError(f"{key} mixes colours with numbers; write one kind for all labels.")
    if (tolerance and not colours) or (tolerance != JPEG and tolerance < 0):
        written = tolerance if tolerance == JPEG else f"{tolerance:g}"
        raise ValueError(
            f"tolerance is {written}; expected 0 or more or jpeg, and colours ('#rrggbb') in {key}."
        )
    for label in labels.labels:
        if label.kind == "ignore" and label.name not in values:
            numbers.setdefault(label.value, label.value)
    return MaskValues(labels, numbers, thresholds, colours, tolerance, key)


def _parsed(name: str, item: int | str, key: str) -> int | Above | Colour:
    if isinstance(item, int) and item >= 0:
        return item
    if match := re.fullmatch(r">\s*(\d+)", str(item)):
        return Above(int(match[1]))
    if match := re.fullmatch(r"#([0-9a-fA-F]{6})", str(item)):
        return Colour(*bytes.fromhex(match[1]))
    raise ValueError(
        f"{key}: {name} is {item!r}; expected a number from 0, a threshold like '>127' or a colour '#rrggbb'."
    )
