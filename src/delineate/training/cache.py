"""A cache of prepared cases: each is prepared once, and then mapped into memory. Slices are cut from the maps."""

from __future__ import annotations

import hashlib
import inspect
import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from delineate._version import __version__
from delineate.core import Case, LabelSet
from delineate.files import whole_file
from delineate.prepare import Layers, Object, Prepare, Slices, stacked, unstacked
from delineate.progress import track
from delineate.resolve import Call, resolve

READING = 3
"""Version of the entries. Increase it when reading, validation or preparation changes: old entries are then unused."""

PIXELS, CLASSES, LAYERS, FACTS = "pixels.npy", "classes.npy", "layers.npy", "facts.json"
"""The files of an entry. A truth that is only a label map is in CLASSES; any other truth is in LAYERS and FACTS."""


@dataclass(frozen=True)
class PreparedCases:
    """Pixels and truth of cases on the network's grid, before augmentation.

    The key of an entry is a hash of the names, sizes and modification times of all files of the case, of how they are
    read, and of the prepare steps. A change of any of these makes a new entry, so an outdated entry is never used. The
    key is computed once for each case: what changes later is noticed by the next training.

    folder: where entries are kept; None keeps them in memory. Generated cases, which have no files, are always kept
        in memory.
    instances: whether the task learns from the instances of the truth. If not, instances are not kept.
    """

    cases: Sequence[Case]
    labels: LabelSet
    prepare: Prepare
    calls: Sequence[Call]
    folder: Path | None
    instances: bool = False
    memory: dict[int, tuple[np.ndarray, Layers]] = field(default_factory=dict, repr=False)
    keys: dict[int, str] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> tuple[np.ndarray, Layers]:
        """Pixels (channel, *spatial) as `prepare.fixed` returns them, and their truth. Do not modify either."""
        if self.folder is None or not self.cases[index].files:
            if index not in self.memory:
                self.memory[index] = self._prepared(index)
            return self.memory[index]
        if index not in self.keys:
            self.keys[index] = self._key(self.cases[index])
        entry = self.folder / self.keys[index]
        kept = _load(entry, self.labels)
        if kept is None:
            prepared = self._prepared(index)
            _store(prepared, entry)
            kept = _load(entry, self.labels) or prepared
        return kept

    def name(self, index: int) -> str:
        """The id of a case."""
        return self.cases[index].id

    def finish(self, pixels: np.ndarray) -> np.ndarray:
        """The pixels of a case with the steps of preparation that come after augmentation."""
        return self.prepare.finish(pixels)

    def fill(self) -> np.ndarray:
        """Prepare every case now; returns (case, label): whether a case shows a label.

        Raises:
            ValueError: cases differ in channels, or one has no truth.
        """
        shows = np.zeros((len(self), len(self.labels)), dtype=bool)
        channels = len(self[0][0])
        for i in track(range(len(self)), "preparing"):
            pixels, layers = self[i]
            if len(pixels) != channels:
                raise ValueError(
                    f"{self.cases[i].id} has {len(pixels)} channels when prepared, {self.cases[0].id} has "
                    f"{channels}. Begin prepare with {{channels: 1}} or {{channels: 3}}."
                )
            truth = replace(layers, numbers=None, objects=()).segmentation()
            shows[i] = [bool(truth.shows(name)) for name in self.labels.names]
        return shows

    def _prepared(self, index: int) -> tuple[np.ndarray, Layers]:
        case = self.cases[index]
        truth = case.truth
        if truth is None:
            raise ValueError(f"{case.id}: no truth to learn from.")
        pixels = self.prepare.fixed(case.image).pixels
        return pixels, Layers.of(self.prepare.truth(truth, self.instances))

    def _key(self, case: Case) -> str:
        stats = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in case.files]
        read = pickle.dumps((case.load_image, case.load_truth))
        steps = [(call.name, dict(call.args), _own_code(call)) for call in self.calls]
        text = repr((READING, __version__, case.id, stats, steps, self.instances)).encode() + read
        return hashlib.blake2b(text, digest_size=16).hexdigest()


@dataclass
class SlicesOfCases:
    """Slices of prepared volumes as training samples, and their truth. The volumes stay in the cache.

    cases: the prepared volumes.
    slices: how slices are cut.
    places: (slice, 3): the case, the axis and the index of each slice; set by `fill`.
    """

    cases: PreparedCases
    slices: Slices
    places: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.int64), repr=False)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> tuple[np.ndarray, Layers]:
        """Pixels (slice x channel, rows, columns) of a slice and its neighbours, and the truth of the slice."""
        case, axis, position = map(int, self.places[index])
        pixels, truth = self.cases[case]
        return stacked(self.slices.slab(pixels, axis, position)), self.slices.truth(truth, axis, position)  # fmt: skip

    def name(self, index: int) -> str:
        """The id of the case, and the axis and the index of the slice."""
        case, axis, position = map(int, self.places[index])
        return f"{self.cases.name(case)} (axis {axis}, slice {position})"

    @property
    def axes(self) -> np.ndarray | None:
        """The axis of each slice; None if there is but one. Slices along different axes may differ in shape."""
        return self.places[:, 1] if len(self.slices.axes) > 1 else None

    def finish(self, pixels: np.ndarray) -> np.ndarray:
        """The pixels of a slice with the steps of preparation that come after augmentation.

        These see the slice and its neighbours as a thin volume, with the channels of the volume.
        """
        slab = unstacked(pixels, len(pixels) // self.slices.channels(1))
        return np.ascontiguousarray(stacked(self.cases.finish(slab)))

    def fill(self) -> np.ndarray:
        """Prepare every volume now; returns (slice, label): whether a slice shows a label.

        Raises:
            ValueError: volumes differ in channels, or one has no outlines or not three axes.
        """
        self.cases.fill()
        labels = self.cases.labels
        known: list[np.ndarray] = []
        places: list[tuple[int, int, int]] = []
        for number in range(len(self.cases)):
            truth = self.cases[number][1]
            if not truth.outlined:
                raise ValueError(
                    f"{self.cases.name(number)} has image-level labels only, and slices need masks. Leave out slices."
                )
            places += [(number, *at) for at in self.slices.positions(truth.classes.shape)]
            for axis in self.slices.axes:
                maps = np.moveaxis(truth.classes, axis, 0)
                held = np.zeros((len(maps), 1 + max(label.value for label in labels.labels)), bool)
                for row, classes in zip(held, maps, strict=True):
                    row[classes] = True
                known.append(
                    np.stack([held[:, labels.values_of(n)].any(1) for n in labels.names], 1)
                )
        self.places = np.array(places)
        return np.concatenate(known)


def _own_code(call: Call) -> str:
    """The source code of a user's own step, since it can change while Delineate's version does not."""
    return inspect.getsource(resolve("prepare", call)) if ":" in call.name else ""


def _load(entry: Path, labels: LabelSet) -> tuple[np.ndarray, Layers] | None:
    """Pixels and truth of an entry, memory-mapped; None if the entry is missing or damaged. It is then made again."""
    try:
        pixels = np.moveaxis(np.load(entry / PIXELS, mmap_mode="r"), -1, 0)
        truth = _load_truth(entry, labels, pixels.shape[1:])
    except (
        OSError,
        ValueError,
        EOFError,
        KeyError,
        TypeError,
    ):  # missing, truncated, or less data than the header states
        return None
    maps = [truth.classes, *(() if truth.numbers is None else truth.numbers)]
    return (pixels, truth) if all(m.shape == pixels.shape[1:] for m in maps) else None


def _load_truth(entry: Path, labels: LabelSet, shape: tuple[int, ...]) -> Layers:
    try:
        return Layers(np.load(entry / CLASSES, mmap_mode="r"), labels)
    except FileNotFoundError:
        facts = json.loads((entry / FACTS).read_text(encoding="utf-8"))
    objects = tuple(Object(*known) for known in facts["objects"])
    layers = np.broadcast_to(np.uint8(0), (1, *shape))  # an empty map has no file
    if facts["outlined"]:
        layers = np.load(entry / LAYERS, mmap_mode="r")
    return Layers(
        layers[0],
        labels,
        layers[1:] if len(layers) > 1 else None,
        objects,
        facts["present"],
        facts["scores"],
        facts["outlined"],
    )


def _store(prepared: tuple[np.ndarray, Layers], entry: Path) -> None:
    pixels, truth = prepared
    facts = {
        "objects": [(known.label, known.score, known.crowd) for known in truth.objects],
        "present": dict(truth.present),
        "scores": dict(truth.scores),
        "outlined": truth.outlined,
    }
    plain = facts == {"objects": [], "present": {}, "scores": {}, "outlined": True}
    maps = truth.classes
    if not plain:
        maps = maps[None] if truth.numbers is None else np.concatenate([maps[None], truth.numbers])
    try:
        _save(np.moveaxis(pixels, 0, -1), entry / PIXELS)
        if truth.outlined:
            _save(maps, entry / (CLASSES if plain else LAYERS))
        if not plain:
            with whole_file(entry / FACTS) as part:
                part.write_text(json.dumps(facts), encoding="utf-8")
    except OSError as error:
        raise OSError(
            f"the cache at {entry.parent} cannot be written ({error.strerror}). Free some space there, "
            "point DELINEATE_CACHE to another folder, or train with --set trainer.cache=false."
        ) from error


def _save(array: np.ndarray, path: Path) -> None:
    with whole_file(path) as part, open(part, "wb") as file:
        np.save(file, array)
