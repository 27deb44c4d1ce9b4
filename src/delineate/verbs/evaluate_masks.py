"""Masks that anybody found, against the truth -> scores, a table, a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from delineate.core import Case, Image, LabelSet
from delineate.data import found_masks
from delineate.data.folder import folder as folder_layout
from delineate.files import read_geometry
from delineate.metrics import Metric, load_metrics, traits_of
from delineate.recipe import as_call, load_labels
from delineate.resolve import OWN, Call, RecipeError, Trust, nearest
from delineate.table import Table
from delineate.verbs._facts import (
    INTENDED_USE,
    data_hash,
    done_by,
    files_hash,
)
from delineate.verbs._judgement import WRITES, judge, read_answers, report
from delineate.verbs._metrics import full_metrics
from delineate.verbs._replacing import own_folder, replacing
from delineate.verbs._run_folder import fresh_folder
from delineate.verbs._two_folders import two_folders

WRITTEN = ("values", "found", "tolerance", "metrics")
"""What a file of labels may say besides the labels."""


def evaluate_masks(
    truth: str | Path,
    found: str | Path,
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
        truth: the folder of true masks; a mask found is paired with the true one of its name.
        found: the folder of masks to judge.
        labels: a file of labels: a recipe, an nnU-Net dataset.json, or `{liver: 1, ...}`. Beside `labels` it may
            say `values` (what the truth's files hold), `found` (what the other files hold, if something else;
            `{liver: 5, background: ">0"}` takes all that is not named as background), `tolerance`, `metrics`.
        out: the folder to write to; outputs/evaluate/<time> if left out.
        images: the folder of the images, to draw on; black without.
        pattern: a glob below `found`, such as "{stem}_seg.nii.gz".
        table: a CSV of facts about the cases (site, device), for subgroups.
        group: the patient of a case, as in the data layout `folder`.
        metrics: names; all that masks can tell if left out.
        answers: a YAML file that answers items of the report's checklist, by number ("CLAIM 14") or topic.
        trust: modules whose code the file of labels may name (`package.module:function`); none else is imported.

    Raises:
        ValueError: masks that do not pair up, do not lie on one grid, or hold values without a label.
    """
    truth, found, labels = Path(truth), Path(found), Path(labels)
    label_set, said = _read_labels(labels)
    cases = _cases(truth, images, label_set, said, table, group)
    predictor = found_masks(
        found,
        cases,
        label_set,
        values=said.get("found", said.get("values")),
        pattern=pattern,
        tolerance=said.get("tolerance", 0.0),
    )
    named = [Call(name, trust=OWN) for name in metrics or ()]
    trust = Trust.of(trust)
    listed = [as_call(item, str(labels), "metrics", trust) for item in said.get("metrics", ())]
    chosen = load_metrics(named) if named else full_metrics(listed, label_set, probabilities=False)
    _refuse_needs(chosen)
    read_answers(answers)  # a slip there is told before the work begins
    written = fresh_folder(Path("outputs") / "evaluate") if out is None else Path(out)
    own_folder(written, WRITES, [truth, found, *([Path(images)] if images else [])])
    facts = {
        **done_by("judged"),
        "truth": str(truth),
        "found": str(found),
        "truth SHA-256": data_hash({"test": cases}),
        "found SHA-256": files_hash(predictor.files.values()),
        "intended use": INTENDED_USE,
        "labels": labels.read_text(encoding="utf-8"),
    }
    with replacing(written, WRITES) as part:
        judged = judge(predictor, cases, chosen, part, split="test", predictions=False)
        report(predictor, cases, judged, part, title=found.name, facts=facts, answers=answers)
    return judged, written


def _cases(
    truth: Path,
    images: str | Path | None,
    labels: LabelSet,
    said: Mapping[str, Any],
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
        values=said.get("values"),
        tolerance=said.get("tolerance", 0.0),
        split={"test": 1.0},
    )["test"]
    if images is not None:
        return cases
    return tuple(replace(case, load_image=partial(_blank, case.image_files[0])) for case in cases)


def _read_labels(path: Path) -> tuple[LabelSet, Mapping[str, Any]]:
    """The labels, and what is said beside them: of a recipe what it says of masks, of a dataset.json nothing."""
    labels, said = load_labels(path)
    if "model" in said:
        layout = said["data"].get("folder") if isinstance(said.get("data"), Mapping) else None
        kept = {key: (layout or {}).get(key) for key in ("values", "tolerance")}
        return labels, {k: v for k, v in (kept | {"metrics": said.get("metrics")}).items() if v}
    if path.suffix == ".json":
        return labels, {}
    for key in said:
        if key not in WRITTEN:
            raise RecipeError(
                f"{path}: unknown {key!r}{nearest(str(key), WRITTEN)} Beside labels it may have: "
                f"{', '.join(WRITTEN)}"
            )
    return labels, said


def _refuse_needs(metrics: Mapping[str, Metric]) -> None:
    """Masks have no probabilities, and no model's own opinion."""
    asking = [
        n for n, judge in metrics.items() if traits_of(judge).needs in ("probabilities", "scores")
    ]
    if asking:
        raise ValueError(
            f"{', '.join(asking)}: judged from probabilities, and masks have none. Leave out what asks for them, "
            "or judge a run."
        )


def _blank(like: Path) -> Image:
    """A black image on the grid of a file, to draw on where there is no image."""
    geometry = read_geometry(like)
    return Image(np.zeros((1, *geometry.shape), np.uint8), geometry)
