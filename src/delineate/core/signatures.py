"""The signatures of networks, predictors, post-processing steps and tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from delineate.core.case import Case
from delineate.core.geometry import Geometry
from delineate.core.image import Image
from delineate.core.labels import LabelSet
from delineate.core.output import Output, Probabilities, Target
from delineate.core.segmentation import Segmentation

Network = Callable[[np.ndarray], Output[np.ndarray]]
"""(batch, channel, *spatial) float32 -> Output. A sliding window or flips wrap a network and are a network again."""

Predictor = Callable[[Case], Segmentation]
"""Case -> Segmentation. A cascade wraps predictors and is a predictor again."""

Refinement = Callable[[Segmentation, Image], Segmentation]
"""One post-processing step, on the grid of the file."""


class Task(Protocol):
    """Defines the meaning of a network's heads: converts truths to targets, and outputs to segmentations.

    `read` applies the activation on the network's grid. The probabilities are then resampled to the grid of the file,
    and `decide` applies the threshold or the argmax there.
    """

    @property
    def labels(self) -> LabelSet:
        """The labels of the recipe."""

    @property
    def heads(self) -> Mapping[str, int]:
        """The heads that the network must have: name of the head in `Output` -> its number of channels."""

    @property
    def gives(self) -> frozenset[str]:
        """The fields of `Segmentation` that this task fills: classes, probabilities, present, instances.

        If it does not fill instances, training leaves them out of the truth, which saves time.
        """

    def encode(self, truth: Segmentation) -> Target[np.ndarray]:
        """The training target of one truth, without a batch axis."""

    def read(self, output: Output[np.ndarray], grid: Geometry) -> Probabilities:
        """The probabilities of a batch of one image, on the network's grid."""

    def decide(self, probabilities: Probabilities, geometry: Geometry) -> Segmentation:
        """The segmentation for probabilities on `geometry`: threshold or argmax. Labels are decided nowhere else."""
