"""A trained model as a readable folder: recipe.yaml, labels.json, card.json and one file of weights."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from delineate.core import Network
from delineate.files import whole_file
from delineate.predict import CasePredictor, Flipped, Windowed
from delineate.prepare import load_prepare
from delineate.recipe import Recipe, load_recipe
from delineate.refine import load_refine
from delineate.resolve import Call, bind
from delineate.tasks import load_task

ENGINES = {"weights.safetensors": "torch"}
"""The engine each kind of weights runs on."""


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk. Its card says what the model is for, what it learnt from, and how well it does."""

    folder: Path
    recipe: Recipe
    card: Mapping[str, Any]

    @property
    def temperature(self) -> float:
        """What `delineate calibrate` fitted; 1 where nobody did."""
        return float(self.card.get("calibration", {}).get("temperature", 1.0))

    @property
    def review_below(self) -> Mapping[str, float]:
        """Labels with the expected Dice below which a person should look; none where nobody calibrated."""
        review: Mapping[str, Any] = self.card.get("calibration", {}).get("review", {})
        return dict(review.get("thresholds", {}))

    def update_card(self, **entries: Any) -> Bundle:
        """The bundle with `entries` in its card, on disk and in hand."""
        card = {**self.card, **entries}
        _write_json(card, self.folder / "card.json")
        return replace(self, card=card)


def save_bundle(folder: Path, recipe: Recipe, card: Mapping[str, Any]) -> Bundle:
    """Write all of a bundle but its weights, which whoever trains or exports writes."""
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / "recipe.yaml") as part:
        recipe.save(part)
    _write_json([asdict(label) for label in recipe.labels.labels], folder / "labels.json")
    _write_json(card, folder / "card.json")
    return Bundle(folder, recipe, card)


def open_bundle(path: str | Path) -> Bundle:
    """Read a bundle, or that of a run's folder, without loading its network.

    Raises:
        ValueError: no bundle there, or an incomplete one.
    """
    folder = Path(path)
    if not (folder / "card.json").is_file() and (folder / "bundle").is_dir():
        folder = folder / "bundle"
    missing = [n for n in ("recipe.yaml", "card.json") if not (folder / n).is_file()]
    if missing:
        raise ValueError(
            f"{path}: no bundle there ({' and '.join(missing)} missing). "
            "Expected a run's folder, or the folder `bundle` inside it."
        )
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{folder / 'card.json'}: not valid JSON ({error}).") from error
    if not isinstance(card, dict) or not {"channels", "ndim"} <= card.keys():
        raise ValueError(
            f"{folder / 'card.json'}: does not say channels and ndim. Train or copy it again."
        )
    return Bundle(folder, load_recipe(folder / "recipe.yaml"), card)


def load_bundle(
    path: str | Path,
    *,
    device: str = "auto",
    keep_probabilities: bool = False,
    window: tuple[int, ...] | None = None,
    flips: tuple[int, ...] | None = None,
) -> CasePredictor:
    """The predictor of a bundle, exactly as it was trained.

    Args:
        path: a bundle's or a run's folder.
        device: "auto" is a GPU where there is one.
        keep_probabilities: leave probabilities on what is found.
        window: sliding windows of this size, instead of what the recipe's `predict` section says.
        flips: axes whose flips are averaged, likewise.

    Raises:
        ValueError: no bundle there, or weights that do not fit it.
    """
    bundle = open_bundle(path)
    engines = [e for name, e in ENGINES.items() if (bundle.folder / name).is_file()]
    if not engines:
        raise ValueError(f"{bundle.folder}: no weights; expected one of {', '.join(ENGINES)}.")
    # by name, so that predicting with one engine installs and imports no other
    engine = importlib.import_module(f"delineate.predict.backends.run_{engines[0]}")
    network: Network = engine.load_network(bundle.folder, bundle.recipe, bundle.card, device)
    options = predict_options(bundle.recipe.predict)
    if window is not None:
        options = replace(options, window=window)
    if flips is not None:
        options = replace(options, flips=flips)
    return assemble(bundle.recipe, network, options, keep_probabilities, bundle.temperature)


@dataclass(frozen=True)
class PredictOptions:
    """The `predict` section of a recipe.

    window: sliding windows of this size; the whole image at once if left out.
    overlap: part of a window shared with the next.
    flips: spatial axes whose flips are averaged (test-time augmentation); none if left out.
    """

    window: tuple[int, ...] | None = None
    overlap: float = 0.5
    flips: tuple[int, ...] = ()


def assemble(
    recipe: Recipe,
    network: Network,
    options: PredictOptions,
    keep_probabilities: bool = False,
    temperature: float = 1.0,
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
            f"predict.flips is {list(options.flips)}; the images have axes 0 to {ndim - 1}."
        )
    if options.window is not None and len(options.window) != ndim:
        raise call.fail(f"predict.window is {list(options.window)}; the images have {ndim} axes.")
    return options


def _write_json(content: Any, path: Path) -> None:
    with whole_file(path) as part:
        part.write_text(
            json.dumps(content, indent=2, ensure_ascii=False) + "\n",
            encoding="utf-8",
            errors="backslashreplace",
        )
