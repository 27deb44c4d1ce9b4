"""Inference: Case -> Segmentation. A wrapped network is a network, and a wrapped predictor is a predictor."""

from delineate.inference.engine import EngineThread, PredictionStopped, in_turn
from delineate.inference.fingerprint import Fingerprint, Measures
from delineate.inference.predictor import CasePredictor, NotFiniteError
from delineate.inference.slices import by_slices
from delineate.inference.wrappers import wrap_network, wrap_predictor

__all__ = [
    "CasePredictor",
    "EngineThread",
    "Fingerprint",
    "Measures",
    "NotFiniteError",
    "PredictionStopped",
    "by_slices",
    "in_turn",
    "wrap_network",
    "wrap_predictor",
]
