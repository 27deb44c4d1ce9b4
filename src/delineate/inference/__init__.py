"""Case -> Segmentation. Every wrapper of a network is a network, every wrapper of a predictor a predictor."""

from delineate.inference.ensemble import Ensemble
from delineate.inference.fingerprint import Fingerprint, Measures
from delineate.inference.flipped import Flipped
from delineate.inference.predictor import CasePredictor, NotFiniteError
from delineate.inference.windowed import Windowed

__all__ = [
    "CasePredictor",
    "Ensemble",
    "Fingerprint",
    "Flipped",
    "Measures",
    "NotFiniteError",
    "Windowed",
]
