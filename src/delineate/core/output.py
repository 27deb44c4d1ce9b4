"""What a network says, and the truth in the same terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Array = TypeVar("Array")
"""np.ndarray where networks run, torch.Tensor where they learn."""


@dataclass(frozen=True, eq=False)
class Output(Generic[Array]):
    """What a network says, before any activation.

    logits: (batch, channel, *spatial).
    sides: further maps of the same kind from deeper levels, for deep supervision; any resolution.
    """

    logits: Array
    sides: tuple[Array, ...] = ()


@dataclass(frozen=True, eq=False)
class Target(Generic[Array]):
    """The truth a network is taught.

    classes: (batch, *spatial), channel indices: 0 is background, then the labels in order (not their values).
    valid: (batch, *spatial), false where nothing is to be learnt; None if that is nowhere.
    """

    classes: Array
    valid: Array | None = None
