"""The one path from a case to a segmentation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from delineate.core import (
    Case,
    Image,
    LabelSet,
    Network,
    Probabilities,
    Refinement,
    Segmentation,
    Task,
)
from delineate.core.scores import EXPECTED_DICE, PRESENCE
from delineate.inference.confidence import expected_dice
from delineate.inference.fingerprint import Fingerprint, Measures
from delineate.prepare import Prepare


class NotFiniteError(ValueError):
    """Values on the way from a case to its segmentation are NaN or infinite, so nothing can be said of it."""


@dataclass(frozen=True)
class CasePredictor:
    """Case -> Segmentation on the grid of the case's image.

    Validation, evaluation, the command line and every export go through here, and nowhere else.

    keep_probabilities: leave the probabilities on the segmentation; they take four bytes a sample and label.
    fingerprint: of the training images; a segmentation says how its image differs from them.
    temperature: what logits are divided by where the model says how good it expects its mask to be, or how probable it
        is that an image shows a label; it changes no decision. See `delineate calibrate`.
    source: gives the probabilities of a case in place of the network alone: what a wrapper of predictors sets, which
        asks several predictors, or asks one about part of the image.
    origin: loads the same predictor again, in another process too; None for one that was put together in memory, and
        for what `replace` makes of another one. Pickling a predictor pickles its origin.

    Several threads may call one predictor at once, as far as its network and its refinements allow.
    """

    prepare: Prepare
    network: Network
    task: Task
    refine: Sequence[Refinement] = ()
    keep_probabilities: bool = False
    temperature: float = 1.0
    fingerprint: Fingerprint | None = None
    source: Callable[[Case], Probabilities] | None = None
    origin: Callable[[], CasePredictor] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def __reduce__(self) -> tuple[Callable[[], CasePredictor], tuple[()]]:
        if self.origin is None:
            raise TypeError(
                "this predictor was put together in memory and cannot be pickled. Save it as a bundle, and load the "
                "bundle where it is needed; a predictor that load_bundle gave can be pickled."
            )
        return self.origin, ()

    @property
    def labels(self) -> LabelSet:
        """What is delineated."""
        return self.task.labels

    def __call__(self, case: Case) -> Segmentation:
        """The segmentation of one case, its scores saying the Dice that the model expects of each label.

        Raises:
            ValueError: the image cannot be prepared; with the id of the case.
            NotFiniteError: its prepared pixels, or what the network says of them, are not all finite.
        """
        image = case.image
        held = replace(case, load_image=partial(_same, image))  # a case reads its file each time
        return self.decide(self.probabilities(held), image)

    def probabilities(self, case: Case) -> Probabilities:
        """What the model says of one case, on the grid of its file; nothing is decided yet.

        Raises:
            ValueError, NotFiniteError: as calling the predictor.
        """
        if self.source is not None:
            return self.source(case)
        image = case.image
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # told below, by name
                pixels, grid = self.prepare(image)
        except ValueError as error:
            raise ValueError(f"{case.id}: {error}") from error
        if not np.isfinite(pixels).all():
            low, high = image.pixels.min(), image.pixels.max()
            raise NotFiniteError(
                f"{case.id}: holds values that are NaN or infinite when prepared, or too large for float32; "
                f"in the file they go from {low:.4g} to {high:.4g}. Export it again."
            )
        unlike: tuple[str, ...] = ()
        if self.fingerprint is not None:
            unlike = self.fingerprint.differences(Measures.of(image, pixels, grid))
        output = self.network(pixels[None])
        if not all(np.isfinite(array).all() for array in output.arrays()):
            raise NotFiniteError(
                f"{case.id}: the network answers NaN or infinity. Its weights are damaged, or the values of the image "
                f"(prepared {pixels.min():.4g} to {pixels.max():.4g}) are far from those it was trained on."
            )
        probabilities = self.prepare.restore(self.task.read(output, grid), image.geometry)
        return replace(probabilities, unlike_training=unlike)

    def decide(self, probabilities: Probabilities, image: Image) -> Segmentation:
        """The segmentation that probabilities on the grid of the image amount to, refined."""
        found = self.task.decide(probabilities, image.geometry)
        said_by_network = found.probabilities
        for step in self.refine:
            found = step(found, image)
        if said_by_network is not None:  # a refinement is no opinion of the network's
            judged = replace(found, probabilities=said_by_network)
            expected = expected_dice(judged, temperature=self.temperature)
            said = {EXPECTED_DICE.format(label=label): dice for label, dice in expected.items()}
            found = replace(found, scores={**found.scores, **said})
        if found.present:  # decided above: a temperature changes no decision
            found = replace(found, scores=_with_temperature(found.scores, self.temperature))
        found = replace(found, unlike_training=probabilities.unlike_training)
        return found if self.keep_probabilities else replace(found, probabilities=None)


def _same(image: Image) -> Image:
    return image


def _with_temperature(scores: Mapping[str, float], temperature: float) -> dict[str, float]:
    """The scores, with the logits of the image-level probabilities divided by a temperature."""
    start = PRESENCE.partition("{")[0]
    return {
        name: _scaled(score, temperature) if name.startswith(start) else score
        for name, score in scores.items()
    }


def _scaled(probability: float, temperature: float) -> float:
    if not 0 < probability < 1 or temperature == 1:
        return probability
    logit = math.log(probability) - math.log1p(-probability)
    return 0.5 + 0.5 * math.tanh(0.5 * logit / temperature)
