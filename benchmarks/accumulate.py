"""What accumulation of gradients adds to a training step on one core: the same batches with it and without it.

Both are what `train` does on a CPU: Lightning's loop, our learner, clock and EMA, bf16 mixed precision, fused
AdamW; the U-Net on MobileNetV3 at 256 px with batches of 8. Without accumulation the optimiser steps after every
batch, with it after every fourth. Each batch is prepared before.
One model is trained in one fit, with one thread. Windows of four batches alternate, without and with accumulation, so
that a busy machine, its temperature and the state of its memory are the same for both. Lightning's own
GradientAccumulationScheduler changes the same attribute, but only between epochs.
Time is CPU time. The ratio is that of a window to the one before it; its median over all pairs is printed, with the
quartiles.

A step (optimiser and EMA) is itself left out of a second ratio: with accumulation it is done a quarter as often, which
would hide what accumulation adds.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

BATCH, SIZE, CLASSES = 8, 256, 6
ACCUMULATE, BATCHES, PAIRS, WARM = 4, 8, 10, 1
"""Batches in a window, different batches, pairs of windows, and pairs before them that build kernels."""

GOAL = 0.03


class Window(NamedTuple):
    """CPU seconds of the batches of a window, and those of its steps."""

    seconds: float
    steps: float


def main() -> dict[str, Any]:
    import torch

    torch.set_num_threads(1)
    windows = _windows(_batches())[2 * WARM :]
    plain, accumulated = windows[::2], windows[1::2]
    pairs = list(zip(plain, accumulated, strict=True))
    added = {
        "added per batch": [b.seconds / a.seconds - 1 for a, b in pairs],
        "added per batch, steps aside": [
            (b.seconds - b.steps) / (a.seconds - a.steps) - 1 for a, b in pairs
        ],
    }
    found = {
        "seconds per batch": statistics.median(w.seconds for w in plain) / ACCUMULATE,
        "seconds per accumulated batch": statistics.median(w.seconds for w in accumulated)
        / ACCUMULATE,
        "seconds per step": statistics.median(w.steps for w in plain) / ACCUMULATE,
    }
    for name, seconds in found.items():
        print(f"{name:48}{seconds:>10.4f}")
    for name, ratios in added.items():
        low, middle, high = statistics.quantiles(ratios, n=4)
        found[name] = middle
        print(f"{name:48}{middle:>+10.1%}  [{low:+.1%}, {high:+.1%}]  goal below {GOAL:.0%}")
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


def _windows(batches: list[Any]) -> list[Window]:
    """Windows of one fit, without accumulation and with it by turns; each lasts until the next begins."""
    import torch
    from lightning.pytorch import Callback, Trainer
    from torch.utils.data import DataLoader

    from delineate.losses import load_loss
    from delineate.models import load_model
    from delineate.resolve import Call
    from delineate.training.callbacks.clock import Clock
    from delineate.training.callbacks.ema import EMA
    from delineate.training.fit import _quiet, _trainer
    from delineate.training.module import Learner
    from delineate.training.options import Options

    class Alternate(Callback):
        """Changes the accumulation between windows, and takes the time. It is the first of the callbacks."""

        def __init__(self) -> None:
            self.windows: list[Window] = []
            self.steps = self.started = 0.0

        def on_train_batch_start(
            self, trainer: Trainer, learner: Any, batch: Any, index: int
        ) -> None:
            if index % ACCUMULATE == 0:
                self.close()
                trainer.accumulate_grad_batches = (1, ACCUMULATE)[index // ACCUMULATE % 2]

        def on_train_end(self, *given: Any) -> None:
            self.close()

        def close(self) -> None:
            now = time.process_time()
            if self.started:
                self.windows.append(Window(now - self.started, self.steps))
            self.steps, self.started = 0.0, time.process_time()

        def timed(self, step: Any) -> Any:
            def run(*given: Any, **named: Any) -> Any:
                before = time.process_time()
                result = step(*given, **named)
                self.steps += time.process_time() - before
                return result

            return run

    torch.manual_seed(0)
    model = load_model(
        Call("smp", {"arch": "unet", "encoder": "tf_mobilenetv3_large_100"}),
        channels=3,
        heads={"dense": CLASSES},
        ndim=2,
    )
    alternate = Alternate()
    terms = [Call(name, {"per": "image", "weight": 0.5}) for name in ("dice", "focal")]
    learner = Learner(model, load_loss(terms), Call("adamw", {"lr": 1e-3}), fused=True)
    make = learner.configure_optimizers

    def watched() -> torch.optim.Optimizer:
        optimizer = make()
        update = alternate.timed(torch.optim.AdamW.step)

        def step(closure: Any = None) -> Any:
            loss = closure()  # forward and backward
            update(optimizer)
            return loss

        optimizer.step = step  # type: ignore[method-assign]
        return optimizer

    learner.configure_optimizers = watched  # type: ignore[method-assign]
    ema = EMA(0.99)
    ema.on_train_batch_end = alternate.timed(ema.on_train_batch_end)  # type: ignore[method-assign]
    options = Options(epochs=1, accumulate=1, loggers=[])
    _quiet()
    count = 2 * ACCUMULATE * (WARM + PAIRS)
    repeated = [batches[i % len(batches)] for i in range(count)]
    with tempfile.TemporaryDirectory() as run:
        callbacks = [alternate, ema, Clock(Call("cosine"), 1, None, 0)]
        trainer = _trainer(options, Call("trainer"), "cpu", Path(run), callbacks)
        trainer.fit(learner, DataLoader(repeated, batch_size=None))  # type: ignore[arg-type]
    return alternate.windows


if __name__ == "__main__":
    main()
