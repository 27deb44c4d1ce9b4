"""Tasks: Segmentation -> Target for training, Output -> Probabilities -> Segmentation after it. One per file."""

from delineate.core import LabelSet, Task
from delineate.resolve import Call, build

__all__ = ["load_task"]


def load_task(call: Call, labels: LabelSet) -> Task:
    """Build the task that a recipe names."""
    task: Task = build("tasks", call, labels=labels)
    return task
