"""Run folder -> scores, a table, a report with pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from delineate.bundle import load_bundle, open_bundle
from delineate.metrics import load_metrics
from delineate.progress import LOG, log, log_to
from delineate.resolve import Call
from delineate.table import Table
from delineate.verbs._audit import saved_audit
from delineate.verbs._facts import built_from, done_by
from delineate.verbs._independence import independence_of_split
from delineate.verbs._judgement import WRITES, judge, read_answers, report, summary
from delineate.verbs._metrics import full_metrics
from delineate.verbs._replacing import replacing
from delineate.verbs._run_folder import RunFolder


def evaluate(
    run: str | Path,
    *,
    split: str | None = None,
    metrics: Sequence[str] | None = None,
    device: str = "auto",
    answers: str | Path | None = None,
) -> Table:
    """Judge a run's bundle on the cases of one split, and write what was seen into the run's folder.

    Writes cases.csv (a row per case and label), scores.json, report.html, predictions/ and overlays/,
    and the scores into the bundle's card.

    Args:
        run: the folder that train left behind.
        split: "test" where the data has it, else "val".
        metrics: names; those of the recipe and then the full set if left out.
        device: "auto", "cpu", "cuda", "mps".
        answers: a YAML file that answers items of the report's checklist, by number ("CLAIM 14") or topic.

    Raises:
        ValueError: no run there, no such split, a case without truth, or another process works on the run.
    """
    folder = RunFolder.find(run)
    with folder.locked():
        return _evaluate(folder, split, metrics, device, answers)


def _evaluate(
    folder: RunFolder,
    split: str | None,
    metrics: Sequence[str] | None,
    device: str,
    answers: str | Path | None,
) -> Table:
    recipe = folder.recipe
    bundle = open_bundle(folder.path)
    predictor = load_bundle(folder.path, device=device, keep_probabilities=True)
    splits = folder.cases()
    name = split or next((s for s in ("test", "val", "train") if splits.get(s)), "test")
    if not splits.get(name):
        raise ValueError(
            f"{folder.path}: the data has no split {name!r}; there are {', '.join(splits)}."
        )
    chosen = (
        full_metrics(recipe.metrics, recipe.labels, probabilities=True)
        if metrics is None
        else load_metrics([Call(metric) for metric in metrics])
    )
    read_answers(answers)  # a slip there is told before the work begins
    with log_to(folder.path / LOG), replacing(folder.path, (*WRITES, "predictions")) as part:
        table = judge(
            predictor,
            splits[name],
            chosen,
            part,
            split=name,
            predictions=True,
            independence=independence_of_split(bundle.card, name, saved_audit(folder.path)),
        )
        known = {**bundle.card, "scores": {**bundle.card.get("scores", {}), name: table.scores()}}
        report(
            predictor,
            splits[name],
            table,
            part,
            title=recipe.name,
            facts={
                **_facts(known, name),
                "recipe": (folder.path / "recipe.yaml").read_text(encoding="utf-8"),
            },
            card=known,
            audit=saved_audit(folder.path),
            curves=folder.path / "metrics.csv",
            answers=answers,
        )
        log(f"evaluated on {summary(part)}")
    bundle.update_card(scores=known["scores"])
    return table


def _facts(card: Mapping[str, Any], split: str) -> dict[str, str]:
    """What the report says was run."""
    training = card.get("training", {})
    cases, groups = card["data"]["cases"], card["data"]["groups"]
    return {
        "trained by": card["command"],
        **done_by("judged"),
        "judged on": split,
        "data": ", ".join(
            f"{name}: {cases[name]} cases of {groups[name]} groups" for name in cases
        ),
        "data SHA-256": card["data"]["sha256"],
        "best epoch": str(training.get("epoch", "")),
        "device": str(training.get("device", "")),
        "seed": str(card["seed"]),
        "trained with": built_from(card["commit"], card["versions"]),
        "trained on": card["created"],
        "intended use": card["intended_use"],
    }
