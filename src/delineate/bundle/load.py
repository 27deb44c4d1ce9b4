"""Load the predictor of a bundle, exactly as it was trained."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from delineate.bundle.bundle import Bundle, join_bundles, open_bundle
from delineate.bundle.card import ENGINES
from delineate.core import Network
from delineate.inference import (
    CasePredictor,
    Fingerprint,
    by_slices,
    in_turn,
    wrap_network,
    wrap_predictor,
)
from delineate.inference.wrappers.slicewise import slicewise
from delineate.prepare import Slices, load_prepare, load_slices
from delineate.recipe import Recipe
from delineate.refine import LoadRefiner, load_refine
from delineate.resolve import FIRST, Call, RecipeError, Trust, check
from delineate.tasks import load_task


def load_bundle(
    path: str | Path | Bundle | Sequence[str | Path],
    *,
    device: str = "auto",
    keep_probabilities: bool = False,
    window: tuple[int, ...] | None = None,
    flips: tuple[int, ...] | None = None,
    trust: Trust | Iterable[str] = (),
) -> CasePredictor:
    """Load the predictor of a bundle, exactly as it was trained.

    A model for 2D images predicts a volume slice by slice (`inference.wrappers.slicewise`), unless it was trained on
    colour images.

    Several threads may call it at the same time. It can be sent to another process (`multiprocessing`,
    `concurrent.futures`): pickling stores a reference to the bundle's folder, and unpickling loads it from there.

    Args:
        path: folder of a bundle or a run, or a bundle in one file, NAME.delineate; several, to average their
            predictions; or a bundle from `open_bundle`, which keeps the trust it was opened with.
        device: "auto" uses a GPU if there is one.
        keep_probabilities: keep the probabilities on each prediction.
        window: size of sliding windows; replaces that of the recipe's `predict`, also in members of an ensemble.
        flips: axes whose flips are averaged; likewise.
        trust: modules whose code the bundle may name as `package.module:function`: ("my_lab.models",). A bundle is
            data: no other module that it names is imported.

    Raises:
        ValueError: no bundle there, weights that do not fit, code that is not trusted, or `trust` given with a bundle
            that is already open.
    """
    if isinstance(path, Bundle):
        if trust:
            raise ValueError("trust was given with an open bundle. Give it to open_bundle instead.")
        bundle = path
    else:
        paths = [path] if isinstance(path, str | Path) else path
        bundle = join_bundles([open_bundle(each, trust) for each in paths])
    network = load_network(bundle, device)
    recipe = replace(bundle.recipe, predict=_changed_by(bundle.recipe, window, flips))

    def load(path: str) -> CasePredictor:
        return load_bundle(member_of(bundle, path), device=device, window=window, flips=flips)

    predictor = assemble(
        recipe,
        network,
        keep_probabilities,
        bundle.temperature,
        bundle.fingerprint,
        lambda path: load_refiner(bundle, member_of(bundle, path), device),
    )
    if bundle.axes == 2 and not _of_colour(bundle.fingerprint):
        predictor = slicewise(predictor)
    predictor = wrap_predictor(recipe.predict, predictor, load)
    given = {"device": device, "keep_probabilities": keep_probabilities, "window": window, "flips": flips}  # fmt: skip
    origin = partial(_load_again, _absolute(bundle), bundle.digest, given)
    object.__setattr__(predictor, "origin", origin)  # `replace` does not copy it
    return predictor


def load_network(bundle: Bundle, device: str) -> Network:
    """The network of a bundle, in the engine that its weights are for; its calls are `in_turn`.

    Raises:
        RuntimeError: the engine is not installed.
        ValueError: the weights do not fit.
    """
    # imported by name, so that one engine does not need the others
    name = ENGINES[bundle.weights.name]
    try:
        engine = importlib.import_module(f"delineate.inference.backends.run_{name}")
    except ModuleNotFoundError as error:
        raise RuntimeError(
            f"{bundle.folder}: its weights need {name}, and {error.name} is not installed. "
            "Install it with pip install 'delineate[train]'."
        ) from error
    network: Network = engine.load_network(bundle.folder, bundle.recipe, bundle.card, device)
    return in_turn(network)


def load_refiner(bundle: Bundle, refiner: Bundle, device: str) -> tuple[Network, int]:
    """The refinement network of a bundle, and the number of channels of its input.

    Raises:
        ValueError: `refiner` is another kind of model, or refines a model with other labels.
    """
    if refiner.recipe.model.name != "region_refiner":
        raise ValueError(
            f"{refiner.folder}: is a model {refiner.recipe.model.name}; expected a refinement network, which "
            "delineate refine fit trains."
        )
    ours, theirs = (
        [(label.name, label.value) for label in one.recipe.labels] for one in (bundle, refiner)
    )
    if ours != theirs:
        raise ValueError(
            f"{refiner.folder}: refines the labels {', '.join(name for name, _ in theirs)}; this model has "
            f"{', '.join(name for name, _ in ours)}. Fit a refinement to this model."
        )
    return load_network(refiner, device), int(refiner.card["channels"])


def _of_colour(fingerprint: Fingerprint | None) -> bool:
    """Whether all training images had colour: such a model is not for slices of scans."""
    return fingerprint is not None and 1 not in fingerprint.channels


def _absolute(bundle: Bundle) -> Bundle:
    """The bundle with absolute paths."""
    members = {path: _absolute(member) for path, member in bundle.members.items()}
    return replace(bundle, folder=bundle.folder.absolute(), members=members)


def _load_again(bundle: Bundle, digest: str, given: Mapping[str, Any]) -> CasePredictor:
    """Load a bundle in another process, or later.

    Raises:
        ValueError: it was removed or changed.
    """
    if bundle.digest != digest:
        raise ValueError(
            f"{bundle.folder}: the bundle was changed or removed since the predictor was loaded from it. Load it again."
        )
    return load_bundle(bundle, **given)


def member_of(bundle: Bundle, path: str) -> Bundle:
    """The member of a bundle that one of its wrappers names; folders outside the bundle are refused.

    Raises:
        ValueError: the bundle has no such member, or the member is for images with another number of axes.
    """
    if path not in bundle.members:
        held = ", ".join(bundle.members) or "none"
        raise ValueError(
            f"{bundle.folder} has no member {path!r}; expected one of its members: {held}. "
            "To join bundles, use delineate ensemble."
        )
    member = bundle.members[path]
    ours, theirs = bundle.axes, member.axes
    if ours != theirs:
        raise ValueError(
            f"{path} is for images with {theirs} axes, but the first model is for {ours}. "
            "Members of an ensemble must have the same number of axes."
        )
    return member


def assemble(
    recipe: Recipe,
    network: Network,
    keep_probabilities: bool = False,
    temperature: float = 1.0,
    fingerprint: Fingerprint | None = None,
    load: LoadRefiner | None = None,
) -> CasePredictor:
    """Build a predictor from a recipe's preparation, task and refinements, and a network in the recipe's wrappers.

    load: loads the refinement network of a bundle that a refinement names; None while a model is trained.

    A 2D network of a recipe with `slices` is first made a network for volumes.

    Wrappers of predictors are not applied here but in `wrap_predictor`: validation during training runs the model
    alone.

    Raises:
        RecipeError: a part cannot be built, or a wrapper does not fit `slices`.
    """
    slices = load_slices(recipe.slices)
    if slices is not None:
        _refuse_unfit_wrappers(recipe.predict, slices)
        network = by_slices(network, slices)
    return CasePredictor(
        prepare=load_prepare(recipe.prepare),
        network=wrap_network(recipe.predict, network, recipe.labels),
        task=load_task(recipe.task, recipe.labels),
        refine=load_refine(recipe.refine, load),
        keep_probabilities=keep_probabilities,
        temperature=temperature,
        fingerprint=fingerprint,
    )


def _refuse_unfit_wrappers(calls: Sequence[Call], slices: Slices) -> None:
    """Refuse wrappers that would show a network of slices what it never saw in training.

    Raises:
        RecipeError: `slicewise`, which is for networks of images; or, where neighbours are further channels, flips that
            would reverse their order, or windows, at whose ends the neighbours would be missing.
    """
    for call in calls:
        if call.name == "slicewise":
            raise call.fail(
                "slicewise is for models of images with two axes; a recipe with slices predicts volumes already. "
                "Leave out slicewise."
            )
        if not slices.neighbours or call.name not in ("flips", "sliding_window"):
            continue
        if call.name == "sliding_window":
            raise call.fail(
                "sliding_window cuts the volume, and the slices at the ends of a window would lose their neighbours, "
                "which the model sees as channels. Leave out windows: the network takes one slice at a time."
            )
        reversed_axes = sorted({*check("predict", call)["axes"]} & {*slices.axes})
        if reversed_axes:
            free = [axis for axis in range(3) if axis not in slices.axes]
            raise call.fail(
                f"flips along axis {reversed_axes[0]} reverse the order of the slices, and so of the neighbours that "
                f"the model sees as channels. {f'Flip axes {free} only.' if free else 'Leave out flips.'}",
                "axes",
            )


def _changed_by(
    recipe: Recipe, window: tuple[int, ...] | None, flips: tuple[int, ...] | None
) -> tuple[Call, ...]:
    """The wrappers with a new window size and new flip axes; a wrapper that is not yet listed becomes the innermost.

    Flips that are not yet listed swap the labels that the flips of training swapped.

    Raises:
        RecipeError: flips of left and right organs, of a model that never learnt from flipped images.
    """
    changed = list(recipe.predict)
    for name, argument, value, option in (
        ("flips", "axes", flips, "--flips"),
        ("sliding_window", "size", window, "--window"),
    ):
        if value is None:
            continue
        given: dict[str, Any] = {argument: list(value)}
        places = {argument: option}
        there = [i for i, call in enumerate(changed) if call.name == name]
        for i in there:
            call = changed[i].without(FIRST)
            changed[i] = replace(
                call, args={**call.args, **given}, places={**call.places, **places}
            )
        if not there:
            swapped = _swapped_in_training(recipe) if name == "flips" else {}
            changed.insert(0, Call(name, {**given, **swapped}, option, places))
    return tuple(changed)


def _swapped_in_training(recipe: Recipe) -> dict[str, Any]:
    """The arguments `swap` and `swap_axis` of the flips in training; {} if no labels come in left and right.

    The axes of an augmentation of slices are those of the slice; they are translated to those of the volume.

    Raises:
        RecipeError: no flip in training tells what to swap, or it swaps along several axes of the volume.
    """
    if not recipe.labels.sides:
        return {}
    slices = load_slices(recipe.slices)
    for call in recipe.augment:
        if call.name != "flip" or "swap" not in call.args:
            continue
        known = {name: call.args[name] for name in ("swap", "swap_axis") if name in call.args}
        if slices is None or not known["swap"]:
            return known
        axis = check("augment", call).get("swap_axis", -1)
        if not -2 <= axis < 2:
            raise call.fail(f"flip: swap_axis is {axis}; slices have 2 axes.", "swap_axis")
        axes = sorted({slices.kept(cut)[axis] for cut in slices.axes})
        if len(axes) > 1:
            raise RecipeError(
                f"--flips: the flip of training swaps labels along axis {axes[0]} of the volume in some slices and "
                f"along axis {axes[1]} in others, so that it does not tell left from right. Leave out --flips."
            )
        return {**known, "swap_axis": axes[0]}
    left, right = recipe.labels.sides[0]
    raise RecipeError(
        f"--flips: the labels {left} and {right} have to be swapped where left and right are flipped, and the recipe "
        "has no flip that says so (augment: [{flip: {swap: ...}}]). Leave out --flips."
    )
