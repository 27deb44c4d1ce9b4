"""The probabilities of a finding beside its truth, label by label."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from delineate.core import Label, Segmentation
from delineate.metrics._pair import check_pair, remembered

SLACK = 1e-3
"""How far beyond 0 and 1 interpolation and half precision may carry a probability."""


def probabilities(
    found: Segmentation, truth: Segmentation, where: np.ndarray | None = None
) -> Iterator[tuple[Label, np.ndarray, np.ndarray]]:
    """Each label of the truth with its probability (sample,) float32 and whether it is there (sample,) bool.

    The samples are those of `where` (*spatial), or all that the truth does not ignore. Labels are matched by name.

    Raises:
        ValueError: grids or names of labels differ, or `found` has no probabilities that could be such.
    """
    check_pair(found, truth)
    values = checked(found)
    where = truth.valid if where is None else where
    names = found.labels.names
    for label in truth.labels:
        given, there = values[1 + names.index(label.name)], truth.mask(label.name)
        if where is None:
            yield label, given.ravel(), there.ravel()
        else:
            yield label, given[where], there[where]


@remembered  # every metric of probabilities asks for the same
def checked(found: Segmentation) -> np.ndarray:
    """The probabilities of a finding, (1 + label, *spatial) float32, in [0, 1].

    Raises:
        ValueError: it has none, or they are no probabilities.
    """
    if found.probabilities is None:
        raise ValueError(
            "this metric needs probabilities, and the finding has none: it is judged where a model predicts "
            "and keeps them, not where masks alone are read."
        )
    values = found.probabilities.astype(np.float32, copy=False)
    low, high = values.min(), values.max()
    if not (low >= -SLACK and high <= 1 + SLACK):
        raise ValueError(
            f"the probabilities reach from {low:.4g} to {high:.4g}; expected 0 to 1. Are they logits?"
        )
    return values if low >= 0 and high <= 1 else values.clip(0, 1)
