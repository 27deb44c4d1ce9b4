"""A bundle -> the predictor that it holds, exactly as it was trained."""

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
from delineate.inference import CasePredictor, Fingerprint, wrap_network, wrap_predictor
from delineate.prepare import load_prepare
from delineate.recipe import Recipe
from delineate.refine import load_refine
from delineate.resolve import FIRST, Call, Trust
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
    """The predictor of a bundle, exactly as it was trained, of whatever kind its recipe names.

    Several threads may call it at once. Pickled, it is a reference to the bundle's folder, which is loaded again where
    it is unpickled: so it can be sent to another process (`multiprocessing`, `concurrent.futures`).

    Args:
        path: a bundle's or a run's folder; several, to average what they predict; or a bundle that `open_bundle` gave,
            with the trust it was opened with.
        device: "auto" is a GPU where there is one.
        keep_probabilities: leave probabilities on what is found.
        window: size of sliding windows, instead of what the recipe's `predict` says; of members of an ensemble too.
        flips: axes whose flips are averaged, likewise.
        trust: modules whose code the bundle may name as `package.module:function`: ("my_lab.models",). A bundle is
            data, and nothing else that it names is imported.

    Raises:
        ValueError: no bundle there, weights that do not fit it, code that is not trusted, or a trust beside a bundle
            that is open.
    """
    if isinstance(path, Bundle):
        if trust:
            raise ValueError("give the trust to open_bundle: this bundle is open already.")
        bundle = path
    else:
        paths = [path] if isinstance(path, str | Path) else path
        bundle = join_bundles([open_bundle(each, trust) for each in paths])
    # by name, so that predicting with one engine installs and imports no other
    name = ENGINES[bundle.weights.name]
    try:
        engine = importlib.import_module(f"delineate.inference.backends.run_{name}")
    except ModuleNotFoundError as error:
        raise RuntimeError(
            f"{bundle.folder}: its weights run on {name}, and {error.name} is not installed. "
            "pip install 'delineate[train]' brings it."
        ) from error
    network: Network = engine.load_network(bundle.folder, bundle.recipe, bundle.card, device)
    recipe = replace(bundle.recipe, predict=_changed_by(bundle.recipe.predict, window, flips))

    def load(path: str) -> CasePredictor:
        return load_bundle(member_of(bundle, path), device=device, window=window, flips=flips)

    predictor = assemble(
        recipe, network, keep_probabilities, bundle.temperature, bundle.fingerprint
    )
    predictor = wrap_predictor(recipe.predict, predictor, load)
    given = {"device": device, "keep_probabilities": keep_probabilities, "window": window, "flips": flips}  # fmt: skip
    origin = partial(_load_again, _absolute(bundle), bundle.digest, given)
    object.__setattr__(predictor, "origin", origin)  # what `replace` makes of it has none
    return predictor


def _absolute(bundle: Bundle) -> Bundle:
    """The bundle, found from every folder."""
    members = {path: _absolute(member) for path, member in bundle.members.items()}
    return replace(bundle, folder=bundle.folder.absolute(), members=members)


def _load_again(bundle: Bundle, digest: str, given: Mapping[str, Any]) -> CasePredictor:
    """Load a bundle in another process, or later.

    Raises:
        ValueError: it is not there any more, or is another one now.
    """
    if bundle.digest != digest:
        raise ValueError(
            f"{bundle.folder}: the bundle was changed or removed since the predictor was loaded from it. Load it again."
        )
    return load_bundle(bundle, **given)


def member_of(bundle: Bundle, path: str) -> Bundle:
    """The member that a wrapper of a bundle names: one of those that the bundle holds, and no other folder.

    Raises:
        ValueError: it holds no such bundle, or one of images with another number of axes.
    """
    if path not in bundle.members:
        held = ", ".join(bundle.members) or "none"
        raise ValueError(
            f"{bundle.folder} holds no bundle {path!r}; a bundle names those that it holds: {held}. "
            "To join bundles, use delineate ensemble."
        )
    member = bundle.members[path]
    ours, theirs = bundle.card["ndim"], member.card["ndim"]
    if ours != theirs:
        raise ValueError(
            f"{path} is for images of {theirs} axes, and the model it is to join for images of {ours}."
        )
    return member


def assemble(
    recipe: Recipe,
    network: Network,
    keep_probabilities: bool = False,
    temperature: float = 1.0,
    fingerprint: Fingerprint | None = None,
) -> CasePredictor:
    """Prepare, network in its wrappers, task and refine steps of a recipe as one predictor.

    Wrappers of predictors are left to `wrap_predictor`: validation while training runs the model itself.
    """
    return CasePredictor(
        prepare=load_prepare(recipe.prepare),
        network=wrap_network(recipe.predict, network),
        task=load_task(recipe.task, recipe.labels),
        refine=load_refine(recipe.refine),
        keep_probabilities=keep_probabilities,
        temperature=temperature,
        fingerprint=fingerprint,
    )


def _changed_by(
    calls: tuple[Call, ...], window: tuple[int, ...] | None, flips: tuple[int, ...] | None
) -> tuple[Call, ...]:
    """The wrappers with another size of sliding windows and other axes of flips; inside the others if they are new."""
    changed = list(calls)
    for name, argument, value, option in (
        ("flips", "axes", flips, "--flips"),
        ("sliding_window", "size", window, "--window"),
    ):
        if value is None:
            continue
        given, places = {argument: list(value)}, {argument: option}
        there = [i for i, call in enumerate(changed) if call.name == name]
        for i in there:
            call = changed[i].without(FIRST)
            changed[i] = replace(
                call, args={**call.args, **given}, places={**call.places, **places}
            )
        if not there:
            changed.insert(0, Call(name, given, option, places))
    return tuple(changed)
