"""The report of one comparison."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from delineate.evaluation.compare import Ablation, Comparison
from delineate.evaluation.report._side_by_side import ShowAll
from delineate.evaluation.report._words import unbroken
from delineate.files import whole_file


def write_comparison(
    path: Path,
    *,
    title: str,
    comparison: Comparison,
    facts: Mapping[str, str],
    about: Mapping[str, Mapping[str, str]] | None = None,
    gallery: ShowAll | None = None,
    ablation: Ablation | None = None,
) -> None:
    """Write one self-contained HTML file: which model is better, by how much, where, and with what confidence.

    Args:
        path: where to; it appears whole or not at all.
        title: what the comparison is about.
        comparison: the result of `compare`; its first metric leads.
        facts: what was run, by name, in order; a text of several lines is set as written.
        about: what is known of each that was compared, by its name.
        gallery: gives image, predictions and truth of a case by its id, for the pictures.
        ablation: for an ablation, its stages; `about` is then by the name of the run.
    """
    # Drawing and typesetting are imported by whom they serve: `overlay` alone needs neither.
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    from delineate.evaluation.report._comparison import ComparisonPage

    page = ComparisonPage(comparison, facts, about or {}, gallery, ablation)
    here = files("delineate.evaluation.report")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"safe_svg": Markup, "unbroken": unbroken}
    text = environment.from_string(
        here.joinpath("comparison.html.jinja").read_text("utf-8")
    ).render(style=Markup(here.joinpath("style.css").read_text("utf-8")), title=title, page=page)
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")
