"""The one path from a case to a segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from delineate.core import Case, Network, Refinement, Segmentation, Task
from delineate.prepare import Prepare


@dataclass(frozen=True)
class CasePredictor:
    """Case -> Segmentation on the grid of the case's image.

    Validation, evaluation, the command line and every export go through here, and nowhere else.

    keep_probabilities: leave the probabilities on the segmentation; they take four bytes a sample and label.
    """

    prepare: Prepare
    network: Network
    task: Task
    refine: Sequence[Refinement] = ()
    keep_probabilities: bool = False

    def __call__(self, case: Case) -> Segmentation:
        """The segmentation of one case."""
        image = case.image
        pixels, grid = self.prepare(image)
        output = self.network(pixels[None])
        found = self.task.decode(output, grid)
        found = self.prepare.restore(found, image.geometry)
        for step in self.refine:
            found = step(found, image)
        return found if self.keep_probabilities else replace(found, probabilities=None)
