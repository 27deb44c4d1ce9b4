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
    """The metrics of these calls by name, in order. Given arguments are part of the name: "nsd(tolerance=1.0)".

    A user's metric keeps its full name, "my_lab.metrics:dice", so that two definitions are never confused.

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
            raise call.fail(f"the metric {name} is listed twice. List it once.")
        metrics[name] = partial(resolve("metrics", call), **args)
    return metrics


def traits_by_name(metric: str) -> Traits:
    """The traits of a metric by its name in a table; the defaults for a user's own metric, which is not imported."""
    name = metric.partition("(")[0]
    return traits_of(resolve("metrics", name)) if name in names("metrics") else Traits()


def full_set(labels: LabelSet, gives: Collection[str]) -> list[Call]:
    """The full set of metrics for these labels and segmentations, in order.

    Arguments that a metric's title names are written out. Metrics that are only meaningful pooled rank objects by
    score; they are left out if neither probabilities nor instances give scores.

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
    """The names of all metrics that can evaluate such labels and segmentations: the full set first."""
    return [name for name, known in _by_place().items() if not _lacks(known, labels, gives)]


def family_of_metrics(family: str) -> list[str]:
    """The names of the metrics of a family: the full set first."""
    return [name for name, known in _by_place().items() if known.family == family]


def refuse_unfit(
    calls: Iterable[Call], labels: LabelSet, gives: Collection[str], giver: str
) -> None:
    """Refuse metrics that cannot evaluate such labels and segmentations.

    Args:
        calls: the metrics.
        labels: of the problem.
        gives: the parts that segmentations hold, as `Task.gives`.
        giver: the source of the segmentations, for the message: "the task presence".

    Raises:
        RecipeError: for the first metric that does not fit, with those that do; or as `resolve.check`.
    """
    for call in calls:
        check("metrics", call)
        lacks = _lacks(traits_of(resolve("metrics", call)), labels, gives)
        if lacks:
            there = " and ".join(PARTS[part] for part in PARTS if part in gives)
            reason = lacks.format(giver=giver, there=there)
            fit = ", ".join(fitting(labels, gives)) or "none"
            raise call.fail(f"{call.name} {reason} Metrics that fit: {fit}.")


def _lacks(known: Traits, labels: LabelSet, gives: Collection[str]) -> str:
    """The reason why a metric does not fit, with placeholders {giver} and {there}; "" if it fits."""
    if missing := [words for part, words in PARTS.items() if part in known.needs - set(gives)]:
        return f"needs {' and '.join(missing)}, and {{giver}} gives {{there}}."
    if known.things and not any(label.kind == "thing" for label in labels):
        return f"needs labels of the kind thing, and {', '.join(labels.names)} have another kind."
    if known.exclusive and labels.overlap:
        holder = next(label for label in labels if label.includes)
        return (
            f"needs labels that exclude each other, and {holder.name} includes "
            f"{', '.join(holder.includes)}."
        )
    return ""


def _by_place() -> dict[str, Traits]:
    """Every built-in metric: the full set in order, then the others by name."""
    known = {name: traits_of(resolve("metrics", name)) for name in names("metrics")}
    last = max((of.place or 0 for of in known.values()), default=0) + 1
    return dict(sorted(known.items(), key=lambda kv: last if kv[1].place is None else kv[1].place))


def empty_rules(metrics: Mapping[str, Traits]) -> dict[Empty, list[str]]:
    """The metrics grouped by their rule for empty masks.

    Metrics without a stated rule, and image-level metrics, which need no masks, are left out.
    """
    rules: dict[Empty, list[str]] = {}
    for name, known in metrics.items():
        if known.empty is not None and known.needs != {"present"}:
            rules.setdefault(replace(known.empty, note=""), []).append(name)
    return rules


def empty_rule(metrics: Mapping[str, Traits]) -> str:
    """The rules of these metrics for empty masks, in one line; "" if none of them needs masks.

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
        outcomes = "as any case" if set(three) == {"scored"} else "/".join(three)
        rules.append(f"{', '.join(of_rule)} {outcomes}")
    unstated = [name for name, known in short_named.items() if known.empty is None]
    if not rules and not unstated:
        return ""
    if unstated:
        rules.append(f"{', '.join(unstated)} not stated")
    return (
        "Empty masks (only truth / only prediction / both empty; – is left out of the mean): "
        f"{'; '.join(rules)}."
    )
