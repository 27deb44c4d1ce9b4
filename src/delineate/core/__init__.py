"""The types everything else is written in. NumPy only; every dataclass is frozen."""

from delineate.core.case import Case, Splits
from delineate.core.geometry import Geometry
from delineate.core.image import Image
from delineate.core.labels import Label, LabelSet
from delineate.core.output import HEADS, Objects, Output, Probabilities, Target
from delineate.core.segmentation import Instance, Segmentation
from delineate.core.signatures import Network, Predictor, Refinement, Task

__all__ = [
    "HEADS",
    "Case",
    "Geometry",
    "Image",
    "Instance",
    "Label",
    "LabelSet",
    "Network",
    "Objects",
    "Output",
    "Predictor",
    "Probabilities",
    "Refinement",
    "Segmentation",
    "Splits",
    "Target",
    "Task",
]
