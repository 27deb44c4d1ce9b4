"""How sure a model was, and how often it was right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import numpy as np
from annotated_types import Le

from delineate.arguments import Count
from delineate.evaluation.metrics._tally import Tally

Bins = Annotated[Count, Le(10_000)]


def reliability(samples: Iterable[tuple[np.ndarray, np.ndarray]], bins: int) -> Tally:
    """The expected calibration error in `bins` equal parts of 0 to 1, each with its lower end.

    Samples come some at a time: their confidence (sample,) and whether they are correct (sample,), boolean.

    Its tally holds (3, bins): samples, sum of confidence, samples that are correct. Summed over cases, the second
    and third row over the first are the reliability diagram.

    Raises:
        ValueError: fewer than one bin.
    """
    if bins < 1:
        raise ValueError(f"bins is {bins}; expected at least 1 (15 is usual).")
    parts = np.zeros((3, bins))
    for confidence, correct in samples:
        place = np.minimum((confidence * bins).astype(np.intp), bins - 1)
        parts += (
            np.bincount(place, minlength=bins),
            np.bincount(place, weights=confidence, minlength=bins),
            np.bincount(place[correct], minlength=bins),
        )
    return Tally("calibration", parts)
