"""What a user does, one verb per file: each joins the floors below and writes what a user keeps."""

from delineate.verbs.check import check
from delineate.verbs.demo import demo
from delineate.verbs.evaluate import evaluate
from delineate.verbs.list_names import list_names
from delineate.verbs.predict import predict
from delineate.verbs.train import train

__all__ = ["check", "demo", "evaluate", "list_names", "predict", "train"]
