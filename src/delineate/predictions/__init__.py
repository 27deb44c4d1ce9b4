"""Predict cases and write their files: mask, overlay, probabilities, rows of the table and lines of the record."""

from delineate.predictions.folder import COLUMNS, TABLE, PredictionFolder
from delineate.predictions.predict_case import (
    UNLIKE,
    CasePrediction,
    Outputs,
    finished_case,
    mask_ending,
    predict_case,
    shown,
    write_overlay,
)
from delineate.predictions.predict_cases import predict_cases

__all__ = [
    "COLUMNS",
    "TABLE",
    "UNLIKE",
    "CasePrediction",
    "Outputs",
    "PredictionFolder",
    "finished_case",
    "mask_ending",
    "predict_case",
    "predict_cases",
    "shown",
    "write_overlay",
]
