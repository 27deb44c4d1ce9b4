"""The `trainer` section of a recipe: length of training, batch size, precision, device and the like."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Le, Len

from delineate.arguments import Count, FractionBetween, NonNegativeWhole, Positive, Text
from delineate.metrics import Metric, Traits, full_set, refuse_unfit, traits_of
from delineate.recipe import Recipe, as_call
from delineate.resolve import Call, bind
from delineate.tasks import load_task

LEADING = 2
"""How many metrics of the full set are validated if a recipe names no metric."""

RENAMED = {
    "average": "ema",
    "balance": "oversample_foreground",
    "clip": "gradient_clip",
    "judge_every": "val_every",
}
"""Former names of settings."""


ScaleFactor = Annotated[Positive, Le(10)]


@dataclass(frozen=True)
class Options:
    """The settings of one training run.

    epochs: passes over the training cases. Without `max_time` they are the whole budget.
    max_time: "45s", "10m", "2h" or "1h30m": training stops after this time, and the schedule is stretched to it.
        Training stops earlier if it reaches `epochs`.
    batch_size: cases per step and device. The last batch of an epoch is dropped if it is incomplete and not alone.
    accumulate: batches whose gradients are averaged for one step of the optimiser: 16 batches of 32 cases give the
        gradients of one batch of 512. Schedule, clipping and EMA act once per step. At the end of an epoch, a last
        step averages the batches that are left. Two things depend on `batch_size` alone: batch normalisation, whose
        statistics are those of each batch, and losses that divide by sums over a batch, such as dice with per: batch.
        `check` and `train` name such losses.
    multi_scale: factors of size: each batch is trained on once per factor, resized by it, so an epoch has that many
        times more steps; PraNet uses [0.75, 1.0, 1.25]. Each axis is rounded to a multiple of 32, or of the largest
        power of two that divides it, if that is smaller: 352 becomes 256, 352 and 448. Pixels are interpolated
        linearly and label maps take the nearest sample. It is for tasks without object heads.
    precision: "bf16" and "fp16" are mixed precision; fp16 needs a GPU.
    gradient_clip: largest norm of the gradient; larger ones are clipped.
    gradient_clip_value: largest absolute value of an element of the gradient; each is clipped by itself, as PraNet
        does with 0.5. Excludes `gradient_clip`.
    ema: decay of an exponential moving average of the weights; this average is validated and saved; 0.999 is common.
        After n steps the decay is at most (1 + n) / (10 + n), so that short runs do not average the initial weights.
    monitor: the score that selects the best weights: "val/<metric>" or "val/loss". If left out, the recipe's first
        metric for which lower or higher is better, or val/loss if there is none.
    patience: validations without a new best score before training stops; if left out, training does not stop early.
    val_every: epochs from one validation to the next; the last epoch is always validated.
    oversample_foreground: share of sampled cases that show any label, between 0 and 1; if left out, each case is
        sampled once per epoch.
    class_balanced: samples that show a label are drawn label by label, so that a rare label is drawn as often as a
        frequent one. A recipe with `slices` samples slices instead of cases.
    workers: processes that load cases; "auto" is none on a CPU, where they would compete with the network.
    cache: keep prepared cases on disk and map them into memory.
    loggers: "tensorboard", or {wandb: {offline: true}}; metrics.csv is always written.
    device: "auto", "cpu", "cuda", "mps".
    devices, nodes, strategy: as Lightning's Trainer takes them.
    deterministic: use only deterministic GPU kernels, which are slower.
    """

    epochs: Count = 50
    max_time: Text | None = None
    batch_size: Count = 8
    accumulate: Count = 1
    multi_scale: Annotated[tuple[ScaleFactor, ...], Len(1, 16)] | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "bf16"
    gradient_clip: Positive | None = None
    gradient_clip_value: Positive | None = None
    ema: FractionBetween | None = None
    monitor: str | None = None
    patience: NonNegativeWhole | None = None
    val_every: Count = 1
    oversample_foreground: FractionBetween | None = None
    class_balanced: bool = False
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
            raise ValueError(f"trainer.max_time is {self.max_time!r}; expected more than 0 s.")
        if self.gradient_clip is not None and self.gradient_clip_value is not None:
            raise ValueError(
                "trainer.gradient_clip and trainer.gradient_clip_value are both set; expected one: the first clips the "
                "norm of the gradient, the second each element."
            )
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
                f"trainer.max_time is {self.max_time!r}; expected a time like '45s', '10m' or '1h30m'."
            )
        hours, minutes, seconds = (int(part or 0) for part in parts.groups())
        return float(3600 * hours + 60 * minutes + seconds)


def load_options(call: Call) -> Options:
    """The `trainer` section, checked.

    Raises:
        RecipeError: an unknown setting, or one of another type or out of its range.
    """
    for old, new in RENAMED.items():
        if old in call.args:
            raise call.fail(f"trainer has no setting {old!r} any more; it is called {new!r}.", old)
    args = bind(Options, call)
    try:
        options = Options(**args)
    except ValueError as error:
        raise call.fail(str(error)) from error
    logger_calls(options, call)
    return options


def validation_metrics(recipe: Recipe) -> Sequence[Call]:
    """The metrics of validation: those of the recipe, else the first of the full set that fit its task.

    Raises:
        RecipeError: a metric does not fit the output of the task, or the labels.
    """
    gives = load_task(recipe.task, recipe.labels).gives
    refuse_unfit(recipe.metrics, recipe.labels, gives, f"the task {recipe.task.name}")
    return recipe.metrics or full_set(recipe.labels, gives)[:LEADING]


def monitored(options: Options, metrics: Mapping[str, Metric]) -> str:
    """The score that selects the best weights, as `Options.monitor` says."""
    if options.monitor is not None:
        return options.monitor
    traits = {name: traits_of(metric) for name, metric in metrics.items()}
    usable = [name for name, of in traits.items() if _has_direction(of)]
    return f"val/{usable[0]}" if usable else "val/loss"


def check_monitor(options: Options, call: Call, metrics: Mapping[str, Metric]) -> None:
    """Refuse to monitor a score that no metric gives, or one of which neither more nor less is better.

    call: the section `trainer`. metrics: those of the recipe, by name.

    Raises:
        RecipeError: such a score is monitored.
    """
    name = monitored(options, metrics).removeprefix("val/")
    usable = ["loss", *(m for m, metric in metrics.items() if _has_direction(traits_of(metric)))]
    if name in usable:
        return
    expected = f"the recipe's metrics give {', '.join(f'val/{m}' for m in usable)}."
    if name in metrics:
        expected = f"neither more nor less of it is better; {expected}"
    raise call.fail(f"trainer.monitor is {options.monitor!r}; {expected}", "monitor")


def _has_direction(known: Traits) -> bool:
    """Whether a higher or a lower score means a better model."""
    return not known.signed and not known.expects


def lower_is_better(options: Options, metrics: Mapping[str, Metric]) -> bool:
    """Whether the monitored score falls as the model gets better."""
    name = monitored(options, metrics).removeprefix("val/")
    return name == "loss" or traits_of(metrics[name]).lower_is_better


def logger_calls(options: Options, call: Call) -> list[Call]:
    """The loggers as calls, with the trust of `call`, the section `trainer`.

    Raises:
        RecipeError: a logger is neither a name nor a name with its arguments.
    """
    where = call.places.get("loggers", call.where)
    return [
        as_call(item, lambda *_: where, "a logger", trust=call.trust) for item in options.loggers
    ]
