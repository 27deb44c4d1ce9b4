"""Case -> Segmentation. Every wrapper of a network is a network, every wrapper of a predictor a predictor."""

from delineate.predict.ensemble import Ensemble
from delineate.predict.fingerprint import Fingerprint, Measures
from delineate.predict.flipped import Flipped
from delineate.predict.predictor import CasePredictor, NotFiniteError
from delineate.predict.windowed import Windowed

__all__ = [
    "CasePredictor",
    "Ensemble",
    "Fingerprint",
    "Flipped",
    "Measures",
    "NotFiniteError",
    "Windowed",
]
