"""Cases prepared once and mapped into memory ever after."""

from __future__ import annotations

import hashlib
import inspect
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from delineate._version import __version__
from delineate.core import Case, LabelSet
from delineate.files import whole_file
from delineate.prepare import Prepare
from delineate.progress import track
from delineate.resolve import Call, resolve

READING = 2
"""Raised whenever files are read, refused or prepared in another way, so that no entry of before is used."""

PIXELS, CLASSES = "pixels.npy", "classes.npy"


@dataclass(frozen=True)
class PreparedCases:
    """Pixels and truth of cases on the network's grid, before augmentation.

    An entry's key is made of the names, sizes and times of all its files, how they are read, and the
    prepare steps: whatever changes makes another entry, and nothing old is ever served.

    folder: where entries are kept; None keeps them in memory, as cases always are that were drawn, not read.
    """

    cases: Sequence[Case]
    labels: LabelSet
    prepare: Prepare
    calls: Sequence[Call]
    folder: Path | None
    memory: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """(channel, *spatial) pixels as `prepare.fixed` gives them, (*spatial) label values; not to be written to."""
        if self.folder is None or not self.cases[index].files:
            if index not in self.memory:
                self.memory[index] = self._prepared(index)
            return self.memory[index]
        entry = self.folder / self._key(self.cases[index])
        kept = _load(entry)
        if kept is None:
            prepared = self._prepared(index)
            _store(prepared, entry)
            kept = _load(entry) or prepared
        return kept

    def fill(self) -> np.ndarray:
        """Prepare every case now; true where a case shows any label.

        Raises:
            ValueError: cases differ in channels, or one has no truth.
        """
        shows = np.zeros(len(self), dtype=bool)
        channels = len(self[0][0])
        for i in track(range(len(self)), "preparing"):
            pixels, classes = self[i]
            if len(pixels) != channels:
                raise ValueError(
                    f"{self.cases[i].id} has {len(pixels)} channels when prepared, {self.cases[0].id} has "
                    f"{channels}. Begin prepare with {{channels: 1}} or {{channels: 3}}."
                )
            shows[i] = np.isin(classes, self.labels.values).any()
        return shows

    def _prepared(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        case = self.cases[index]
        truth = case.truth
        if truth is None:
            raise ValueError(f"{case.id}: no truth to learn from.")
        return self.prepare.fixed(case.image).pixels, self.prepare.truth(truth).classes

    def _key(self, case: Case) -> str:
        stats = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in case.files]
        read = pickle.dumps((case.load_image, case.load_truth))
        steps = [(call.name, dict(call.args), _own_code(call)) for call in self.calls]
        text = repr((READING, __version__, case.id, stats, steps)).encode() + read
        return hashlib.blake2b(text, digest_size=16).hexdigest()


def _own_code(call: Call) -> str:
    """The source of a user's own step, which changes without a new version of ours."""
    return inspect.getsource(resolve("prepare", call)) if ":" in call.name else ""


def _load(entry: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Pixels and classes of an entry, mapped; None where it is not there or not whole: it is then made again."""
    try:
        pixels, classes = (np.load(entry / name, mmap_mode="r") for name in (PIXELS, CLASSES))
    except (OSError, ValueError, EOFError):  # a cut header, or less data than the header says
        return None
    if pixels.ndim != classes.ndim + 1 or pixels.shape[:-1] != classes.shape:
        return None
    return np.moveaxis(pixels, -1, 0), classes


def _store(prepared: tuple[np.ndarray, np.ndarray], entry: Path) -> None:
    pixels, classes = prepared
    try:
        for name, array in ((PIXELS, np.moveaxis(pixels, 0, -1)), (CLASSES, classes)):
            with whole_file(entry / name) as part, open(part, "wb") as file:
                np.save(file, array)
    except OSError as error:
        raise OSError(
            f"the cache at {entry.parent} cannot be written ({error.strerror}). Free some space there, "
            "point DELINEATE_CACHE to another folder, or train with --set trainer.cache=false."
        ) from error
