"""Masks that anybody found, against the truth -> scores, a table, a report."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np

from delineate.core import Image
from delineate.data import found_masks
from delineate.data.folder import folder as folder_layout
from delineate.files import read_geometry
from delineate.metrics import load_metrics
from delineate.recipe import as_call, load_labels
from delineate.resolve import Call, RecipeError, nearest
from delineate.table import Table
from delineate.verbs._facts import INTENDED_USE, command, commit, data_hash, versions
from delineate.verbs._judgement import judge, report
from delineate.verbs._metrics import full_metrics
from delineate.verbs._run_folder import fresh_folder

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

    Raises:
        ValueError: masks that do not pair up, do not lie on one grid, or hold values without a label.
    """
    truth, found, labels = Path(truth), Path(found), Path(labels)
    label_set, said = load_labels(labels)
    if "model" not in said:  # a recipe has more to say, which is not asked for here
        for key in said:
            if key not in WRITTEN and labels.suffix != ".json":
                raise RecipeError(
                    f"{labels}: unknown {key!r}{nearest(str(key), WRITTEN)} Beside labels it may have: "
                    f"{', '.join(WRITTEN)}"
                )
    else:
        said = {}
    places = [place.absolute() for place in (truth, *([Path(images)] if images else []))]
    for place in places:
        if not place.is_dir():
            raise ValueError(f"{place}: no such folder.")
    home = Path(os.path.commonpath(places))
    cases = folder_layout(
        labels=label_set,
        folder=Path.cwd(),
        seed=0,
        root=str(home),
        images=_all_in(truth if images is None else Path(images), home),
        masks=_all_in(truth, home),
        table=None if table is None else str(Path(table).absolute()),
        group=group,
        values=said.get("values"),
        tolerance=said.get("tolerance", 0.0),
        split={"test": 1.0},
    )["test"]
    if images is None:
        cases = tuple(replace(case, load_image=partial(_blank, case.files[0])) for case in cases)
    predictor = found_masks(
        found,
        cases,
        label_set,
        values=said.get("found", said.get("values")),
        pattern=pattern,
        tolerance=said.get("tolerance", 0.0),
    )
    named = [Call(name) for name in metrics or ()]
    listed = [as_call(item, str(labels), "metrics") for item in said.get("metrics", ())]
    chosen = load_metrics(named) if named else full_metrics(listed, label_set, probabilities=False)
    written = fresh_folder(Path("outputs") / "evaluate") if out is None else Path(out)
    written.mkdir(parents=True, exist_ok=True)
    judged = judge(predictor, cases, chosen, written, split="test", predictions=False)
    facts = {
        "judged by": command(),
        "truth": str(truth),
        "found": str(found),
        "data SHA-256": data_hash({"test": cases}),
        "commit": str(commit() or "not in a checkout"),
        "versions": ", ".join(f"{name} {number}" for name, number in versions().items()),
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "intended use": INTENDED_USE,
        "labels": labels.read_text(),
    }
    report(predictor, cases, judged, written, title=found.name, facts=facts)
    return judged, written


def _all_in(folder: Path, home: Path) -> str:
    """The glob of all in a folder, below `home`."""
    inner = folder.absolute().relative_to(home).as_posix()
    return "*" if inner == "." else glob.escape(inner) + "/*"


def _blank(like: Path) -> Image:
    """A black image on the grid of a file, to draw on where there is no image."""
    geometry = read_geometry(like)
    return Image(np.zeros((1, *geometry.shape), np.uint8), geometry)
