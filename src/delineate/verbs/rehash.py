"""A bundle that the user edited -> the same bundle, with the hashes of its files as they are now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from delineate.bundle import open_bundle, rehash_bundle


@dataclass(frozen=True)
class Rehashed:
    """The result of `rehash`.

    folder: the folder of the bundle.
    changed: the files that differed from their hashes.
    judged: what the card says about the model as it was before; "" if nothing.
    """

    folder: Path
    changed: tuple[str, ...]
    judged: str

    @property
    def lines(self) -> list[str]:
        """A line for each file that had changed, and a summary."""
        done = f"{len(self.changed)} changed" if self.changed else "no change was found"
        stale = f"The card's {self.judged} belong to the bundle before this change."
        return [
            *(f"changed: {name}" for name in self.changed),
            f"{self.folder}: the card has the hashes of all files as they are now; {done}.",
            *([stale] if self.changed and self.judged else []),
        ]


def rehash(bundle: str | Path) -> Rehashed:
    """Accept changes made by hand to the files of a bundle, which is refused until then; says which files had changed.

    The card gets the present SHA-256 of all files, those of its members too, and a record of the change (`edited`). No
    code is run. All else is checked as when a bundle is opened: what is refused stays as it is.

    Args:
        bundle: the folder of a bundle or a run.

    Raises:
        ValueError: no bundle there, a bundle in one file, a file that is missing or cannot be read, or weights of
            several engines.
    """
    changed = rehash_bundle(bundle)
    opened = open_bundle(bundle)
    judged = " and ".join(name for name in ("scores", "calibration") if opened.card.get(name))
    return Rehashed(opened.folder, changed, judged)
