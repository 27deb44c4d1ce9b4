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
    """Write several bundles as one that averages their predictions; returns its folder.

    The new bundle holds a copy of each: the first, and the others in `parts/`. The original folders are not needed any
    more. The task and the refinements are those of the first. It is not calibrated, since the calibration of a single
    member does not hold for the ensemble.

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
    load_bundle(joined, device="cpu")  # raises if members do not fit
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is not empty. Give a new or empty folder for the new bundle.")
    card = {**joined.card, "command": command()}
    weights = {file.name: file.read_bytes() for file in joined.weights_files}
    save_bundle(out, joined.recipe, card, weights)
    return out
