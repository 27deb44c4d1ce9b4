"""Run folder -> scores, a table, a report with pictures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from delineate.bundle import Bundle, load_bundle, open_bundle
from delineate.core import Case, Image, Segmentation
from delineate.evaluate import Table
from delineate.evaluate import evaluate as judge
from delineate.files import mask_suffix, whole_file, write_mask
from delineate.metrics import load_metrics
from delineate.report import write_report
from delineate.verbs._run_folder import RunFolder
from delineate.verbs.predict import write_overlay


def evaluate(run: str | Path, *, split: str | None = None, device: str = "auto") -> Table:
    """Judge a run's bundle on the cases of one split, and write what was seen into the run's folder.

    Writes cases.csv (a row per case and label), scores.json, report.html, predictions/ and overlays/,
    and the scores into the bundle's card.

    Args:
        run: the folder that train left behind.
        split: "test" where the data has it, else "val".
        device: "auto", "cpu", "cuda", "mps".

    Raises:
        ValueError: no run there, no such split, or a case without truth.
    """
    folder = RunFolder.find(run)
    recipe = folder.recipe
    bundle = open_bundle(folder.path)
    predictor = load_bundle(folder.path, device=device)
    splits = folder.cases()
    name = split or next((s for s in ("test", "val", "train") if splits.get(s)), "test")
    if not splits.get(name):
        raise ValueError(f"{run}: the data has no split {name!r}; there are {', '.join(splits)}.")
    cases = splits[name]
    by_id = {case.id: case for case in cases}

    for old in ("predictions", "overlays"):  # of an earlier judgement, perhaps of another split
        shutil.rmtree(folder.path / old, ignore_errors=True)

    def keep(case: Case, found: Segmentation, truth: Segmentation) -> None:
        suffix = mask_suffix(case.files[0]) if case.files else _natural_suffix(found)
        write_mask(found, folder.path / "predictions" / (case.id + suffix))
        write_overlay(case.image, found, truth, folder.path / "overlays" / f"{case.id}.jpg")

    table = judge(predictor, cases, load_metrics(recipe.metrics), split=name, on_case=keep)
    table.save(folder.path / "cases.csv")
    scores = table.scores()
    with whole_file(folder.path / "scores.json") as part:
        part.write_text(json.dumps(scores, indent=2) + "\n")
    bundle = bundle.update_card(scores={**bundle.card.get("scores", {}), name: scores})

    def show(case_id: str) -> tuple[Image, Segmentation, Segmentation]:
        case = by_id[case_id]
        truth = case.truth
        assert truth is not None
        return case.image, predictor(case), truth

    write_report(
        folder.path / "report.html",
        title=recipe.name,
        facts={**_facts(bundle, name), "recipe": (folder.path / "recipe.yaml").read_text()},
        table=table,
        curves=folder.path / "metrics.csv",
        gallery=show,
    )
    return table


def summary(run: str | Path) -> str:
    """The scores of a run's last judgement, for the terminal."""
    scores = json.loads((Path(run) / "scores.json").read_text())
    lines = [f"{scores['split']}: {scores['cases']} cases of {scores['groups']} groups"]
    for label, about in scores["labels"].items():
        for metric, score in about["metrics"].items():
            low, high = score["interval"]
            interval = f"[{low:.3f}, {high:.3f}]" if low is not None else ""
            mean = "  -  " if score["mean"] is None else f"{score['mean']:.3f}"
            lines.append(f"  {label:<16} {metric:<16} {mean} {interval}")
    return "\n".join(lines)


def _natural_suffix(found: Segmentation) -> str:
    """The format of a mask whose image was never a file."""
    return ".png" if found.geometry.ndim == 2 and found.geometry.unit == "px" else ".nii.gz"


def _facts(bundle: Bundle, split: str) -> dict[str, str]:
    """What the report says was run."""
    card = bundle.card
    training = card.get("training", {})
    cases, groups = card["data"]["cases"], card["data"]["groups"]
    return {
        "command": card["command"],
        "judged on": split,
        "data": ", ".join(
            f"{name}: {cases[name]} cases of {groups[name]} groups" for name in cases
        ),
        "data SHA-256": card["data"]["sha256"],
        "best epoch": str(training.get("epoch", "")),
        "device": str(training.get("device", "")),
        "seed": str(card["seed"]),
        "commit": str(card["commit"] or "not in a checkout"),
        "versions": ", ".join(f"{name} {number}" for name, number in card["versions"].items()),
        "created": card["created"],
        "intended use": card["intended_use"],
    }
