"""The metrics of a full evaluation."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from delineate.core import LabelSet
from delineate.metrics import Metric, full_set, load_metrics, refuse_unfit
from delineate.resolve import Call


def full_metrics(
    named: Sequence[Call], labels: LabelSet, gives: Collection[str], giver: str
) -> Mapping[str, Metric]:
    """The named metrics with their arguments, then the rest of the full set that fits.

    Args:
        named: these come first, and the first of them leads the report.
        labels: of the problem.
        gives: the parts of the segmentations, as `Task.gives`; a folder of masks gives "classes" only.
        giver: the source of the segmentations, for an error message: "the task presence".

    Raises:
        RecipeError: a named metric does not fit.
    """
    refuse_unfit(named, labels, gives, giver)
    taken = {call.name for call in named}
    rest = [call for call in full_set(labels, gives) if call.name not in taken]
    return load_metrics([*named, *rest])
