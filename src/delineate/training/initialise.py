"""Build the model of a recipe with the weights that its training begins with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from delineate.bundle import Source, find_source, model_in_words
from delineate.core import LabelSet
from delineate.models import OtherArchitectureError, copy_weights, load_model
from delineate.recipe import Recipe
from delineate.resolve import STARTS, Call, RecipeError
from delineate.tasks import load_task


def initialised(recipe: Recipe, channels: int, ndim: int) -> tuple[nn.Module, list[str]]:
    """The model of a recipe, with random or pretrained weights or those of `model.init_from`.

    With `init_from`, `pretrained` and `weights` are not loaded and nothing is downloaded.

    Args:
        recipe: names the model, its heads and what it starts from.
        channels: channels of the images.
        ndim: spatial axes.

    Returns:
        The model, and what was copied from `init_from` in sentences; none without it.

    Raises:
        RecipeError: the model cannot be built, or the weights are not there or of another architecture; with the place.
    """
    source = find_source(recipe)
    heads = load_task(recipe.task, recipe.labels).heads
    if source is None:
        return load_model(recipe.model, channels, heads, ndim), []
    model = load_model(recipe.model, channels, heads, ndim, pretrained=False)
    assert recipe.init_from is not None
    return model, _copied(recipe, source, recipe.init_from, model, channels, heads, ndim)


def _copied(
    recipe: Recipe,
    source: Source,
    init_from: Call,
    model: nn.Module,
    channels: int,
    heads: Mapping[str, int],
    ndim: int,
) -> list[str]:
    def like(more_channels: int, more_classes: int) -> nn.Module:
        more = {head: count + more_classes for head, count in heads.items()}
        return load_model(recipe.model, channels + more_channels, more, ndim, pretrained=False)

    bundle = source.bundle
    theirs = channel_names(bundle.recipe.task, bundle.recipe.labels) if bundle else None
    ours = channel_names(recipe.task, recipe.labels) or {}
    if bundle and bundle.card["ndim"] != ndim:
        raise init_from.fail(
            f"{source.path} is of images with {bundle.card['ndim']} axes; those of this recipe have {ndim}."
        )
    try:
        copied = copy_weights(model, source.weights, like, channels, ours, theirs)
    except OtherArchitectureError as error:
        raise init_from.fail(
            f"{source.path} is of another architecture: {error} There: {source.model}; here: {model_in_words(recipe)}. "
            "Use the same model, or train without init_from."
        ) from error
    except ValueError as error:
        raise init_from.fail(f"{source.path}: {error}") from error
    lines = [
        f"model.init_from: {copied.tensors} of {copied.of} tensors copied from {source.path}"
        + (f", labels {', '.join(bundle.recipe.labels.names)}" if bundle else "")
    ]
    if bundle and model_in_words(bundle.recipe) != model_in_words(recipe):
        lines.append(f"the model there is {source.model}; here it is {model_in_words(recipe)}")
    lines += [
        f"{start}: {recipe.model.args[start]} is not loaded; init_from replaces it"
        for start in STARTS
        if recipe.model.args.get(start)
    ]
    return [*lines, *copied.lines]


def channel_names(task: Call, labels: LabelSet) -> Mapping[str, Sequence[str]] | None:
    """What each channel of each head of a task stands for; None if the task is code that may not be imported.

    A head has one channel for each label, or one for the background before them.
    """
    try:
        heads = load_task(task, labels).heads
    except RecipeError:
        return None
    known = {len(labels): labels.names, len(labels) + 1: ("background", *labels.names)}
    return {head: known[count] for head, count in heads.items() if count in known}
