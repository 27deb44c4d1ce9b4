"""The metrics of a full judgement."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from delineate.core import LabelSet
from delineate.metrics import Metric, full_set, load_metrics, refuse_unfit
from delineate.resolve import Call


def full_metrics(
    named: Sequence[Call], labels: LabelSet, gives: Collection[str], giver: str
) -> Mapping[str, Metric]:
    """The metrics that are named, as they are named, then the rest of the full set that fits.

    Args:
        named: these come first, and the very first leads.
        labels: of the problem.
        gives: the parts that segmentations hold, as `Task.gives`; masks alone are label maps.
        giver: who gives them, for a message: "the task presence".

    Raises:
        RecipeError: one that is named does not fit.
    """
    refuse_unfit(named, labels, gives, giver)
    taken = {call.name for call in named}
    rest = [call for call in full_set(labels, gives) if call.name not in taken]
    return load_metrics([*named, *rest])
