"""The mean of a network's outputs over several passes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from delineate.core import Output


def mean_output(outputs: Iterable[Output[np.ndarray]], over: str) -> Output[np.ndarray]:
    """The mean of the dense and image-level logits of several outputs, with one in memory at a time.

    Args:
        outputs: at least one, all with the same heads.
        over: name of the wrapper, for the message.

    Raises:
        ValueError: an output has objects, which cannot be averaged.
    """
    total: Output[np.ndarray] | None = None
    count = 0
    for output in outputs:
        if output.objects is not None:
            raise ValueError(
                f"{over} average logits, but the network has an objects head, which cannot be averaged. "
                f"Remove {over} from predict."
            )
        count += 1
        if total is None:
            total = Output(dense=_float(output.dense), image=_float(output.image))
        else:
            for sums, more in ((total.dense, output.dense), (total.image, output.image)):
                if sums is not None and more is not None:
                    sums += more
        del output  # before the next is computed
    assert total is not None
    for sums in total.arrays():
        sums /= count
    return total


def _float(logits: np.ndarray | None) -> np.ndarray | None:
    return None if logits is None else logits.astype(np.float32)
