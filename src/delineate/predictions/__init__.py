"""Predict a case and write its files: mask, overlay, probabilities, rows of the table and lines of the record."""

from delineate.predictions.folder import COLUMNS, TABLE, PredictionFolder
from delineate.predictions.predict_case import (
    UNLIKE,
    CasePrediction,
    Outputs,
    mask_ending,
    predict_case,
    shown,
    write_overlay,
)

__all__ = [
    "COLUMNS",
    "TABLE",
    "UNLIKE",
    "CasePrediction",
    "Outputs",
    "PredictionFolder",
    "mask_ending",
    "predict_case",
    "shown",
    "write_overlay",
]
