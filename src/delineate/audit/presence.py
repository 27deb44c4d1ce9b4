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
    "image_label_contradicts_mask": "warn",
    "no_truth": "note",
    "empty_truth": "note",
    "image_level_labels_only": "note",
    "image_label_not_known": "note",
}


def presence(cases: Sequence[CaseFacts], labels: LabelSet) -> list[Finding]:
    """Labels that no training case shows, or no case of another split; cases of whose truth a part is not there."""
    splits = list(dict.fromkeys(case.split for case in cases))
    known = {s: [c.truth for c in cases if c.split == s and c.truth] for s in splits}
    missing = [
        (split, name)
        for split, truths in known.items()
        for name in labels.names
        if truths and not any(truth.shows(name) for truth in truths)
    ]
    found = []
    for split, name in missing:
        check = "label_never_trained" if split == "train" else "label_never_judged"
        advice = (
            "It cannot be learnt. Add cases that show it, or remove it from labels."
            if split == "train"
            else "It has no score there. Split with stratify: labels, or with another seed."
        )
        found.append(Finding(check, FINDS[check], f"no case of {split} shows any {name}", advice))
    bare = [c for c in cases if c.truth is None and not c.problems]
    empty = [
        c for c in cases if c.truth and all(c.truth.shows(name) is False for name in labels.names)
    ]
    image_level = [c for c in cases if c.truth and not c.truth.outlined]
    unknown = [
        (c, [name for name in labels.names if c.truth.shows(name) is None])
        for c in cases
        if c.truth
    ]
    unknown = [(c, names) for c, names in unknown if names]
    outlined = {
        name for c in cases if c.truth for name, sizes in c.truth.objects.items() if sizes
    }  # masks may hold no sample of a label that only the table tells of
    return [
        *found,
        *finding(
            FINDS,
            "image_label_contradicts_mask",
            [
                ((c.id,), f"{name} is {'present' if shown else 'absent'} by its image-level label")
                for c in cases
                if c.truth and c.truth.outlined
                for name, shown in c.truth.present.items()
                if name in outlined and shown is not None and shown != bool(c.truth.objects[name])
            ],
            lambda n: f"image-level labels of {counted(n, 'case')} contradict the mask",
            "Classification uses the image-level label, segmentation uses the mask. Correct one of them.",
        ),
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
            "They reduce false positives in training. In evaluation, an empty prediction has no score there.",
        ),
        *finding(
            FINDS,
            "image_level_labels_only",
            [((c.id,), f"in {c.split}") for c in image_level],
            lambda n: (
                f"{counted(n, 'case')} with image-level labels and no mask ({_by_split(image_level, splits)})"
            ),
            "The checks of masks (values, places, sizes of objects) pass over them.",
        ),
        *finding(
            FINDS,
            "image_label_not_known",
            [((c.id,), ", ".join(names)) for c, names in unknown],
            lambda n: f"it is not known of {counted(n, 'case')} whether they show a label",
            "Training and evaluation leave out a label where it is unknown.",
        ),
    ]


def _by_split(cases: Sequence[CaseFacts], splits: Sequence[str]) -> str:
    counts = {split: sum(case.split == split for case in cases) for split in splits}
    return ", ".join(f"{n} in {split}" for split, n in counts.items() if n)
