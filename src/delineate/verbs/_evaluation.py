"""What a judgement leaves in a folder."""

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

WRITES = ("cases.csv", "cases.tallies.npz", "scores.json", "report.html", "overlays")
"""What a judgement of masks leaves in its folder; that of a run also leaves `predictions`."""

WIDTH = 110
"""Characters in a line of the terminal."""


def judge(
    predictor: Predictor,
    cases: Sequence[Case],
    metrics: Mapping[str, Metric],
    out: Path,
    *,
    split: str,
    predictions: bool,
    independence: Independence = UNKNOWN,
) -> Table:
    """Judge cases, and write cases.csv, scores.json, overlays/ and predictions/ into an empty folder.

    Of image-level labels there is nothing to draw: predictions/ then holds one table, predictions.csv.

    Args:
        predictor: whoever finds.
        cases: each with its truth.
        metrics: by name.
        out: the folder.
        split: what the cases are called.
        predictions: write what was found.
        independence: whether the cases had a part in making what is judged.
    """

    def keep(case: Case, prediction: Segmentation, truth: Segmentation) -> None:
        if not prediction.outlined:
            return
        drawn = out / "overlays" / f"{case.id}.jpg"
        if drawn.exists():  # on a disk where upper and lower case are one
            raise ValueError(
                f"{case.id}: another case has an id that is the same file. Give it another id."
            )
        if predictions:
            suffix = mask_ending(case, prediction.geometry)
            like = case.image_files[0] if case.image_files else None
            write_mask(prediction, out / "predictions" / (case.id + suffix), like=like)
        write_overlay(case.image, prediction, truth, drawn)

    judged = evaluate(predictor, cases, metrics, split=split, on_case=keep)
    table = replace(judged, independent=independence.independent, caveats=independence.caveats)
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
                said = "yes" if row.image_prediction else "no"
                writer.writerow([row.case, row.label, said, row.image_probability])


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
    """Write report.html into `out`, with pictures of the cases worth a look.

    card: that of the bundle which was judged, if it was one.
    audit: of the data it learnt from and was judged on, if they were audited.
    curves: the log of its training.
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
    )


def read_answers(path: str | Path | None) -> dict[str, str] | None:
    """What the authors say to items of the checklist.

    Raises:
        ValueError: no such file, or no mapping of texts.
    """
    if path is None:
        return None
    said, _ = read_yaml(path)
    if not isinstance(said, dict) or not all(isinstance(v, str) for v in said.values()):
        raise ValueError(f"{path}: expected answers by item, like 'CLAIM 14: Two readers, ...'.")
    return {str(item): answer for item, answer in said.items()}


def summary(folder: str | Path) -> str:
    """The scores of the last judgement in a folder, for the terminal; what speaks against them comes first."""
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
    """What a reader of scores must know first, for the terminal; nothing where nothing speaks against them."""
    if not caveats:
        return []
    said = (
        "not independent" if independent is False else "not known to be independent"
    ) + " of the model that is judged"
    return [textwrap.fill(f"WARNING: these cases are {said}. {' '.join(caveats)}", WIDTH)]
