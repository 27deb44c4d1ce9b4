"""Predictions of training cases by models that did not see them, for what is fitted on top of a model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from delineate._version import __version__
from delineate.arguments import names_bundles
from delineate.bundle import load_bundle, open_bundle
from delineate.core import Case, Segmentation
from delineate.data import split_cases
from delineate.files import sha256, whole_file
from delineate.progress import log, track, warn
from delineate.recipe import Recipe, as_tree
from delineate.resolve import hints_of, resolve
from delineate.verbs._facts import command, data_hash
from delineate.verbs._independence import digests, first_images
from delineate.verbs._refine_stages import FINISHED
from delineate.verbs._run_folder import RunFolder

SETTINGS = "folds.json"
"""What the folds were made from. If it changes, they are made again."""


@dataclass(frozen=True)
class OutOfFold:
    """Cases with the prediction of a model that was trained without their fold.

    cases: of all folds.
    folds: the fold of each case, 0 to `count` - 1.
    files: the prediction of each case, by its id.
    """

    cases: Sequence[Case]
    folds: np.ndarray
    files: Mapping[str, Path]

    @property
    def count(self) -> int:
        """Number of folds."""
        return int(self.folds.max()) + 1

    def prediction(self, case: Case, truth: Segmentation) -> Segmentation:
        """The prediction of a case, on the grid of its truth."""
        with np.load(self.files[case.id]) as kept:
            return Segmentation(
                kept["classes"],
                truth.labels,
                truth.geometry,
                probabilities=kept["probabilities"].astype(np.float32),
            )


def out_of_fold(folder: RunFolder, home: Path, folds: int, device: str) -> OutOfFold:
    """Train a model for each fold of the run's cases for training and validation, and predict that fold with it.

    Each model is trained by the run's recipe without validation, so that no case of its fold has any influence; the
    last weights are used. What is done already, also by an interrupted call, is not done again.

    Args:
        folder: the run.
        home: the folder for models and predictions.
        folds: how many; the groups of cases stay together.
        device: "auto", "cpu", "cuda", "mps", for the predictions.

    Raises:
        ValueError: fewer groups than folds, a case without truth, initial weights made from the cases, or a model that
            cannot be trained.
        KeyboardInterrupt: the user interrupted; the next call continues.
    """
    splits = folder.cases()
    cases = [case for name in ("train", "val") for case in splits.get(name, ())]
    recipe = _alone(folder.plan)
    _refuse_known_weights(folder, recipe)
    parts = [
        split_cases(cases, {"folds": folds, "fold": fold}, seed=recipe.seed)
        for fold in range(folds)
    ]
    _start_again_if_changed(folder, home, folds, cases)
    held = {case.id: fold for fold, part in enumerate(parts) for case in part["val"]}
    files: dict[str, Path] = {}
    for fold, part in enumerate(parts):
        place = home / f"fold-{fold}"
        _train(recipe, part["train"], place, f"{fold + 1} of {folds}")
        files |= _predict(folder, part["val"], place, device)
    ordered = sorted(cases, key=lambda case: case.id)
    return OutOfFold(ordered, np.array([held[case.id] for case in ordered]), files)


def _alone(recipe: Recipe) -> Recipe:
    """The recipe without other models and other devices: members of an ensemble may have seen the fold."""
    hints = [hints_of(resolve("predict", call)) for call in recipe.predict]
    predict = tuple(
        call
        for call, types in zip(recipe.predict, hints, strict=True)
        if not any(map(names_bundles, types.values()))
    )
    tree = {**recipe.tree, "predict": [as_tree(call) for call in predict]}
    trainer = recipe.trainer.without("devices", "nodes")  # the predictions follow in this process
    return replace(recipe, predict=predict, trainer=trainer, tree=tree)


def _refuse_known_weights(folder: RunFolder, recipe: Recipe) -> None:
    """Refuse a run whose initial weights were made from its own cases: no fold would be unseen.

    Raises:
        ValueError: they were, or it is not known.
    """
    if recipe.init_from is None:
        return
    card = open_bundle(folder.path, folder.trust).card
    before = first_images(card, "images") if "init_from" in card else None
    known = digests(card)
    own = {one for split in ("train", "val") for one in known.get(split, ())}
    if before is None or not own or own & {*before["trained"], *before["chosen"]}:
        raise ValueError(
            f"{folder.path}: its initial weights (model.init_from) were made from some of its cases, or it is not "
            "known from which. A fold would not be unseen. Fit the refinement to a run that starts from other weights."
        )


def _start_again_if_changed(
    folder: RunFolder, home: Path, folds: int, cases: Sequence[Case]
) -> None:
    """Remove the folds that were made by another recipe, of other data, in another number or by another version."""
    made_from = {
        "version": __version__,
        "data": data_hash({"all": tuple(cases)}),
        "folds": folds,
        "recipe": sha256(folder.path / "recipe.yaml"),
        "split": sha256(folder.path / "split.csv"),
    }
    path = home / SETTINGS
    try:
        same = json.loads(path.read_text(encoding="utf-8")) == made_from
    except (OSError, ValueError):
        same = False
    if same:
        return
    for old in home.glob("fold-*"):
        shutil.rmtree(old)
    home.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        part.write_text(json.dumps(made_from, indent=2) + "\n", encoding="utf-8")


def _train(recipe: Recipe, cases: Sequence[Case], place: Path, which: str) -> None:
    from delineate.training.fit import fit

    if (place / "bundle" / "card.json").is_file() and open_bundle(
        place, recipe.model.trust
    ).card.get(FINISHED):
        return
    warn(f"fold {which}: training on {len(cases)} cases")
    place.mkdir(parents=True, exist_ok=True)
    card = {"name": recipe.name, "command": command(), "labels": list(recipe.labels.names)}
    alone = recipe.trainer.without("devices").without(
        "nodes"
    )  # the predictions follow in this process
    if not fit(replace(recipe, trainer=alone), {"train": tuple(cases)}, place, card):
        raise KeyboardInterrupt
    open_bundle(place, recipe.model.trust).update_card(**{FINISHED: True})
    shutil.rmtree(place / "checkpoints", ignore_errors=True)


def _predict(folder: RunFolder, cases: Sequence[Case], place: Path, device: str) -> dict[str, Path]:
    files = {case.id: place / "predictions" / f"{case.id}.npz" for case in cases}
    missing = [case for case in cases if not files[case.id].is_file()]
    if not missing:
        return files
    bundle = open_bundle(place, folder.trust)
    predictor = load_bundle(bundle, device=device, keep_probabilities=True)
    for case in track(missing, "predicting the fold"):
        prediction = predictor(case)
        assert prediction.probabilities is not None  # the task was checked
        path = files[case.id]
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part, open(part, "wb") as file:
            np.savez_compressed(
                file,
                classes=prediction.classes,
                probabilities=prediction.probabilities.astype(np.float16),
            )
    log(f"predicted {len(missing)} cases with {place.name}")
    return files
