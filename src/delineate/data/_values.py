"""What the raw values or colours of mask files mean."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from delineate.arguments import NonNegativeWhole
from delineate.core import LabelSet
from delineate.resolve import nearest
from delineate.words import some

BACKGROUND = "background"

RawValue = NonNegativeWhole | str

Values = Mapping[str, RawValue | Sequence[RawValue]]
"""What mask files hold, by name of label, or "background"; see `mask_values`."""


class Colour(NamedTuple):
    """Red, green, blue, each 0 to 255."""

    red: int
    green: int
    blue: int

    def __str__(self) -> str:
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"


class Above(NamedTuple):
    """Every raw value larger than this."""

    raw: int


@dataclass(frozen=True)
class MaskValues:
    """What the samples of mask files mean; each right-hand side is the value of a label, or 0.

    numbers: by raw value; one named here wins over a threshold.
    thresholds: ascending, so that the highest one passed wins.
    colours: if there are any, masks are read by colour.
    tolerance: how far a sample may lie from the nearest colour, Euclidean in RGB (0 to 442).
    key: what the mapping is called where it is written, for messages: "values" or "predictions".
    """

    labels: LabelSet
    numbers: Mapping[int, int]
    thresholds: Mapping[Above, int]
    colours: Mapping[Colour, int]
    tolerance: float = 0.0
    key: str = "values"

    def holds(self, name: str) -> bool:
        """Whether masks can hold a label, or something that it includes."""
        meant = {*self.numbers.values(), *self.thresholds.values(), *self.colours.values()}
        return not meant.isdisjoint(self.labels.values_of(name))


def mask_values(
    labels: LabelSet,
    values: Mapping[str, RawValue | Sequence[RawValue]] | None = None,
    tolerance: float = 0.0,
    key: str = "values",
) -> MaskValues:
    """What mask files mean, from what a recipe says.

    Args:
        labels: the labels of the problem.
        values: by the name of a label, or "background": a raw value, a threshold ">127", a colour "#rrggbb",
            or a list of these. None: files hold the values of the labels themselves. 0 and black are
            background unless they are named; so is whatever lies below every threshold. Ignored labels
            that are not named keep their own value.
        tolerance: how far a sample may lie from the nearest colour, Euclidean in RGB.
        key: what `values` is called where it is written, for messages.

    Raises:
        ValueError: an unknown or missing label, a value that cannot be read, one value for two labels,
            or colours mixed with numbers.
    """
    codes = {BACKGROUND: 0} | {label.name: label.value for label in labels.labels}
    values = {label.name: label.value for label in labels.labels} if values is None else values
    for name in values:
        if name not in codes:
            raise ValueError(
                f"{key} names {name!r}, which is no label. "
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
    if tolerance < 0 or (tolerance and not colours):
        raise ValueError(
            f"tolerance is {tolerance:g}; expected 0 or more, and colours ('#rrggbb') in {key}."
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
