"""Sample prepared cases, augment them, encode their targets and collate them into batches.

The batches do not depend on the number of workers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from delineate.core import Target, Task
from delineate.prepare.augment import Augment, case_rng
from delineate.training.cache import PreparedCases


@dataclass(frozen=True)
class Batch:
    """The input of one training step: pixels (batch, channel, *spatial), their target, and the ids of the cases."""

    pixels: torch.Tensor
    target: Target[torch.Tensor]
    cases: tuple[str, ...]


class AugmentedCases(Dataset[tuple[str, np.ndarray, Target[np.ndarray]]]):
    """Augmented cases and their targets, indexed by (epoch, index).

    The augmentation depends on the seed, the epoch and the index only.
    """

    def __init__(self, cases: PreparedCases, augment: Augment, task: Task, seed: int) -> None:
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
        return self.cases.cases[index].id, self.cases.prepare.finish(pixels), target


class CaseSampler(Sampler[tuple[int, int]]):
    """The cases of one epoch as (epoch, index), shuffled by seed and epoch, and split between devices.

    shows: one boolean per case, whether it shows any label.
    oversample_foreground: share of samples that show a label. Within each of the two kinds all cases are sampled
        equally often. None samples every case once.
    rank, world: number of this process, and number of processes.
    """

    def __init__(
        self,
        shows: np.ndarray,
        seed: int,
        oversample_foreground: float | None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.shows = shows
        self.seed = seed
        self.oversample_foreground = oversample_foreground
        self.rank = rank
        self.world = world
        self.epoch = 0
        if oversample_foreground is not None and (shows.all() or not shows.any()):
            raise ValueError(
                "trainer.oversample_foreground needs training cases with and without a label; "
                f"{int(shows.sum())} of {len(shows)} show one."
            )

    def set_epoch(self, epoch: int) -> None:
        """Called at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.shows) // self.world

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(self.shows))
        if self.oversample_foreground is not None:
            wanted = round(self.oversample_foreground * len(order))
            order = np.concatenate(
                [
                    np.resize(order[self.shows[order]], wanted),
                    np.resize(order[~self.shows[order]], len(order) - wanted),
                ]
            )
            rng.shuffle(order)
        mine = order[self.rank : len(self) * self.world : self.world]
        return ((self.epoch, int(index)) for index in mine)


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
