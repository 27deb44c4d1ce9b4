"""The signatures that carry all composition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from delineate.core.case import Case
from delineate.core.geometry import Geometry
from delineate.core.image import Image
from delineate.core.output import Output, Target
from delineate.core.segmentation import Segmentation

Network = Callable[[np.ndarray], Output[np.ndarray]]
"""(batch, channel, *spatial) float32 -> Output. Windows, flips and ensembles wrap a network and are one."""

Predictor = Callable[[Case], Segmentation]
"""A cascade, a focus, slice by slice: each wraps predictors and is one."""

Refinement = Callable[[Segmentation, Image], Segmentation]
"""One post-processing step, on the grid of the image."""


class Task(Protocol):
    """A codec between segmentations and what a network says."""

    @property
    def channels(self) -> int:
        """Number of channels of the logits."""

    def encode(self, truth: Segmentation) -> Target[np.ndarray]:
        """The truth in the network's terms, without a batch axis."""

    def decode(self, output: Output[np.ndarray], grid: Geometry) -> Segmentation:
        """The segmentation that a batch of one says, with its probabilities, on `grid`."""
