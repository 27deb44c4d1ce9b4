"""The metrics of a full judgement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from delineate.core import LabelSet
from delineate.evaluation.metrics import Metric, load_metrics, traits_of
from delineate.resolve import Call, resolve

FULL: tuple[str | tuple[str, Mapping[str, float]], ...] = (
    "dice", "iou", "precision", "recall", "specificity", ("f_beta", {"beta": 2.0}), "hd95",
    ("nsd", {"tolerance": 2.0}), "assd", "volume_error",
    "pq", "sq", "rq", "mask_ap", "lesion_recall", "lesion_precision", "lesion_f1",
    "auroc", "average_precision", "ece", "ece_top", "brier", "balanced_accuracy", "pixel_accuracy",
    "expected_dice",
)  # fmt: skip
"""What every judgement tells; a recipe may name more, such as cldice for vessels or NSD at an organ's tolerance."""


def full_metrics(
    named: Sequence[Call], labels: LabelSet, *, probabilities: bool
) -> Mapping[str, Metric]:
    """The metrics that are named, as they are named, then the rest of the full set that can be asked for.

    Args:
        named: these come first, and the very first leads.
        labels: of the problem; lesions are counted where one of them is a thing, and what asks for the one label of a
            sample is left out where labels include others.
        probabilities: whether findings carry probabilities; masks alone do not.
    """
    named = list(named)
    taken = {call.name for call in named}
    things = any(label.kind == "thing" for label in labels)
    there = {"": True, "things": things, "probabilities": probabilities, "scores": probabilities}
    full = [Call(item) if isinstance(item, str) else Call(*item) for item in FULL]
    known = {call.name: traits_of(resolve("metrics", call.name)) for call in full}
    rest = [
        call
        for call in full
        if call.name not in taken
        and there[known[call.name].needs]
        and not (labels.overlap and known[call.name].exclusive)
        # without scores to rank by, average precision is one point
        and (probabilities or not known[call.name].pooled_only)
    ]
    return load_metrics([*named, *rest])
