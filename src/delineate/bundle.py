"""A trained model as a readable folder: recipe.yaml, labels.json, card.json and one file of weights.

A bundle may hold bundles: each folder in `parts/` is one, which a wrapper in the recipe's `predict` names.

A bundle is data. Opening one runs no code of its own; see SECURITY.md.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from delineate.arguments import names_bundles
from delineate.core import Label, Network
from delineate.files import part_folder, sha256, whole_file
from delineate.inference import CasePredictor, Fingerprint, wrap_network, wrap_predictor
from delineate.prepare import load_prepare
from delineate.progress import warn
from delineate.recipe import Recipe, all_calls, as_tree, saved_recipe
from delineate.refine import load_refine
from delineate.resolve import FIRST, Call, Trust, check, hints_of, resolve, shown
from delineate.tasks import load_task

ENGINES = {"weights.safetensors": "torch"}
"""The engine each kind of weights runs on."""

FORMAT = 2
"""The number of this form of a bundle; 1 had no hashes of its parts, and is still read."""

READABLE = ("recipe.yaml", "labels.json")
"""The parts of every bundle besides its weights and its card."""

PART = re.compile(r"(parts/\w[\w.-]*)/card\.json")
"""The card of a bundle that a bundle holds, as its own card names it."""

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
        _write_json(card, self.folder / "card.json")
        return replace(self, card=card)


def save_bundle(
    folder: Path,
    recipe: Recipe,
    card: Mapping[str, Any],
    weights: bytes,
    name: str = "weights.safetensors",
) -> Bundle:
    """Write a bundle, or the next weights of one; `name` is the file of its weights.

    Bundles that a wrapper in the recipe's `predict` names are copied into `parts/`, and the recipe that is saved names
    them there. The card holds the SHA-256 of the other parts, and of the cards of such bundles. A kill at any moment
    leaves the old bundle or the new one: for the time that the weights are written the card says what it will say of
    either.

    Raises:
        RecipeError: the recipe names a bundle that is not there or cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    recipe, members = _with_members(folder, recipe)
    try:
        old = _settled(folder, _read_json(folder / "card.json"))
    except (OSError, ValueError):  # none yet, or one that is damaged and will be replaced
        old = None
    with whole_file(folder / "recipe.yaml") as part:
        recipe.save(part)
    _write_json([asdict(label) for label in recipe.labels.labels], folder / "labels.json")
    parts = {part: sha256(folder / part) for part in READABLE}
    parts[name] = hashlib.sha256(weights).hexdigest()
    parts |= {f"{member}/card.json": sha256(folder / member / "card.json") for member in members}
    card = {"format": FORMAT} | dict(card) | {"format": FORMAT, "parts": parts}
    if isinstance(old, dict):
        _write_json({**old, "next": card}, folder / "card.json")
    with whole_file(folder / name) as part:
        part.write_bytes(weights)
    _write_json(card, folder / "card.json")
    for old_member in (folder / "parts").glob("[!.]*"):
        if f"parts/{old_member.name}" not in members:
            shutil.rmtree(old_member, ignore_errors=True)
    return Bundle(folder, recipe, card, members)


def _with_members(folder: Path, recipe: Recipe) -> tuple[Recipe, dict[str, Bundle]]:
    """Copy the bundles that a recipe names into `folder`; the recipe that names them there, and what it names."""
    members: dict[str, Bundle] = {}

    def held(path: str) -> str:
        member = open_member(recipe, path)
        if _depth(member) >= DEEPEST:
            raise ValueError(f"{path}: holds bundles {DEEPEST} deep, and none may hold more.")
        name = f"parts/{_plain(member.recipe.name)}-{_short_hash(member.card)}"
        if not (folder / name).is_dir():
            _copy_bundle(member, folder / name)
        members[name] = replace(member, folder=folder / name)
        return name

    calls = tuple(_with_paths(call, held) for call in recipe.predict)
    if not members:
        return recipe, {}
    tree = {**recipe.tree, "predict": [as_tree(call) for call in calls]}
    return replace(recipe, folder=folder.resolve(), predict=calls, tree=tree), members


def _with_paths(call: Call, change: Callable[[str], str]) -> Call:
    """A wrapper as the recipe names it, with each path of a bundle changed."""
    hints = hints_of(resolve("predict", call))
    bound = check("predict", call)
    args = dict(bound)
    for name in [name for name in args if names_bundles(hints.get(name))]:
        value = args[name]
        try:
            args[name] = change(value) if isinstance(value, str) else [change(v) for v in value]
        except ValueError as error:
            raise call.fail(str(error), name) from error
    return call if args == bound else replace(call, args=args)


def _copy_bundle(bundle: Bundle, to: Path) -> None:
    """Copy a bundle and its members; `to` is there whole or not at all."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with part_folder(to.parent) as part:
        for name in (*READABLE, bundle.weights.name):
            shutil.copyfile(bundle.folder / name, part / name)
        for name, member in bundle.members.items():
            _copy_bundle(member, part / name)
        _write_json(bundle.card, part / "card.json")
        part.replace(to)


def _depth(bundle: Bundle) -> int:
    return 1 + max((_depth(member) for member in bundle.members.values()), default=0)


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
    card = _card(folder)
    recipe = saved_recipe(folder / "recipe.yaml", trust)
    _check_labels(folder, recipe)
    members = {
        found[1]: _open(folder / found[1], _trust_of_members(recipe), depth + 1)
        for name in _hashes(card)
        if (found := PART.fullmatch(name))
    }
    return Bundle(folder, recipe, card, members)


def _card(folder: Path) -> Mapping[str, Any]:
    """The card, held against the parts that it was written for."""
    path = folder / "card.json"
    card = _settled(folder, _read_json(path))
    if not isinstance(card, dict) or not all(
        type(card.get(key)) is int and card[key] > 0 for key in ("channels", "ndim")
    ):
        raise ValueError(f"{path}: does not say channels and ndim. Train or copy it again.")
    written = card.get("format")
    if type(written) is not int or not 1 <= written <= FORMAT:
        raise ValueError(
            f"{path}: the format of this bundle is {written!r}; this Delineate reads 1 to {FORMAT}."
            + (" A newer Delineate wrote it: update yours." if type(written) is int else "")
        )
    _check_calibration(path, card)
    _warn_of_strangers(folder, card)
    if written == 1:
        _warn_of_format_1(folder)
    elif changed := _changed(folder, card):
        name, now = next(iter(changed.items()))
        if now is None:
            raise ValueError(f"{folder / name}: is missing. Copy the whole bundle again.")
        raise ValueError(
            f"{folder / name}: is not the file that card.json was written for. Copy the whole bundle again; or, if you "
            f"changed it on purpose, write its new SHA-256 under `parts` in card.json: {now}"
        )
    return card


def _check_calibration(path: Path, card: Mapping[str, Any]) -> None:
    """Refuse a temperature or thresholds that are no numbers: below a threshold of NaN no case would be reviewed."""
    known = card.get("calibration", {})
    review = known.get("review", {}) if isinstance(known, dict) else None
    thresholds = review.get("thresholds", {}) if isinstance(review, dict) else None
    if not isinstance(thresholds, dict):
        raise ValueError(
            f"{path}: calibration is {shown(known)}; expected what `delineate calibrate` writes. Calibrate again, or "
            "copy the bundle again."
        )
    numbers = {f"review.thresholds.{label}": value for label, value in thresholds.items()}
    for name, value in ({"temperature": known.get("temperature", 1.0)} | numbers).items():
        number = isinstance(value, int | float) and not math.isnan(value)
        if not number or (name == "temperature" and not 0 < value < math.inf):
            raise ValueError(
                f"{path}: calibration.{name} is {shown(value)}; expected a "
                f"{'positive ' if name == 'temperature' else ''}number. Copy the bundle again."
            )


def _warn_of_strangers(folder: Path, card: Mapping[str, Any]) -> None:
    """Name what lies in the folder and is no part of the bundle.

    It is a warning: nothing reads such a file, so it changes no result, and people put a README or a licence there.
    """
    parts = card.get("parts")
    known = {"card.json", *READABLE, *ENGINES}
    known |= {str(name).split("/")[0] for name in parts} if isinstance(parts, dict) else set()
    names = sorted(path.name for path in folder.iterdir())
    if strange := tuple(n for n in names if n not in known and not n.startswith(".")):
        _tell_of_strangers(folder, strange)


@cache
def _tell_of_strangers(folder: Path, names: tuple[str, ...]) -> None:
    """Once for each bundle."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    warn(
        f"{folder}: {', '.join(names[:3])}{more} is no part of the bundle and is not read. Keep notes and other files "
        "outside the folder."
    )


@cache
def _warn_of_format_1(folder: Path) -> None:
    """Once for each bundle."""
    warn(
        f"{folder}: this bundle has format 1, which has no hashes: whether its recipe and weights are still those that "
        "were trained cannot be checked. Train again for one that can."
    )


def _settled(folder: Path, card: Any) -> Any:
    """The card that fits the weights, where a kill while they were written left the old and the next one."""
    if not isinstance(card, dict) or not isinstance(card.get("next"), dict):
        return card
    old = {key: value for key, value in card.items() if key != "next"}
    return old if _changed(folder, card["next"]) else card["next"]


def _changed(folder: Path, card: Mapping[str, Any]) -> dict[str, str | None]:
    """The parts that are not those which the card was written for, and the hashes that they have; None if not there."""
    known = _hashes(card)
    weights = [name for name in ENGINES if name in known or (folder / name).is_file()]
    hashes = {
        name: sha256(folder / name) if (folder / name).is_file() else None
        for name in (*READABLE, *weights, *filter(PART.fullmatch, known))
    }
    return {name: now for name, now in hashes.items() if now is None or known.get(name) != now}


def _hashes(card: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the card says of the other parts, by name."""
    known = card.get("parts")
    return known if isinstance(known, dict) else {}


def _check_labels(folder: Path, recipe: Recipe) -> None:
    """Refuse labels.json that says something else than the recipe."""
    path = folder / "labels.json"
    try:
        written = tuple(
            Label(**{**entry, "includes": tuple(entry.get("includes", ()))})
            for entry in _read_json(path)
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


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # not UTF-8 is one too
        raise ValueError(f"{path}: not valid JSON ({error}).") from error
    except RecursionError as error:
        raise ValueError(f"{path}: not valid JSON (nested too deeply).") from error


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


def _plain(name: str) -> str:
    """A name as that of a folder on any disk."""
    return re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).lstrip(".-")[:60] or "member"


def _short_hash(card: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()[:8]


def _write_json(content: Any, path: Path) -> None:
    with whole_file(path) as part:
        part.write_text(
            json.dumps(content, indent=2, ensure_ascii=False) + "\n",
            encoding="utf-8",
            errors="backslashreplace",
        )
