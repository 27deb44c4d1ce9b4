"""Run folder -> refinement steps in its bundle, chosen and fitted on predictions of unseen cases."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from delineate.bundle import open_bundle, save_bundle
from delineate.core import Case, Image, Network, Refinement, Segmentation
from delineate.evaluation.stats.bootstrap import bootstrap
from delineate.evaluation.stats.interval import Interval
from delineate.evaluation.stats.weighted_mean import weighted_mean
from delineate.metrics import forget
from delineate.metrics.dice import dice
from delineate.progress import LOG, log, log_to, track, warn
from delineate.recipe import as_tree
from delineate.refine import SIZE, load_refine
from delineate.resolve import Call, Trust, check
from delineate.tasks import load_task
from delineate.verbs._ablation import TABLE, Refined, Tried, signed
from delineate.verbs._facts import command
from delineate.verbs._out_of_fold import OutOfFold, out_of_fold
from delineate.verbs._refine_stages import HOME, NETWORK, tried_calls
from delineate.verbs._refinement_network import network_problem, train_network
from delineate.verbs._run_folder import RunFolder
from delineate.verbs.calibrate import calibrate

STEPS = ("components", "fill_holes", "morphology", "vote", "colour", "network")
"""The steps that are tried, in the order in which they run."""


def refine_fit(
    run: str | Path,
    *,
    folds: int = 3,
    steps: str | Sequence[str] = STEPS,
    network_time: str = "3m",
    device: str = "auto",
    trust: Trust | Iterable[str] = (),
) -> Refined:
    """Choose and fit the refinement steps of a run on predictions of unseen cases, and write them into its bundle.

    The cases for training and validation are divided into folds. For each fold a model is trained on the others, with
    the run's recipe, and predicts the fold (out-of-fold predictions). So this takes as long as `folds` trainings. On
    these predictions the steps are tried one after the other, each with the arguments that its file lists (`tried`),
    and the best arguments are taken. A step is kept if the 95 % interval of its gain in mean Dice is above zero. The
    step `network` is trained on the same predictions and on perturbed truths.

    The figures are cross-fitted: for each fold, arguments, steps and the network are chosen without it, and judged on
    it. The table `refinement/ablation.csv` in the run's folder and the entry `refinement` of the card hold them. The
    test cases are not used: evaluate the run again for figures on them.

    An interrupted call continues where it was. A second call replaces the steps of the first.

    Args:
        run: the folder that `train` wrote.
        folds: how many; at least 2.
        steps: names of refinement steps, in the order in which they run.
        network_time: the time to train each refinement network, such as "3m"; there are `folds` + 1.
        device: "auto", "cpu", "cuda", "mps", for the predictions.
        trust: modules whose code the run may name (`package.module:function`).

    Raises:
        ValueError: not a run, a task without probabilities, an unknown step, fewer than two folds, too few groups, or
            another process works on the run.
        KeyboardInterrupt: the user interrupted.
    """
    if folds < 2:
        raise ValueError(f"folds is {folds}; expected at least 2.")
    folder = RunFolder.find(run, trust)
    names = (steps,) if isinstance(steps, str) else tuple(steps)
    _check_steps(folder, names, network_time)
    with folder.locked(), log_to(folder.path / LOG):
        log(f"started: {command()}")
        kept_cases = out_of_fold(folder, folder.path / HOME, folds, device)
        return _Fitting(folder, kept_cases, names, network_time).run()


def _check_steps(folder: RunFolder, names: Sequence[str], network_time: str) -> None:
    """Refuse before hours of training what would fail after them."""
    from delineate.training.options import load_options

    recipe = folder.recipe
    if not names or len(set(names)) < len(names):
        raise ValueError(f"steps is {', '.join(names) or 'empty'}; expected each step once.")
    if NETWORK in names[:-1]:
        raise ValueError(f"steps is {', '.join(names)}; expected {NETWORK} as the last, if at all.")
    if "probabilities" not in load_task(recipe.task, recipe.labels).gives:
        raise ValueError(
            f"the task {recipe.task.name} gives no masks with probabilities; there is nothing to refine."
        )
    for name in names:
        if name == NETWORK:
            problem = network_problem(recipe)
            if problem:
                raise ValueError(f"{problem}. Leave it out of the steps.")
            load_options(Call("network_time", {"max_time": network_time}))
            continue
        for call in tried_calls(name, recipe.labels.names):
            check("refine", call)


@dataclass
class _Selection:
    """The steps that were kept on some of the cases.

    on: (case,) boolean: these cases.
    calls: the kept steps, without the network.
    dice: (case, label): of all cases, after these steps.
    """

    on: np.ndarray
    dice: np.ndarray
    calls: tuple[Call, ...] = ()


class _Fitting:
    """Tries the steps in order: once without each fold, and once on all cases.

    Dice counts 1 where prediction and truth are both empty, so that a step that removes a false region gains.
    """

    def __init__(
        self, folder: RunFolder, known: OutOfFold, names: Sequence[str], network_time: str
    ) -> None:
        self.folder = folder
        self.known = known
        self.names = names
        self.network_time = network_time
        self.labels = folder.recipe.labels.names
        self.groups = [case.group for case in known.cases]
        start = self._scores((), [()], "scoring")[0]
        self.start = start
        self.without = [_Selection(known.folds != fold, start) for fold in range(known.count)]
        self.on_all = _Selection(np.ones(len(known.cases), bool), start)

    def run(self) -> Refined:
        """Try all steps, write the table, and write the bundle with the kept steps."""
        tried: list[Tried] = []
        bundle: Path | None = None
        now = self.start
        for name in self.names:
            if name == NETWORK:
                one, now, bundle = self._try_network(now)
            else:
                one, now = self._try_step(name, now)
            warn(f"{name}: {signed(one.gain, one.interval)} {'kept' if one.kept else 'left out'}")
            tried.append(one)
        gain, interval = self._gain(now, self.start)
        result = Refined(
            len(self.groups),
            len(set(self.groups)),
            self._means(self.start),
            tuple(tried),
            gain,
            interval,
            self.folder.path / HOME / TABLE,
        )
        result.save()
        self._write_bundle(result, bundle)
        return result

    def _try_step(self, name: str, now: np.ndarray) -> tuple[Tried, np.ndarray]:
        """Choose the arguments of a step in every selection; returns also the cross-fitted Dice of the kept steps."""
        calls = tried_calls(name, self.labels)
        after = now.copy()
        by_prefix: dict[str, np.ndarray] = {}
        for selection in (*self.without, self.on_all):
            prefix = repr([(call.name, call.args) for call in selection.calls])
            if prefix not in by_prefix:
                candidates = [load_refine([call]) for call in calls]
                by_prefix[prefix] = self._scores(selection.calls, candidates, f"trying {name}")
            scores = by_prefix[prefix]
            means = scores[:, selection.on].mean(axis=(1, 2))
            best = int(means.argmax())
            held_out = ~selection.on
            after[held_out] = scores[best][held_out]
            _, interval = self._gain(scores[best], selection.dice, selection.on)
            if interval.low > 0:
                selection.dice = scores[best]
                selection.calls = (*selection.calls, calls[best])
        gain, interval = self._gain(after, now)
        kept = any(call.name == name for call in self.on_all.calls)
        chosen = next(
            (call for call in self.on_all.calls if call.name == name), calls[best]
        )  # the last selection is that on all cases
        one = Tried(name, dict(chosen.args), self._means(after), gain, interval, kept)
        for selection in self.without:
            now = np.where(selection.on[:, None], now, selection.dice)
        return one, now

    def _try_network(self, now: np.ndarray) -> tuple[Tried, np.ndarray, Path | None]:
        """Train a network without each fold, and one on all cases; returns also its folder, if it is kept."""
        home = self.folder.path / HOME
        after = now.copy()
        for fold, selection in enumerate(self.without):
            warn(f"network without fold {fold + 1}: training for {self.network_time}")
            network = self._trained(selection, home / f"network-without-{fold}")
            held_out = np.flatnonzero(~selection.on)
            step = load_refine(
                [Call(NETWORK, {"bundle": "network", "size": SIZE})], partial(_same, network)
            )
            scores = self._scores(selection.calls, [step], "trying network", held_out)
            after[held_out] = scores[0][held_out]
        gain, interval = self._gain(after, now)
        kept = interval.low > 0
        warn(f"network on all cases: training for {self.network_time}")
        self._trained(self.on_all, home / NETWORK)  # also for `compare --refine`
        one = Tried(NETWORK, {"size": SIZE}, self._means(after), gain, interval, kept)
        return one, after if kept else now, home / NETWORK if kept else None

    def _trained(self, selection: _Selection, place: Path) -> Network:
        steps = load_refine(selection.calls)
        cases = [self.known.cases[int(i)] for i in np.flatnonzero(selection.on)]

        def predicted(case: Case, truth: Segmentation, image: Image) -> Segmentation:
            return _refined(self.known.prediction(case, truth), image, steps)

        if place.exists():
            shutil.rmtree(place)
        return train_network(
            self.folder.plan, cases, predicted, place, self._card(), self.network_time
        )

    def _card(self) -> dict[str, Any]:
        """The card of a network: what the model was made from, without what is known of the model alone."""
        alone = {"calibration", "fingerprint", "parts", "refinement", "scores", "training"}
        card = open_bundle(self.folder.path, self.folder.trust).card
        return {**{k: v for k, v in card.items() if k not in alone}, "command": command()}

    def _scores(
        self,
        prefix: Sequence[Call],
        candidates: Sequence[Sequence[Refinement]],
        what: str,
        which: np.ndarray | None = None,
    ) -> np.ndarray:
        """The Dice of each case and label after some steps and each of the candidates: (candidate, case, label).

        which: indices of cases; the others are NaN. All cases if left out.
        """
        steps = load_refine(prefix)
        cases = self.known.cases
        scores = np.full((len(candidates), len(cases), len(self.labels)), np.nan)
        for i in track(range(len(cases)) if which is None else which, what):
            case = cases[int(i)]
            truth, image = case.truth, case.image
            assert truth is not None  # the fold was trained on it
            try:
                prediction = _refined(self.known.prediction(case, truth), image, steps)
                for number, candidate in enumerate(candidates):
                    found = dice(_refined(prediction, image, candidate), truth)
                    forget()
                    scores[number, i] = [found[name] for name in self.labels]
            except ValueError as error:
                raise ValueError(f"{case.id}: {error}") from error
            scores[:, i] = np.where(np.isnan(scores[:, i]), 1.0, scores[:, i])
        return scores

    def _gain(
        self, after: np.ndarray, before: np.ndarray, on: np.ndarray | None = None
    ) -> tuple[float, Interval]:
        """The mean gain of a case and its 95 % interval, by the bootstrap over groups."""
        gains = (after - before).mean(axis=1)
        groups = self.groups
        if on is not None:
            gains, groups = gains[on], [g for g, there in zip(groups, on, strict=True) if there]
        interval = bootstrap(partial(weighted_mean, gains), groups)
        return float(gains.mean()), interval

    def _means(self, scores: np.ndarray) -> dict[str, float]:
        return {
            name: float(value) for name, value in zip(self.labels, scores.mean(axis=0), strict=True)
        }

    def _write_bundle(self, result: Refined, network: Path | None) -> None:
        """Put the kept steps after those of the run's own recipe."""
        bundle = open_bundle(self.folder.path, self.folder.trust)
        own = self.folder.recipe.refine
        calls = [*own, *self.on_all.calls]
        if network is not None:
            path = str((network / "bundle").resolve())
            calls.append(Call(NETWORK, {"bundle": path, "size": SIZE}))
        tree = {**bundle.recipe.tree, "refine": [as_tree(call) for call in calls]}
        recipe = replace(bundle.recipe, refine=tuple(calls), tree=tree)
        card = {
            name: value
            for name, value in bundle.card.items()
            if name not in ("scores", "parts", "next")  # the scores are of the bundle before
        }
        card["refinement"] = {"folds": self.known.count, **result.as_json()}
        save_bundle(bundle.folder, recipe, card, bundle.weights.read_bytes(), bundle.weights.name)
        calibrated = card.get("calibration", {}).get("split")
        if calibrated:  # the confidence below which to review is that of the refined masks
            calibrate(self.folder.path, split=calibrated, trust=self.folder.trust)


def _same(network: Network, path: str) -> Network:
    return network


def _refined(prediction: Segmentation, image: Image, steps: Sequence[Refinement]) -> Segmentation:
    for step in steps:
        prediction = step(prediction, image)
    return prediction
