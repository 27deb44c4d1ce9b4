"""Bundles -> one bundle that averages what they predict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from delineate.bundle import join_bundles, load_bundle, new_bundle, open_bundle, save_bundle
from delineate.resolve import Trust
from delineate.verbs._facts import command


def ensemble(
    bundles: Sequence[str | Path], out: str | Path, *, trust: Trust | Iterable[str] = ()
) -> Path:
    """Write several bundles as one that averages their predictions; returns its place.

    The new bundle holds a copy of each: the first, and the others in `parts/`. The original folders are not needed any
    more. The task and the refinements are those of the first. It is not calibrated, since the calibration of a single
    member does not hold for the ensemble.

    Args:
        bundles: bundles or folders of runs, at least two, of the same task and labels.
        out: the folder to write to; or one file, if it ends in .delineate.
        trust: modules whose code the bundles may name (`package.module:function`); none else is imported.

    Raises:
        ValueError: fewer than two bundles, one that cannot be read, or bundles that differ in task or labels.
    """
    if len(bundles) < 2:
        raise ValueError("an ensemble needs at least two bundles.")
    trust = Trust.of(trust)
    joined = join_bundles([open_bundle(path, trust) for path in bundles])
    load_bundle(joined, device="cpu")  # raises if members do not fit
    card = {**joined.card, "command": command()}
    weights = {file.name: file.read_bytes() for file in joined.weights_files}
    with new_bundle(out) as folder:
        save_bundle(folder, joined.recipe, card, weights)
    return Path(out)
