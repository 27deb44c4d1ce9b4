"""The output of a network, the training target, and the probabilities: each has one optional field per head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar

import numpy as np

Array = TypeVar("Array")
"""torch.Tensor in training, np.ndarray in inference."""

Other = TypeVar("Other")


@dataclass(frozen=True, eq=False)
class Objects(Generic[Array]):
    """The objects of one image, one row each.

    scores: (object, label), for the labels of kind thing, in order: logits in an `Output`, probabilities in
        `Probabilities`, 0 or 1 in a `Target`.
    boxes: (object, 2, ndim), the first corner and the exclusive last corner, in samples; fractions are allowed.
    masks: (object, *window), relative to the box: along an axis of n mask samples, sample i covers the part of the
        box from i / n to (i + 1) / n.
    """

    scores: Array
    boxes: Array
    masks: Array

    def map(self, change: Callable[[Array], Other]) -> Objects[Other]:
        """The same objects with `change` applied to each array."""
        return Objects(change(self.scores), change(self.boxes), change(self.masks))


@dataclass(frozen=True, eq=False)
class Output(Generic[Array]):
    """The output of a network for a batch, before any activation. A network has one head or several.

    dense: (batch, channel, *spatial).
    sides: further dense maps from deeper levels, for deep supervision, at any resolution.
    image: (batch, channel), image-level logits.
    objects: the objects of each image of the batch.
    losses: losses that the model itself computes in training, by name, each a number. A detector needs them, because
        it samples its proposals against the truth. Empty for all other models, and in inference.
    """

    dense: Array | None = None
    sides: tuple[Array, ...] = ()
    image: Array | None = None
    objects: tuple[Objects[Array], ...] | None = None
    losses: Mapping[str, Array] = field(default_factory=dict)

    @property
    def logits(self) -> Array:
        """The dense logits.

        Raises:
            ValueError: the network has no dense head.
        """
        return _required(self, self.dense, "dense")

    @property
    def image_logits(self) -> Array:
        """The image-level logits.

        Raises:
            ValueError: the network has no image-level head.
        """
        return _required(self, self.image, "image")

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the heads that are not None."""
        return tuple(name for name in HEADS if getattr(self, name) is not None)

    def arrays(self) -> list[Array]:
        """Every array of every head."""
        arrays: list[Array] = []
        self.map(arrays.append)
        return arrays

    def map(self, change: Callable[[Array], Other]) -> Output[Other]:
        """The same output with `change` applied to each array, such as a move to a device."""
        return Output(**_mapped(self, change))


@dataclass(frozen=True, eq=False)
class Target(Generic[Array]):
    """The training target of each head of a network.

    classes: (batch, *spatial), channel indices: 0 is background, then the labels in order (not their values).
    regions: (batch, label, *spatial), 1 inside a label and 0 outside; used instead of `classes` where labels overlap.
    valid: (batch, *spatial), false for samples that the loss ignores; None if all samples count.
    image: (batch, label), 1 if the image shows the label, 0 if not, NaN if unknown.
    objects: the objects of each image of the batch.
    """

    classes: Array | None = None
    valid: Array | None = None
    regions: Array | None = None
    image: Array | None = None
    objects: tuple[Objects[Array], ...] | None = None

    def map(self, change: Callable[[Array], Other]) -> Target[Other]:
        """The same target with `change` applied to each array, such as a move to a device."""
        return Target(**_mapped(self, change))

    @staticmethod
    def stack(items: Sequence[Target[np.ndarray]]) -> Target[np.ndarray]:
        """Stack the targets of single images, which have no batch axis, to the target of a batch.

        Raises:
            ValueError: the targets differ in heads or shape.
        """
        stacked: dict[str, Any] = {}
        for name in ("classes", "regions", "image"):
            parts = [getattr(item, name) for item in items]
            if any(part is not None for part in parts):
                stacked[name] = np.stack(parts)
        if any(item.objects is not None for item in items):
            stacked["objects"] = tuple(each for item in items for each in item.objects or ())
        if any(item.valid is not None for item in items):
            shape = next(item.valid.shape for item in items if item.valid is not None)
            everywhere = np.ones(shape, dtype=bool)
            stacked["valid"] = np.stack(
                [everywhere if item.valid is None else item.valid for item in items]
            )
        return Target(**stacked)


@dataclass(frozen=True, eq=False)
class Probabilities:
    """The `Output` for one image after activation, before thresholding or argmax.

    maps: (channel, *spatial) float32, from 0 to 1. The task defines what each channel means.
    outside: the probability of each channel of `maps` outside the area the network saw, as beyond a crop.
    image: image-level probabilities, by name.
    objects: the objects; their scores and masks are probabilities, their boxes in samples of the grid of `maps`.
    unlike_training: how the image differs from the training images of the model, one description each.
    """

    maps: np.ndarray | None = None
    outside: tuple[float, ...] = ()
    image: Mapping[str, float] = field(default_factory=dict)
    objects: Objects[np.ndarray] | None = None
    unlike_training: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        channels = 0 if self.maps is None else len(self.maps)
        if len(self.outside) != channels:
            raise ValueError(
                f"outside has {len(self.outside)} values for {channels} maps; expected one each."
            )


HEADS = ("dense", "image", "objects")
"""The heads a network can have, by their names in `Output`."""


def _required(output: Output[Array], head: Array | None, name: str) -> Array:
    if head is None:
        raise ValueError(
            f"the network has no {name} head; it has {', '.join(output.heads) or 'none'}."
        )
    return head


def _mapped(item: Any, change: Callable[[Any], Any]) -> dict[str, Any]:
    """The fields of an Output or Target, each array in them changed."""
    return {f.name: _changed(getattr(item, f.name), change) for f in fields(item)}


def _changed(value: Any, change: Callable[[Any], Any]) -> Any:
    # not a function inside `_mapped`: one that calls itself would keep `change`, and its arrays, until the next
    # collection of cycles
    if value is None:
        return None
    if isinstance(value, tuple):
        return tuple(_changed(part, change) for part in value)
    if isinstance(value, Mapping):
        return {name: _changed(part, change) for name, part in value.items()}
    return value.map(change) if isinstance(value, Objects) else change(value)
