"""Which labels there are in which split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from delineate.audit._case_facts import CaseFacts
from delineate.audit._finding import Finding, Level, finding
from delineate.core import LabelSet
from delineate.words import counted

FINDS: Mapping[str, Level] = {
    "label_never_trained": "refuse",
    "label_never_judged": "warn",
    "no_truth": "note",
    "empty_truth": "note",
}


def presence(cases: Sequence[CaseFacts], labels: LabelSet) -> list[Finding]:
    """Labels that no training case has, or no case of another split; cases without truth or with an empty one."""
    splits = list(dict.fromkeys(case.split for case in cases))
    known = {s: [c.truth for c in cases if c.split == s and c.truth] for s in splits}
    missing = [
        (split, name)
        for split, truths in known.items()
        for name in labels.names
        if truths and not any(truth.objects[name] for truth in truths)
    ]
    found = []
    for split, name in missing:
        check = "label_never_trained" if split == "train" else "label_never_judged"
        advice = (
            "It cannot be learnt. Give it cases, or take it out of labels."
            if split == "train"
            else "No score of it will be known there. Split with stratify: labels, or by another seed."
        )
        found.append(Finding(check, FINDS[check], f"no case of {split} shows any {name}", advice))
    bare = [c for c in cases if c.truth is None and not c.problems]
    empty = [c for c in cases if c.truth and not any(c.truth.objects.values())]
    return [
        *found,
        *finding(
            FINDS,
            "no_truth",
            [((c.id,), f"in {c.split}") for c in bare],
            lambda n: f"{counted(n, 'case')} without truth ({_by_split(bare, splits)})",
            "",
        ),
        *finding(
            FINDS,
            "empty_truth",
            [((c.id,), f"in {c.split}") for c in empty],
            lambda n: f"{counted(n, 'case')} without any label ({_by_split(empty, splits)})",
            "They keep a model from seeing things. Where nothing is found either, there is no score.",
        ),
    ]


def _by_split(cases: Sequence[CaseFacts], splits: Sequence[str]) -> str:
    counts = {split: sum(case.split == split for case in cases) for split in splits}
    return ", ".join(f"{n} in {split}" for split, n in counts.items() if n)
