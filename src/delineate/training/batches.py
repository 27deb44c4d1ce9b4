"""Sample prepared cases, augment them, encode their targets and collate them into batches.

The batches do not depend on the number of workers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Sampler

from delineate.core import Target, Task
from delineate.prepare.augment import Augment, case_rng
from delineate.training.cache import PreparedCases, SlicesOfCases


@dataclass(frozen=True)
class Batch:
    """The input of one training step: pixels (batch, channel, *spatial), their target, and the ids of the cases.

    scale: factor by which `rescaled` still has to resize pixels and target.
    """

    pixels: torch.Tensor
    target: Target[torch.Tensor]
    cases: tuple[str, ...]
    scale: float = 1.0


class AugmentedCases(Dataset[tuple[str, np.ndarray, Target[np.ndarray]]]):
    """Augmented cases, or slices of cases, and their targets, indexed by (epoch, index).

    The augmentation depends on the seed, the epoch and the index only.
    """

    def __init__(
        self, cases: PreparedCases | SlicesOfCases, augment: Augment, task: Task, seed: int
    ) -> None:
        self.cases = cases
        self.augment = augment
        self.task = task
        self.seed = seed

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, key: tuple[int, int]) -> tuple[str, np.ndarray, Target[np.ndarray]]:
        epoch, index = key
        pixels, truth = self.cases[index]
        pixels, truth = self.augment(pixels, truth, case_rng(self.seed, epoch, index))
        target = self.task.encode(truth.segmentation())
        return self.cases.name(index), self.cases.finish(pixels), target


class CaseSampler(Sampler[tuple[int, int]]):
    """The cases of one epoch as (epoch, index), shuffled by seed and epoch, and split between devices.

    shows: (case, label), whether a case shows a label. A case may be a slice.
    oversample_foreground: share of samples that show a label. Within each of the two kinds all cases are sampled
        equally often. None samples every case once.
    class_balanced: the samples that show a label are drawn label by label: each label gets the same number of draws
        among the cases that show it, so that a rare label is drawn as often as a frequent one.
    groups: the group of each case: all samples of a batch are of one group, such as slices along one axis, since
        groups may differ in shape. None if all cases fit together.
    batch_size: samples of a batch; needed for groups.
    rank, world: number of this process, and number of processes.
    """

    def __init__(
        self,
        shows: np.ndarray,
        seed: int,
        oversample_foreground: float | None = None,
        class_balanced: bool = False,
        groups: np.ndarray | None = None,
        batch_size: int = 1,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.shows = shows
        self.seed = seed
        self.oversample_foreground = oversample_foreground
        self.class_balanced = class_balanced
        self.groups = groups
        self.batch_size = batch_size
        self.rank = rank
        self.world = world
        self.epoch = 0
        any_label = shows.any(axis=1)
        if oversample_foreground is not None and (any_label.all() or not any_label.any()):
            raise ValueError(
                "trainer.oversample_foreground needs training cases with and without a label; "
                f"{int(any_label.sum())} of {len(shows)} show one."
            )

    def set_epoch(self, epoch: int) -> None:
        """Called at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        if self.groups is None:
            return len(self.shows) // self.world
        return self._batches // self.world * self.batch_size

    @property
    def _batches(self) -> int:
        """The number of batches of all devices; a multiple of `world`."""
        return max(1, len(self.shows) // (self.batch_size * self.world)) * self.world

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(self.shows))
        foreground = np.asarray(self.shows.any(axis=1))
        if self.oversample_foreground is not None:
            wanted = round(self.oversample_foreground * len(order))
        else:
            wanted = int(foreground.sum())
        if self.oversample_foreground is not None or (self.class_balanced and wanted):
            background = order[~foreground[order]]
            order = np.concatenate(
                [
                    self._foreground(order, wanted),
                    np.resize(background, len(order) - wanted),
                ]
            )
            rng.shuffle(order)
        if self.groups is None:
            mine = order[self.rank : len(self) * self.world : self.world]
        else:
            mine = self._in_batches(order, rng)[self.rank :: self.world].ravel()
        return ((self.epoch, int(index)) for index in mine)

    def _in_batches(self, order: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(batch, sample): the cases in batches of one group each, in random order.

        The number of batches is the same in every epoch. A group gets its share of them, rounded down or up at random
        (systematic sampling), so that over the epochs all groups are drawn, in proportion to their size. A last batch
        that is not full is completed with the first cases of its group.
        """
        assert self.groups is not None
        of_group = self.groups[order]
        parts = [order[of_group == group] for group in rng.permutation(np.unique(of_group))]
        ends = np.cumsum([0, *map(len, parts)]) * self._batches + rng.integers(len(order))
        counts = np.diff(ends // len(order))
        batches = [
            np.resize(part, (count, self.batch_size))
            for part, count in zip(parts, counts, strict=True)
        ]
        return rng.permutation(np.concatenate(batches))

    def _foreground(self, order: np.ndarray, wanted: int) -> np.ndarray:
        """`wanted` cases that show a label, in the given order, repeated where there are too few."""
        if not self.class_balanced:
            return np.resize(order[self.shows[order].any(axis=1)], wanted)
        shown = [order[column[order]] for column in self.shows.T if column.any()]
        counts = [len(part) for part in np.array_split(np.arange(wanted), len(shown))]
        return np.concatenate([np.resize(part, n) for part, n in zip(shown, counts, strict=True)])


def collate(items: list[tuple[str, np.ndarray, Target[np.ndarray]]]) -> Batch:
    """Stack cases into one batch.

    Raises:
        ValueError: prepared cases differ in shape.
    """
    shapes = {pixels.shape for _, pixels, _ in items}
    if len(shapes) > 1:
        raise ValueError(
            f"prepared cases differ in shape ({', '.join(map(str, sorted(shapes)))}), and a batch needs one: "
            "add {resize: ...} or {crop: ...} to prepare, or set trainer.batch_size to 1."
        )
    pixels = torch.from_numpy(np.stack([pixels for _, pixels, _ in items]))
    target = Target.stack([target for *_, target in items]).map(torch.from_numpy)
    return Batch(pixels, target, tuple(name for name, *_ in items))


def load_batches(
    cases: AugmentedCases, sampler: CaseSampler, batch_size: int, workers: int, on_gpu: bool
) -> DataLoader[Any]:
    """The DataLoader of the training batches."""
    return DataLoader(
        cases,
        sampler=sampler,
        batch_size=batch_size,
        # batch normalisation fails on a last batch of one case
        drop_last=len(sampler) > batch_size,
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=on_gpu,
    )


class AtEachScale:
    """The batches of a loader, each once per factor of `trainer.multi_scale`. `rescaled` resizes them on the device.

    With accumulation, the batches of one step follow each other at one scale, then again at the next: a step averages
    the gradients of one large batch at one scale. The batches left at the end of an epoch may share steps across
    scales.

    batches: the loader; all batches of one step are kept in memory.
    accumulate: batches of one step of the optimiser.
    """

    def __init__(
        self, batches: DataLoader[Any], factors: Sequence[float], accumulate: int = 1
    ) -> None:
        self.batches = batches
        self.factors = tuple(factors)
        self.accumulate = accumulate
        self.sampler = batches.sampler  # Lightning sets its epoch

    def __len__(self) -> int:
        return len(self.batches) * len(self.factors)

    def __iter__(self) -> Iterator[Batch]:
        loaded = iter(self.batches)
        while step := list(islice(loaded, self.accumulate)):
            for factor in self.factors:
                yield from (replace(batch, scale=factor) for batch in step)


def scaled_shape(shape: Sequence[int], factor: float) -> tuple[int, ...]:
    """A shape times a factor, each axis rounded to a multiple of the powers of two in its length, up to 32.

    A network that accepts a length, since it is a multiple of its stride, accepts the result too.

    >>> scaled_shape((352, 352), 0.75), scaled_shape((352, 48), 1.25)
    ((256, 256), (448, 64))
    """
    steps = [math.gcd(n, 32) for n in shape]
    return tuple(
        max(1, round(n * factor / step)) * step for n, step in zip(shape, steps, strict=True)
    )


def rescaled(batch: Batch) -> Batch:
    """The batch resized by its `scale`.

    Pixels are interpolated linearly between aligned corners (PraNet; Fan et al., MICCAI 2020). The dense truth takes
    the nearest sample at the same positions: it stays a label map, where PraNet's masks become soft. Image-level
    labels do not change.
    """
    old = batch.pixels.shape[2:]
    new = scaled_shape(old, batch.scale)
    if new == tuple(old):
        return replace(batch, scale=1.0)
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(new)]
    pixels = F.interpolate(batch.pixels, new, mode=mode, align_corners=True)
    places = [  # made on the CPU: MPS has no float64
        torch.linspace(0, n - 1, m, dtype=torch.float64).round().long().to(pixels.device)
        for n, m in zip(old, new, strict=True)
    ]

    def nearest(maps: torch.Tensor | None) -> torch.Tensor | None:
        for axis, at in enumerate(places, start=-len(places)):
            maps = None if maps is None else maps.index_select(axis, at)
        return maps

    truth = batch.target
    target = replace(
        truth,
        classes=nearest(truth.classes),
        regions=nearest(truth.regions),
        valid=nearest(truth.valid),
    )
    return Batch(pixels, target, batch.cases)
