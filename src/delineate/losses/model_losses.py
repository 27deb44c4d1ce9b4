"""The losses that a model computes itself."""

from __future__ import annotations

import torch
from torch import Tensor

from delineate.arguments import NonNegative
from delineate.core.output import Output, Target


def model_losses(
    output: Output[Tensor], target: Target[Tensor], *, weights: dict[str, NonNegative] | None = None
) -> Tensor:
    """The sum of the losses that a model computes itself during training, as detectors do (`Output.losses`).

    A model computes none outside training, so val/loss is NaN.

    Args:
        output: with the losses by name.
        target: the truth; not used, since the model has computed the losses with it.
        weights: factor of each loss, by name; default 1.

    Raises:
        ValueError: the model computes no loss during training, or none with a name in `weights`.
    """
    if not output.losses:
        if torch.is_grad_enabled():
            raise ValueError(
                "model_losses needs a model that computes losses itself during training; this one computes none. "
                "Use a loss of its heads, for instance dice."
            )
        return torch.tensor(torch.nan)
    factors = dict.fromkeys(output.losses, 1.0) | (weights or {})
    unknown = [name for name in factors if name not in output.losses]
    if unknown:
        raise ValueError(
            f"weights names {unknown[0]!r}; the model computes the losses {', '.join(output.losses)}."
        )
    return torch.stack([factors[name] * value for name, value in output.losses.items()]).sum()
