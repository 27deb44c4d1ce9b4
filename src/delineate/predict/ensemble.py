"""Several networks that vote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from delineate.core import Network, Output


@dataclass(frozen=True)
class Ensemble:
    """The mean of several networks' logits."""

    networks: Sequence[Network]

    def __post_init__(self) -> None:
        if not self.networks:
            raise ValueError("an ensemble needs at least one network.")

    def __call__(self, pixels: np.ndarray) -> Output[np.ndarray]:
        """Logits of the mean; side outputs are dropped."""
        total = self.networks[0](pixels).logits.astype(np.float32)
        for network in self.networks[1:]:
            total = total + network(pixels).logits
        return Output(total / len(self.networks))
