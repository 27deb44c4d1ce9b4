"""Explanations of the metrics for a reader."""

from __future__ import annotations

from delineate.evaluation.report._words import arguments
from delineate.metrics import Traits, traits_by_name
from delineate.resolve import names, resolve


def explained(metric: str, known: Traits | None = None, unit: str = "") -> str:
    """What a metric says, and with which arguments; of one that does not say, its docstring; "" where none is known.

    known: what is known of it; by its name if left out.
    unit: what lengths are measured in, where that is known.

    >>> explained("nsd_voxel", unit="px")
    'As NSD, counting surface voxels instead of measuring the surface. The tolerance is 2 px, the default.'
    """
    known = traits_by_name(metric) if known is None else known
    if known.meaning:
        return known.meaning + _arguments(metric, known, unit)
    name = metric.partition("(")[0]
    if name not in names("metrics"):  # nothing of somebody's own is imported to read a table
        return ""
    said = resolve("metrics", name).__doc__ or ""
    return said.strip().partition("\n")[0].replace("`", "")


def _arguments(metric: str, known: Traits, unit: str) -> str:
    """The arguments without which the score says nothing, and whether they are the defaults."""
    default = "" if "(" in metric else ", the default"
    told = arguments(metric, known)
    length = {
        key: f" {unit}" for key in known.arguments if unit and f"{{{key}}} {{unit}}" in known.title
    }
    return "".join(
        f" The {key} is {told[key]}{length.get(key, '')}{default}." for key in known.arguments
    )
