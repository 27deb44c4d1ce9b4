"""The metrics that a recipe names, the full set, and which of them fit a task and its labels."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial

from delineate.core import LabelSet, Segmentation
from delineate.metrics import PARTS, Empty, Traits, traits_of
from delineate.resolve import Call, check, names, resolve

Metric = Callable[[Segmentation, Segmentation], dict[str, float]]
"""prediction, truth -> a number per label, or one for the image under "all"."""


def load_metrics(calls: Iterable[Call]) -> dict[str, Metric]:
    """The metrics of these calls by name, in order; arguments that are given belong to the name: "nsd(tolerance=1.0)".

    Somebody's own metric keeps its whole name, "my_lab.metrics:dice": two definitions are never taken for one.

    Raises:
        RecipeError: as `resolve.check`; or the same metric with the same arguments twice.
    """
    metrics: dict[str, Metric] = {}
    for call in calls:
        args = check("metrics", call)
        name = call.name
        if args:
            name += "(" + ", ".join(f"{k}={v}" for k, v in args.items()) + ")"
        if name in metrics:
            raise call.fail(f"the metric {name} is named twice; once is enough.")
        metrics[name] = partial(resolve("metrics", call), **args)
    return metrics


def traits_by_name(metric: str) -> Traits:
    """What the house knows of a metric by its name in a table; of somebody's own nothing, and nothing is imported."""
    name = metric.partition("(")[0]
    return traits_of(resolve("metrics", name)) if name in names("metrics") else Traits()


def full_set(labels: LabelSet, gives: Collection[str]) -> list[Call]:
    """What every judgement tells of such labels and segmentations, in order.

    Arguments without which a score says nothing are written out. Metrics that are read pooled only rank objects, and
    are left out where neither probabilities nor instances give a score to rank by.

    Args:
        labels: of the problem.
        gives: the parts that segmentations hold, as `Task.gives`.
    """
    ranked = not {"probabilities", "instances", "present"}.isdisjoint(gives)
    calls = []
    for name, known in _by_place().items():
        if (
            known.place is None
            or _lacks(known, labels, gives)
            or (known.pooled_only and not ranked)
        ):
            continue
        parameters = inspect.signature(resolve("metrics", name)).parameters
        calls.append(Call(name, {arg: parameters[arg].default for arg in known.arguments}))
    return calls


def fitting(labels: LabelSet, gives: Collection[str]) -> list[str]:
    """The names of all metrics that can judge such labels and segmentations: the full set first."""
    return [name for name, known in _by_place().items() if not _lacks(known, labels, gives)]


def family_of_metrics(family: str) -> list[str]:
    """The names of the metrics of a family: the full set first."""
    return [name for name, known in _by_place().items() if known.family == family]


def refuse_unfit(
    calls: Iterable[Call], labels: LabelSet, gives: Collection[str], giver: str
) -> None:
    """Refuse metrics that cannot judge such labels and segmentations.

    Args:
        calls: the metrics, which are known to exist.
        labels: of the problem.
        gives: the parts that segmentations hold, as `Task.gives`.
        giver: who gives them, for the message: "the task presence".

    Raises:
        RecipeError: the first that does not fit: what it needs, what there is, and which metrics fit.
    """
    for call in calls:
        lacks = _lacks(traits_of(resolve("metrics", call)), labels, gives)
        if lacks:
            there = " and ".join(PARTS[part] for part in PARTS if part in gives)
            said = lacks.format(giver=giver, there=there)
            fit = ", ".join(fitting(labels, gives)) or "none"
            raise call.fail(f"{call.name} {said} Metrics that fit: {fit}.")


def _lacks(known: Traits, labels: LabelSet, gives: Collection[str]) -> str:
    """What keeps a metric from judging them, with {giver} and {there} to be filled in; "" where it fits."""
    if missing := [words for part, words in PARTS.items() if part in known.needs - set(gives)]:
        return f"needs {' and '.join(missing)}, and {{giver}} gives {{there}}."
    if known.things and not any(label.kind == "thing" for label in labels):
        return f"judges labels of the kind thing, and {', '.join(labels.names)} have another kind."
    if known.exclusive and labels.overlap:
        holder = next(label for label in labels if label.includes)
        return (
            f"needs labels that exclude each other, and {holder.name} includes "
            f"{', '.join(holder.includes)}."
        )
    return ""


def _by_place() -> dict[str, Traits]:
    """Every metric of the house: the full set in order, then the others by name."""
    known = {name: traits_of(resolve("metrics", name)) for name in names("metrics")}
    last = max((of.place or 0 for of in known.values()), default=0) + 1
    return dict(sorted(known.items(), key=lambda kv: last if kv[1].place is None else kv[1].place))


def empty_rules(metrics: Mapping[str, Traits]) -> dict[Empty, list[str]]:
    """The metrics by what they give where masks are empty; those whose authors do not say are in none.

    Of image-level metrics nothing is told: their rules speak of images, not of masks.
    """
    found: dict[Empty, list[str]] = {}
    for name, known in metrics.items():
        if known.empty is not None and known.needs != {"present"}:
            found.setdefault(replace(known.empty, note=""), []).append(name)
    return found


def empty_rule(metrics: Mapping[str, Traits]) -> str:
    """What these metrics give where a mask is empty, in one line; "" where they judge no masks.

    >>> print(empty_rule({"dice": Traits(empty=Empty(truth=0, prediction=0, both=None))}))
    Empty masks (only truth / only prediction / both empty; – is left out of the mean): dice 0/0/–.
    """
    short = {None: "–", "diagonal": "diagonal", "scored": "scored"}
    rules = []
    short_named = {metric.partition("(")[0].strip(): known for metric, known in metrics.items()}
    for rule, of_rule in empty_rules(short_named).items():
        three = [
            short[of] if of is None or isinstance(of, str) else f"{of:g}"
            for of in (rule.truth, rule.prediction, rule.both)
        ]
        told = "as any case" if set(three) == {"scored"} else "/".join(three)
        rules.append(f"{', '.join(of_rule)} {told}")
    silent = [name for name, known in short_named.items() if known.empty is None]
    if not rules and not silent:
        return ""
    if silent:
        rules.append(f"{', '.join(silent)} not stated")
    return (
        "Empty masks (only truth / only prediction / both empty; – is left out of the mean): "
        f"{'; '.join(rules)}."
    )
