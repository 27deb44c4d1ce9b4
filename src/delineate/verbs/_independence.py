"""Whether cases had a part in making the model that is judged on them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from delineate.audit import Audit, Finding

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
