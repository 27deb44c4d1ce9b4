"""Ensemble of several models."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from annotated_types import Len

from delineate.arguments import BundlePath
from delineate.core import Case, Probabilities
from delineate.inference.predictor import CasePredictor


def ensemble(
    predictor: CasePredictor,
    bundles: Annotated[list[BundlePath], Len(1, 100)],
    load: Callable[[str], CasePredictor],
) -> CasePredictor:
    """Average the probabilities of this model and of other models, on the grid of the file.

    Members may differ in architecture and preparation. They must have the same task, and the same labels in the same
    order. They run one after the other, each with its own wrappers. The task and the refinements of this model then
    turn the mean into the prediction.

    Args:
        predictor: this model.
        bundles: folders of the other members, bundles or runs; each member has the same weight.
        load: loads the predictor of a bundle.
    """
    members = []
    for path in bundles:
        member = load(path)
        _refuse_another_problem(predictor, member, path)
        members.append(member)
    if "objects" in predictor.task.heads:
        raise ValueError(
            "an ensemble averages probabilities, and objects cannot be averaged. Remove ensemble from predict."
        )
    return replace(predictor, source=MeanProbabilities((predictor, *members)))


@dataclass(frozen=True)
class MeanProbabilities:
    """Case -> the mean of the probabilities of several predictors, which run one after the other."""

    members: tuple[CasePredictor, ...]

    def __call__(self, case: Case) -> Probabilities:
        """The mean on the grid of the file, with the differences from the training images of every member."""
        return mean(member.probabilities(case) for member in self.members)


def mean(parts: Iterable[Probabilities]) -> Probabilities:
    """The mean of dense maps and image-level probabilities; one part and the running sum are in memory at a time."""
    first: Probabilities | None = None
    total: np.ndarray | None = None
    image: dict[str, float] = {}
    unlike: dict[str, None] = {}
    count = 0
    for part in parts:
        count += 1
        unlike |= dict.fromkeys(part.unlike_training)
        for name, probability in part.image.items():
            image[name] = image.get(name, 0.0) + probability
        if first is None:
            first = replace(part, maps=None, outside=())
            outside = part.outside
            total = None if part.maps is None else part.maps.astype(np.float32)
        elif total is not None and part.maps is not None:
            total += part.maps
        del part  # before the next is computed
    assert first is not None
    if total is not None:
        total /= count
    return replace(
        first,
        maps=total,
        outside=outside,
        image={name: probability / count for name, probability in image.items()},
        unlike_training=tuple(unlike),
    )


def _refuse_another_problem(ours: CasePredictor, other: CasePredictor, path: str) -> None:
    """Refuse a member with another task or other labels."""
    tasks = [f"{type(p.task).__name__.lower()} {dict(p.task.heads)}" for p in (ours, other)]
    labels = [
        ", ".join(
            f"{label.name}: {label.value}"
            + (f" with {' and '.join(label.includes)}" if label.includes else "")
            for label in p.labels
        )
        for p in (ours, other)
    ]
    for what, (here, there) in {"the task": tasks, "the labels": labels}.items():
        if here != there:
            raise ValueError(
                f"the member {path} has {what} {there}, but the first model has {here}. Members of an ensemble must "
                "have the same task, and the same labels in the same order."
            )
