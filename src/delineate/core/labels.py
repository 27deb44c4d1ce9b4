"""What can be delineated: names, values, colours, and whether the objects are counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from delineate.arguments import LabelValue

Kind = Literal["stuff", "thing", "ignore"]

PALETTE = ("#00c2a8", "#e4572e", "#3d6fd9", "#f2b134", "#9b5de5", "#4caf50", "#ef476f", "#8d6e63")
"""Colours for labels that name none, in the order of the recipe."""


@dataclass(frozen=True)
class Label:
    """One thing to delineate.

    kind: "thing" is counted one by one (a polyp), "stuff" is not (the liver), "ignore" marks pixels
        that are neither learnt from nor judged.
    colour: "#rrggbb", for overlays and palettes.
    code: DICOM coded term, "scheme:value:meaning", for export to SEG.
    includes: names of labels that are part of this one, so that it is a region of several values (nnU-Net): the
        liver includes its tumours. `value` is what is left of it without them.
    """

    name: str
    value: LabelValue
    kind: Kind = "stuff"
    colour: str = "#e4572e"
    code: str | None = None
    includes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.name == "all":
            raise ValueError(
                "a label is called 'all', which is what scores of the whole image are called; give it another name."
            )
        if not 1 <= self.value <= 65535:
            raise ValueError(
                f"label {self.name!r} has value {self.value}; expected 1 to 65535 (0 is background)."
            )
        digits = self.colour.removeprefix("#")
        if len(digits) != 6 or any(c not in "0123456789abcdefABCDEF" for c in digits):
            raise ValueError(f"label {self.name!r} has colour {self.colour!r}; expected '#rrggbb'.")

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The colour as three bytes."""
        digits = self.colour.removeprefix("#")
        return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)


@dataclass(frozen=True)
class LabelSet:
    """The labels of one problem, in order; background is 0 and has no label.

    Iterating gives the labels that are found and judged, that is all but the kind "ignore".

    >>> labels = LabelSet((Label("liver", 1), Label("tumour", 2, "thing")))
    >>> [label.name for label in labels], labels["tumour"].value
    (['liver', 'tumour'], 2)
    """

    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        for what in ("name", "value"):
            seen = [getattr(label, what) for label in self.labels]
            twice = sorted({str(s) for s in seen if seen.count(s) > 1})
            if twice:
                raise ValueError(f"two labels share the {what} {twice[0]}; each must be unique.")
        if not list(self):
            raise ValueError(
                "no label to find was given; at least one of kind stuff or thing is needed."
            )
        for label in self:
            for name in label.includes:
                if name not in self.names:
                    raise ValueError(
                        f"label {label.name!r} includes {name!r}, which is no label to find; there are "
                        f"{', '.join(self.names)}."
                    )
            if label.name in self.parts(label.name):
                raise ValueError(f"label {label.name!r} includes itself, by way of its parts.")

    def __iter__(self) -> Iterator[Label]:
        return (label for label in self.labels if label.kind != "ignore")

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, name: str) -> Label:
        for label in self.labels:
            if label.name == name:
                return label
        raise KeyError(f"no label {name!r}; there are {', '.join(self.names)}.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the labels that are found and judged."""
        return tuple(label.name for label in self)

    @property
    def values(self) -> tuple[int, ...]:
        """Values of the labels that are found and judged."""
        return tuple(label.value for label in self)

    @property
    def overlap(self) -> bool:
        """Whether a sample may have several labels."""
        return any(label.includes for label in self)

    def values_of(self, name: str) -> tuple[int, ...]:
        """The values that stand for a label in a label map: its own, then those of what it includes.

        >>> labels = LabelSet((Label("liver", 1, includes=("tumour",)), Label("tumour", 2, "thing")))
        >>> labels.values_of("liver"), labels.values_of("tumour")
        ((1, 2), (2,))
        """
        return (self[name].value, *(self[part].value for part in self.parts(name)))

    def mask(self, name: str, classes: np.ndarray) -> np.ndarray:
        """Where `name` is in a label map, with what it includes: boolean, of the shape of `classes`.

        >>> labels = LabelSet((Label("liver", 1, includes=("tumour",)), Label("tumour", 2, "thing")))
        >>> labels.mask("liver", np.array([0, 1, 2])), labels.mask("tumour", np.array([0, 1, 2]))
        (array([False,  True,  True]), array([False, False,  True]))
        """
        own, *parts = self.values_of(name)
        found = np.asarray(classes == own)
        for value in parts:  # np.isin takes 8 bytes a sample
            found |= classes == value
        return found

    def value_without(self, name: str) -> int:
        """What a sample is when it is no longer `name`: the value of the innermost label that includes it, or 0.

        >>> labels = LabelSet((Label("liver", 1, includes=("tumour",)), Label("tumour", 2, "thing")))
        >>> labels.value_without("tumour"), labels.value_without("liver")
        (1, 0)
        """
        around = [label for label in self if name in self.parts(label.name)]
        return min(around, key=lambda label: len(self.parts(label.name))).value if around else 0

    @property
    def inner_first(self) -> tuple[Label, ...]:
        """The labels that are found and judged, each before those that include it."""
        return tuple(sorted(self, key=lambda label: len(self.parts(label.name))))

    def parts(self, name: str) -> tuple[str, ...]:
        """All that a label includes, and what that includes, by name."""
        found: dict[str, None] = {}
        waiting = list(self[name].includes)
        while waiting:
            part = waiting.pop(0)
            if part not in found:
                found[part] = None
                waiting.extend(self[part].includes)
        return tuple(found)

    @property
    def ignored(self) -> tuple[int, ...]:
        """Values that mark pixels to leave out."""
        return tuple(label.value for label in self.labels if label.kind == "ignore")
