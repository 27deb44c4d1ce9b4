"""Evaluate cases and write the result into a folder: scores, pictures and the report."""

from __future__ import annotations

import csv
import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from delineate.audit import Audit
from delineate.core import Case, Image, Predictor, Segmentation
from delineate.evaluation.evaluate import evaluate
from delineate.evaluation.report import write_report
from delineate.evaluation.table import Table, cases_scored
from delineate.files import whole_file, write_mask
from delineate.metrics import Metric
from delineate.predictions import TABLE, mask_ending, write_overlay
from delineate.recipe import read_yaml
from delineate.verbs._independence import UNKNOWN, Independence

WRITES = ("cases.csv", "cases.tallies.npz", "scores.json", "report.html", "figures", "overlays")
"""The files that an evaluation of masks writes; an evaluation of a run also writes `predictions`."""

WIDTH = 110
"""Characters in a line of the terminal."""


def evaluate_cases(
    predictor: Predictor,
    cases: Sequence[Case],
    metrics: Mapping[str, Metric],
    out: Path,
    *,
    split: str,
    predictions: bool,
    independence: Independence = UNKNOWN,
) -> Table:
    """Evaluate cases, and write cases.csv, scores.json, overlays/ and predictions/ into an empty folder.

    Image-level labels have no masks: predictions/ then holds one table, predictions.csv.

    Args:
        predictor: what is evaluated.
        cases: each with its truth.
        metrics: by name.
        out: the folder.
        split: the name of these cases.
        predictions: write the predicted masks or image-level labels.
        independence: whether the cases were used to make the model.
    """

    def keep(case: Case, prediction: Segmentation, truth: Segmentation) -> None:
        if not prediction.outlined:
            return
        drawn = out / "overlays" / f"{case.id}.jpg"
        if drawn.exists():  # a file system that ignores case
            raise ValueError(
                f"{case.id}: another case has an id with the same file name. Give it another id."
            )
        if predictions:
            suffix = mask_ending(case, prediction.geometry)
            file = out / "predictions" / (case.id + suffix)
            write_mask(prediction, file, like=case.image_path)
        write_overlay(case.image, prediction, truth, drawn)

    scored = evaluate(predictor, cases, metrics, split=split, on_case=keep)
    table = replace(scored, independent=independence.independent, caveats=independence.caveats)
    table.save(out / "cases.csv")
    if predictions and any(row.image_prediction is not None for row in table.rows):
        _write_image_level(table, out / "predictions" / TABLE)
    with whole_file(out / "scores.json") as part:
        part.write_text(json.dumps(table.scores(), indent=2) + "\n", encoding="utf-8")
    return table


def _write_image_level(table: Table, path: Path) -> None:
    """The decisions and probabilities of all images, as CSV."""
    with whole_file(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["case", "label", "shows", "presence"])
        for row in table.rows:
            if row.image_prediction is not None:
                shows = "yes" if row.image_prediction else "no"
                writer.writerow([row.case, row.label, shows, row.image_probability])


def report(
    predictor: Predictor,
    cases: Sequence[Case],
    table: Table,
    out: Path,
    *,
    title: str,
    facts: Mapping[str, str],
    card: Mapping[str, Any] | None = None,
    audit: Audit | None = None,
    curves: Path | None = None,
    answers: str | Path | None = None,
) -> None:
    """Write report.html into `out`, with pictures of the best, median and worst cases, and its figures as files.

    card: of the evaluated bundle, if a bundle was evaluated.
    audit: of the data that the bundle was trained and evaluated on, if they were audited.
    curves: the training log, metrics.csv.
    answers: a YAML file that answers items of the checklist, by number ("CLAIM 14") or topic.
    """
    by_id = {case.id: case for case in cases}

    def show(case_id: str) -> tuple[Image, Segmentation, Segmentation]:
        case = by_id[case_id]
        truth = case.truth
        assert truth is not None
        return case.image, predictor(case), truth

    data = (card or {}).get("data", {})
    write_report(
        out / "report.html",
        title=title,
        facts=facts,
        table=table,
        curves=curves,
        gallery=show,
        audit=None if audit is None else audit.findings,
        split={n: (count, data["groups"][n]) for n, count in data.get("cases", {}).items()},
        card=card,
        answers=read_answers(answers),
        figures=out / "figures",
    )


def read_answers(path: str | Path | None) -> dict[str, str] | None:
    """The authors' answers to items of the checklist.

    Raises:
        ValueError: no such file, or no mapping of texts.
    """
    if path is None:
        return None
    answers, _ = read_yaml(path)
    if not isinstance(answers, dict) or not all(isinstance(v, str) for v in answers.values()):
        raise ValueError(f"{path}: expected answers by item, like 'CLAIM 14: Two readers, ...'.")
    return {str(item): answer for item, answer in answers.items()}


def summary(folder: str | Path) -> str:
    """The scores of the last evaluation in a folder, for the terminal; warnings come first."""
    scores = json.loads((Path(folder) / "scores.json").read_text(encoding="utf-8"))
    lines = warnings(scores["independent"], scores["caveats"])
    lines.append(f"{scores['split']}: {scores['cases']} cases of {scores['groups']} groups")
    for label, about in scores["labels"].items():
        for metric, score in about["metrics"].items():
            over = "mean" if score.get("mean") is not None else "pooled"
            value = score.get(over)
            low, high = score["interval" if over == "mean" else "pooled_interval"] or (None, None)
            interval = f"[{low:.3f}, {high:.3f}]" if low is not None else ""
            words = "  -  " if value is None else f"{value:.3f}"
            if value is None and score.get("reason"):
                words += f" {score['reason']}"
            note = " pooled" if over == "pooled" and value is not None else ""
            if over == "mean" and score["left_out"]["cases"]:
                note = f" {'; '.join(words for words in cases_scored(score) if words)}"
            lines.append(f"  {label:<16} {metric:<20} {words} {interval}{note}")
    if scores.get("caution"):
        lines.append(scores["caution"])
    if scores["empty_rule"]:
        lines.append(textwrap.fill(scores["empty_rule"], WIDTH, subsequent_indent="  "))
    return "\n".join(lines)


def warnings(independent: bool | None, caveats: Sequence[str]) -> list[str]:
    """The warning that the cases may not be independent of the model, for the terminal; empty without caveats."""
    if not caveats:
        return []
    state = "not independent" if independent is False else "not known to be independent"
    words = f"WARNING: these cases are {state} of the evaluated model. {' '.join(caveats)}"
    return [textwrap.fill(words, WIDTH)]
