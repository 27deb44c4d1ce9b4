"""A finding and its truth, label by label."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import ParamSpec, TypeVar

import numpy as np

from delineate.core import Label, Segmentation

P = ParamSpec("P")
R = TypeVar("R")

_forgetting: list[Callable[[], None]] = []
"""What empties each of the memories."""


def remembered(function: Callable[P, R]) -> Callable[P, R]:
    """Keep what was last returned: segmentations hash by identity, and several metrics ask for the same pair.

    So a pair must not be changed in place while it is judged.
    """
    memory = lru_cache(maxsize=1)(function)
    _forgetting.append(memory.cache_clear)
    return memory  # type: ignore[return-value]


def forget() -> None:
    """Let go of the last pair, which with its probabilities may be large.

    What metrics have in common is worked out once for a pair, and kept. A pair must not be changed in place while it is
    judged; after this it may be.
    """
    for clear in _forgetting:
        clear()


def check_pair(found: Segmentation, truth: Segmentation) -> None:
    """Refuse a pair that cannot be compared.

    Raises:
        ValueError: grids or names of labels differ.
    """
    differences = found.geometry.differences(truth.geometry)
    if differences:
        raise ValueError(
            f"found and truth lie on different grids: {'; '.join(differences)}. "
            "A finding is judged on the grid of its image."
        )
    names = truth.labels.names
    if set(found.labels.names) != set(names):
        raise ValueError(
            f"found has the labels {', '.join(found.labels.names)}, the truth {', '.join(names)}; "
            "the same names are needed on both sides."
        )


def masks(
    found: Segmentation, truth: Segmentation
) -> Iterator[tuple[Label, np.ndarray, np.ndarray]]:
    """Each label of the truth with its two masks, boolean (*spatial); what the truth ignores is in neither.

    Labels are matched by name, so the two may use different values.

    Raises:
        ValueError: grids or names of labels differ.
    """
    check_pair(found, truth)
    valid = truth.valid
    for label in truth.labels:
        here, there = found.mask(label.name), truth.mask(label.name)
        yield label, here if valid is None else here & valid, there
