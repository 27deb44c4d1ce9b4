"""The page of one audit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib.resources import files
from pathlib import Path

from delineate.audit import Audit, Finding, refusals
from delineate.core import LabelSet, Splits
from delineate.files import whole_file

HEADINGS = {
    "refuse": "Refused: results would be wrong",
    "allow": "Allowed by name: results must be read with caution",
    "warn": "Warnings: look at these",
    "note": "Notes",
}

LISTED, FOLDED = 4, 500
"""Cases of a finding that are named at once, and behind a fold; the table names all."""

SIZES = {"median": "median", "p5": "5 %", "p95": "95 %", "max": "largest"}


def write_audit(
    path: Path,
    *,
    title: str,
    audit: Audit,
    splits: Splits,
    labels: LabelSet,
    allowed: Collection[str] = (),
    seed: int = 0,
) -> None:
    """Write one self-contained HTML file: the verdict, the findings, and pictures and plots of the data.

    Args:
        path: where to; it appears whole or not at all.
        title: what was audited.
        audit: what was found.
        splits: the cases, for pictures of some.
        labels: the labels of the problem.
        allowed: the names of refusals that the recipe allows.
        seed: decides which cases are shown.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    from delineate.evaluation.report import _audit_pictures, _audit_plots

    here = files("delineate.evaluation.report")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "safe_svg": Markup,
        "thousands": "{:,}".format,
        "figure": _audit_plots.figure,
    }
    by_level = _by_level(audit, allowed)
    refused = by_level["refuse"]
    page = environment.from_string(here.joinpath("audit.html.jinja").read_text("utf-8")).render(
        style=Markup(here.joinpath("style.css").read_text("utf-8")),
        title=title,
        refused=refused,
        allowable={finding.check for finding in refused} & set(refusals()),
        findings={HEADINGS[level]: by_level[level] for level in HEADINGS if by_level[level]},
        counts={level: len(findings) for level, findings in by_level.items()},
        splits=audit.splits,
        image_level=any(split.get("image_level") for split in audit.splits.values()),
        images=audit.fingerprint,
        labels=labels,
        sizes=SIZES,
        listed=LISTED,
        folded=FOLDED,
        exhibits=_audit_pictures.exhibits(audit, splits),
        samples=_audit_pictures.samples(splits, seed=seed),
        plots=_audit_plots.plots(audit, labels.names),
    )
    with whole_file(path) as part:
        part.write_text(page, encoding="utf-8")


def _by_level(audit: Audit, allowed: Collection[str]) -> Mapping[str, list[Finding]]:
    refused = audit.refused(allowed)
    return {
        "refuse": refused,
        "allow": [finding for finding in audit.at("refuse") if finding not in refused],
        "warn": audit.at("warn"),
        "note": audit.at("note"),
    }
