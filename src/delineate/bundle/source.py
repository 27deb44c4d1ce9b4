"""Find the trained weights that `model.init_from` of a recipe names. They are data: none of their code is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from delineate.bundle.bundle import Bundle, open_bundle, places_of
from delineate.bundle.card import ENGINES, read_json
from delineate.bundle.packed import PACKED
from delineate.recipe import Recipe, as_tree
from delineate.resolve import NOBODY, STARTS, shown

WEIGHTS = (".safetensors", ".pth", ".pt", ".ckpt", ".bin")
"""Endings of files of weights."""


@dataclass(frozen=True)
class Source:
    """Trained weights to start from.

    path: as the recipe names them, with the run that was chosen where it names a folder of runs.
    weights: their file.
    bundle: the bundle that they belong to; None for a file of weights alone, of which nothing else is known.
    chosen: a sentence on the choice among several runs, or "".
    """

    path: str
    weights: Path
    bundle: Bundle | None
    chosen: str = ""

    @property
    def model(self) -> str:
        """The model that the weights are of, in words."""
        return model_in_words(self.bundle.recipe) if self.bundle else f"the file {self.path}"


def find_source(recipe: Recipe) -> Source | None:
    """What a recipe's `model.init_from` names: a run, a bundle, a folder of runs, or a file of weights.

    A relative path is looked up beside the recipe, then in the folder where its run was started, then in the current
    folder. Of a folder of runs the newest finished one that can be read is taken; `Source.chosen` names those that
    cannot.

    Raises:
        RecipeError: nothing is there, or nothing to start from; with the place in the recipe.
    """
    call = recipe.init_from
    if call is None:
        return None
    path = str(call.args["path"])
    tried = list(
        dict.fromkeys(place.absolute() / Path(path).expanduser() for place in places_of(recipe))
    )
    there = next((place for place in tried if place.exists()), None)
    if there is None:
        raise call.fail(
            f"{path}: no run, bundle or file of weights there. Looked for: {', '.join(map(str, tried))}."
        )
    try:
        packed = there.suffix == PACKED
        return _of_folder(path, there) if packed or there.is_dir() else _of_file(path, there)
    except ValueError as error:
        raise call.fail(str(error)) from error


def named(recipe: Recipe, source: Source) -> Recipe:
    """The recipe with the path of the run that was chosen, so that its run can be repeated."""
    assert recipe.init_from is not None
    call = replace(recipe.init_from, args={"path": source.path})
    tree = {**recipe.tree, "model": {**recipe.tree["model"], "init_from": source.path}}
    return replace(recipe, init_from=call, tree=tree)


def model_in_words(recipe: Recipe) -> str:
    """The model of a recipe without where its weights come from: "smp (arch: unet, encoder: resnet34)"."""
    tree = as_tree(recipe.model.without(*STARTS))
    if isinstance(tree, str):
        return tree
    ((name, args),) = tree.items()
    given = args.items() if isinstance(args, Mapping) else [("", args)]
    return f"{name} ({', '.join(f'{key}: {value}' if key else str(value) for key, value in given)})"


def _of_file(path: str, file: Path) -> Source:
    if file.suffix.lower() not in WEIGHTS:
        raise ValueError(
            f"{path}: is no file of weights; expected {', '.join(WEIGHTS)}, a run or a bundle."
        )
    bundle = None
    if file.name in ENGINES and (file.parent / "card.json").is_file():
        bundle = _bundle(path, file.parent)
    return Source(path, file, bundle)


def _of_folder(path: str, folder: Path) -> Source:
    if folder.is_file() or _is_trained(folder):
        bundle = _bundle(path, folder)
        return Source(path, bundle.weights, bundle)
    runs = [run for run in folder.iterdir() if run.is_dir() and _is_trained(run)]
    if not runs:
        raise ValueError(
            f"{path}: no run or bundle there, and no folder of runs. Expected a folder like outputs/<recipe>/<time>."
        )
    finished, unread = {}, {}
    for run in sorted(runs):
        try:
            card = _card_of(run)
        except (OSError, ValueError) as error:
            unread[run.name] = str(error)
        else:
            if card.get("scores"):
                finished[run.name] = str(card.get("created", ""))
    newest_first = sorted(finished, key=lambda name: (finished[name], name), reverse=True)
    for name in newest_first:
        inside = f"{path.rstrip('/')}/{name}"
        try:
            bundle = _bundle(inside, folder / name)
            said = f"model.init_from: {inside} is the newest of {len(finished)} finished runs in {path}."
            return Source(inside, bundle.weights, bundle, said + _in_words(unread))
        except (OSError, ValueError) as error:
            unread[name] = str(error)
            del finished[name]
    raise ValueError(
        f"{path}: none of its {len(runs)} runs is finished{' and can be read' if unread else ''}. Finish one with "
        f"delineate train --resume, or name the one to take: {path}/{max(run.name for run in runs)}."
        f"{_in_words(unread)}"
    )


def _card_of(run: Path) -> Mapping[str, Any]:
    """The card of a run or a bundle, of which nothing is checked."""
    cards = [run / "card.json", run / "bundle" / "card.json"]
    path = next(card for card in cards if card.is_file())
    card = read_json(path)
    if not isinstance(card, dict):
        raise ValueError(f"{path}: is {shown(card)}; expected key: value.")
    return card


def _in_words(unread: Mapping[str, str]) -> str:
    """A sentence on the runs that were left out, the first three with the reason."""
    if not unread:
        return ""
    first = "; ".join(f"{name} ({why.rstrip('.')})" for name, why in list(unread.items())[:3])
    more = f"; and {len(unread) - 3} more" if len(unread) > 3 else ""
    return f" Left out, since they cannot be used: {first}{more}."


def _is_trained(folder: Path) -> bool:
    return any((folder / card).is_file() for card in ("card.json", "bundle/card.json"))


def _bundle(path: str, folder: Path) -> Bundle:
    bundle = open_bundle(folder, NOBODY)
    if bundle.members:
        raise ValueError(
            f"{path}: is an ensemble of {1 + len(bundle.members)} models. Name one of its members: "
            f"{', '.join(f'{bundle.folder / name}' for name in bundle.members)}."
        )
    if ENGINES[bundle.weights.name] != "torch":
        raise ValueError(
            f"{path}: its weights are {bundle.weights.name}, which cannot be trained; expected weights.safetensors."
        )
    return bundle
