"""The mean of what a network says in several passes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from delineate.core import Output


def mean_output(outputs: Iterable[Output[np.ndarray]], over: str) -> Output[np.ndarray]:
    """The mean of the dense and image-level logits of several outputs, one of which is in memory at a time.

    Args:
        outputs: at least one, all with the same heads.
        over: the wrapper that asks, for its message.

    Raises:
        ValueError: an output with objects, which cannot be averaged.
    """
    total: Output[np.ndarray] | None = None
    count = 0
    for output in outputs:
        if output.objects is not None:
            raise ValueError(
                f"{over} average logits, and the network gives objects, which cannot be averaged. "
                f"Leave {over} out of predict."
            )
        count += 1
        if total is None:
            total = Output(dense=_float(output.dense), image=_float(output.image))
            continue
        for sums, more in ((total.dense, output.dense), (total.image, output.image)):
            if sums is not None and more is not None:
                sums += more
    assert total is not None
    for sums in total.arrays():
        sums /= count
    return total


def _float(logits: np.ndarray | None) -> np.ndarray | None:
    return None if logits is None else logits.astype(np.float32)
