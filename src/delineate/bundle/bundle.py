"""Open bundles on disk, without loading their networks, and join them as an ensemble."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from delineate.bundle.card import (
    BESIDE,
    CARD,
    DEEPEST,
    ENGINES,
    PART,
    READABLE,
    WEIGHTS,
    hashes_of,
    read_card,
    read_json,
    sealed,
    write_json,
)
from delineate.bundle.packed import unpacked
from delineate.core import Label
from delineate.files import sha256
from delineate.inference import Fingerprint
from delineate.progress import warn
from delineate.recipe import Recipe, all_calls, saved_recipe
from delineate.resolve import NOBODY, Call, Trust


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk. Its card describes the model, its training data and its scores.

    members: the bundles that it contains, by their paths in the recipe.
    packed: the file that it was opened from, if it is one file; `folder` is then in the cache.
    """

    folder: Path
    recipe: Recipe
    card: Mapping[str, Any]
    members: Mapping[str, Bundle] = field(default_factory=dict)
    packed: Path | None = None

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
    def weights_files(self) -> tuple[Path, ...]:
        """All files of the weights: that of `weights`, and those that belong to it."""
        beside = BESIDE.get(self.weights.name, ())
        return (self.weights, *(self.folder / name for name in beside))

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of all its files in its folder, those of its members too."""
        own = (CARD, *READABLE, *(file.name for file in self.weights_files))
        inner = (f"{at}/{name}" for at, member in self.members.items() for name in member.files)
        return (*own, *inner)

    @property
    def digest(self) -> str:
        """SHA-256 of all that determines a prediction: recipe and weights, and those of the members."""
        total = hashlib.sha256()
        for name in ("recipe.yaml", *WEIGHTS):
            if (self.folder / name).is_file():
                total.update(bytes.fromhex(sha256(self.folder / name)))
        for member in self.members.values():
            total.update(bytes.fromhex(member.digest))
        return total.hexdigest()

    def with_all_members(self) -> Iterator[Bundle]:
        """The bundle, its members, and theirs."""
        yield self
        for member in self.members.values():
            yield from member.with_all_members()

    @property
    def axes(self) -> int:
        """Number of axes of the images that it takes."""
        return 3 if self.recipe.slices is not None else int(self.card["ndim"])

    @property
    def temperature(self) -> float:
        """The temperature that `delineate calibrate` fitted; 1 for a bundle without calibration."""
        return float(self.card.get("calibration", {}).get("temperature", 1.0))

    @property
    def review_below(self) -> Mapping[str, float]:
        """The expected Dice of each label below which a case needs review; empty for a bundle without calibration."""
        review: Mapping[str, Any] = self.card.get("calibration", {}).get("review", {})
        return dict(review.get("thresholds", {}))

    @property
    def image_channels(self) -> tuple[str, ...]:
        """The names of the channels of the training images; empty if the data did not name them."""
        names = self.card.get("image_channels")
        return tuple(map(str, names)) if isinstance(names, list) else ()

    @property
    def fingerprint(self) -> Fingerprint | None:
        """The fingerprint of the training images; None if the card has none.

        Raises:
            ValueError: the fingerprint in the card is damaged.
        """
        try:
            return Fingerprint.from_json(self.card.get("fingerprint") or {})
        except ValueError as error:
            raise ValueError(f"{self.folder / 'card.json'}: {error}") from error

    def update_card(self, **entries: Any) -> Bundle:
        """Write `entries` into the card, and return the bundle with the new card.

        Raises:
            ValueError: the bundle is one file, which is never changed.
        """
        if self.packed is not None:
            raise ValueError(
                f"{self.packed}: is a bundle in one file, which cannot be changed. Unzip it, and give the folder."
            )
        card = sealed({**self.card, **entries})
        write_json(card, self.folder / CARD)
        return replace(self, card=card)


def open_bundle(path: str | Path, trust: Trust | Iterable[str] = ()) -> Bundle:
    """Read a bundle without loading its network.

    A bundle in one file, which `pack_bundle` writes, is unpacked into the cache (`$DELINEATE_CACHE/bundles`) when it is
    opened for the first time.

    Args:
        path: folder of the bundle, or of a run; or a bundle in one file, NAME.delineate.
        trust: modules whose code its recipe may name.

    Raises:
        ValueError: there is no bundle, the bundle is incomplete or of an unknown format, the hash of a file
            differs from the card's, or labels.json differs from the recipe; or the one file is damaged, or is not as
            `pack_bundle` writes it.
        OSError: the one file cannot be unpacked into the cache.
    """
    path, trust = Path(path), Trust.of(trust)
    if not path.is_file():
        return open_folder(path, trust)
    folder = unpacked(path, _files_of)
    return replace(open_folder(folder, trust), packed=path)


def _files_of(folder: Path) -> tuple[str, ...]:
    """The files of a bundle that was unpacked, in which every member has hashes."""
    for path in folder.rglob(CARD):
        card = read_json(path)
        if isinstance(card, dict) and card.get("format") == 1:
            raise ValueError(
                f"{path}: this bundle has format 1, which has no hashes; a bundle in one file needs them. Unzip it, "
                "and run delineate rehash on the folder."
            )
    return open_folder(folder, NOBODY).files


def join_bundles(bundles: Sequence[Bundle]) -> Bundle:
    """Join bundles in memory: the first becomes an ensemble with the others as members, all with the same weight.

    Its card loses the calibration, the scores and the ablation of the refinement, which are those of the first bundle
    alone. A warning names a model that counts more than once, as a copy or as a member of a member.

    Raises:
        ValueError: no bundle, or the same bundle twice.
    """
    if not bundles:
        raise ValueError("no bundle given; expected at least one.")
    first, *others = bundles
    if not others:
        return first
    members = {str(other.folder.resolve()): other for other in others}
    if len({str(first.folder.resolve()), *members}) < len(bundles):
        raise ValueError("the same bundle was given twice; name each member of an ensemble once.")
    call = Call(
        "ensemble", {"bundles": list(members)}, "the ensemble", trust=first.recipe.model.trust
    )
    recipe = replace(first.recipe, predict=(*first.recipe.predict, call))
    card = {k: v for k, v in first.card.items() if k not in ("calibration", "refinement", "scores")}
    joined = Bundle(first.folder, recipe, card, {**first.members, **members})
    _warn_of_repeated_models(joined)
    return joined


def _warn_of_repeated_models(bundle: Bundle) -> None:
    folders: dict[str, list[Path]] = {}
    for one in bundle.with_all_members():
        # the last file holds the numbers; two models of one architecture may share the first
        folders.setdefault(sha256(one.weights_files[-1]), []).append(one.folder)
    for same in folders.values():
        if len(same) > 1:
            warn(
                f"the ensemble averages the same weights {len(same)} times, so this model has more influence than the "
                f"others: {', '.join(map(str, same))}."
            )


def open_member(recipe: Recipe, path: str) -> Bundle:
    """Open a bundle that a recipe names.

    A relative path is looked up beside the recipe, then in the folder where its run was started, then in the current
    folder. Members are data, also those of the user's own recipe: they may name code only of modules that the recipe
    names itself.

    Raises:
        ValueError: no bundle there; or as `open_bundle`.
    """
    tried = list(
        dict.fromkeys(place.absolute() / Path(path).expanduser() for place in places_of(recipe))
    )
    for there in tried:
        if there.exists():
            return open_bundle(there, _trust_of_members(recipe))
    raise ValueError(f"{path}: no bundle there. Looked for: {', '.join(map(str, tried))}.")


def places_of(recipe: Recipe) -> list[Path]:
    """The folders in which a relative path of a bundle is searched, in order."""
    return [place for place in (recipe.folder, recipe.started, Path.cwd()) if place is not None]


def _trust_of_members(recipe: Recipe) -> Trust:
    trust = recipe.model.trust
    if not trust.own:
        return trust
    named = {call.name.partition(":")[0] for _, call in all_calls(recipe) if ":" in call.name}
    return Trust(tuple(sorted(named)))


def open_folder(folder: Path, trust: Trust, depth: int = 1, *, hashes: bool = True) -> Bundle:
    """Open the bundle in a folder, `depth` bundles deep; `hashes` as for `read_card`."""
    if depth > DEEPEST:
        raise ValueError(
            f"{folder}: bundles may be nested {DEEPEST} deep, and this one is deeper. Save it on its own."
        )
    path = folder
    if not (folder / CARD).is_file() and (folder / "bundle").is_dir():
        folder = folder / "bundle"
    missing = [n for n in (*READABLE, CARD) if not (folder / n).is_file()]
    if missing:
        raise ValueError(
            f"{path}: no bundle there ({' and '.join(missing)} missing). "
            "Expected a run's folder, or the folder `bundle` inside it."
        )
    card = read_card(folder, hashes=hashes)
    recipe = saved_recipe(folder / "recipe.yaml", trust)
    _check_labels(folder, recipe)
    members = {
        match[1]: open_folder(
            folder / match[1], _trust_of_members(recipe), depth + 1, hashes=hashes
        )
        for name in hashes_of(card)
        if (match := PART.fullmatch(name))
    }
    return Bundle(folder, recipe, card, members)


def _check_labels(folder: Path, recipe: Recipe) -> None:
    """Refuse a labels.json that differs from the recipe's labels."""
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
