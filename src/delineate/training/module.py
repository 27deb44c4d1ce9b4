"""The LightningModule: one training step, the optimiser and gradient clipping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import nn

from delineate.losses import Loss
from delineate.models import fast_memory_format, fast_on_cpu, sees_target
from delineate.resolve import Call, check, resolve
from delineate.training.batches import Batch, rescaled


class DivergedError(RuntimeError):
    """The loss or an output of the network is NaN or infinite."""


class Learner(LightningModule):
    """A model with its loss and its optimiser, for Lightning's Trainer."""

    def __init__(self, model: nn.Module, loss: Loss, optimizer: Call, *, fused: bool) -> None:
        super().__init__()
        self.model = model
        self.layout = fast_memory_format(model)
        self.sees_target = sees_target(model)
        self.loss = loss
        self.optimizer_call = optimizer
        self.fused = fused

    def on_fit_start(self) -> None:
        """Make the model fast on a CPU. Called here because it must happen in the process that trains."""
        if self.device.type == "cpu":
            fast_on_cpu(self.model)

    def training_step(self, batch: Batch, batch_idx: int) -> Mapping[str, torch.Tensor]:
        """The loss of one batch, and "value", the same without gradient and without the factor of accumulation.

        Lightning divides the loss by `trainer.accumulate`. The last window of an epoch may have fewer batches, and
        its loss is scaled so that its gradient is the mean over these.

        Raises:
            DivergedError: the loss is NaN or infinite.
        """
        pixels = batch.pixels.contiguous(memory_format=self.layout)
        given = {"target": batch.target} if self.sees_target else {}
        loss = self.loss(self.model(pixels, **given), batch.target)
        if not torch.isfinite(loss):
            raise DivergedError(
                f"the loss became {loss.item()} at step {self.global_step + 1} (epoch {self.current_epoch + 1}, "
                f"cases {', '.join(batch.cases)}). A lower learning rate, {self._clip_more()} or "
                "--set trainer.precision=fp32 usually helps; if it happens at once, look at these cases."
            )
        return {"loss": loss * self._of_window(batch_idx), "value": loss.detach()}

    def _clip_more(self) -> str:
        """What clips the gradient more than now, in words."""
        now = self.trainer.gradient_clip_val
        if not now:
            return "--set trainer.gradient_clip=1"
        by_value = self.trainer.gradient_clip_algorithm == "value"
        return f"a trainer.gradient_clip{'_value' * by_value} below {now:g}"

    def _of_window(self, batch_idx: int) -> float:
        """`trainer.accumulate` divided by the number of batches in the window of this batch; 1 except in the last."""
        full, batches = self.trainer.accumulate_grad_batches, self.trainer.num_training_batches
        return full / min(full, batches - batch_idx // full * full)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The recipe's optimiser, with torch's fused kernel if there is one and the recipe sets neither kernel."""
        args: dict[str, Any] = check("optimizers", self.optimizer_call)
        make = resolve("optimizers", self.optimizer_call)
        if self.fused and "fused" not in args and "foreach" not in args:
            try:
                return _with_initial_lr(make(self.model.parameters(), fused=True, **args))
            except (TypeError, RuntimeError):  # no fused kernel for this optimiser or device
                pass
        return _with_initial_lr(make(self.model.parameters(), **args))

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm of the gradient, or each of its elements.

        Lightning's own clipping refuses every fused optimiser. Only fp16 with its scaled gradients needs that, and
        with fp16 the optimiser is not fused here.
        """
        if gradient_clip_val is None:
            return
        if gradient_clip_algorithm == "value":
            nn.utils.clip_grad_value_(self.model.parameters(), gradient_clip_val)
        else:
            nn.utils.clip_grad_norm_(self.model.parameters(), gradient_clip_val)

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Move a batch to the device, and resize it there to its scale."""

        def move(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.to(device, non_blocking=True)

        return rescaled(replace(batch, pixels=move(batch.pixels), target=batch.target.map(move)))


def _with_initial_lr(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer
