"""A run's predictions with one refinement step after the other, as tables to compare."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from delineate.bundle import load_bundle, load_refiner, open_bundle
from delineate.core import Case, Image, Network, Refinement, Segmentation
from delineate.evaluation.evaluate import evaluate_stages
from delineate.evaluation.table import Table
from delineate.inference import CasePredictor
from delineate.metrics import Metric
from delineate.refine import learner_of, load_refine, tried_by
from delineate.resolve import Call, Trust, resolve
from delineate.verbs._run_folder import RunFolder

LEARNT = "learnt weights, in the recipe of the bundle"

HOME = "refinement"
"""The folder of `refine fit`, in the run's folder."""

NETWORK, NONE = "network", "none"

NO_REFINEMENT, RECIPE = "no refinement", "the recipe's refinement"
"""The name of the stage `none` in reports, for a recipe without refinement steps and for one with them."""

FINISHED = "finished"
"""The entry of a card that says that a training in this folder came to its end."""


@dataclass(frozen=True)
class KeptMasks:
    """The label maps of each stage of each case, in a folder. Called with the id of a case, it reads its pictures."""

    cases: Mapping[str, Case]
    stages: Sequence[str]
    folder: Path

    def file(self, stage: str, case_id: str) -> Path:
        """The file of a stage of a case; ids may hold what a file name cannot."""
        return self.folder / f"{list(self.cases).index(case_id)}-{self.stages.index(stage)}.npz"

    def __call__(self, case_id: str) -> tuple[Image, Mapping[str, Segmentation], Segmentation]:
        """The image, the prediction of each stage, and the truth of a case, for a report."""
        case = self.cases[case_id]
        truth = case.truth
        assert truth is not None
        predicted = {}
        for stage in self.stages:
            with np.load(self.file(stage, case_id)) as kept:
                predicted[stage] = Segmentation(kept["classes"], truth.labels, truth.geometry)
        return case.image, predicted, truth


@dataclass(frozen=True)
class Stages:
    """A run's cases, its predictor, and the steps of each stage: those of the stages before it and its own.

    steps: by the name of the stage. That of `none`, in words, has only the steps of the run's own recipe.
    told: each added step, by the name of its stage, with its arguments in words.
    kept: a folder for the label maps of each stage, from which the pictures are drawn.
    """

    cases: Mapping[str, Case]
    split: str
    predictor: CasePredictor
    steps: Mapping[str, Sequence[Refinement]]
    told: Mapping[str, str]
    kept: Path

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the labels."""
        return tuple(self.predictor.labels.names)

    def tables(self, metrics: Mapping[str, Metric]) -> dict[str, Table]:
        """The scores of each stage. The network is called once for each case."""
        return evaluate_stages(
            self._predict,
            list(self.steps),
            list(self.cases.values()),
            metrics,
            split=self.split,
            on_stage=self._keep,
        )

    @property
    def pictures(self) -> KeptMasks:
        """What the pictures are drawn from, after `tables`; it does not hold the network."""
        return KeptMasks(self.cases, tuple(self.steps), self.kept)

    def _predict(self, case: Case) -> Iterator[tuple[str, Segmentation]]:
        return zip(
            self.steps, self.predictor.in_stages(case, list(self.steps.values())), strict=True
        )

    def _keep(self, name: str, case: Case, prediction: Segmentation, _: Segmentation) -> None:
        np.savez_compressed(self.pictures.file(name, case.id), classes=prediction.classes)


def stages_of(
    run: Path,
    names: Sequence[str],
    trust: Trust,
    kept: Path,
    device: str = "auto",
    only: Collection[str] | None = None,
) -> Stages:
    """The stages of a run. The stage `none` is named in words, so that sentences can be made with it.

    A step has the arguments that `refine fit` chose, also where it left the step out, or else the first ones that its
    file lists.

    Args:
        run: the folder that `train` wrote.
        names: `none`, and names of steps, in the order in which they run.
        trust: modules whose code the run may name.
        kept: an empty folder for the label maps of each stage.
        device: "auto", "cpu", "cuda", "mps".
        only: ids of the test cases to compare; all if left out.

    Raises:
        ValueError: not a run, an unknown step, no cases to evaluate, or `network` where `refine fit` made none.
    """
    folder = RunFolder.find(run, trust)
    bundle = open_bundle(run, trust)
    splits = folder.cases()
    split = next((name for name in ("test", "val") if splits.get(name)), None)
    if split is None:
        raise ValueError(f"{run}: its data have neither test nor validation cases to compare.")
    fitted = {
        step["step"]: step["arguments"]
        for step in bundle.card.get("refinement", {}).get("steps", ())
    }
    predictor = load_bundle(bundle, device=device, keep_probabilities=True)
    own = load_refine(folder.recipe.refine)
    steps = own
    stages: dict[str, Sequence[Refinement]] = {}
    told: dict[str, str] = {}

    def load(path: str) -> tuple[Network, int]:
        return load_refiner(bundle, open_bundle(path, trust), device)

    for name in names:
        learnt = False
        if name == NETWORK:
            home = run / HOME / NETWORK
            card = home / "bundle" / "card.json"
            if not card.is_file() or not open_bundle(home, trust).card.get(FINISHED):
                raise ValueError(
                    f"{run}: has no refinement network. Make it first: delineate refine fit {run}"
                )
            call = Call(NETWORK, {"bundle": str(home)})
        elif name != NONE:
            call = tried_calls(name, folder.recipe.labels.names, trust)[0]
            learnt = learner_of(resolve("refine", call)) is not None
            if learnt and not fitted.get(name):
                raise ValueError(
                    f"{run}: the step {name} has learnt nothing yet. Fit it first: delineate refine fit {run}"
                )
            call = replace(call, args=fitted.get(name, call.args))
        if name == NONE:
            steps = stages[RECIPE if own else NO_REFINEMENT] = own
        else:
            steps = stages[name] = (*steps, *load_refine([call], load))
            told[name] = "" if name == NETWORK else LEARNT if learnt else _words(call.args)
    cases = {case.id: case for case in splits[split] if only is None or case.id in only}
    return Stages(cases, split, predictor, stages, told, kept)


def _words(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in arguments.items()) or "the defaults"


def tried_calls(name: str, labels: Sequence[str], trust: Trust) -> list[Call]:
    """A step with each set of arguments that its file lists; with none, if it lists none.

    Raises:
        RecipeError: an unknown step, or code of a module that is not trusted.
    """
    bare = Call(name, where="the steps to refine", labels=labels, trust=trust)
    try:
        step = resolve("refine", bare)
    except LookupError as error:
        raise bare.fail(str(error)) from error
    return [replace(bare, args=dict(arguments)) for arguments in tried_by(step) or ({},)]
