"""The record of what a training was initialised from, and leaks of its training cases into this one's evaluation."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from delineate.audit import Audit, CaseFacts, Finding
from delineate.bundle import Source, find_source
from delineate.core import Splits
from delineate.files import sha256, whole_file
from delineate.recipe import Recipe, as_tree
from delineate.verbs._independence import digests, first_images, trained_and_chosen
from delineate.words import counted

RECORD = "init_from.json"
"""The file in a run's folder that holds the record, since the source may have changed when the run is resumed."""

IMAGES, GROUPS = "init_from_images", "init_from_groups"
"""Findings of cases that the initial weights were made from; `audit: {allow: [...]}` allows them."""


DIGESTS = {"groups": "group_digests", "ids": "id_digests"}
"""Entries of a card's `data`: digests of groups with a name of their own, and of those that equal their case's id."""


def group_digests(splits: Splits) -> dict[str, dict[str, list[str]]]:
    """Digests of the groups of each split, for the entry `data` of a card.

    Returns:
        The entries of `DIGESTS`, by split.
    """
    named = {
        split: {digest(case.group) for case in cases if case.group != case.id}
        for split, cases in splits.items()
    }
    every = {split: {digest(case.group) for case in cases} for split, cases in splits.items()}
    return {
        "group_digests": {split: sorted(named[split]) for split in splits},
        "id_digests": {split: sorted(every[split] - named[split]) for split in splits},
    }


def record_of(source: Source, copied: Sequence[str], audited: Audit) -> dict[str, Any]:
    """The entry `init_from` of a card: the weights, what was copied, and the images that made them, all stages before.

    `images`, `groups` and `ids` (groups that equal the id of their case) are digests: "trained" of what the weights
    were trained on, "chosen" of what they were selected or calibrated on. They are None for a file of weights and for a
    bundle whose data were not audited.
    """
    bundle = source.bundle
    record: dict[str, Any] = {"path": source.path, "weights": sha256(source.weights)}
    if bundle is not None:
        record |= {
            "digest": bundle.digest,
            "name": bundle.card.get("name"),
            "created": bundle.card.get("created"),
            "labels": list(bundle.recipe.labels.names),
            "model": as_tree(bundle.recipe.model),
            "stages": _stages(bundle.card),
        }
    record["copied"] = list(copied)
    for kind in ("images", *DIGESTS):
        record[kind] = None if bundle is None else _all_stages(bundle.card, kind)
    split_of = {case.id: case.split for case in audited.cases}
    record["overlap"] = {
        f.check: dict(Counter(split_of[id] for (id,) in f.cases)) for f in leaks(record, audited)
    }
    return record


def leaks(record: Mapping[str, Any], audited: Audit) -> list[Finding]:
    """Findings of cases to evaluate or to validate on that the initial weights were made from.

    A case of "val" may be one that selected the weights before: it only selects again. Two groups are compared if at
    least one of them has a name of its own: two cases with the id "case1" need not show the same patient.
    """
    found: list[Finding] = []
    evaluated = dict.fromkeys(case.split for case in audited.cases if case.split != "train")
    images, named, ids = (
        {split: _made(record.get(kind), split) for split in evaluated}
        for kind in ("images", *DIGESTS)
    )

    def seen(case: CaseFacts) -> bool:
        return case.image is not None and case.image.pixels in images[case.split]

    def of_seen_group(case: CaseFacts) -> bool:
        group = digest(case.group)
        return group in named[case.split] or (case.group != case.id and group in ids[case.split])

    for check, made_of, says, more in (
        (IMAGES, seen, "are images", ""),
        (GROUPS, of_seen_group, "show groups", " If group names are equal by chance, allow it."),
    ):
        shared = [
            (case.id, case.split)
            for case in audited.cases
            if case.split != "train"
            and made_of(case)
            and not any((case.id,) in before.cases for before in found)
        ]
        if shared:
            where = " and ".join(dict.fromkeys(split for _, split in shared))
            told = f"{says} that the weights of {record['path']} were made from"
            advice = "Train both on the same split, or leave these cases out: the weights already know them."
            found.append(
                Finding(
                    check,
                    "refuse",
                    f"{counted(len(shared), 'case')} of {where} {told}",
                    advice + more,
                    tuple((id,) for id, _ in shared),
                )
            )
    return found


def with_leaks(audited: Audit, record: Mapping[str, Any]) -> Audit:
    """The audit with the findings of `leaks`, or with a warning if the images of the weights are not known."""
    found = leaks(record, audited)
    if record["images"] is None:
        found = [
            Finding(
                "init_from_unknown",
                "warn",
                f"it is not known which images the weights of {record['path']} were made from",
                "Scores are independent only if none of the cases of val and test is among them.",
            )
        ]
    return replace(audited, findings=(*found, *audited.findings))


def save_record(record: Mapping[str, Any], run: Path) -> None:
    """Write the record into a run's folder."""
    with whole_file(run / RECORD) as part:
        part.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def saved_record(run: Path) -> dict[str, Any] | None:
    """The record in a run's folder; None if it has none."""
    path = run / RECORD
    if not path.is_file():
        return None
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def refuse_changed(recipe: Recipe, record: Mapping[str, Any]) -> None:
    """Refuse weights that are not those of the record: its sentences and its digests of images are of these.

    Raises:
        RecipeError: the source is not there any more, or its weights have changed.
    """
    source = find_source(recipe)
    assert source is not None
    assert recipe.init_from is not None
    if sha256(source.weights) != record["weights"]:
        raise recipe.init_from.fail(
            f"{source.path}: its weights have changed since this run was started, and no checkpoint of the run is "
            "saved yet. Start a new run, or bring the former weights back."
        )


def digest(group: str) -> str:
    """A digest of the name of a group."""
    return hashlib.sha256(group.encode()).hexdigest()


def _made(known: Mapping[str, Any] | None, split: str) -> set[str]:
    """The digests with which a case of a split is compared."""
    parts = ("trained",) if split == "val" else ("trained", "chosen")
    return {one for part in parts for one in (known or {}).get(part, ())}


def _stages(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the source itself was initialised from, nearest first."""
    before = card.get("init_from")
    if not isinstance(before, Mapping):
        return []
    kept = {key: before.get(key) for key in ("path", "name", "digest", "weights")}
    return [kept, *before.get("stages", [])]


def _all_stages(card: Mapping[str, Any], kind: str) -> dict[str, list[str]] | None:
    """Digests of what made a model in all its stages; None if it is not known for one of them."""
    data = card.get("data", {})
    by_split = digests(card) if kind == "images" else data.get(DIGESTS[kind], {})
    own = trained_and_chosen(card, by_split)
    before = first_images(card, kind)
    if before is None or not by_split:
        return None
    return {part: sorted({*own[part], *before[part]}) for part in ("trained", "chosen")}
