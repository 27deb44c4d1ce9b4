"""Run folder or bundle -> scores, a table, a report with pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from delineate.bundle import Bundle, load_bundle, open_bundle
from delineate.core import Splits
from delineate.data import Values
from delineate.evaluation.table import Table
from delineate.metrics import Metric, load_metrics, refuse_unfit
from delineate.progress import LOG, log, log_to
from delineate.recipe import Recipe
from delineate.resolve import OWN, Call, Trust
from delineate.tasks import load_task
from delineate.verbs._audit import saved_audit
from delineate.verbs._evaluation import WRITES, evaluate_cases, read_answers, report, summary
from delineate.verbs._external import (
    External,
    compared_with_training,
    external_name,
    load_external,
)
from delineate.verbs._facts import built_from, data_hash, done_by
from delineate.verbs._independence import digests, independence_of_split, members_of, with_members
from delineate.verbs._metrics import full_metrics
from delineate.verbs._replacing import own_folder, replacing
from delineate.verbs._run_folder import RunFolder

PREDICTED = (*WRITES, "predictions")
"""The files and folders that an evaluation of a run writes."""


def evaluate(
    run: str | Path,
    *,
    split: str | None = None,
    metrics: str | Sequence[str] | None = None,
    device: str = "auto",
    answers: str | Path | None = None,
    data: str | Path | None = None,
    images: str | Path | None = None,
    masks: str | Path | None = None,
    table: str | Path | None = None,
    group: str | None = None,
    values: Values | None = None,
    allow: Sequence[str] = (),
    out: str | Path | None = None,
    trust: Trust | Iterable[str] = (),
) -> Table:
    """Evaluate a run's bundle on the cases of one split, or any bundle on other data, with a report.

    Writes cases.csv (a row per case and label), scores.json, report.html, figures/ (its figures as files),
    predictions/ and overlays/. For the run's own data these are written into the run's folder, and the scores into the
    bundle's card. For other data they are written into `external_folder`, and the run is not changed (external
    validation). Other data are evaluated with the run's labels, task and preparation. They are audited first, also for
    images and patients that the model was made from. Of a bundle without its run, and of the members of an ensemble,
    only the digests on the card are known, which find exact copies of images.

    Args:
        run: the folder that `train` wrote; or a bundle, also one that `ensemble` wrote or one file, for other data.
        split: of the run's own data: "test" where they have it, else "val". Of other data: all cases.
        metrics: names; if left out, those of the recipe, then the rest of the full set that fits its task and labels.
        device: "auto", "cpu", "cuda", "mps".
        answers: a YAML file that answers items of the report's checklist, by number ("CLAIM 14") or topic.
        data: other data: a recipe, of which only `data` and `labels` are read, or a YAML file with `data`, and
            optionally `name`, `labels` (the values in the masks, by name) and `audit: {allow: [...]}`.
        images: other data: the folder of images, instead of `data`.
        masks: the folder of their masks; a mask is paired with the image of its name.
        table: beside `images`: a CSV of facts about the cases (site, device), for subgroups.
        group: beside `images`: the patient of a case, as in the data layout `folder`.
        values: beside `images`: what the masks hold, by name of label, {"polyp": 255}; None: the values of the labels.
        allow: findings of the audit, by name, that do not stop the evaluation of other data; the report shows them.
        out: for other data: the folder to write to; a bundle needs it.
        trust: modules whose code the run and its bundle may name (`package.module:function`); none else is imported.

    Raises:
        ValueError: no run or bundle there, a bundle without other data or without `out`, no such split, a case without
            truth, or other data that are not there, do not fit the run's labels, or share images or patients with the
            training data and are not allowed to by name; or another process works on the run.
    """
    trust = Trust.of(trust)
    run = Path(run)
    other = data is not None or images is not None or masks is not None
    given = {"table": table, "group": group, "values": values, "allow": allow or None, "out": out}
    if not other and (stray := [key for key, value in given.items() if value is not None]):
        raise ValueError(
            f"{', '.join(stray)}: belongs to other data, and none were given. Give data, or images and masks."
        )
    is_bundle = run.is_file() or (run / "card.json").is_file()
    folder = None if is_bundle else RunFolder.find(run, trust)
    if folder is None and (
        not other or out is None or run.resolve() in Path(out).resolve().parents
    ):
        raise ValueError(
            f"{run}: is a bundle. It has no data of its own, and nothing is written into it. Give other data (data, or "
            "images and masks) and a folder elsewhere to write to (out). For the data of a run, give the run's folder."
        )
    recipe = open_bundle(run, trust).recipe if folder is None else folder.recipe
    chosen = _metrics(recipe, metrics)
    read_answers(answers)  # report a mistake in this file before the long work begins
    if folder is not None and not other:
        with folder.locked():
            return _on_own(folder, split, chosen, device, answers)
    external = load_external(
        recipe,
        data=data,
        images=images,
        masks=masks,
        table=table,
        group=group,
        values=values,
        split=split,
        allow=allow,
    )
    written = Path(out) if out else external_folder(run, data=data, images=images, masks=masks)
    inputs = [Path(place) for place in (data, images, masks, table) if place is not None]
    own_folder(written, PREDICTED, [run, *inputs])
    training = None if folder is None else folder.cases
    bundle = open_bundle(run, trust)
    return _on_external(run, bundle, training, external, chosen, device, answers, written)


def external_folder(
    run: str | Path,
    *,
    data: str | Path | None = None,
    images: str | Path | None = None,
    masks: str | Path | None = None,
) -> Path:
    """The folder that `evaluate` writes for other data: external/<name> in the run's folder.

    The name is that of the data file, or of the folder that holds images and masks.
    """
    return Path(run) / "external" / external_name(data, images, masks)


def _on_own(
    folder: RunFolder,
    split: str | None,
    metrics: Mapping[str, Metric],
    device: str,
    answers: str | Path | None,
) -> Table:
    bundle = open_bundle(folder.path, folder.trust)
    predictor = load_bundle(bundle, device=device, keep_probabilities=True)
    splits = folder.cases()
    name = split or next((s for s in ("test", "val", "train") if splits.get(s)), "test")
    if not splits.get(name):
        raise ValueError(
            f"{folder.path}: the data has no split {name!r}; there are {', '.join(splits)}."
        )
    audited = saved_audit(folder.path)
    with log_to(folder.path / LOG), replacing(folder.path, PREDICTED) as part:
        table = evaluate_cases(
            predictor,
            splits[name],
            metrics,
            part,
            split=name,
            predictions=True,
            independence=with_members(
                independence_of_split(bundle.card, name, audited),
                bundle,
                digests(bundle.card).get(name, ()),
            ),
        )
        known = {**bundle.card, "scores": {**bundle.card.get("scores", {}), name: table.scores()}}
        report(
            predictor,
            splits[name],
            table,
            part,
            title=folder.recipe.name,
            facts={
                **_facts(known),
                "evaluated on": name,
                "data": _parts(known),
                "data SHA-256": _sha256(known),
                "recipe": (folder.path / "recipe.yaml").read_text(encoding="utf-8"),
            },
            card=known,
            audit=audited,
            curves=folder.path / "metrics.csv",
            answers=answers,
        )
        log(f"evaluated on {summary(part)}")
    bundle.update_card(scores=known["scores"])
    return table


def _on_external(
    run: Path,
    bundle: Bundle,
    training: Callable[[], Splits] | None,
    external: External,
    metrics: Mapping[str, Metric],
    device: str,
    answers: str | Path | None,
    out: Path,
) -> Table:
    predictor = load_bundle(bundle, device=device, keep_probabilities=True)
    card, recipe = bundle.card, bundle.recipe
    audited, independence = compared_with_training(bundle, training, external)
    with replacing(out, PREDICTED) as part:
        table = evaluate_cases(
            predictor,
            external.cases,
            metrics,
            part,
            split=external.title,
            predictions=True,
            independence=independence,
        )
        groups = {case.group for case in external.cases}
        about = f"{len(external.cases)} cases of {len(groups)} groups; {external.about}"
        facts = {
            **_facts(card),
            "judged on": f"{external.title}: {about}",
            "judged data SHA-256": data_hash({external.name: external.cases}),
            "training data": _made_from(bundle),
            "training data SHA-256": _sha256(card),
            **{
                f"training data of {name}": f"{_made_from(member)}; SHA-256 {_sha256(member.card)}"
                for name, member in members_of(bundle)
            },
            "recipe": ((run if run.is_dir() else bundle.folder) / "recipe.yaml").read_text("utf-8"),
        }
        if external.written:
            facts[f"data of {external.name}"] = external.written
        report(
            predictor,
            external.cases,
            table,
            part,
            title=f"{recipe.name} on {external.name}",
            facts=facts,
            card=card,
            audit=audited,
            answers=answers,
        )
    return table


def _metrics(recipe: Recipe, metrics: str | Sequence[str] | None) -> Mapping[str, Metric]:
    """The named metrics, else those of the recipe and the full set; all of them fit the task and the labels."""
    gives, giver = load_task(recipe.task, recipe.labels).gives, f"the task {recipe.task.name}"
    if metrics is None:
        return full_metrics(recipe.metrics, recipe.labels, gives, giver)
    calls = [
        Call(metric, trust=OWN) for metric in ([metrics] if isinstance(metrics, str) else metrics)
    ]
    chosen = load_metrics(calls)
    refuse_unfit(calls, recipe.labels, gives, giver)
    return chosen


def _facts(card: Mapping[str, Any]) -> dict[str, str]:
    """Facts for the report: how the model was trained, and when and how it was evaluated."""
    training = card.get("training", {})
    return {
        "trained by": str(card.get("command", "")),
        **done_by("judged"),
        "best epoch": str(training.get("epoch", "")),
        "device": str(training.get("device", "")),
        "seed": str(card.get("seed", "")),
        "trained with": built_from(card.get("commit"), card.get("versions", {})),
        "trained on": str(card.get("created", "")),
        "intended use": str(card.get("intended_use", "")),
        **{
            f"edited {edit.get('made')}": ", ".join(edit.get("files", ()))
            for edit in card.get("edited", ())
        },
    }


def _made_from(bundle: Bundle) -> str:
    """The data that a model was made from, where they were, and their splits."""
    data = bundle.recipe.data
    return f"{data.args.get('root', data.name)}; {_parts(bundle.card)}"


def _sha256(card: Mapping[str, Any]) -> str:
    return str(card.get("data", {}).get("sha256", "unknown"))


def _parts(card: Mapping[str, Any]) -> str:
    """The splits of the data that a model was made from."""
    data = card.get("data", {})
    cases, groups = data.get("cases", {}), data.get("groups", {})
    return ", ".join(f"{name}: {cases[name]} cases of {groups[name]} groups" for name in cases)
