"""The report of one evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from delineate.files import whole_file
from delineate.report._gallery import Show, pair
from delineate.report._words import number
from delineate.report._words import title as worded
from delineate.report.pick_gallery import pick_gallery
from delineate.table import Table

GALLERY = {
    "worst": "Lowest scores",
    "median": "Around the median",
    "best": "Highest scores",
}


def write_report(
    path: Path,
    *,
    title: str,
    facts: Mapping[str, str],
    table: Table,
    curves: Path | None = None,
    gallery: Show | None = None,
) -> None:
    """Write one HTML file that needs nothing else: scores, plots, pictures, and what was run.

    Args:
        path: where to; it appears whole or not at all.
        title: what was evaluated.
        facts: what was run, by name, in order; a text of several lines (the recipe) is set as written.
        table: the scores; its first metric leads.
        curves: the training log, metrics.csv; left out where there is no such file.
        gallery: asked for image, finding and truth of the few cases that are shown, by id.
    """
    # Drawing and typesetting are imported by whom they serve: `overlay` alone needs neither.
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    from delineate.report import _figures

    metric = table.metrics[0]
    scored = [label for label in table.labels if any(s == s for _, s in table.of(label, metric))]
    plots = []
    for label in scored:
        plots += [_figures.distribution(table, metric, label)]
        plots += [plot for plot in [_figures.by_size(table, metric, label)] if plot]
    chosen = pick_gallery(table, metric) if gallery is not None else {}
    pairs = {
        GALLERY[kind]: [pair(case, gallery, table, metric) for case in cases]
        for kind, cases in chosen.items()
        if gallery is not None and cases
    }
    here = files("delineate.report")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": number, "title": worded, "safe_svg": Markup}
    page = environment.from_string(here.joinpath("page.html.jinja").read_text("utf-8")).render(
        style=Markup(here.joinpath("style.css").read_text("utf-8")),
        title=title,
        headline=_headline(table),
        scores=table.scores(),
        plots=plots,
        curves=_figures.curves(curves) if curves is not None and curves.is_file() else [],
        gallery=pairs,
        labels=next((p.labels for group in pairs.values() for p in group), ()),
        short={k: v for k, v in facts.items() if "\n" not in v.strip()},
        long={k: v for k, v in facts.items() if "\n" in v.strip()},
    )
    with whole_file(path) as part:
        part.write_text(page, encoding="utf-8")


def _headline(table: Table) -> list[tuple[str, str]]:
    """Label and metric of the figures on top: the first metric of each label; of a single label, three metrics."""
    leading = [label for label in table.labels if any(table.of(label, table.metrics[0]))]
    if len(leading) > 1:
        return [(label, table.metrics[0]) for label in leading]
    return [(label, m) for label in leading for m in table.metrics if any(table.of(label, m))][:3]
