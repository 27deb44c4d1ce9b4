"""A trained model as a readable folder: recipe.yaml, labels.json, card.json and one file of weights.

A bundle is data. Opening one runs no code of its own; see SECURITY.md.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge

from delineate.arguments import Axis, FractionBelowOne, Shape
from delineate.core import Label, Network
from delineate.files import sha256, whole_file
from delineate.inference import CasePredictor, Fingerprint, Flipped, Windowed
from delineate.prepare import load_prepare
from delineate.progress import warn
from delineate.recipe import Recipe, saved_recipe
from delineate.refine import load_refine
from delineate.resolve import Call, Trust, bind, shown
from delineate.tasks import load_task

ENGINES = {"weights.safetensors": "torch"}
"""The engine each kind of weights runs on."""

FORMAT = 2
"""The number of this form of a bundle; 1 had no hashes of its parts, and is still read."""

READABLE = ("recipe.yaml", "labels.json")
"""The parts of every bundle besides its weights and its card."""


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk. Its card says what the model is for, what it learnt from, and how well it does."""

    folder: Path
    recipe: Recipe
    card: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 of what decides the masks: recipe and weights."""
        total = hashlib.sha256()
        for name in ("recipe.yaml", *ENGINES):
            if (self.folder / name).is_file():
                total.update(bytes.fromhex(sha256(self.folder / name)))
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

    The card holds the SHA-256 of the other parts. A kill at any moment leaves the old bundle or the new one: for the
    time that the weights are written the card says what it will say of either.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        old = _settled(folder, _read_json(folder / "card.json"))
    except (OSError, ValueError):  # none yet, or one that is damaged and will be replaced
        old = None
    with whole_file(folder / "recipe.yaml") as part:
        recipe.save(part)
    _write_json([asdict(label) for label in recipe.labels.labels], folder / "labels.json")
    parts = {part: sha256(folder / part) for part in READABLE}
    parts[name] = hashlib.sha256(weights).hexdigest()
    card = {"format": FORMAT} | dict(card) | {"format": FORMAT, "parts": parts}
    if isinstance(old, dict):
        _write_json({**old, "next": card}, folder / "card.json")
    with whole_file(folder / name) as part:
        part.write_bytes(weights)
    _write_json(card, folder / "card.json")
    return Bundle(folder, recipe, card)


def open_bundle(path: str | Path, trust: Trust | Iterable[str] = ()) -> Bundle:
    """Read a bundle, or that of a run's folder, without loading its network.

    Args:
        path: its folder.
        trust: modules whose code its recipe may name.

    Raises:
        ValueError: no bundle there, an incomplete one, one of another format, or one whose parts do not belong
            together: a file that is not the one its card was written for, or labels that are not the recipe's.
    """
    folder = Path(path)
    if not (folder / "card.json").is_file() and (folder / "bundle").is_dir():
        folder = folder / "bundle"
    missing = [n for n in (*READABLE, "card.json") if not (folder / n).is_file()]
    if missing:
        raise ValueError(
            f"{path}: no bundle there ({' and '.join(missing)} missing). "
            "Expected a run's folder, or the folder `bundle` inside it."
        )
    card = _card(folder)
    recipe = saved_recipe(folder / "recipe.yaml", Trust.of(trust))
    _check_labels(folder, recipe)
    return Bundle(folder, recipe, card)


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
    known = card.get("parts")
    known = known if isinstance(known, dict) else {}
    weights = [name for name in ENGINES if name in known or (folder / name).is_file()]
    hashes = {
        name: sha256(folder / name) if (folder / name).is_file() else None
        for name in (*READABLE, *weights)
    }
    return {name: now for name, now in hashes.items() if now is None or known.get(name) != now}


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
    path: str | Path | Bundle,
    *,
    device: str = "auto",
    keep_probabilities: bool = False,
    window: tuple[int, ...] | None = None,
    flips: tuple[int, ...] | None = None,
    trust: Trust | Iterable[str] = (),
) -> CasePredictor:
    """The predictor of a bundle, exactly as it was trained.

    Several threads may call it at once. Pickled, it is a reference to the bundle's folder, which is loaded again where
    it is unpickled: so it can be sent to another process (`multiprocessing`, `concurrent.futures`).

    Args:
        path: a bundle's or a run's folder; or a bundle that `open_bundle` gave, with the trust it was opened with.
        device: "auto" is a GPU where there is one.
        keep_probabilities: leave probabilities on what is found.
        window: sliding windows of this size, instead of what the recipe's `predict` section says.
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
        bundle = open_bundle(path, trust)
    engines = [e for name, e in ENGINES.items() if (bundle.folder / name).is_file()]
    if not engines:
        raise ValueError(f"{bundle.folder}: no weights; expected one of {', '.join(ENGINES)}.")
    # by name, so that predicting with one engine installs and imports no other
    try:
        engine = importlib.import_module(f"delineate.inference.backends.run_{engines[0]}")
    except ModuleNotFoundError as error:
        raise RuntimeError(
            f"{bundle.folder}: its weights run on {engines[0]}, and {error.name} is not installed. "
            "pip install 'delineate[train]' brings it."
        ) from error
    network: Network = engine.load_network(bundle.folder, bundle.recipe, bundle.card, device)
    given = {k: v for k, v in (("window", window), ("flips", flips)) if v is not None}
    section = bundle.recipe.predict
    options = predict_options(
        replace(
            section,
            args={**section.args, **given},
            places={**section.places, **{name: f"--{name}" for name in given}},
        )
    )
    predictor = assemble(
        bundle.recipe, network, options, keep_probabilities, bundle.temperature, bundle.fingerprint
    )
    given_too = {"device": device, "keep_probabilities": keep_probabilities, **given}
    origin = partial(_load_again, bundle, bundle.folder.absolute(), bundle.digest, given_too)
    object.__setattr__(predictor, "origin", origin)  # what `replace` makes of it has none
    return predictor


def _load_again(
    bundle: Bundle, folder: Path, digest: str, given: Mapping[str, Any]
) -> CasePredictor:
    """Load a bundle in another process, or later.

    Raises:
        ValueError: it is not there any more, or is another one now.
    """
    bundle = replace(bundle, folder=folder)
    if bundle.digest != digest:
        raise ValueError(
            f"{folder}: the bundle was changed or removed since the predictor was loaded from it. Load it again."
        )
    return load_bundle(bundle, **given)


@dataclass(frozen=True)
class PredictOptions:
    """The `predict` section of a recipe.

    window: sliding windows of this size; the whole image at once if left out.
    overlap: part of a window shared with the next.
    flips: spatial axes whose flips are averaged (test-time augmentation); none if left out.
    """

    window: Shape | None = None
    overlap: FractionBelowOne = 0.5
    flips: tuple[Annotated[Axis, Ge(0)], ...] = ()


def assemble(
    recipe: Recipe,
    network: Network,
    options: PredictOptions,
    keep_probabilities: bool = False,
    temperature: float = 1.0,
    fingerprint: Fingerprint | None = None,
) -> CasePredictor:
    """Prepare, network, task and refine steps of a recipe as one predictor."""
    if options.window is not None:
        network = Windowed(network, options.window, options.overlap)
    if options.flips:
        network = Flipped(network, options.flips)
    return CasePredictor(
        prepare=load_prepare(recipe.prepare),
        network=network,
        task=load_task(recipe.task, recipe.labels),
        refine=load_refine(recipe.refine),
        keep_probabilities=keep_probabilities,
        temperature=temperature,
        fingerprint=fingerprint,
    )


def predict_options(call: Call, ndim: int | None = None) -> PredictOptions:
    """The `predict` section, checked; against the number of axes too, where it is known.

    Raises:
        RecipeError: an unknown setting, one of another type, or one that does not fit the images.
    """
    options = PredictOptions(**bind(PredictOptions, call))
    if ndim is None:
        return options
    if len(set(options.flips)) < len(options.flips) or not set(options.flips) <= set(range(ndim)):
        raise call.fail(
            f"predict.flips is {list(options.flips)}; the images have axes 0 to {ndim - 1}.",
            "flips",
        )
    if options.window is not None and len(options.window) != ndim:
        raise call.fail(
            f"predict.window is {list(options.window)}; the images have {ndim} axes.", "window"
        )
    return options


def _write_json(content: Any, path: Path) -> None:
    with whole_file(path) as part:
        part.write_text(
            json.dumps(content, indent=2, ensure_ascii=False) + "\n",
            encoding="utf-8",
            errors="backslashreplace",
        )
