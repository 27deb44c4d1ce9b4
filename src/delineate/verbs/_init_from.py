"""The record of what a training was initialised from, and leaks of its training cases into this one's evaluation."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from delineate.audit import Audit, CaseFacts, Finding
from delineate.bundle import Source
from delineate.core import Case, Splits
from delineate.files import sha256, whole_file
from delineate.recipe import as_tree
from delineate.verbs._independence import digests, first_images, trained_and_chosen
from delineate.words import counted

RECORD = "init_from.json"
"""The file in a run's folder that holds the record, since the source may be gone when the run is resumed."""

IMAGES, GROUPS = "init_from_images", "init_from_groups"
"""Findings of cases that the initial weights were made from; `audit: {allow: [...]}` allows them."""


def group_digests(splits: Splits) -> dict[str, list[str]]:
    """Digests of the groups of each split, for a card. A group of one case named after its file identifies nobody."""
    return {name: sorted(_groups(cases)) for name, cases in splits.items()}


def record_of(source: Source, copied: Sequence[str], audited: Audit) -> dict[str, Any]:
    """The entry `init_from` of a card: the weights, what was copied, and the images that made them, all stages before.

    `images` and `groups` are digests: "trained" of what the weights were trained on, "chosen" of what they were
    selected or calibrated on. They are None for a file of weights and for a bundle whose data were not audited.
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
    record["images"] = None if bundle is None else _all_stages(bundle.card, "images")
    record["groups"] = None if bundle is None else _all_stages(bundle.card, "groups")
    split_of = {case.id: case.split for case in audited.cases}
    record["overlap"] = {
        f.check: dict(Counter(split_of[id] for (id,) in f.cases)) for f in leaks(record, audited)
    }
    return record


def leaks(record: Mapping[str, Any], audited: Audit) -> list[Finding]:
    """Findings of cases to evaluate or to validate on that the initial weights were made from.

    A case of "val" may be one that selected the weights before: it only selects again.
    """
    found: list[Finding] = []
    for check, kind, of, says, more in (
        (IMAGES, "images", _image, "are images", ""),
        (GROUPS, "groups", _group, "show groups", " If group names are equal by chance, allow it."),
    ):
        known = record.get(kind) or {}
        trained = set(known.get("trained", ()))
        made = trained | set(known.get("chosen", ()))
        shared = [
            (case.id, case.split)
            for case in audited.cases
            if case.split != "train"
            and of(case) in (trained if case.split == "val" else made)
            and not any((case.id,) in before.cases for before in found)
        ]
        if shared:
            splits = " and ".join(dict.fromkeys(split for _, split in shared))
            of_what = f"{says} that the weights of {record['path']} were made from"
            advice = "Train both on the same split, or leave these cases out: the weights already know them."
            found.append(
                Finding(
                    check,
                    "refuse",
                    f"{counted(len(shared), 'case')} of {splits} {of_what}",
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


def digest(group: str) -> str:
    """A digest of the name of a group."""
    return hashlib.sha256(group.encode()).hexdigest()


def _image(case: CaseFacts) -> str:
    return case.image.pixels if case.image else ""


def _group(case: CaseFacts | Case) -> str:
    return digest(case.group) if case.group != case.id else ""


def _groups(cases: Iterable[Case]) -> set[str]:
    return {_group(case) for case in cases} - {""}


def _stages(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the source itself was initialised from, nearest first."""
    before = card.get("init_from")
    if not isinstance(before, Mapping):
        return []
    kept = {key: before.get(key) for key in ("path", "name", "digest", "weights")}
    return [kept, *before.get("stages", [])]


def _all_stages(card: Mapping[str, Any], kind: str) -> dict[str, list[str]] | None:
    """Digests of what made a model in all its stages; None if it is not known for one of them."""
    by_split = digests(card) if kind == "images" else card.get("data", {}).get("group_digests", {})
    own = trained_and_chosen(card, by_split)
    before = first_images(card, kind)
    if before is None or not by_split:
        return None
    return {part: sorted({*own[part], *before[part]}) for part in ("trained", "chosen")}
