"""The optimisers of torch, by their names in lower case."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from torch import optim

from delineate.arguments import FractionBelowOne, NonNegative, Positive
from delineate.resolve import hints_of

_TYPES: dict[str, Any] = {
    "lr": Positive,
    "lr_decay": NonNegative,
    "eps": Positive,
    "betas": tuple[FractionBelowOne, FractionBelowOne],
    "rho": FractionBelowOne,
    "alpha": FractionBelowOne,
    "momentum": FractionBelowOne,
    "momentum_decay": NonNegative,
    "dampening": FractionBelowOne,
    "weight_decay": NonNegative,
    "initial_accumulator_value": NonNegative,
}
"""Limits of the numeric arguments; torch's own signatures give only `float | Tensor`."""

_LEFT_OUT = ("capturable", "differentiable", "maximize")
"""Arguments that a recipe may not set: CUDA graphs, gradients through the optimiser, and maximisation of the loss."""


def _typed(optimizer: type[optim.Optimizer]) -> Callable[..., optim.Optimizer]:
    """An optimiser of torch with its own defaults, without the arguments in _LEFT_OUT and with the types of _TYPES."""

    @functools.wraps(optimizer, updated=())
    def make(*args: Any, **kwargs: Any) -> optim.Optimizer:
        return optimizer(*args, **kwargs)

    make.__annotations__ = hints_of(optimizer) | _TYPES
    signature = inspect.signature(optimizer)
    kept = [p for name, p in signature.parameters.items() if name not in _LEFT_OUT]
    make.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
    return make


adadelta = _typed(optim.Adadelta)
adagrad = _typed(optim.Adagrad)
adam = _typed(optim.Adam)
adamax = _typed(optim.Adamax)
adamw = _typed(optim.AdamW)
nadam = _typed(optim.NAdam)
radam = _typed(optim.RAdam)
rmsprop = _typed(optim.RMSprop)
sgd = _typed(optim.SGD)

__all__ = ["adadelta", "adagrad", "adam", "adamax", "adamw", "nadam", "radam", "rmsprop", "sgd"]
