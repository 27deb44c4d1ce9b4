"""Several networks that vote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from delineate.core import Network, Output


@dataclass(frozen=True)
class Ensemble:
    """The mean of several networks' logits, dense and image-level."""

    networks: Sequence[Network]

    def __post_init__(self) -> None:
        if not self.networks:
            raise ValueError("an ensemble needs at least one network.")

    def __call__(self, pixels: np.ndarray) -> Output[np.ndarray]:
        """Mean logits; side outputs are dropped.

        Raises:
            ValueError: networks with objects, whose means are not defined, or that differ in heads.
        """
        return mean(network(pixels) for network in self.networks)


def mean(outputs: Iterable[Output[np.ndarray]]) -> Output[np.ndarray]:
    """The mean of the dense and image-level logits of several outputs, one of which is in memory at a time.

    Raises:
        ValueError: an output with objects, or outputs that differ in heads.
    """
    total: Output[np.ndarray] | None = None
    count = 0
    for output in outputs:
        if output.objects is not None:
            raise ValueError("objects cannot be averaged over flips or networks; leave these out.")
        count += 1
        if total is None:
            total = Output(dense=_float(output.dense), image=_float(output.image))
            continue
        if output.heads != total.heads:
            raise ValueError(f"networks have the heads {total.heads} and {output.heads}.")
        for sums, more in ((total.dense, output.dense), (total.image, output.image)):
            if sums is not None and more is not None:
                sums += more
    assert total is not None
    return total.map(lambda sums: sums / count)


def _float(logits: np.ndarray | None) -> np.ndarray | None:
    return None if logits is None else logits.astype(np.float32)
