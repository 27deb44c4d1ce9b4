"""Sizes of a label in the truth and as predicted, in a unit that is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from delineate.evaluation.table.row import Row

READ = {"mm³": ("ml", 1e-3), "mm²": ("cm²", 1e-2)}
"""The unit in which sizes are reported, and its factor; sizes in pixels are not reported."""


class Sizes(NamedTuple):
    """Sizes of one label, a case each: volumes in ml, or areas in cm².

    rows: the cases in which the truth or the prediction holds the label.
    """

    unit: str
    rows: tuple[Row, ...]
    prediction: np.ndarray
    truth: np.ndarray


def sizes(rows: Sequence[Row]) -> Sizes | None:
    """The sizes of the rows of one label; None if no case has both in mm, or units differ.

    Cases in which both masks are empty are left out: their agreement says nothing of a measurement.
    """
    known = [
        row
        for row in rows
        if row.prediction_size is not None
        and row.truth_size is not None
        and (row.prediction_size or row.truth_size)
    ]
    units = {row.unit for row in known}
    if len(units) != 1 or not units <= READ.keys():
        return None
    unit, factor = READ[units.pop()]
    found, true = (
        np.array([getattr(row, name) for row in known], float) * factor
        for name in ("prediction_size", "truth_size")
    )
    return Sizes(unit, tuple(known), found, true)
