"""The one path from a case to a segmentation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    """The prepared image or the network's output contains NaN or infinity, so there is no prediction."""


@dataclass(frozen=True)
class CasePredictor:
    """Case -> Segmentation on the grid of the case's image.

    Validation, evaluation, the command line and every export predict with this class.

    keep_probabilities: keep the probabilities on the segmentation; they take four bytes per sample and label.
    fingerprint: of the training images; `Segmentation.unlike_training` lists how an image differs from them.
    temperature: divisor of the logits in the expected Dice and in the image-level probabilities, as fitted by
        `delineate calibrate`. It changes no decision.
    source: computes the probabilities of a case instead of the network; set by a wrapper of predictors, for instance
        `ensemble`.
    origin: loads the same predictor again, also in another process. Pickling a predictor pickles its origin. None for
        a predictor built in memory, or by `dataclasses.replace` from another one.

    Several threads may call one predictor at the same time, if its network and its refinements allow it.
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
                "this predictor was built in memory and cannot be pickled; a predictor from load_bundle can. "
                "Save it as a bundle, and load the bundle where it is needed."
            )
        return self.origin, ()

    @property
    def labels(self) -> LabelSet:
        """The labels of the task."""
        return self.task.labels

    def __call__(self, case: Case) -> Segmentation:
        """Predict one case. The scores of the segmentation contain the expected Dice of each label.

        Raises:
            ValueError: the image cannot be prepared; the message names the case.
            NotFiniteError: the prepared pixels or the network's output are not all finite.
        """
        (prediction,) = self.in_stages(case, [self.refine])
        return prediction

    def in_stages(
        self, case: Case, stages: Iterable[Sequence[Refinement]]
    ) -> Iterator[Segmentation]:
        """The predictions of one case, refined by the steps of each stage; the network is called once.

        A stage that begins with the steps of the stage before it continues from its result. The predictor's own
        `refine` is not used. Only the last stage is in memory.

        Raises:
            ValueError, NotFiniteError: as calling the predictor.
        """
        image = case.image
        held = replace(
            case, load_image=partial(_same, image)
        )  # `case.image` reads the file each time
        yield from self._decide(self.probabilities(held), image, stages)

    def probabilities(self, case: Case) -> Probabilities:
        """The probabilities of one case on the grid of its file, before `decide`.

        Raises:
            ValueError, NotFiniteError: as calling the predictor.
        """
        if self.source is not None:
            return self.source(case)
        image = case.image
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # the check below reports it
                pixels, grid = self.prepare(image)
        except ValueError as error:
            raise ValueError(f"{case.id}: {error}") from error
        if not np.isfinite(pixels).all():
            low, high = image.pixels.min(), image.pixels.max()
            raise NotFiniteError(
                f"{case.id}: the prepared image contains NaN, infinity or values too large for float32; "
                f"the values in the file go from {low:.4g} to {high:.4g}. Export it again."
            )
        unlike: tuple[str, ...] = ()
        if self.fingerprint is not None:
            unlike = self.fingerprint.differences(Measures.of(image, pixels, grid))
        output = self.network(pixels[None])
        if not all(_is_finite(array) for array in output.arrays()):
            raise NotFiniteError(
                f"{case.id}: the network's output contains NaN or infinity. Its weights are damaged, or the values of "
                f"the prepared image ({pixels.min():.4g} to {pixels.max():.4g}) are far from those it was trained on."
            )
        del pixels
        read = [self.task.read(output, grid)]
        del output  # of a volume, logits and probabilities take most of the memory
        probabilities = self.prepare.restore(read.pop(), image.geometry)
        return replace(probabilities, unlike_training=unlike)

    def decide(self, probabilities: Probabilities, image: Image) -> Segmentation:
        """Decide the labels from probabilities on the grid of the image, and refine the result."""
        stages = self._decide(probabilities, image, [self.refine])
        del probabilities  # of a volume they are large
        (prediction,) = stages
        return prediction

    def _decide(
        self, probabilities: Probabilities, image: Image, stages: Iterable[Sequence[Refinement]]
    ) -> Iterator[Segmentation]:
        unlike = probabilities.unlike_training
        decided = refined = self.task.decide(probabilities, image.geometry)
        del probabilities
        done: Sequence[Refinement] = ()
        for steps in stages:
            if [*map(id, steps[: len(done)])] != [*map(id, done)]:
                refined, done = decided, ()
            for step in steps[len(done) :]:
                refined = step(refined, image)
            done = steps
            yield self._finished(refined, decided, unlike)

    def _finished(
        self, prediction: Segmentation, decided: Segmentation, unlike: tuple[str, ...]
    ) -> Segmentation:
        """A refined prediction, with the scores of the confidence."""
        before_refinement = decided.probabilities
        if before_refinement is not None:  # a refinement must not change the confidence
            unrefined = replace(prediction, probabilities=before_refinement)
            expected = expected_dice(unrefined, temperature=self.temperature)
            scores = {EXPECTED_DICE.format(label=label): dice for label, dice in expected.items()}
            prediction = replace(prediction, scores={**prediction.scores, **scores})
        if prediction.present:  # decided before: the temperature changes no decision
            scores = _with_temperature(prediction.scores, self.temperature)
            prediction = replace(prediction, scores=scores)
        prediction = replace(prediction, unlike_training=unlike)
        return prediction if self.keep_probabilities else replace(prediction, probabilities=None)


def _is_finite(array: np.ndarray) -> bool:
    """Whether all values are finite; (batch, channel, ...), channel by channel."""
    return all(np.isfinite(part).all() for item in array for part in item)


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
