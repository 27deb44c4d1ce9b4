"""Whether an image shows a label, as predicted and in truth, for the metrics that judge whole images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from delineate.metrics import Tally
from delineate.metrics._pair import check_pair

if TYPE_CHECKING:
    from delineate.core import Segmentation


class ImageLevel(NamedTuple):
    """One label of one image; None is not known.

    truth, decided: whether the image shows it, in truth and as predicted.
    probability: that it does, in [0, 1], as the prediction states it.
    """

    truth: bool | None
    decided: bool | None
    probability: float | None


def image_level(prediction: Segmentation, truth: Segmentation) -> dict[str, ImageLevel]:
    """By name of label. A label without an image-level label is read from the masks, where the truth ignores nothing.

    Raises:
        ValueError: grids or names of labels differ, or a stated probability is none.
    """
    check_pair(prediction, truth)
    return {name: _of_label(prediction, truth, name) for name in truth.labels.names}


def _of_label(prediction: Segmentation, truth: Segmentation, name: str) -> ImageLevel:
    from delineate.core.scores import PRESENCE  # loaded by then: each side is one

    decided = prediction.present.get(name)
    if decided is None and name not in prediction.present and prediction.outlined:
        mask, valid = prediction.mask(name), truth.valid
        decided = bool((mask if valid is None else mask & valid).any())
    probability = prediction.scores.get(PRESENCE.format(label=name))
    if probability is not None and not 0 <= probability <= 1:
        raise ValueError(
            f"the prediction states {probability:.4g} as the probability that the image shows {name}; expected 0 to 1."
        )
    return ImageLevel(truth.shows(name), decided, probability)


def judge_decisions(
    prediction: Segmentation,
    truth: Segmentation,
    kind: str,
    parts: Callable[[bool, bool], Sequence[float] | np.ndarray],
) -> dict[str, float]:
    """A tally per label of the parts of (decided, truth); zeros where one of the two is not known."""
    nothing = np.zeros_like(np.asarray(parts(True, True)))
    return {
        name: Tally(
            kind,
            nothing
            if of.truth is None or of.decided is None
            else np.asarray(parts(of.decided, of.truth)),
        )
        for name, of in image_level(prediction, truth).items()
    }


def stated(
    prediction: Segmentation, truth: Segmentation
) -> Iterator[tuple[str, tuple[float, bool] | None]]:
    """Each label with its stated probability and whether it is there; None where the truth is not known.

    Raises:
        ValueError: the prediction states no probability that the image shows a label.
    """
    for name, of in image_level(prediction, truth).items():
        if of.probability is None:
            raise ValueError(
                f"the prediction does not state the probability that the image shows {name}. This metric judges "
                "image-level probabilities, which a task such as presence gives; a mask alone has none."
            )
        yield name, None if of.truth is None else (of.probability, of.truth)


def ranked(prediction: Segmentation, truth: Segmentation, kind: str) -> dict[str, float]:
    """A tally per label with the parts (known, probability, truth), which `by_level` reads."""
    return {
        name: Tally(kind, (0.0, 0.0, 0.0) if of is None else (1.0, of[0], float(of[1])))
        for name, of in stated(prediction, truth)
    }


def by_level(parts: Sequence[np.ndarray], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How often images without and with the label were drawn at each probability, rising: (resample, level) each.

    Parts are (known, probability, truth); images of equal probability share a level.
    """
    known, probability, truth = np.array(parts, np.float64).reshape(-1, 3).T
    order = np.argsort(probability, kind="stable")
    order = order[known[order] > 0]
    drawn, there = weights[:, order], truth[order] > 0
    if not order.size:
        return np.zeros((len(weights), 0)), np.zeros((len(weights), 0))
    starts = np.flatnonzero(np.diff(probability[order], prepend=-1.0))
    absent, present = (np.add.reduceat(drawn * kind, starts, axis=1) for kind in (~there, there))
    return absent, present
