"""The metrics a recipe names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from delineate.core import Segmentation
from delineate.resolve import Call, check, resolve

Metric = Callable[[Segmentation, Segmentation], dict[str, float]]
"""found, truth -> a number per label, or one for the image under "all"."""


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
