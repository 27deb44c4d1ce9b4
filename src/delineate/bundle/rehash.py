"""Accept changes that the user made to a bundle by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from delineate.bundle.bundle import Bundle, open_folder
from delineate.bundle.card import (
    CARD,
    ENGINES,
    FORMAT,
    WEIGHTS,
    changed_files,
    hashes_of,
    sealed,
    write_json,
)
from delineate.files import sha256
from delineate.resolve import NOBODY


def rehash_bundle(folder: str | Path) -> tuple[str, ...]:
    """Write the present hashes of all files of a bundle into its card; returns the files that had changed.

    All else is checked as when the bundle is opened, and nothing is written if it is refused. The card keeps a record
    of the change in `edited`. A bundle of format 1 gets hashes for the first time, so no changes are known.

    Args:
        folder: the folder of a bundle or a run.

    Raises:
        ValueError: no bundle there, a bundle in one file, a file that is missing or cannot be read, or weights of
            several engines.
    """
    folder = Path(folder)
    if folder.is_file():
        raise ValueError(
            f"{folder}: is a bundle in one file, which cannot be changed. Unzip it, and give the folder."
        )
    bundle = open_folder(folder, NOBODY, hashes=False)
    for one in bundle.with_all_members():
        _refuse_incomplete(one)
    return tuple(_rehash(bundle))


def _refuse_incomplete(bundle: Bundle) -> None:
    there = [name for name in ENGINES if (bundle.folder / name).is_file()]
    if len(there) > 1:
        raise ValueError(
            f"{bundle.folder}: holds weights of several engines: {', '.join(there)}. Keep one of them."
        )
    weights = {file.name for file in bundle.weights_files}
    if missing := sorted(name for name in weights if not (bundle.folder / name).is_file()):
        raise ValueError(
            f"{bundle.folder / missing[0]}: the file is missing. Copy the whole bundle again."
        )
    for name in {*WEIGHTS} - weights:
        if (bundle.folder / name).is_file():
            raise ValueError(f"{bundle.folder / name}: belongs to no weights there. Remove it.")


def _rehash(bundle: Bundle) -> list[str]:
    """As `rehash_bundle`, for a bundle that was checked; first its members, whose cards it has hashes of."""
    changed = [*changed_files(bundle.folder, bundle.card)]
    for at, member in bundle.members.items():
        inner = [f"{at}/{name}" for name in _rehash(member)]
        changed = [name for name in changed if not inner or name != f"{at}/{CARD}"] + inner
    format_1 = bundle.card["format"] == 1
    own = [name for name in bundle.files if "/" not in name and name != CARD]
    parts = {name: sha256(bundle.folder / name) for name in own}
    parts |= {f"{at}/{CARD}": sha256(bundle.folder / at / CARD) for at in bundle.members}
    if parts == {k: v for k, v in hashes_of(bundle.card).items() if k != CARD} and not changed:
        return []
    card = {**bundle.card, "format": FORMAT, "parts": parts}
    if changed and not format_1:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        card["edited"] = [*card.get("edited", []), {"made": now, "files": changed}]
    write_json(sealed(card), bundle.folder / CARD)
    return [] if format_1 else changed
