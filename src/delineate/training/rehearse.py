"""Build all parts of a training once and try them on empty pixels, so that `check` finds what `train` would refuse."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.strategies import StrategyRegistry
from torch import Tensor, nn

from delineate.bundle import assemble, open_member
from delineate.core import (
    Case,
    Geometry,
    Image,
    Output,
    Segmentation,
    Splits,
    Target,
)
from delineate.inference import CasePredictor, wrap_network, wrap_predictor
from delineate.losses import UnfitError, load_loss
from delineate.metrics import forget, load_metrics
from delineate.models import load_model, needs_background, sees_target
from delineate.prepare import Layers, Prepare, load_prepare, load_slices, stacked
from delineate.prepare.augment import Augment, load_augment
from delineate.recipe import Recipe
from delineate.refine import load_refine
from delineate.resolve import Call, RecipeError, build, check, names, nearest, telling
from delineate.tasks import load_task
from delineate.training._empty import (
    SMALL,
    scene_of,
    small_output,
    target_of,
    with_image_labels,
    zero_logits,
)
from delineate.training.accumulation import inexact_losses
from delineate.training.batches import scaled_shape
from delineate.training.callbacks.clock import Clock
from delineate.training.initialise import initialised
from delineate.training.options import (
    Options,
    load_options,
    logger_calls,
    monitored,
    validation_metrics,
)
from delineate.training.schedules import Progress
from delineate.training.sides import refuse_unswapped_sides

TRIES = 5
"""Cases whose image is read before the rehearsal gives up. The audit reports images that cannot be read."""


def build_parts(recipe: Recipe) -> None:
    """Build all parts of a training that need no data.

    Raises:
        RecipeError: a part cannot be built; with its place in the recipe.
    """
    options = load_options(recipe.trainer)
    load_prepare(recipe.prepare)
    load_augment(recipe.augment, recipe.labels)
    load_task(recipe.task, recipe.labels)
    _check_background(recipe)
    _check_slices(recipe)
    _check_scales(recipe, options)
    load_loss(recipe.loss, recipe.deep_supervision)
    load_refine(recipe.refine)
    _refuse_refinements(recipe)
    load_metrics(validation_metrics(recipe))
    _try_predictors(recipe)
    weight = nn.Parameter(torch.zeros(1))
    optimizer = build("optimizers", recipe.optimizer, params=[weight])
    weight.grad = torch.zeros(1)
    with telling(recipe.optimizer):
        optimizer.step()
    clock = Clock(recipe.schedule, options.epochs, options.seconds, recipe.seed)
    with telling(recipe.schedule):
        for fraction in (0.0, 0.5, 1.0):
            clock.factor(Progress(fraction, fraction * options.epochs, (0.5, 0.4)), **clock.args)
    with tempfile.TemporaryDirectory() as run:
        for call in logger_calls(options, recipe.trainer):
            build("loggers", call, run=Path(run))
    known = ["auto", *StrategyRegistry.available_strategies()]
    if options.strategy not in known:
        raise recipe.trainer.fail(
            f"trainer.strategy is {options.strategy!r}{nearest(options.strategy, known)} "
            f"There are: {', '.join(known)}.",
            "strategy",
        )


def _check_background(recipe: Recipe) -> None:
    """Refuse a model that needs a channel of the background, for a task of several labels that has none."""
    channels = load_task(recipe.task, recipe.labels).heads.get("dense", 1)
    if channels in (1, len(recipe.labels) + 1) or not needs_background(recipe.model):
        return
    raise recipe.model.fail(
        f"{recipe.model.name} takes the first of several channels for the background, and the task "
        f"{recipe.task.name} has none: it has {channels} channels for {len(recipe.labels)} labels. "
        "Use the task semantic, or another model."
    )


def _check_slices(recipe: Recipe) -> None:
    """Refuse `slices` for a task without dense logits."""
    slices = load_slices(recipe.slices)
    if slices is None or recipe.slices is None:
        return
    heads = load_task(recipe.task, recipe.labels).heads
    if set(heads) != {"dense"}:
        raise recipe.slices.fail(
            f"slices are for tasks with dense logits only, and the task {recipe.task.name} needs: {', '.join(heads)}. "
            "Leave out slices."
        )


def _check_scales(recipe: Recipe, options: Options) -> None:
    """Refuse `trainer.multi_scale` for a task with an object head."""
    if options.multi_scale is None or "objects" not in load_task(recipe.task, recipe.labels).heads:
        return
    raise recipe.trainer.fail(
        f"trainer.multi_scale is for tasks without object heads, and the task {recipe.task.name} has one. "
        "Leave it out; the augmentation scale changes the size of objects.",
        "multi_scale",
    )


def _refuse_refinements(recipe: Recipe) -> None:
    """Refuse refinements if the task gives no masks."""
    gives = load_task(recipe.task, recipe.labels).gives
    if recipe.refine and "classes" not in gives:
        raise recipe.refine[0].fail(
            f"{recipe.refine[0].name} changes masks, and the task {recipe.task.name} gives image-level labels only. "
            "Leave out refine."
        )


@dataclass(frozen=True)
class Rehearsal:
    """What a rehearsal found, in sentences.

    copied: what the model takes from `model.init_from`.
    notes: what the user should know of the training.
    """

    copied: list[str]
    notes: list[str]


def rehearse(recipe: Recipe, splits: Splits) -> Rehearsal:
    """Try the model, the losses, the metrics and every step on empty pixels of the size of the first case.

    The model runs on torch's meta device, which tracks shapes and computes nothing.

    Raises:
        RecipeError: a part cannot be built, or does not accept the output of the part before it; with its place.
    """
    options = load_options(recipe.trainer)
    notes: list[str] = []
    copied: list[str] = []
    train = splits.get("train", ())
    if not train:
        raise recipe.data.fail("there is no case to train on: the data has no split 'train'.")
    _try_oversampling(recipe, options, train)
    prepare = load_prepare(recipe.prepare)
    for case in train[:TRIES]:
        try:
            image = case.image
            fixed = prepare.fixed(image)
            pixels = prepare.finish(fixed.pixels)
        except (ValueError, OSError, MemoryError):
            continue  # the audit reports it
        refuse_unswapped_sides(recipe, fixed.geometry)
        for number, (sample, image_of) in enumerate(_samples(recipe, prepare, fixed, pixels)):
            _try_augment(recipe, image_of)
            if recipe.init_from is not None and not copied:
                copied = initialised(recipe, len(sample), sample.ndim - 1)[1]
            batch = (
                min(options.batch_size, len(train)) if recipe.slices is None else options.batch_size
            )
            if sees_target(_model(recipe, sample.shape)):
                shape = (min(batch, 2), *sample.shape)
                _try_with_target(recipe, options, shape, weights=number == 0)
            else:
                output = _try_model(recipe, (batch, *sample.shape), weights=number == 0)
                small = small_output(recipe, sample.shape[1:], output)
                _try_losses(recipe, *small)
                _try_scales(recipe, options, (batch, *sample.shape))
                if options.accumulate > 1 and not notes:
                    notes += inexact_losses(recipe, options, *small)
        _try_networks(recipe, pixels.shape)
        _try_predictors(recipe, pixels.ndim - 1)
        _try_refinements_and_metrics(recipe, image)
        break
    return Rehearsal(copied, notes)


def _samples(
    recipe: Recipe, prepare: Prepare, fixed: Image, pixels: np.ndarray
) -> Iterator[tuple[np.ndarray, Image]]:
    """What training draws from a prepared image, finished and before augmentation: the image, or a slice of each axis.

    Raises:
        RecipeError: slices of an image without three axes, or a step after augmentation that gives a slice other
            values than the same slice of a volume.
    """
    slices = load_slices(recipe.slices)
    if slices is None or recipe.slices is None:
        yield pixels, fixed
        return
    with telling(recipe.slices):
        places = dict(slices.positions(pixels.shape[1:]))
    for axis, last in places.items():
        before, after = (slices.slab(p, axis, last // 2) for p in (fixed.pixels, pixels))
        if not np.allclose(prepare.finish(before), after, rtol=1e-4, atol=1e-4):
            names = [call.name for call in recipe.prepare[len(prepare.before) :]]
            raise recipe.slices.fail(
                f"{' and '.join(names)} in prepare gives a slice other values in training, where it sees the slice, "
                "than in prediction, where it sees the volume. Use a step that treats each sample alike, such as "
                "standardize by: values; to standardize each volume, write rescale_intensity before it."
            )
        flat = stacked(before)
        yield stacked(after), Image(flat, Geometry.in_pixels(flat.shape[1:]))


def _try_oversampling(recipe: Recipe, options: Options, train: Sequence[Case]) -> None:
    """Look for cases, or slices, with and without a label, until both are found."""
    if options.oversample_foreground is None:
        return
    seen: set[bool] = set()
    for case in train:
        try:
            truth = case.truth
            if recipe.slices is not None and truth is not None:
                truth = load_prepare(recipe.prepare).truth(truth, instances=False)
        except (ValueError, OSError, MemoryError):
            continue
        seen |= _shown(recipe, truth)
        if len(seen) == 2:
            return
    if recipe.slices is None:
        kinds, said = "cases", f"of {len(train)} show one"
    else:
        kinds, said = "slices", f"of the slices of {len(train)} volumes show one"
    raise recipe.trainer.fail(
        f"trainer.oversample_foreground needs training {kinds} with and without a label; "
        f"{'all' if True in seen else 'none'} {said}.",
        "oversample_foreground",
    )


def _shown(recipe: Recipe, truth: Segmentation | None) -> set[bool]:
    """Whether a case shows a label; for a recipe with `slices`, whether its slices do, where the truth is a volume."""
    slices = load_slices(recipe.slices)
    if slices is None:
        return {truth is not None and any(map(truth.shows, recipe.labels.names))}
    if truth is None or truth.geometry.ndim != 3:
        return {False, True}  # refused elsewhere
    values = [value for name in recipe.labels.names for value in recipe.labels.values_of(name)]
    labelled = np.isin(truth.classes, values)
    others = (tuple({0, 1, 2} - {axis}) for axis in slices.axes)
    return {bool(shows) for axes in others for shows in np.asarray(labelled.any(axis=axes))}


def _try_augment(recipe: Recipe, fixed: Image) -> None:
    """Try each augmentation by itself, with a generator that always applies it."""
    steps = load_augment(recipe.augment, recipe.labels).steps
    truth = Layers(np.zeros(fixed.geometry.shape, np.uint8), recipe.labels)
    for step, call in zip(steps, recipe.augment, strict=True):
        with telling(call):
            Augment((step,))(fixed.pixels, truth, _Always(np.random.PCG64(0)))


class _Always(np.random.Generator):
    """A generator whose `random` returns 0, so that every random choice applies the augmentation."""

    def random(self, *args: object, **kwargs: object) -> float:  # type: ignore[override]
        return 0.0


def _model(recipe: Recipe, shape: Sequence[int], *, weights: bool = False) -> nn.Module:
    """The model for images (channel, *spatial) of this shape; with `weights`, those it is trained from are loaded."""
    heads = load_task(recipe.task, recipe.labels).heads
    pretrained = weights and recipe.init_from is None
    return load_model(recipe.model, shape[0], heads, len(shape) - 1, pretrained=pretrained)


def _try_model(recipe: Recipe, shape: tuple[int, ...], *, weights: bool = False) -> Output[Tensor]:
    """The output of the model in training mode for pixels (batch, channel, *spatial)."""
    model = _model(recipe, shape[1:], weights=weights)
    with _telling_of_model(recipe), torch.no_grad():
        try:
            output = model.to("meta").train()(torch.zeros(shape, device="meta"))
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise ValueError(
                f"{recipe.model.name} has a batch normalisation of one value per image, and a batch of {shape[0]} image"
                f"{'s' if shape[0] > 1 else ''} is too small for it. Use trainer.batch_size of 2 or more and at least "
                "as many training cases, or another norm."
            ) from error
        except (RuntimeError, TypeError) as error:
            if "meta" not in str(error):
                raise
            # an operation has no meta kernel: run the model on two cases on the CPU
            shape = (min(2, shape[0]), *shape[1:])
            output = _model(recipe, shape[1:]).train()(torch.zeros(shape))
        _check_output(recipe, output, shape)
    assert isinstance(output, Output)
    return output


def _try_scales(recipe: Recipe, options: Options, shape: tuple[int, ...]) -> None:
    """Try the model in training mode at each size of `trainer.multi_scale`, from pixels (batch, channel, *spatial)."""
    for factor in options.multi_scale or ():
        size = scaled_shape(shape[2:], factor)
        try:
            _try_model(recipe, (*shape[:2], *size))
        except RecipeError as error:
            raise recipe.trainer.fail(
                f"trainer.multi_scale resizes images from {shape[2:]} to {size} for the factor {factor:g}, and the "
                f"model does not accept them: {error}",
                "multi_scale",
            ) from error


def _try_with_target(
    recipe: Recipe, options: Options, shape: tuple[int, ...], *, weights: bool
) -> None:
    """Try a model that takes the target in training: one training pass and one prediction on empty pixels.

    It runs on the CPU: the shapes in a detector depend on values, which the meta device does not have.
    """
    model = _model(recipe, shape[1:], weights=weights)
    pixels, target = torch.zeros(shape), target_of(recipe, shape[2:], shape[0])
    with _telling_of_model(recipe):
        learning = model.train()(pixels, target=target)
        _check_output(recipe, learning, shape, heads=False)
        if not learning.losses:
            _check_output(recipe, learning, shape)
    _try_losses(recipe, learning, target)
    with _telling_of_model(recipe), torch.no_grad():
        predicting = model.eval()(pixels)
        _check_output(recipe, predicting, shape)
    with torch.no_grad():
        loss = load_loss(recipe.loss, recipe.deep_supervision)(predicting, target)
    metrics = load_metrics(validation_metrics(recipe))
    if monitored(options, metrics) == "val/loss" and loss.isnan():
        raise recipe.trainer.fail(
            f"trainer.monitor is val/loss, which cannot be computed: {recipe.model.name} computes its losses only in "
            "training. Monitor a metric.",
            "monitor",
        )


@contextmanager
def _telling_of_model(recipe: Recipe) -> Iterator[None]:
    with telling(recipe.model), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_output(
    recipe: Recipe, output: object, shape: tuple[int, ...], *, heads: bool = True
) -> None:
    """Refuse anything but an Output with the heads that the task needs for pixels of `shape`."""
    if not isinstance(output, Output):
        raise ValueError(f"{recipe.model.name} gives {type(output).__name__}; expected an Output.")
    needed = load_task(recipe.task, recipe.labels).heads if heads else {}
    spatial = {"dense": shape[2:], "image": ()}
    for head, channels in needed.items():
        given, expected = getattr(output, head), (shape[0], channels, *spatial.get(head, ()))
        if head in spatial and (not isinstance(given, Tensor) or given.shape != expected):
            kind = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
            raise ValueError(
                f"{recipe.model.name} gives {kind} as its {head} head; expected logits {expected}."
            )
        if head == "objects" and (not isinstance(given, tuple) or len(given) != shape[0]):
            raise ValueError(
                f"{recipe.model.name} gives {type(given).__name__} as its objects head; expected a tuple of "
                f"{shape[0]} Objects, one for each image."
            )


def _try_losses(recipe: Recipe, output: Output[Tensor], target: Target[Tensor]) -> None:
    """Try each loss by itself."""
    for call in recipe.loss:
        loss = load_loss([call], recipe.deep_supervision)
        with telling(call):
            try:
                value = loss(output, target)
            except UnfitError as error:
                fit = ", ".join(_losses_that_fit(output, target)) or "none"
                raise call.fail(
                    f"{call.name} learns from {error.needs}, and the task {recipe.task.name} gives {error.given}. "
                    f"Losses that fit as they are: {fit}."
                ) from error
            if not isinstance(value, Tensor) or value.numel() != 1:
                raise ValueError(f"{call.name} does not give a single number.")


def _losses_that_fit(output: Output[Tensor], target: Target[Tensor]) -> Iterator[str]:
    """The names of the losses that accept this output and target with their default arguments."""
    for name in names("losses"):
        with suppress(ValueError):
            load_loss([Call(name)])(output, target)
            yield name


def _try_networks(recipe: Recipe, shape: tuple[int, ...]) -> None:
    """Try each wrapper of networks, around the wrappers before it and a network whose logits are 0."""
    heads = load_task(recipe.task, recipe.labels).heads
    pixels = np.zeros(
        (1, shape[0], *(min(n, SMALL[len(shape) - 1]) for n in shape[1:])), np.float32
    )
    for count in range(1, 1 + len(recipe.predict)):
        with telling(recipe.predict[count - 1]):
            output = wrap_network(
                recipe.predict[:count], partial(zero_logits, heads), recipe.labels
            )(pixels)
            for head in heads:
                expected, given = (getattr(o, head) for o in (zero_logits(heads, pixels), output))
                if head != "objects" and (given is None or given.shape != expected.shape):
                    raise ValueError(
                        f"{recipe.predict[count - 1].name} gives {None if given is None else given.shape} as the "
                        f"{head} head; expected logits {expected.shape}."
                    )


def _try_predictors(recipe: Recipe, ndim: int | None = None) -> None:
    """Try the wrappers of predictors. The bundles that they name are opened, but their weights are not loaded.

    Raises:
        RecipeError: a wrapper cannot be built, or does not fit images with `ndim` axes.
    """
    for call in recipe.predict:
        if call.name == "slicewise" and ndim == 3:
            raise call.fail(
                "slicewise is for models of images with two axes, and the prepared images have 3. Leave out slicewise; "
                "to train a 2D model on volumes, add slices: {axes: [0]}."
            )

    def load(path: str) -> CasePredictor:
        member = open_member(recipe, path)
        if ndim not in (None, member.axes):
            raise ValueError(
                f"{path} is for images of {member.axes} axes; those of this recipe have {ndim}."
            )
        check("models", member.recipe.model)
        return without_weights(member.recipe)

    def without_weights(recipe: Recipe) -> CasePredictor:
        heads = load_task(recipe.task, recipe.labels).heads
        return assemble(recipe, partial(zero_logits, heads))

    wrap_predictor(recipe.predict, without_weights(recipe), load)


def _try_refinements_and_metrics(recipe: Recipe, image: Image) -> None:
    """Try the refinements and the metrics on a corner of the image's grid."""
    shape = [min(n, SMALL[image.geometry.ndim]) for n in image.geometry.shape]
    geometry = image.geometry.cropped([0] * len(shape), shape)
    scene = scene_of(recipe.labels, geometry)
    corner = Image(np.zeros((image.pixels.shape[0], *shape), image.pixels.dtype), geometry)
    for step, call in zip(load_refine(recipe.refine), recipe.refine, strict=True):
        with telling(call):
            step(scene, corner)
    scene = with_image_labels(scene, load_task(recipe.task, recipe.labels).gives)
    calls = validation_metrics(recipe)
    for metric, call in zip(load_metrics(calls).values(), calls, strict=True):
        with telling(call):
            metric(scene, scene)
    forget()
