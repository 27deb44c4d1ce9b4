"""How long, how much at once, on what: the `trainer` section of a recipe."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Le

from delineate.arguments import Count, FractionBetween, NonNegativeWhole, Positive, Text
from delineate.metrics import Metric, Traits, full_set, refuse_unfit, traits_of
from delineate.recipe import Recipe, as_call
from delineate.resolve import Call, bind
from delineate.tasks import load_task

LEADING = 2
"""Metrics of the full set that validation cases are scored by where a recipe names none."""


@dataclass(frozen=True)
class Options:
    """The settings of one training run.

    epochs: passes over the training cases; with `max_time` left out, the whole budget.
    max_time: "45s", "10m", "2h" or "1h30m": training ends then, and the schedule is stretched to it; `epochs`
        still ends a run that gets there first.
    batch_size: cases per step and device. The last incomplete batch of an epoch is left out where there is another.
    accumulate: steps whose gradients are summed before the weights move; the batch grows by that factor, but a
        per-batch Dice still sees `batch_size` cases.
    precision: "bf16" and "fp16" are mixed precision; fp16 needs a GPU.
    gradient_clip: largest norm of the gradient.
    ema: decay of an exponential moving average of the weights, which is then validated and saved; 0.999 is common.
        It starts lower, (1 + n) / (10 + n) after n steps, so that short runs do not average their random start.
    monitor: the score that picks the best weights: "val/<metric>" or "val/loss". If left out, the first of the recipe's
        metrics that says which weights are better, and val/loss where there is none.
    patience: validations without a new best before training stops; none if left out.
    val_every: epochs from one validation to the next; the last epoch is always validated.
    oversample_foreground: share of drawn cases that show any label, between 0 and 1; as they come if left out.
    workers: processes that load cases; "auto" is none on a CPU, which they would only take from the network.
    cache: keep prepared cases on disk and map them into memory.
    loggers: "tensorboard", or {wandb: {offline: true}}; metrics.csv is always written.
    device: "auto", "cpu", "cuda", "mps".
    devices, nodes, strategy: as Lightning's Trainer takes them.
    deterministic: only repeatable GPU kernels, at some cost.
    """

    epochs: Count = 50
    max_time: Text | None = None
    batch_size: Count = 8
    accumulate: Count = 1
    precision: Literal["fp32", "bf16", "fp16"] = "bf16"
    gradient_clip: Positive | None = None
    ema: FractionBetween | None = None
    monitor: str | None = None
    patience: NonNegativeWhole | None = None
    val_every: Count = 1
    oversample_foreground: FractionBetween | None = None
    workers: Annotated[NonNegativeWhole, Le(1024)] | Literal["auto"] = "auto"
    cache: bool = True
    loggers: list[str | dict[str, dict[str, Any] | None]] = field(
        default_factory=lambda: list[str | dict[str, dict[str, Any] | None]](["tensorboard"])
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: Count = 1
    nodes: Count = 1
    strategy: Text = "auto"
    deterministic: bool = False

    def __post_init__(self) -> None:
        if self.seconds == 0:
            raise ValueError(f"trainer.max_time is {self.max_time!r}; expected more than no time.")
        if self.monitor is not None and not self.monitor.startswith("val/"):
            raise ValueError(
                f"trainer.monitor is {self.monitor!r}; expected val/<metric> or val/loss."
            )

    @property
    def seconds(self) -> float | None:
        """`max_time` in seconds."""
        if self.max_time is None:
            return None
        parts = re.fullmatch(
            r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", self.max_time.strip()
        )
        if not parts or not any(parts.groups()):
            raise ValueError(
                f"trainer.max_time is {self.max_time!r}; expected like '45s', '10m' or '1h30m'."
            )
        hours, minutes, seconds = (int(part or 0) for part in parts.groups())
        return float(3600 * hours + 60 * minutes + seconds)


def load_options(call: Call) -> Options:
    """The `trainer` section, checked.

    Raises:
        RecipeError: an unknown setting, or one of another type or out of its range.
    """
    args = bind(Options, call)
    try:
        options = Options(**args)
    except ValueError as error:
        raise call.fail(str(error)) from error
    logger_calls(options, call)
    return options


def validation_metrics(recipe: Recipe) -> Sequence[Call]:
    """What validation cases are scored by: the recipe's metrics, or the first of the full set that fit its task.

    Raises:
        RecipeError: one that cannot judge what the task gives, or the labels.
    """
    gives = load_task(recipe.task, recipe.labels).gives
    refuse_unfit(recipe.metrics, recipe.labels, gives, f"the task {recipe.task.name}")
    return recipe.metrics or full_set(recipe.labels, gives)[:LEADING]


def monitored(options: Options, metrics: Mapping[str, Metric]) -> str:
    """The score that picks the best weights, as `Options.monitor` says."""
    if options.monitor is not None:
        return options.monitor
    traits = {name: traits_of(metric) for name, metric in metrics.items()}
    able = [name for name, of in traits.items() if _has_direction(of)]
    return f"val/{able[0]}" if able else "val/loss"


def check_monitor(options: Options, call: Call, metrics: Mapping[str, Metric]) -> None:
    """Refuse to monitor a score that nothing gives, or that does not say which weights are better.

    call: the section. metrics: those of the recipe, by name.
    """
    name = monitored(options, metrics).removeprefix("val/")
    able = ["loss", *(m for m, metric in metrics.items() if _has_direction(traits_of(metric)))]
    if name in able:
        return
    there = f"the recipe's metrics give {', '.join(f'val/{m}' for m in able)}."
    if name in metrics:
        there = f"neither more nor less of it is better; {there}"
    raise call.fail(f"trainer.monitor is {options.monitor!r}; {there}", "monitor")


def _has_direction(known: Traits) -> bool:
    """Whether a model is better for more of it, or for less."""
    return not known.signed and not known.expects


def lower_is_better(options: Options, metrics: Mapping[str, Metric]) -> bool:
    """Whether the monitored score falls as the model gets better."""
    name = monitored(options, metrics).removeprefix("val/")
    return name == "loss" or traits_of(metrics[name]).lower_is_better


def logger_calls(options: Options, call: Call) -> list[Call]:
    """The loggers as calls, trusted as `call` is, the section they are written in.

    Raises:
        RecipeError: one that is neither a name nor a name with its arguments.
    """
    where = call.places.get("loggers", call.where)
    return [
        as_call(item, lambda *_: where, "a logger", trust=call.trust) for item in options.loggers
    ]
