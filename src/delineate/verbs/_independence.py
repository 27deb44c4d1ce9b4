"""Whether the cases of an evaluation are independent of the model: not used for training, selection or calibration."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from delineate.audit import Audit, Finding
from delineate.bundle import Bundle

ACROSS = "_across_splits"
"""The end of the name of each finding about cases on two sides of a split."""


class Independence(NamedTuple):
    """The values of `Table.independent` and `Table.caveats`."""

    independent: bool | None = None
    caveats: tuple[str, ...] = ()


UNKNOWN = Independence()
"""For masks of any tool: it is not known which cases the tool was made from."""


def independence_of_split(card: Mapping[str, Any], split: str, audit: Audit | None) -> Independence:
    """Whether a split of a run's own data is independent of its model.

    Args:
        card: of the run's bundle.
        split: the name of the split.
        audit: of the run's data, if they were audited.
    """
    caveats = []
    if split == "train":
        caveats.append(
            "The model was trained on these cases: the scores show how well it remembers them. They do not predict "
            "the scores on new patients."
        )
    else:
        parts = [what for used, what in _chosen_on(card).items() if used == split]
        if parts:
            caveats.append(
                f"The split “{split}” was used {parts[0]}. On new patients the scores are likely to be worse."
            )
    known = Independence(True)
    if split != "train":
        known = first_weights(card, digests(card).get(split, ()), split)
        caveats += known.caveats
    leaks = leaks_of(audit.findings if audit else ())
    if leaks:
        caveats.append(
            f"The data are known to leak across the split: {in_words(leaks)}. On new patients the scores may be worse."
        )
    if known.caveats and len(caveats) == 1:
        return known
    return Independence(not caveats, tuple(caveats))


def first_weights(
    card: Mapping[str, Any], images: Collection[str], split: str = ""
) -> Independence:
    """Whether the weights that a model was initialised from are independent of images: no caveat if they are.

    Groups of other data are not compared here; those of the run itself were, before its training.

    Args:
        card: of the bundle.
        images: digests of the evaluated images.
        split: the split of the run's own data that they are, or "".
    """
    record = card.get("init_from")
    if not isinstance(record, Mapping):
        return Independence(True)
    known = first_images(card, "images")
    if known is None or not images:
        caveat = f"It is not known whether the initial weights ({record.get('path')}) were made from these images."
        return Independence(None, (caveat,))
    learnt = set(known["trained"]) if split == "val" else {*known["trained"], *known["chosen"]}
    shared = len(learnt & set(images))
    groups = (record.get("overlap") or {}).get("init_from_groups", {}).get(split, 0)
    if not shared and not groups:
        return Independence(True)
    what = f"{shared} of these {len(images)} images"
    if not shared:
        what = f"other images of the groups of {groups} of these cases"
    caveat = (
        f"The initial weights ({record.get('path')}) were made from {what}. On new patients the scores are likely to "
        "be worse."
    )
    return Independence(False, (caveat,))


def first_images(card: Mapping[str, Any], kind: str) -> Mapping[str, Collection[str]] | None:
    """Digests of the images or groups that the initial weights of a model were made from, in all stages before.

    kind: "images", "groups" or "ids" (groups that equal the id of their case).

    Returns:
        Those they were trained on ("trained") and selected or calibrated on ("chosen"); empty for a model with random
        or pretrained weights; None if they are not known.
    """
    record = card.get("init_from")
    if not isinstance(record, Mapping):
        return {"trained": (), "chosen": ()}
    known = record.get(kind)
    if not isinstance(known, Mapping):
        return None
    return {part: known.get(part, ()) for part in ("trained", "chosen")}


def trained_and_chosen(
    card: Mapping[str, Any], by_split: Mapping[str, Collection[str]]
) -> Mapping[str, set[str]]:
    """Digests by split as those that a model was trained on, and selected or calibrated on."""
    chosen = {one for split in _chosen_on(card) for one in by_split.get(split, ())}
    return {"trained": set(by_split.get("train", ())), "chosen": chosen}


def with_members(known: Independence, bundle: Bundle, images: Collection[str]) -> Independence:
    """The independence of the cases from an ensemble: from the model and from all its members.

    For members only exact copies of images are recognised.

    Args:
        known: the independence of the model itself.
        bundle: that of the ensemble.
        images: digests of the evaluated images, as an audit has them.
    """
    for name, member in members_of(bundle):
        made = made_of(member)
        if shared := len(made & set(images)):
            caveat = (
                f"The member {name} was made from {shared} of these {len(images)} images. On new patients the scores "
                "are likely to be worse."
            )
            known = Independence(False, (*known.caveats, caveat))
        elif not made or not images:
            caveat = f"It is not known whether the member {name} was made from these images."
            independent = False if known.independent is False else None
            known = Independence(independent, (*known.caveats, caveat))
    return known


def members_of(bundle: Bundle) -> Iterator[tuple[str, Bundle]]:
    """The members of an ensemble and theirs, by their paths in the bundle."""
    for name, member in bundle.members.items():
        yield name, member
        yield from ((f"{name}/{inner}", its) for inner, its in members_of(member))


def made_of(bundle: Bundle) -> set[str]:
    """Digests of the images that made a model and its initial weights, its members aside.

    None where its data were not audited.
    """
    before = first_images(bundle.card, "images") or {}
    return own_images(bundle.card).union(*before.values())


def own_images(card: Mapping[str, Any]) -> set[str]:
    """Digests of the images of a run that made its model."""
    known = digests(card)
    return {digest for split in used_splits(card) for digest in known.get(split, ())}


def digests(card: Mapping[str, Any]) -> Mapping[str, Collection[str]]:
    """The digests of the images that a model was made from, by split; empty if its data were not audited."""
    by_split: Mapping[str, Collection[str]] = card.get("audit", {}).get("pixels", {})
    return by_split


def used_splits(card: Mapping[str, Any]) -> tuple[str, ...]:
    """The splits that a model was made from: by training, selection or calibration."""
    return tuple(dict.fromkeys(("train", *_chosen_on(card))))


def leaks_of(findings: Sequence[Finding]) -> list[Finding]:
    """The findings of cases on two sides of the split."""
    return [f for f in findings if f.level == "refuse" and f.check.endswith(ACROSS)]


def in_words(findings: Collection[Finding]) -> str:
    """Findings in one sentence, without the names of cases."""
    return "; ".join(f"{f.says[:1].lower()}{f.says[1:]} ({f.check})" for f in findings)


def _chosen_on(card: Mapping[str, Any]) -> dict[str, str]:
    """The splits used for selection or calibration, and for what: "to select ..."."""
    chosen = {"val": ["to select the epoch of the weights"]}
    calibrated = card.get("calibration", {}).get("split")
    if calibrated:
        fitted = "to fit the temperature and the review threshold"
        chosen.setdefault(calibrated, []).append(fitted)
    if card.get("refinement"):
        chosen["val"].append("to fit the refinement")
    return {split: " and ".join(what) for split, what in chosen.items()}
