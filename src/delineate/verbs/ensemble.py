"""Bundles -> one bundle that averages what they predict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from delineate.bundle import join_bundles, load_bundle, open_bundle, save_bundle
from delineate.resolve import Trust
from delineate.verbs._facts import command


def ensemble(
    bundles: Sequence[str | Path], out: str | Path, *, trust: Trust | Iterable[str] = ()
) -> Path:
    """Write several bundles as one, whose predictions are the mean of theirs; the folder is returned.

    The new bundle holds the first with the others in `parts/`, and needs none of the folders that it was made of. The
    task and the refinements of the first decide. It is not calibrated: the Dice that each member expects of itself
    says nothing of all together.

    Args:
        bundles: folders of bundles or runs, at least two, of the same task and labels.
        out: the folder to write to.
        trust: modules whose code the bundles may name (`package.module:function`); none else is imported.

    Raises:
        ValueError: fewer than two bundles, one that cannot be read, or bundles that differ in task or labels.
    """
    if len(bundles) < 2:
        raise ValueError("an ensemble needs at least two bundles.")
    trust = Trust.of(trust)
    joined = join_bundles([open_bundle(path, trust) for path in bundles])
    load_bundle(joined, device="cpu")  # refuses members that do not fit
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is not empty. Give the new bundle a folder of its own.")
    card = {**joined.card, "command": command()}
    save_bundle(out, joined.recipe, card, joined.weights.read_bytes(), joined.weights.name)
    return out
