"""Recipe -> bundle."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer, seed_everything

from delineate.bundle import assemble, open_bundle, save_bundle
from delineate.core import Case, Splits
from delineate.files import cache_folder
from delineate.inference.backends.run_torch import run_torch
from delineate.losses import load_loss
from delineate.metrics import load_metrics
from delineate.models import load_model, weights_of
from delineate.prepare import load_prepare, load_slices
from delineate.prepare.augment import load_augment
from delineate.recipe import Recipe
from delineate.resolve import Call, RecipeError, build, telling
from delineate.tasks import load_task
from delineate.training.batches import (
    AtEachScale,
    AugmentedCases,
    Batch,
    CaseSampler,
    load_batches,
)
from delineate.training.cache import PreparedCases, SlicesOfCases
from delineate.training.callbacks.bar import Bar
from delineate.training.callbacks.checkpoint import Checkpoint, WholeCheckpoints
from delineate.training.callbacks.clock import Clock
from delineate.training.callbacks.ema import EMA
from delineate.training.callbacks.metrics_csv import MetricsCsv
from delineate.training.callbacks.validate import Validation
from delineate.training.initialise import initialised
from delineate.training.module import DivergedError, Learner
from delineate.training.options import (
    Options,
    load_options,
    logger_calls,
    lower_is_better,
    monitored,
    validation_metrics,
)

LOST_WORKER = re.compile(
    r"DataLoader worker .*(exited unexpectedly|killed by signal)|Pin memory thread exited"
)
NO_MEMORY = re.compile(
    r"out of memory|can't allocate memory|Cannot allocate memory|ALLOC_FAILED|MemoryError", re.I
)
"""Messages of torch when memory is short: on a CPU, on MPS and in another process it raises a plain RuntimeError."""

PRECISION: Mapping[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def fit(recipe: Recipe, splits: Splits, run: Path, card: Mapping[str, Any]) -> bool:
    """Train, and write `bundle/`, `checkpoints/`, `metrics.csv` and logs into `run`.

    If the folder holds a checkpoint, training continues from it and reaches the same weights as without interruption.

    Args:
        recipe: what to train.
        splits: "train" to learn from, "val" to validate on; without "val" the last weights are kept.
        run: the run's folder.
        card: what is known of the bundle before training; figures of the training are added.

    Returns:
        False if the user interrupted training; the bundle then holds the best weights so far.

    Raises:
        RecipeError: the recipe does not fit the data or this machine.
        DivergedError: the loss is NaN or infinite.
        MemoryError: the machine or its GPU has too little memory; the message names the settings to lower.
        RuntimeError: the system killed a data loader worker, usually because memory ran out.
    """
    options = load_options(recipe.trainer)
    if not splits.get("train"):
        raise RecipeError("there is no case to train on: the data has no split 'train'.")
    device = _device(options)
    _quiet()
    seed_everything(recipe.seed, verbose=False)
    pixels, _ = load_prepare(recipe.prepare)(splits["train"][0].image)
    channels, ndim = int(pixels.shape[0]), pixels.ndim - 1
    slices = load_slices(recipe.slices)
    if slices is not None:
        channels, ndim = slices.channels(channels), 2
    checkpoint = run / "checkpoints" / "last.ckpt"
    resumed = checkpoint.exists()
    if resumed:  # the checkpoint holds the weights
        heads = load_task(recipe.task, recipe.labels).heads
        model = load_model(recipe.model, channels, heads, ndim, pretrained=False)
    else:
        model, _ = initialised(recipe, channels, ndim)
    loss = load_loss(recipe.loss, recipe.deep_supervision)
    sampler, cases = _cases(recipe, splits["train"], options)
    metrics = load_metrics(validation_metrics(recipe))
    ema = EMA(options.ema)
    clock = Clock(recipe.schedule, options.epochs, options.seconds, recipe.seed)

    kept = recipe

    def keep_best(scores: Mapping[str, float], epoch: int) -> None:
        known_scores = {name: score if score == score else None for name, score in scores.items()}
        training = {"epoch": epoch, "scores": known_scores, "device": device}
        known = {**card, "channels": channels, "ndim": ndim, "training": training}
        nonlocal kept
        # after the first save the bundle holds copies of its members, and the recipe refers to these
        kept = save_bundle(run / "bundle", kept, known, weights_of(model)).recipe

    validation = Validation(
        splits.get("val", ()),
        assemble(recipe, run_torch(model)),
        metrics,
        loss,
        ema,
        clock,
        keep_best,
        monitor=monitored(options, metrics),
        lower_is_better=lower_is_better(options, metrics),
        every=options.val_every,
        patience=options.patience,
    )
    metrics_csv = MetricsCsv(run / "metrics.csv", validation, clock)
    bar = Bar(validation, clock, metrics_csv)
    callbacks = [ema, clock, validation, metrics_csv, bar, Checkpoint(checkpoint)]
    with telling(recipe.trainer):  # Lightning's own messages about devices and strategies
        trainer = _trainer(options, recipe.trainer, device, run, callbacks)
    sampler.rank, sampler.world = trainer.global_rank, trainer.world_size
    loader = load_batches(
        cases, sampler, options.batch_size, _workers(options, device), device == "cuda"
    )
    batches: Iterable[Batch] = loader
    if options.multi_scale is not None:
        batches = AtEachScale(loader, options.multi_scale, options.accumulate)
    learner = Learner(model, loss, recipe.optimizer, fused=options.precision != "fp16")
    finished = True
    try:
        if resumed:
            saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
            # workers fetch their first batches before Lightning sets the epoch
            sampler.set_epoch(saved["epoch"] + 1)
        if not resumed or not saved["callbacks"]["Checkpoint"]["over"]:
            path = checkpoint if resumed else None
            trainer.fit(learner, batches, ckpt_path=path, weights_only=True)
    except SystemExit:  # Lightning raises it after Ctrl-C
        finished = False
    except Exception as error:
        card_file = run / "bundle" / "card.json"
        if trainer.is_global_zero and not card_file.exists() and checkpoint.exists():
            saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
            learner.cpu()  # the device may have no memory left
            learner.load_state_dict(saved["state_dict"])
            ema.load_state_dict(saved["callbacks"]["EMA"])
            with ema.in_place(learner):
                keep_best({}, saved["epoch"] + 1)
        failure = _memory_error(error, options, device) or error
        failure.add_note(
            f"The weights of epoch {open_bundle(run).card['training']['epoch']} are kept in {card_file.parent}."
            if card_file.exists()
            else "No epoch was finished, so no weights are kept."
        )
        if failure is error:
            raise
        raise failure from error
    if trainer.is_global_zero and not (run / "bundle" / "card.json").exists():
        with ema.in_place(
            learner
        ):  # interrupted before the first validation, or all scores were NaN
            keep_best({}, trainer.current_epoch)
    return finished


def _trainer(
    options: Options, section: Call, device: str, run: Path, callbacks: list[Callback]
) -> Trainer:
    return Trainer(
        default_root_dir=run,
        accelerator={"cuda": "gpu"}.get(device, device),
        devices=options.devices,
        num_nodes=options.nodes,
        strategy=options.strategy,
        precision=PRECISION[options.precision],
        max_epochs=options.epochs,
        accumulate_grad_batches=options.accumulate,
        gradient_clip_val=options.gradient_clip or options.gradient_clip_value,
        gradient_clip_algorithm="value" if options.gradient_clip_value else "norm",
        deterministic=options.deterministic,
        logger=[build("loggers", call, run=run) for call in logger_calls(options, section)],
        callbacks=callbacks,
        plugins=[WholeCheckpoints()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _memory_error(error: Exception, options: Options, device: str) -> Exception | None:
    """An error that names the settings to lower, if `error` is about memory; else None."""
    message = str(error)
    helps = [
        f"--set trainer.batch_size={options.batch_size // 2}" if options.batch_size > 1 else "",
        "--set trainer.precision=bf16" if options.precision == "fp32" else "",
        "a smaller size in prepare, or a smaller model",
    ]
    if LOST_WORKER.search(message):
        fewer = _workers(options, device) // 2
        helps.insert(0, f"--set trainer.workers={fewer}")
        return RuntimeError(
            "the system killed a process that loads cases, most often because the machine ran out of memory. "
            f"What helps: {'; '.join(filter(None, helps[:2]))}. "
            f"({message.splitlines()[0]})"
        )
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or NO_MEMORY.search(message):
        return MemoryError(
            f"out of memory on {device} with {options.batch_size} cases in a batch. "
            f"What helps: {'; '.join(filter(None, helps))}."
        )
    return None


def _cases(
    recipe: Recipe, train: Sequence[Case], options: Options
) -> tuple[CaseSampler, AugmentedCases]:
    task = load_task(recipe.task, recipe.labels)
    prepared = PreparedCases(
        train,
        recipe.labels,
        load_prepare(recipe.prepare),
        recipe.prepare,
        cache_folder() if options.cache else None,
        instances="instances" in task.gives,
    )
    slices = load_slices(recipe.slices)
    samples = prepared if slices is None else SlicesOfCases(prepared, slices)
    shows = samples.fill()
    try:
        sampler = CaseSampler(
            shows,
            recipe.seed,
            options.oversample_foreground,
            options.class_balanced,
            samples.axes if isinstance(samples, SlicesOfCases) else None,
            options.batch_size,
        )
    except ValueError as error:
        raise recipe.trainer.fail(str(error)) from error
    augment = load_augment(recipe.augment, recipe.labels)
    return sampler, AugmentedCases(samples, augment, task, recipe.seed)


def _device(options: Options) -> str:
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    device: str = options.device
    if device == "auto":
        device = next(name for name, usable in available.items() if usable)
    if not available[device]:
        raise RecipeError(
            f"trainer.device is {device!r}, but this machine has: "
            f"{', '.join(name for name, usable in available.items() if usable)}. "
            "Use trainer.device: auto."
        )
    if device == "cpu" and options.precision == "fp16":
        raise RecipeError("trainer.precision fp16 needs a GPU; on a CPU use bf16 or fp32.")
    return device


def _workers(options: Options, device: str) -> int:
    if options.workers != "auto":
        return options.workers
    return 0 if device == "cpu" else min(16, os.cpu_count() or 1)


def _quiet() -> None:
    """Silence Lightning's warnings on how to write a training loop; a user of a recipe cannot act on them."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for about in (".*does not have many workers.*", ".*You defined a `validation_step`.*",
                  ".*The number of training batches.*", ".*LeafSpec.*", ".*Checkpoint directory.*"):  # fmt: skip
        warnings.filterwarnings("ignore", about)


__all__ = ["DivergedError", "fit"]
