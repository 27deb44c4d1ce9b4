"""The report of one evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from delineate.evaluation.report._gallery import Show
from delineate.evaluation.report._words import unbroken
from delineate.evaluation.table import Table
from delineate.files import whole_file

if TYPE_CHECKING:
    from delineate.audit import Finding


def write_report(
    path: Path,
    *,
    title: str,
    facts: Mapping[str, str],
    table: Table,
    curves: Path | None = None,
    gallery: Show | None = None,
    audit: Sequence[Finding] | None = None,
    split: Mapping[str, tuple[int, int]] | None = None,
    card: Mapping[str, Any] | None = None,
    answers: Mapping[str, str] | None = None,
    figures: Path | None = None,
) -> None:
    """Write one self-contained HTML file: scores, plots, pictures, the data, and what was run.

    Args:
        path: where to; it appears whole or not at all.
        title: what was evaluated.
        facts: what was run, by name, in order; a text of several lines (the recipe) is set as written.
        table: the scores; its first metric leads.
        curves: the training log, metrics.csv; left out where there is no such file.
        gallery: gives image, prediction and truth of a case by its id, for the pictures.
        audit: what an audit of the data found; None where there was none.
        split: cases and groups of each split; empty or None where nothing was trained.
        card: of the evaluated bundle, if a bundle was evaluated.
        answers: the authors' own answers to the checklist, by "CLAIM 14" or by the topic of an item.
        figures: a new folder for the figures as files of their own (`write_figures`); None for none.

    Raises:
        ValueError: an answer to an item that the checklist does not have.
    """
    # Drawing and typesetting are imported by whom they serve: `overlay` alone needs neither.
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    from delineate.evaluation.report._page import Page
    from delineate.evaluation.report.write_figures import write_figures

    page = Page(table, facts, curves, gallery, audit, split or {}, card or {}, answers or {})
    here = files("delineate.evaluation.report")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"safe_svg": Markup, "unbroken": unbroken}
    text = environment.from_string(here.joinpath("page.html.jinja").read_text("utf-8")).render(
        style=Markup(here.joinpath("style.css").read_text("utf-8")), title=title, page=page,
        figures=figures.name if figures else "",
    )  # fmt: skip
    if figures is not None:
        write_figures(page, figures)
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")
