"""The signatures that carry all composition."""

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
"""(batch, channel, *spatial) float32 -> Output. Windows, flips and ensembles wrap a network and are one."""

Predictor = Callable[[Case], Segmentation]
"""A cascade, a focus, slice by slice: each wraps predictors and is one."""

Refinement = Callable[[Segmentation, Image], Segmentation]
"""One post-processing step, on the grid of the image."""


class Task(Protocol):
    """What the heads of a network mean: truth into targets, outputs into segmentations.

    Nothing else decides what is where: `read` and `decide` are the two halves of it, and between them
    probabilities go home to the grid of the file.
    """

    @property
    def labels(self) -> LabelSet:
        """The labels of the problem."""

    @property
    def heads(self) -> Mapping[str, int]:
        """The heads that a network needs, by their names in `Output`, with the number of channels of each."""

    @property
    def gives(self) -> frozenset[str]:
        """What its segmentations hold, by the names of `Segmentation`: classes, probabilities, present, instances.

        A task that gives no instances learns from none: training leaves them out of the truth, which saves their time.
        """

    def encode(self, truth: Segmentation) -> Target[np.ndarray]:
        """The truth in the network's terms, without a batch axis."""

    def read(self, output: Output[np.ndarray], grid: Geometry) -> Probabilities:
        """What a batch of one says, activated, on the network's grid."""

    def decide(self, probabilities: Probabilities, geometry: Geometry) -> Segmentation:
        """The segmentation that probabilities on `geometry` amount to; the only place where a label is decided."""
