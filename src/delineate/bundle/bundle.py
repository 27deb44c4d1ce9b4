"""A bundle on disk: opened without loading its network, alone or joined with others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from delineate.bundle.card import (
    ENGINES,
    PART,
    READABLE,
    hashes_of,
    read_card,
    read_json,
    write_json,
)
from delineate.core import Label
from delineate.files import sha256
from delineate.inference import Fingerprint
from delineate.recipe import Recipe, all_calls, saved_recipe
from delineate.resolve import Call, Trust

DEEPEST = 3
"""How many bundles may lie one inside the other."""


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk. Its card says what the model is for, what it learnt from, and how well it does.

    members: the bundles that it holds, by their paths as the recipe names them.
    """

    folder: Path
    recipe: Recipe
    card: Mapping[str, Any]
    members: Mapping[str, Bundle] = field(default_factory=dict)

    @property
    def weights(self) -> Path:
        """The file of the weights.

        Raises:
            ValueError: there is none.
        """
        for name in ENGINES:
            if (self.folder / name).is_file():
                return self.folder / name
        raise ValueError(f"{self.folder}: no weights; expected one of {', '.join(ENGINES)}.")

    @property
    def digest(self) -> str:
        """SHA-256 of what decides the masks: recipe and weights, and those of the members."""
        total = hashlib.sha256()
        for name in ("recipe.yaml", *ENGINES):
            if (self.folder / name).is_file():
                total.update(bytes.fromhex(sha256(self.folder / name)))
        for member in self.members.values():
            total.update(bytes.fromhex(member.digest))
        return total.hexdigest()

    @property
    def temperature(self) -> float:
        """What `delineate calibrate` fitted; 1 where nobody did."""
        return float(self.card.get("calibration", {}).get("temperature", 1.0))

    @property
    def review_below(self) -> Mapping[str, float]:
        """Labels with the expected Dice below which a person should look; none where nobody calibrated."""
        review: Mapping[str, Any] = self.card.get("calibration", {}).get("review", {})
        return dict(review.get("thresholds", {}))

    @property
    def fingerprint(self) -> Fingerprint | None:
        """What the training images are like; None in a bundle that does not say.

        Raises:
            ValueError: what the card says of them is damaged.
        """
        try:
            return Fingerprint.from_json(self.card.get("fingerprint") or {})
        except ValueError as error:
            raise ValueError(f"{self.folder / 'card.json'}: {error}") from error

    def update_card(self, **entries: Any) -> Bundle:
        """The bundle with `entries` in its card, on disk and in hand."""
        card = {**self.card, **entries}
        write_json(card, self.folder / "card.json")
        return replace(self, card=card)


def open_bundle(path: str | Path, trust: Trust | Iterable[str] = ()) -> Bundle:
    """Read a bundle, or that of a run's folder, without loading its network.

    Args:
        path: its folder.
        trust: modules whose code its recipe may name.

    Raises:
        ValueError: no bundle there, an incomplete one, one of another format, or one whose parts do not belong
            together: a file that is not the one its card was written for, or labels that are not the recipe's.
    """
    return _open(Path(path), Trust.of(trust), 1)


def join_bundles(bundles: Sequence[Bundle]) -> Bundle:
    """The first of several bundles as an ensemble, with the others as its members; nothing is written.

    Each has the same weight. The card loses what was found of the first alone, its calibration and scores.

    Raises:
        ValueError: no bundle, or one twice.
    """
    if not bundles:
        raise ValueError("no bundle was given; expected at least one.")
    first, *others = bundles
    if not others:
        return first
    members = {str(other.folder.resolve()): other for other in others}
    if len({str(first.folder.resolve()), *members}) < len(bundles):
        raise ValueError("a bundle is given twice; each member of an ensemble counts once.")
    call = Call(
        "ensemble", {"bundles": list(members)}, "the ensemble", trust=first.recipe.model.trust
    )
    recipe = replace(first.recipe, predict=(*first.recipe.predict, call))
    card = {k: v for k, v in first.card.items() if k not in ("calibration", "scores")}
    return Bundle(first.folder, recipe, card, {**first.members, **members})


def open_member(recipe: Recipe, path: str) -> Bundle:
    """A bundle that a recipe names; a relative path is looked for beside the recipe, then where its run was begun.

    Members are data, also those of the user's own recipe: they may name code of modules that the recipe names itself.

    Raises:
        ValueError: no bundle there; or as `open_bundle`.
    """
    places = [place for place in (recipe.folder, recipe.started, Path.cwd()) if place is not None]
    tried = list(dict.fromkeys(place.absolute() / Path(path).expanduser() for place in places))
    for folder in tried:
        if folder.is_dir():
            return _open(folder, _trust_of_members(recipe), 1)
    raise ValueError(f"{path}: no bundle there. Looked for: {', '.join(map(str, tried))}.")


def _trust_of_members(recipe: Recipe) -> Trust:
    trust = recipe.model.trust
    if not trust.own:
        return trust
    named = {call.name.partition(":")[0] for _, call in all_calls(recipe) if ":" in call.name}
    return Trust(tuple(sorted(named)))


def _open(folder: Path, trust: Trust, depth: int) -> Bundle:
    if depth > DEEPEST:
        raise ValueError(f"{folder}: lies in bundles {DEEPEST} deep, and none may lie deeper.")
    path = folder
    if not (folder / "card.json").is_file() and (folder / "bundle").is_dir():
        folder = folder / "bundle"
    missing = [n for n in (*READABLE, "card.json") if not (folder / n).is_file()]
    if missing:
        raise ValueError(
            f"{path}: no bundle there ({' and '.join(missing)} missing). "
            "Expected a run's folder, or the folder `bundle` inside it."
        )
    card = read_card(folder)
    recipe = saved_recipe(folder / "recipe.yaml", trust)
    _check_labels(folder, recipe)
    members = {
        found[1]: _open(folder / found[1], _trust_of_members(recipe), depth + 1)
        for name in hashes_of(card)
        if (found := PART.fullmatch(name))
    }
    return Bundle(folder, recipe, card, members)


def _check_labels(folder: Path, recipe: Recipe) -> None:
    """Refuse labels.json that says something else than the recipe."""
    path = folder / "labels.json"
    try:
        written = tuple(
            Label(**{**entry, "includes": tuple(entry.get("includes", ()))})
            for entry in read_json(path)
        )
    except (TypeError, AttributeError) as error:
        raise ValueError(f"{path}: expected a list of labels, each with name and value.") from error
    if written != recipe.labels.labels:
        here, there = (
            ", ".join(
                " ".join(str(v) for v in asdict(x).values() if v not in (None, ())) for x in labels
            )
            for labels in (written, recipe.labels.labels)
        )
        raise ValueError(
            f"{path}: the labels here are {here}; those of recipe.yaml are {there}. Copy the bundle again."
        )
