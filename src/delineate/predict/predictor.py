"""The one path from a case to a segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from delineate.core import Case, Network, Refinement, Segmentation, Task
from delineate.metrics.expected_dice import SCORE
from delineate.predict.confidence import expected_dice
from delineate.prepare import Prepare


@dataclass(frozen=True)
class CasePredictor:
    """Case -> Segmentation on the grid of the case's image.

    Validation, evaluation, the command line and every export go through here, and nowhere else.

    keep_probabilities: leave the probabilities on the segmentation; they take four bytes a sample and label.
    temperature: what logits are divided by where the model says how good it expects its mask to be; see
        `delineate calibrate`.
    """

    prepare: Prepare
    network: Network
    task: Task
    refine: Sequence[Refinement] = ()
    keep_probabilities: bool = False
    temperature: float = 1.0

    def __call__(self, case: Case) -> Segmentation:
        """The segmentation of one case, its scores saying the Dice that the model expects of each label."""
        image = case.image
        pixels, grid = self.prepare(image)
        output = self.network(pixels[None])
        found = self.task.decode(output, grid)
        found = self.prepare.restore(found, image.geometry)
        for step in self.refine:
            found = step(found, image)
        if found.probabilities is not None:
            expected = expected_dice(found, temperature=self.temperature)
            said = {SCORE.format(label=label): dice for label, dice in expected.items()}
            found = replace(found, scores={**found.scores, **said})
        return found if self.keep_probabilities else replace(found, probabilities=None)
