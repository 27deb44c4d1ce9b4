"""Grids that are unlike the others, or not what they seem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from delineate.audit._case_facts import CaseFacts
from delineate.audit._finding import Finding, Level, finding
from delineate.core import LabelSet
from delineate.files.nifti import SAME_PLACE, TWO_PLACES
from delineate.words import counted

FINDS: Mapping[str, Level] = {
    "spacing_outliers": "warn",
    "sheared_grid": "warn",
    "two_affines": "warn",
}

FAR = 3.0
"""How many times the middle one a spacing may be, or how small a part of it."""

SQUARE = 1e-3
"""Largest cosine between axes that are taken to be at right angles."""


def grids(cases: Sequence[CaseFacts], labels: LabelSet) -> list[Finding]:
    """Spacings far from the others, axes not at right angles, and NIfTI files whose two affines disagree."""
    grids = [(c.id, c.image) for c in cases if c.image]
    # Coarsest first: axes run differently from file to file, and the slice direction is what differs most.
    steps = {
        id: tuple(sorted(image.spacing, reverse=True)) for id, image in grids if image.unit == "mm"
    }
    far = []
    for ndim in sorted({len(step) for step in steps.values()}):
        alike = {id: step for id, step in steps.items() if len(step) == ndim}
        middle = np.median(list(alike.values()), axis=0)
        far += [
            ((id,), " x ".join(f"{s:.3g}" for s in step) + " mm")
            for id, step in alike.items()
            if np.abs(np.log(np.array(step) / middle)).max() > np.log(FAR)
        ]
    return [
        *finding(
            FINDS,
            "spacing_outliers",
            far,
            lambda n: (
                f"spacing of {counted(n, 'image')} more than {FAR:g} times off the middle of all"
            ),
            "Begin prepare with resample, and check the unit they were written in.",
        ),
        *finding(
            FINDS,
            "sheared_grid",
            [((id,), f"cosine {image.skew:.3g}") for id, image in grids if image.skew > SQUARE],
            lambda n: f"axes of {counted(n, 'image')} are not at right angles",
            "Distances are measured as if they were. Resample to a rectangular grid; was the gantry tilted?",
        ),
        *finding(
            FINDS,
            "two_affines",
            [
                ((c.id,), f"up to {c.two_places:.3g} samples apart")
                for c in cases
                if c.two_places > SAME_PLACE
            ],
            lambda n: f"sform and qform disagree in the files of {counted(n, 'case')}",
            TWO_PLACES,
        ),
    ]
