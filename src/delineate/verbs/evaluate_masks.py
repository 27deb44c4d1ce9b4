"""Masks of any tool or person, against the truth -> scores, a table, a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from delineate.arguments import NonNegative
from delineate.core import Case, Image, LabelSet
from delineate.data import Values, mask_values, prediction_masks
from delineate.data.folder import folder as folder_layout
from delineate.evaluation.table import Table
from delineate.files import read_geometry
from delineate.metrics import Metric, load_metrics, refuse_unfit
from delineate.recipe import as_calls, load_labels
from delineate.resolve import NOBODY, OWN, Call, Trust, bind, check, telling
from delineate.verbs._evaluation import WRITES, judge, read_answers, report
from delineate.verbs._facts import (
    INTENDED_USE,
    data_hash,
    done_by,
    files_hash,
)
from delineate.verbs._metrics import full_metrics
from delineate.verbs._replacing import own_folder, replacing
from delineate.verbs._run_folder import fresh_folder
from delineate.verbs._two_folders import two_folders

GIVEN, GIVER = frozenset({"classes"}), "a folder of masks"
"""What masks hold that no model of ours predicted."""


@dataclass(frozen=True)
class Beside:
    """What a file of labels may say besides the labels.

    values: what the truth's files hold, by name of label.
    predictions: what the files of the predictions hold, if something else.
    tolerance: how far a colour may lie from the nearest one named.
    metrics: as in a recipe; they come first.
    """

    values: Values | None = None
    predictions: Values | None = None
    tolerance: NonNegative = 0.0
    metrics: Any = None
    calls: Sequence[Call] = ()


def evaluate_masks(
    predictions: str | Path,
    truth: str | Path,
    labels: str | Path,
    out: str | Path | None = None,
    *,
    images: str | Path | None = None,
    pattern: str = "*",
    table: str | Path | None = None,
    group: str | None = None,
    metrics: Sequence[str] | None = None,
    answers: str | Path | None = None,
    trust: Trust | Iterable[str] = (),
) -> tuple[Table, Path]:
    """Judge masks of any tool, person or challenge; the table and the folder that was written are returned.

    Writes cases.csv, scores.json, report.html and overlays/.

    Args:
        predictions: the folder of masks to judge.
        truth: the folder of true masks; a predicted mask is paired with the true one of its name.
        labels: a file of labels: a recipe, an nnU-Net dataset.json, or `{liver: 1, ...}`. Beside `labels` it may
            say `values` (what the truth's files hold), `predictions` (what the other files hold, if something else;
            `{liver: 5, background: ">0"}` takes all that is not named as background), `tolerance`, `metrics`.
        out: the folder to write to; outputs/evaluate/<time> if left out.
        images: the folder of the images, to draw on; black without.
        pattern: a glob below `predictions`, such as "{stem}_seg.nii.gz".
        table: a CSV of facts about the cases (site, device), for subgroups.
        group: the patient of a case, as in the data layout `folder`.
        metrics: names; all that masks can tell if left out.
        answers: a YAML file that answers items of the report's checklist, by number ("CLAIM 14") or topic.
        trust: modules whose code the file of labels may name (`package.module:function`); none else is imported.

    Raises:
        ValueError: masks that do not pair up, do not lie on one grid, or hold values without a label.
    """
    truth, predictions, labels = Path(truth), Path(predictions), Path(labels)
    label_set, beside = _read_labels(labels, Trust.of(trust))
    cases = _cases(truth, images, label_set, beside, table, group)
    predictor = prediction_masks(
        predictions,
        cases,
        label_set,
        values=beside.values if beside.predictions is None else beside.predictions,
        pattern=pattern,
        tolerance=beside.tolerance,
    )
    chosen = _chosen(metrics or (), beside.calls, label_set)
    read_answers(answers)  # a slip there is told before the work begins
    written = fresh_folder(Path("outputs") / "evaluate") if out is None else Path(out)
    own_folder(written, WRITES, [truth, predictions, *([Path(images)] if images else [])])
    facts = {
        **done_by("judged"),
        "truth": str(truth),
        "predictions": str(predictions),
        "truth SHA-256": data_hash({"test": cases}),
        "predictions SHA-256": files_hash(predictor.files.values()),
        "intended use": INTENDED_USE,
        "labels": labels.read_text(encoding="utf-8"),
    }
    with replacing(written, WRITES) as part:
        judged = judge(predictor, cases, chosen, part, split="test", predictions=False)
        report(predictor, cases, judged, part, title=predictions.name, facts=facts, answers=answers)
    return judged, written


def _cases(
    truth: Path,
    images: str | Path | None,
    labels: LabelSet,
    beside: Beside,
    table: str | Path | None,
    group: str | None,
) -> tuple[Case, ...]:
    """The true masks, and the images they belong to, by the layout `folder`."""
    cases = folder_layout(
        labels=labels,
        folder=Path.cwd(),
        seed=0,
        **two_folders(truth if images is None else images, truth),
        table=None if table is None else str(Path(table).absolute()),
        group=group,
        values=beside.values,
        tolerance=beside.tolerance,
        split={"test": 1.0},
    )["test"]
    if images is not None:
        return cases
    return tuple(replace(case, load_image=partial(_blank, case.image_files[0])) for case in cases)


def _read_labels(path: Path, trust: Trust = NOBODY) -> tuple[LabelSet, Beside]:
    """The labels, and what is said beside them: of a recipe what it says of masks, of a dataset.json nothing."""
    labels, said = load_labels(path)
    if path.suffix == ".json":
        return labels, Beside()
    if "model" in said.args:
        data = said.args.get("data")
        layout = data.get("folder") if isinstance(data, Mapping) else None
        layout = layout if isinstance(layout, Mapping) else {}
        kept = {key: layout.get(key) for key in ("values", "tolerance")}
        kept["metrics"] = said.args.get("metrics")
        said = replace(said, args={k: v for k, v in kept.items() if v is not None})
    beside = Beside(**bind(Beside, said, given={"calls"}))
    with telling(said):
        for values in (beside.values, beside.predictions):
            if values is not None:
                mask_values(labels, values, beside.tolerance)
    if beside.metrics is None:
        return labels, beside
    where = said.places.get("metrics", said.where)
    calls = as_calls(beside.metrics, lambda *_: where, "a metric", labels.names, trust)
    for call in calls:
        check("metrics", call)
    return labels, replace(beside, calls=calls)


def _chosen(named: Sequence[str], listed: Sequence[Call], labels: LabelSet) -> Mapping[str, Metric]:
    """Those that are named, else those of the file of labels and the full set; masks are label maps alone."""
    if not named:
        return full_metrics(listed, labels, GIVEN, GIVER)
    calls = [Call(name, trust=OWN) for name in named]
    chosen = load_metrics(calls)
    refuse_unfit(calls, labels, GIVEN, GIVER)
    return chosen


def _blank(like: Path) -> Image:
    """A black image on the grid of a file, to draw on where there is no image."""
    geometry = read_geometry(like)
    return Image(np.zeros((1, *geometry.shape), np.uint8), geometry)
