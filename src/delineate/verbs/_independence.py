"""Whether cases had a part in making the model that is judged on them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from delineate.audit import Audit, Finding
from delineate.bundle import Bundle

ACROSS = "_across_splits"
"""Ends the name of a finding about cases that are on two sides of a split."""


class Independence(NamedTuple):
    """What a table says of its cases: `Table.independent` and `Table.caveats`."""

    independent: bool | None = None
    caveats: tuple[str, ...] = ()


UNKNOWN = Independence()
"""For masks of any tool: it is not known from which cases the tool was made."""


def independence_of_split(card: Mapping[str, Any], split: str, audit: Audit | None) -> Independence:
    """Whether a split of the data that a run was made from is unseen.

    Args:
        card: of the run's bundle.
        split: what the run calls the cases.
        audit: of the run's data, if they were audited.
    """
    caveats = []
    if split == "train":
        caveats.append(
            "These cases were learnt from: the scores say how well the model remembers them, and nothing of new "
            "patients."
        )
    else:
        parts = [what for used, what in _chosen_on(card).items() if used == split]
        if parts:
            caveats.append(
                f"The split “{split}” {parts[0]}: on new patients the scores are likely to be worse."
            )
    leaks = leaks_of(audit.findings if audit else ())
    if leaks:
        caveats.append(
            f"The data are known to leak across the split: {in_words(leaks)}. On new patients the scores may be worse."
        )
    return Independence(not caveats, tuple(caveats))


def with_members(known: Independence, bundle: Bundle, images: Collection[str]) -> Independence:
    """What is known of the cases once the members of an ensemble count too; only exact copies of images are found.

    Args:
        known: of the model itself.
        bundle: that of the ensemble.
        images: digests of the images that are judged, as an audit has them.
    """
    for name, member in members_of(bundle):
        made = made_of(member)
        if shared := len(made & set(images)):
            said = (
                f"The member {name} was made from {shared} of these {len(images)} images: on new patients the scores "
                "are likely to be worse."
            )
            known = Independence(False, (*known.caveats, said))
        elif not made or not images:
            said = f"It is not known whether the member {name} was made from these images."
            independent = False if known.independent is False else None
            known = Independence(independent, (*known.caveats, said))
    return known


def members_of(bundle: Bundle) -> Iterator[tuple[str, Bundle]]:
    """The members of an ensemble and theirs, by their paths in the bundle."""
    for name, member in bundle.members.items():
        yield name, member
        yield from ((f"{name}/{inner}", its) for inner, its in members_of(member))


def made_of(bundle: Bundle) -> set[str]:
    """Digests of the images that made a model, its members aside; none where its data were not audited."""
    known = digests(bundle.card)
    return {digest for split in used_splits(bundle.card) for digest in known.get(split, ())}


def digests(card: Mapping[str, Any]) -> Mapping[str, Collection[str]]:
    """The digests of the images that a model was made from, by split; none where its data were not audited."""
    found: Mapping[str, Collection[str]] = card.get("audit", {}).get("pixels", {})
    return found


def used_splits(card: Mapping[str, Any]) -> tuple[str, ...]:
    """The splits that had a part in making a model: learnt from, or chosen or fitted on."""
    return tuple(dict.fromkeys(("train", *_chosen_on(card))))


def leaks_of(findings: Sequence[Finding]) -> list[Finding]:
    """Those that say that cases are on two sides of the split."""
    return [f for f in findings if f.level == "refuse" and f.check.endswith(ACROSS)]


def in_words(findings: Collection[Finding]) -> str:
    """Findings in one sentence, without the names of cases."""
    return "; ".join(f"{f.says[:1].lower()}{f.says[1:]} ({f.check})" for f in findings)


def _chosen_on(card: Mapping[str, Any]) -> dict[str, str]:
    """The splits on which something of the model was chosen, and what."""
    chosen = {"val": ["picked the epoch whose weights were kept"]}
    calibrated = card.get("calibration", {}).get("split")
    if calibrated:
        fitted = "fitted the temperature and the threshold of review"
        chosen.setdefault(calibrated, []).append(fitted)
    return {split: " and ".join(what) for split, what in chosen.items()}
