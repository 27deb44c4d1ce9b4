"""Segmentation <-> Target, Output, Probabilities: what the heads of a network mean. One task per file."""

from delineate.core import LabelSet, Task
from delineate.resolve import Call, build

__all__ = ["load_task"]


def load_task(call: Call, labels: LabelSet) -> Task:
    """The task a recipe names."""
    task: Task = build("tasks", call, labels=labels)
    return task
