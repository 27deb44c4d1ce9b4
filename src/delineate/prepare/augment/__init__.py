"""Pixels and label map -> the same, varied; together, and seeded. One augmentation per file."""

from delineate.prepare.augment._augment import Augment, case_rng, load_augment
from delineate.prepare.augment._part import Augmentation, Curve, Filter, Mix, Warp

__all__ = [
    "Augment",
    "Augmentation",
    "Curve",
    "Filter",
    "Mix",
    "Warp",
    "case_rng",
    "load_augment",
]
