"""What a network says, the truth in the same terms, and what is read from it: each a set of optional heads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar

import numpy as np

Array = TypeVar("Array")
"""np.ndarray where networks run, torch.Tensor where they learn."""

Other = TypeVar("Other")


@dataclass(frozen=True, eq=False)
class Objects(Generic[Array]):
    """The objects of one image, one row each.

    scores: (object, label), for the labels of kind thing, in order: logits in an `Output`, probabilities in
        `Probabilities`, 0 or 1 in a `Target`.
    boxes: (object, 2, ndim), the first corner and the corner past the last, in samples; fractions are allowed.
    masks: (object, *window), relative to the box: sample i of n stands for the n-th part of the box from i / n on.
    """

    scores: Array
    boxes: Array
    masks: Array

    def map(self, change: Callable[[Array], Other]) -> Objects[Other]:
        """The same objects, each array changed."""
        return Objects(change(self.scores), change(self.boxes), change(self.masks))


@dataclass(frozen=True, eq=False)
class Output(Generic[Array]):
    """What a network says of a batch, before any activation. A network has one head or several.

    dense: (batch, channel, *spatial).
    sides: further dense maps from deeper levels, for deep supervision; any resolution.
    image: (batch, channel), about the image as a whole.
    objects: for each image of the batch its objects.
    losses: losses that the model computes itself while it learns, by name, each a number; a detector needs them,
        since it samples its proposals against the truth. Empty in every other model, and while predicting.
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
        return _there(self, self.dense, "dense")

    @property
    def image_logits(self) -> Array:
        """The image-level logits.

        Raises:
            ValueError: the network has no image-level head.
        """
        return _there(self, self.image, "image")

    @property
    def heads(self) -> tuple[str, ...]:
        """The names of the heads that are there."""
        return tuple(name for name in HEADS if getattr(self, name) is not None)

    def arrays(self) -> list[Array]:
        """Every array of every head."""
        found: list[Array] = []
        self.map(found.append)
        return found

    def map(self, change: Callable[[Array], Other]) -> Output[Other]:
        """The same heads, each array changed: moved to a device, converted."""
        return Output(**_mapped(self, change))


@dataclass(frozen=True, eq=False)
class Target(Generic[Array]):
    """The truth a network is taught, in the terms of its heads.

    classes: (batch, *spatial), channel indices: 0 is background, then the labels in order (not their values).
    regions: (batch, label, *spatial), 1 where a label is and 0 elsewhere; in place of `classes` where labels overlap.
    valid: (batch, *spatial), false where nothing is to be learnt; None if that is nowhere.
    image: (batch, label), 1 where an image shows a label, 0 where not, NaN where that is not known.
    objects: for each image of the batch its objects.
    """

    classes: Array | None = None
    valid: Array | None = None
    regions: Array | None = None
    image: Array | None = None
    objects: tuple[Objects[Array], ...] | None = None

    def map(self, change: Callable[[Array], Other]) -> Target[Other]:
        """The same truth, each array changed: moved to a device, converted."""
        return Target(**_mapped(self, change))

    @staticmethod
    def stack(items: Sequence[Target[np.ndarray]]) -> Target[np.ndarray]:
        """The targets of single images, which have no batch axis, as those of one batch.

        Raises:
            ValueError: they differ in heads or shape.
        """
        found: dict[str, Any] = {}
        for name in ("classes", "regions", "image"):
            parts = [getattr(item, name) for item in items]
            if any(part is not None for part in parts):
                found[name] = np.stack(parts)
        if any(item.objects is not None for item in items):
            found["objects"] = tuple(each for item in items for each in item.objects or ())
        if any(item.valid is not None for item in items):
            shape = next(item.valid.shape for item in items if item.valid is not None)
            everywhere = np.ones(shape, dtype=bool)
            found["valid"] = np.stack(
                [everywhere if item.valid is None else item.valid for item in items]
            )
        return Target(**found)


@dataclass(frozen=True, eq=False)
class Probabilities:
    """What an `Output` says of one image after activation, still continuous: nothing is decided yet.

    maps: (channel, *spatial) float32, from 0 to 1; what a channel means, the task that made them knows.
    outside: for each channel of `maps` its probability where the network did not look, as beyond a crop.
    image: image-level probabilities, by name.
    objects: with probabilities as scores and masks, and boxes in samples of the grid at hand.
    unlike_training: how the image differs from the training images of the model that says this, in words.
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


def _there(output: Output[Array], head: Array | None, name: str) -> Array:
    if head is None:
        raise ValueError(
            f"the network has no {name} head; it has {', '.join(output.heads) or 'none'}."
        )
    return head


def _mapped(item: Any, change: Callable[[Any], Any]) -> dict[str, Any]:
    """The fields of an Output or Target, each array in them changed."""

    def changed(value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, tuple):
            return tuple(changed(part) for part in value)
        if isinstance(value, Mapping):
            return {name: changed(part) for name, part in value.items()}
        return value.map(change) if isinstance(value, Objects) else change(value)

    return {f.name: changed(getattr(item, f.name)) for f in fields(item)}
