"""What accumulation of gradients adds to a training step on one core: the same batches with it and without it.

Both are what `train` does on a CPU: Lightning's loop, our learner, clock and EMA, bf16 mixed precision, fused
AdamW; the U-Net on MobileNetV3 at 256 px with batches of 8. Without accumulation the optimiser steps after every
batch, with it after every fourth. Each batch is prepared before. The two alternate in one process, so that a busy
machine hits both.
Time is CPU time per batch, the median over rounds of the ratio of the two.

A step of the optimiser is itself left out of the ratio: with accumulation it is done a quarter as often, which would
hide what accumulation adds. So a second figure divides the time of the batches that only accumulate by that of a batch
without accumulation, whose step is taken off.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

BATCH, SIZE, CLASSES = 8, 256, 6
ACCUMULATE, BATCHES, ROUNDS = 4, 8, 4
GOAL = 0.03


def main() -> dict[str, Any]:
    import torch

    torch.set_num_threads(1)
    batches = _batches()
    _epoch(batches, 1)  # the first builds kernels
    rounds = [{way: _epoch(batches, way) for way in (1, ACCUMULATE)} for _ in range(ROUNDS)]
    plain = [seconds for one in rounds for seconds in one[1]["batches"]]
    steps = [seconds for one in rounds for seconds in one[1]["steps"]]
    parts = [seconds for one in rounds for seconds in one[ACCUMULATE]["batches"]]
    whole = [one[ACCUMULATE]["whole"] / one[1]["whole"] - 1 for one in rounds]
    alone = [
        statistics.median(one[ACCUMULATE]["batches"]) / statistics.median(one[1]["batches"]) - 1
        for one in rounds
    ]
    found = {
        "seconds per batch": statistics.median(plain),
        "seconds per accumulated batch": statistics.median(parts),
        "seconds per step of the optimiser": statistics.median(steps),
        "added per batch": statistics.median(whole),
        "added per batch, steps of the optimiser aside": statistics.median(alone),
    }
    for name, value in found.items():
        added = name.startswith("added")
        goal = f"  goal below {GOAL:.0%}" if added else ""
        print(f"{name:48}{f'{value:+.1%}' if added else f'{value:.4f}':>10}{goal}")
    return found


def _batches() -> list[Any]:
    import torch

    from delineate.core import Target
    from delineate.training.batches import Batch

    torch.manual_seed(0)
    return [
        Batch(
            torch.rand(BATCH, 3, SIZE, SIZE),
            Target(torch.randint(CLASSES, (BATCH, SIZE, SIZE))),
            ("",) * BATCH,
        )
        for _ in range(BATCHES)
    ]


def _epoch(batches: list[Any], accumulate: int) -> dict[str, Any]:
    """CPU seconds of one epoch, of its batches without steps of the optimiser, and of these steps."""
    import torch
    from lightning.pytorch import Callback
    from torch.utils.data import DataLoader

    from delineate.losses import load_loss
    from delineate.models import load_model
    from delineate.resolve import Call
    from delineate.training.callbacks.clock import Clock
    from delineate.training.callbacks.ema import EMA
    from delineate.training.fit import _quiet, _trainer
    from delineate.training.module import Learner
    from delineate.training.options import Options

    class Watch(Callback):
        """CPU time of each batch; that of the steps of the optimiser is kept apart."""

        def __init__(self) -> None:
            self.batches: list[float] = []
            self.steps: list[float] = []
            self.step = 0.0

        def on_train_batch_start(self, *given: Any) -> None:
            self.step, self.started = 0.0, time.process_time()

        def on_train_batch_end(self, *given: Any) -> None:
            self.batches.append(time.process_time() - self.started - self.step)

    torch.manual_seed(0)
    model = load_model(
        Call("smp", {"arch": "unet", "encoder": "tf_mobilenetv3_large_100"}),
        channels=3,
        heads={"dense": CLASSES},
        ndim=2,
    )
    watch = Watch()
    terms = [Call(name, {"per": "image", "weight": 0.5}) for name in ("dice", "focal")]
    learner = Learner(model, load_loss(terms), Call("adamw", {"lr": 1e-3}), fused=True)
    make = learner.configure_optimizers

    def watched() -> torch.optim.Optimizer:
        optimizer = make()
        update = torch.optim.AdamW.step

        def step(closure: Any = None) -> Any:
            loss = closure()
            before = time.process_time()
            update(optimizer)
            watch.step = time.process_time() - before
            watch.steps.append(watch.step)
            return loss

        optimizer.step = step  # type: ignore[method-assign]
        return optimizer

    learner.configure_optimizers = watched  # type: ignore[method-assign]
    options = Options(epochs=1, accumulate=accumulate, loggers=[])
    _quiet()
    with tempfile.TemporaryDirectory() as run:
        callbacks = [EMA(0.99), Clock(Call("cosine"), 1, None, 0), watch]
        from pathlib import Path

        trainer = _trainer(options, Call("trainer"), "cpu", Path(run), callbacks)
        trainer.fit(learner, DataLoader(batches, batch_size=None))  # type: ignore[arg-type]
    # the first two warm the memory up
    return {
        "whole": sum(watch.batches[2:]) + sum(watch.steps[2 // accumulate :]),
        "batches": watch.batches[2:],
        "steps": watch.steps,
    }


if __name__ == "__main__":
    main()
