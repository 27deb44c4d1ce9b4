"""A run's predictions with one refinement step after the other, as tables to compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from delineate.bundle import load_bundle, load_refiner, open_bundle
from delineate.core import Case, Image, Network, Segmentation
from delineate.evaluation.evaluate import evaluate
from delineate.evaluation.table import Table
from delineate.inference import CasePredictor
from delineate.metrics import Metric
from delineate.refine import learner_of, load_refine, tried_by
from delineate.resolve import Call, Trust, resolve
from delineate.verbs._run_folder import RunFolder

HOME = "refinement"
"""The folder of `refine fit`, in the run's folder."""

NETWORK, NONE = "network", "none"

FINISHED = "finished"
"""The entry of a card that says that a training in this folder came to its end."""


@dataclass(frozen=True)
class Stages:
    """A run's cases, and a predictor for each stage: each has the steps of the stages before it and its own.

    predictors: by the name of the stage; `none` has only the steps of the run's own recipe.
    """

    cases: Mapping[str, Case]
    split: str
    predictors: Mapping[str, CasePredictor]

    def tables(self, metrics: Mapping[str, Metric]) -> dict[str, Table]:
        """The scores of each stage. Every case is predicted anew for each."""
        cases = list(self.cases.values())
        return {
            name: evaluate(predictor, cases, metrics, split=self.split)
            for name, predictor in self.predictors.items()
        }

    def __call__(self, case_id: str) -> tuple[Image, Mapping[str, Segmentation], Segmentation]:
        """The image, the prediction of each stage, and the truth of a case, for a report."""
        case = self.cases[case_id]
        truth = case.truth
        assert truth is not None
        predicted = {name: predictor(case) for name, predictor in self.predictors.items()}
        return case.image, predicted, truth


def stages_of(run: Path, names: Sequence[str], trust: Trust, device: str = "auto") -> Stages:
    """The stages of a run.

    A step has the arguments that `refine fit` chose, also where it left the step out, or else the first ones that its
    file lists.

    Args:
        run: the folder that `train` wrote.
        names: `none`, and names of steps, in the order in which they run.
        trust: modules whose code the run may name.
        device: "auto", "cpu", "cuda", "mps".

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
    predictors: dict[str, CasePredictor] = {}

    def load(path: str) -> tuple[Network, int]:
        return load_refiner(bundle, open_bundle(path, trust), device)

    for name in names:
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
            if name not in fitted and learner_of(resolve("refine", call)):
                raise ValueError(
                    f"{run}: the step {name} has learnt nothing yet. Fit it first: delineate refine fit {run}"
                )
            call = replace(call, args=fitted.get(name, call.args))
        steps = own if name == NONE else (*steps, *load_refine([call], load))
        predictors[name] = replace(predictor, refine=steps)
    return Stages({case.id: case for case in splits[split]}, split, predictors)


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
