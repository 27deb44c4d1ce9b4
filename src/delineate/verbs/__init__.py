"""The commands, one per file: train, evaluate, predict and the others, for Python and for the command line."""

from delineate.verbs.calibrate import calibrate
from delineate.verbs.check import check
from delineate.verbs.compare import compare
from delineate.verbs.compare_refinements import compare_refinements
from delineate.verbs.convert import convert
from delineate.verbs.demo import demo
from delineate.verbs.ensemble import ensemble
from delineate.verbs.evaluate import evaluate
from delineate.verbs.evaluate_masks import evaluate_masks
from delineate.verbs.list_names import list_names
from delineate.verbs.predict import predict
from delineate.verbs.refine_fit import refine_fit
from delineate.verbs.rehash import rehash
from delineate.verbs.train import train

__all__ = [
    "calibrate",
    "check",
    "compare",
    "compare_refinements",
    "convert",
    "demo",
    "ensemble",
    "evaluate",
    "evaluate_masks",
    "list_names",
    "predict",
    "refine_fit",
    "rehash",
    "train",
]
