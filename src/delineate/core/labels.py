"""Labels: their names, values and colours, and whether their objects are counted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from delineate.arguments import LabelValue

Kind = Literal["stuff", "thing", "ignore"]

PALETTE = ("#00c2a8", "#e4572e", "#3d6fd9", "#f2b134", "#9b5de5", "#4caf50", "#ef476f", "#8d6e63")
"""Default colours, in the order of the labels in the recipe."""

_SIDES = (("left", "right"), ("lt", "rt"), ("l", "r"))
"""Words for left and right in the names of labels."""


@dataclass(frozen=True)
class Label:
    """One structure to segment.

    kind: "thing": its objects are counted one by one (polyps). "stuff": they are not (the liver). "ignore": its
        pixels are left out of training and evaluation.
    colour: "#rrggbb", for overlays and palettes.
    code: DICOM coded term, "scheme:value:meaning", for export to SEG.
    includes: names of labels that are part of this one: the liver includes its tumours. The label is then a region
        of several values, as in nnU-Net, and `value` marks the samples that belong to none of these parts.
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
                "a label is called 'all', but that is the name of scores of the whole image; give it another name."
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
    """The labels of one recipe, in order; background is 0 and has no label.

    Iteration gives the labels that are segmented and evaluated: all except those of kind "ignore".

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
                "no label to segment was given; at least one of kind stuff or thing is needed."
            )
        for label in self:
            for name in label.includes:
                if name not in self.names:
                    raise ValueError(
                        f"label {label.name!r} includes {name!r}, which is not a label to segment; there are "
                        f"{', '.join(self.names)}."
                    )
            if label.name in self.parts(label.name):
                raise ValueError(f"label {label.name!r} includes itself, through its parts.")

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
        """Names of the labels, without those of kind "ignore"."""
        return tuple(label.name for label in self)

    @property
    def values(self) -> tuple[int, ...]:
        """Values of the labels, without those of kind "ignore"."""
        return tuple(label.value for label in self)

    @property
    def overlap(self) -> bool:
        """Whether a sample can have several labels."""
        return any(label.includes for label in self)

    def values_of(self, name: str) -> tuple[int, ...]:
        """The values of a label in a label map: its own, then those of the labels it includes.

        >>> labels = LabelSet((Label("liver", 1, includes=("tumour",)), Label("tumour", 2, "thing")))
        >>> labels.values_of("liver"), labels.values_of("tumour")
        ((1, 2), (2,))
        """
        return (self[name].value, *(self[part].value for part in self.parts(name)))

    def mask(self, name: str, classes: np.ndarray) -> np.ndarray:
        """Mask of `name` and the labels it includes: boolean, of the shape of the label map `classes`.

        >>> labels = LabelSet((Label("liver", 1, includes=("tumour",)), Label("tumour", 2, "thing")))
        >>> labels.mask("liver", np.array([0, 1, 2])), labels.mask("tumour", np.array([0, 1, 2]))
        (array([False,  True,  True]), array([False, False,  True]))
        """
        own, *parts = self.values_of(name)
        mask = np.asarray(classes == own)
        for value in parts:  # np.isin needs 8 bytes per sample
            mask |= classes == value
        return mask

    def value_without(self, name: str) -> int:
        """The value of a sample once `name` is removed: that of the innermost label that includes `name`, or 0.

        >>> labels = LabelSet((Label("liver", 1, includes=("tumour",)), Label("tumour", 2, "thing")))
        >>> labels.value_without("tumour"), labels.value_without("liver")
        (1, 0)
        """
        around = [label for label in self if name in self.parts(label.name)]
        return min(around, key=lambda label: len(self.parts(label.name))).value if around else 0

    @property
    def inner_first(self) -> tuple[Label, ...]:
        """The labels without those of kind "ignore", each before the labels that include it."""
        return tuple(sorted(self, key=lambda label: len(self.parts(label.name))))

    def parts(self, name: str) -> tuple[str, ...]:
        """Names of all labels that a label includes, directly or through its parts."""
        found: dict[str, None] = {}
        waiting = list(self[name].includes)
        while waiting:
            part = waiting.pop(0)
            if part not in found:
                found[part] = None
                waiting.extend(self[part].includes)
        return tuple(found)

    @property
    def sides(self) -> tuple[tuple[str, str], ...]:
        """Pairs of labels whose names differ in the words left and right (lt and rt, l and r) only; left first.

        >>> names = ("left_kidney", "Right kidney", "lungL", "lungR", "liver")
        >>> LabelSet(tuple(Label(name, value) for value, name in enumerate(names, start=1))).sides
        (('left_kidney', 'Right kidney'), ('lungL', 'lungR'))
        """
        known = {_words(name): name for name in self.names}
        pairs = []
        for words, name in known.items():
            for left, right in _SIDES:
                other = tuple(right if word == left else word for word in words)
                if other != words and other in known:
                    pairs.append((name, known[other]))
        return tuple(pairs)

    def partners(self, pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
        """The name of each label in `pairs` -> the name of the other label of its pair.

        Raises:
            ValueError: an unknown name, or a label that is in two pairs.
        """
        known = [label.name for label in self.labels]
        named = [name for pair in pairs for name in pair]
        for name in named:
            if name not in known:
                raise ValueError(f"swap names {name!r}; the labels are {', '.join(known)}.")
        if len(set(named)) != len(named):
            raise ValueError(f"a label stands twice in swap: {[list(pair) for pair in pairs]}.")
        return dict([*pairs, *((b, a) for a, b in pairs)])

    @property
    def ignored(self) -> tuple[int, ...]:
        """Values of the labels of kind "ignore"."""
        return tuple(label.value for label in self.labels if label.kind == "ignore")


def _words(name: str) -> tuple[str, ...]:
    """The words of a name in lower case: those of left_kidney, "Left kidney" and LeftKidney are the same."""
    boundary = r"[\W_]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"
    return tuple(word.lower() for word in re.split(boundary, name) if word)
