"""Expected calibration error of the likeliest class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Le

from delineate.arguments import Count, NonNegative
from delineate.metrics import Empty, traits
from delineate.metrics._calibration import calibration_error, near_truth, reliability
from delineate.metrics._pair import checked, in_range, parts, same_layout

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="ECE of the top class",
    meaning="As ECE, for the probability of the most probable class (top-label ECE).",
    family="calibration",
    needs=frozenset({"classes", "probabilities"}),
    exclusive=True,
    place=210,
    pooled=calibration_error,
    lower_is_better=True,
    empty=Empty(
        truth=None, prediction="scored", both=None, note="scored where the truth has another label"
    ),
)
def ece_top(
    prediction: Segmentation,
    truth: Segmentation,
    *,
    bins: Annotated[Count, Le(10_000)] = 15,
    margin: NonNegative | None = 10.0,
) -> dict[str, float]:
    """Gap between the probability of the most probable class and how often it is right: one number, under "all".

    Background is a class (Guo et al., ICML 2017: "confidence"). `ece` instead uses each label's own probability;
    `margin` is as there.

    Raises:
        ValueError: labels include others, so that a sample has several.
    """
    if truth.labels.overlap:
        raise ValueError(
            "ece_top needs labels that exclude each other, and here labels include others. Use ece, which treats each "
            "label on its own."
        )
    return {
        "all": reliability(_likeliest(*same_layout(prediction, truth), margin), bins, "ece_top")
    }


def _likeliest(
    prediction: Segmentation, truth: Segmentation, margin: float | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The probability of the most probable class, and whether it is right, in chunks."""
    near, values = near_truth(truth, margin), checked(prediction)
    labels = [truth.labels[name].value for name in prediction.labels.names]
    for part in parts(truth.classes.shape):
        where = near[part]
        if not where.any():
            continue
        likely = in_range(values[(slice(None), *part)][:, where])
        top = likely.argmax(axis=0)
        classes = truth.classes[part][where]
        right = (top == 0) & ~np.isin(classes, labels)
        for place, value in enumerate(labels, start=1):
            right |= (top == place) & (classes == value)
        yield likely.max(axis=0), right
