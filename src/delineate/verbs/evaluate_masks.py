"""Masks of any tool or person, and their truth -> scores, a table, a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from delineate.core import Case, Image, LabelSet, Predictor
from delineate.data import (
    Tolerance,
    Values,
    class_labels,
    mask_values,
    prediction_masks,
    run_length_masks,
)
from delineate.data.folder import folder as folder_layout
from delineate.evaluation.table import Table
from delineate.files import RunLengthTable, read_geometry, run_length_table, sha256
from delineate.metrics import Metric, load_metrics, refuse_unfit
from delineate.recipe import as_calls, load_labels
from delineate.resolve import NOBODY, OWN, Call, Trust, bind, check, telling
from delineate.verbs._evaluation import WRITES, evaluate_cases, read_answers, report
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
"""What a folder of masks gives, as `Task.gives`, and its name in error messages."""


@dataclass(frozen=True)
class MaskSettings:
    """The settings that a labels file may hold besides the labels.

    values: the values in the files of the truth, by name of label.
    predictions: the values in the files of the predictions, if they differ; of a CSV of run lengths, the classes.
    tolerance: largest distance of a colour from the nearest named colour, or jpeg, as in the data layout `folder`.
    metrics: as in a recipe; they come first.
    """

    values: Values | None = None
    predictions: Values | None = None
    tolerance: Tolerance = 0.0
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
    """Evaluate masks of any tool, person or challenge; returns the table and the folder that was written.

    Writes cases.csv, scores.json, report.html, figures/ (its figures as files) and overlays/.

    Args:
        predictions: the folder of predicted masks, or a CSV of run lengths, such as `predict --to neopolyp-csv` writes.
        truth: the folder of true masks; a predicted mask is paired with the true one of the same name.
        labels: a file of labels: a recipe, an nnU-Net dataset.json, or `{liver: 1, ...}`. Besides `labels` it may
            hold `values` (the values in the true masks), `predictions` (the values in the predicted masks, if they
            differ; `{liver: 5, background: ">0"}` reads every other value as background), `tolerance`, `metrics`. For a
            CSV, `predictions` names its classes, `{adenoma: neoplastic, other: non_neoplastic}`; without it, labels
            are those of the same name.
        out: the folder to write to; outputs/evaluate/<time> if left out.
        images: the folder of the images to draw on; without it the overlays are drawn on black.
        pattern: a glob below `predictions`, such as "{stem}_seg.nii.gz".
        table: a CSV of facts about the cases (site, device), for subgroups.
        group: the patient of a case, as in the data layout `folder`.
        metrics: names; if left out, all metrics that need masks only.
        answers: a YAML file that answers items of the report's checklist, by number ("CLAIM 14") or topic.
        trust: modules whose code the file of labels may name (`package.module:function`); none else is imported.

    Raises:
        ValueError: masks or rows cannot be paired, are not on the same grid, or hold values without a label.
    """
    truth, predictions, labels = Path(truth), Path(predictions), Path(labels)
    submission = predictions.is_file()
    if submission and pattern != "*":
        raise ValueError(
            f"{predictions}: is a file, so no pattern of mask names applies; {pattern!r} was given."
        )
    format = run_length_table(predictions) if submission else None
    label_set, settings = _read_labels(labels, Trust.of(trust), format)
    cases = _cases(truth, images, label_set, settings, table, group)
    predictor: Predictor
    if submission:
        predictor = run_length_masks(predictions, cases, label_set, settings.predictions)
        predicted = sha256(predictions)
    else:
        predictor = prediction_masks(
            predictions,
            cases,
            label_set,
            values=settings.values if settings.predictions is None else settings.predictions,
            pattern=pattern,
            tolerance=settings.tolerance,
        )
        predicted = files_hash(predictor.files.values())
    chosen = _chosen(metrics or (), settings.calls, label_set)
    read_answers(answers)  # report a mistake in this file before the long work begins
    written = fresh_folder(Path("outputs") / "evaluate") if out is None else Path(out)
    own_folder(written, WRITES, [truth, predictions, *([Path(images)] if images else [])])
    facts = {
        **done_by("evaluated"),
        "truth": str(truth),
        "predictions": str(predictions),
        "truth SHA-256": data_hash({"test": cases}),
        "predictions SHA-256": predicted,
        "intended use": INTENDED_USE,
        "labels": labels.read_text(encoding="utf-8"),
    }
    with replacing(written, WRITES) as part:
        scored = evaluate_cases(predictor, cases, chosen, part, split="test", predictions=False)
        report(predictor, cases, scored, part, title=predictions.name, facts=facts, answers=answers)
    return scored, written


def _cases(
    truth: Path,
    images: str | Path | None,
    labels: LabelSet,
    settings: MaskSettings,
    table: str | Path | None,
    group: str | None,
) -> tuple[Case, ...]:
    """The true masks with their images, read by the data layout `folder`."""
    cases = folder_layout(
        labels=labels,
        folder=Path.cwd(),
        seed=0,
        **two_folders(truth if images is None else images, truth),
        table=None if table is None else str(Path(table).absolute()),
        group=group,
        values=settings.values,
        tolerance=settings.tolerance,
        split={"test": 1.0},
    )["test"]
    if images is not None:
        return cases
    return tuple(replace(case, load_image=partial(_blank, case)) for case in cases)


def _read_labels(
    path: Path, trust: Trust = NOBODY, format: RunLengthTable | None = None
) -> tuple[LabelSet, MaskSettings]:
    """The labels and settings of a labels file; a recipe gives those of its masks, a dataset.json none.

    format: of the predictions, if they are a CSV of run lengths.
    """
    labels, further = load_labels(path)
    if path.suffix == ".json":
        return labels, MaskSettings()
    if "model" in further.args:
        data = further.args.get("data")
        layout = data.get("folder") if isinstance(data, Mapping) else None
        layout = layout if isinstance(layout, Mapping) else {}
        kept = {key: layout.get(key) for key in ("values", "tolerance")}
        kept["metrics"] = further.args.get("metrics")
        further = replace(further, args={k: v for k, v in kept.items() if v is not None})
    settings = MaskSettings(**bind(MaskSettings, further, given={"calls"}))
    with telling(further):
        for values in (settings.values, None if format else settings.predictions):
            if values is not None:
                mask_values(labels, values, settings.tolerance)
        if format is not None:
            class_labels(format, labels, settings.predictions)
    if settings.metrics is None:
        return labels, settings
    where = further.places.get("metrics", further.where)
    calls = as_calls(settings.metrics, lambda *_: where, "a metric", labels.names, trust)
    for call in calls:
        check("metrics", call)
    return labels, replace(settings, calls=calls)


def _chosen(named: Sequence[str], listed: Sequence[Call], labels: LabelSet) -> Mapping[str, Metric]:
    """The named metrics, else those of the labels file and the full set; all of them need label maps only."""
    if not named:
        return full_metrics(listed, labels, GIVEN, GIVER)
    calls = [Call(name, trust=OWN) for name in named]
    chosen = load_metrics(calls)
    refuse_unfit(calls, labels, GIVEN, GIVER)
    return chosen


def _blank(case: Case) -> Image:
    """A black image on the grid of a case, to draw on if no images are given."""
    assert case.image_path is not None  # the layout reads files
    geometry = read_geometry(case.image_path)
    return Image(np.zeros((1, *geometry.shape), np.uint8), geometry)
