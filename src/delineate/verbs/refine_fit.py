"""Run folder -> refinement steps in its bundle, chosen and fitted on predictions of unseen cases."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from delineate.bundle import open_bundle, save_bundle
from delineate.core import Case, Image, Network, Refinement, Segmentation
from delineate.metrics import forget
from delineate.metrics.dice import dice
from delineate.progress import LOG, log, log_to, track, warn
from delineate.recipe import as_tree
from delineate.refine import Learn, NothingToLearnError, learner_of, load_refine
from delineate.refine.network import network
from delineate.resolve import Call, Trust, check, resolve
from delineate.tasks import load_task
from delineate.verbs._ablation import TABLE, Measure, Refined, Tried, signed
from delineate.verbs._facts import command
from delineate.verbs._out_of_fold import OutOfFold, out_of_fold
from delineate.verbs._refine_stages import HOME, NETWORK, tried_calls
from delineate.verbs._refinement_network import network_problem, train_network
from delineate.verbs._run_folder import RunFolder
from delineate.verbs.calibrate import calibrate
from delineate.verbs.evaluate import PREDICTED, evaluate

STEPS = ("components", "fill_holes", "morphology", "vote", "colour", "classify", NETWORK)
"""The steps that are tried, in the order in which they run."""


def refine_fit(
    run: str | Path,
    *,
    folds: int = 3,
    steps: str | Sequence[str] | None = None,
    network_time: str = "3m",
    metric: Literal["dice", "dice_empty1"] = "dice",
    device: str = "auto",
    trust: Trust | Iterable[str] = (),
) -> Refined:
    """Choose and fit the refinement steps of a run on predictions of unseen cases, and write them into its bundle.

    The cases for training and validation are divided into folds. For each fold a model is trained on the others, with
    the run's recipe, and predicts the fold (out-of-fold predictions). So this takes as long as `folds` trainings. On
    these predictions the steps are tried one after the other, each with the arguments that its file lists (`tried`),
    and the best arguments are taken. The step `classify` learns its weights from the same predictions. The step
    `network` is trained on them and on perturbed truths.

    The figures are cross-fitted: the arguments of a step, and the network, that are judged on a fold were chosen and
    trained without it. A step is kept if the 95 % interval of its cross-fitted gain in mean Dice is above zero; this
    decision sees all folds. The mean is over labels, of the mean over cases; a false region counts 0.

    The table `refinement/ablation.csv` in the run's folder and the entry `refinement` of the card hold the figures.
    Then the run is calibrated again, if it was, and evaluated again. The test cases choose nothing.

    After an interruption, a second call continues with the first unfinished fold. A later call replaces the steps.

    Args:
        run: the folder that `train` wrote.
        folds: how many; at least 2.
        steps: names of refinement steps, in the order in which they run; if left out, `STEPS`, without `network` for a
            model that cannot have it.
        network_time: the time to train each refinement network, such as "3m"; there are `folds` + 1.
        metric: what the steps are chosen by: "dice", over the cases whose prediction or truth has the label, of labels
            that at least five groups have; or "dice_empty1", over all cases, where both-empty counts 1, which rewards
            never to predict a rare label.
        device: "auto", "cpu", "cuda", "mps", for predictions. Trainings use the device of the recipe.
        trust: modules whose code the run, its bundle or `steps` may name (`package.module:function`).

    Raises:
        ValueError: not a run, a task without probabilities, an unknown step, fewer than two folds, too few groups,
            initial weights made from the same cases, or another process works on the run.
        KeyboardInterrupt: the user interrupted.
    """
    if metric not in ("dice", "dice_empty1"):
        raise ValueError(f"metric is {metric!r}; expected 'dice' or 'dice_empty1'.")
    if folds < 2:
        raise ValueError(f"folds is {folds}; expected at least 2.")
    folder = RunFolder.find(run, trust)
    names = _checked_steps(folder, steps, network_time)
    with folder.locked():
        with log_to(folder.path / LOG):
            log(f"started: {command()}")
            home = folder.path / HOME
            for old in (home / TABLE, *home.glob(f"{NETWORK}*")):  # of an earlier call
                shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
            known = out_of_fold(folder, home, folds, device)
            calibration = open_bundle(folder.path, folder.trust).card.get("calibration")
            result = _Fitting(folder, known, names, network_time, device, metric).run()
        if calibration is not None:
            calibrate(
                folder.path,
                split=calibration["split"],
                device=device,
                review=calibration["review"]["share"],
                trust=folder.trust,
            )
        evaluate(folder.path, device=device, trust=folder.trust)
    return result


def _checked_steps(
    folder: RunFolder, steps: str | Sequence[str] | None, network_time: str
) -> tuple[str, ...]:
    """The names of the steps; refuses before hours of training what would fail after them."""
    from delineate.training.options import load_options

    recipe = folder.recipe
    if not {"classes", "probabilities"} <= load_task(recipe.task, recipe.labels).gives:
        raise ValueError(
            f"the task {recipe.task.name} gives no masks with probabilities; there is nothing to refine."
        )
    load_options(Call("network_time", {"max_time": network_time}))
    problem = network_problem(recipe, open_bundle(folder.path, folder.trust).axes)
    if steps is None:
        names: tuple[str, ...] = STEPS
        if problem:
            warn(f"without the step {NETWORK}: {problem}.")
            names = tuple(name for name in STEPS if name != NETWORK)
    else:
        names = (steps,) if isinstance(steps, str) else tuple(steps)
        if NETWORK in names and problem:
            raise ValueError(f"{problem}. Leave {NETWORK} out of the steps.")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"steps is {', '.join(names) or 'empty'}; expected each step once.")
    if NETWORK in names[:-1]:
        raise ValueError(f"steps is {', '.join(names)}; expected {NETWORK} as the last, if at all.")
    for name in names:
        if name != NETWORK:
            for call in tried_calls(name, recipe.labels.names, folder.trust):
                if learner_of(resolve("refine", call)) is None:
                    check("refine", call)
    return names


class _Fitting:
    """Tries the steps in order, on the cases without each fold and on all cases."""

    def __init__(
        self,
        folder: RunFolder,
        known: OutOfFold,
        names: Sequence[str],
        network_time: str,
        device: str,
        metric: str,
    ) -> None:
        self.folder = folder
        self.known = known
        self.names = names
        self.network_time = network_time
        self.device = device
        self.labels = folder.recipe.labels.names
        self.groups = [case.group for case in known.cases]
        self.metric = metric
        everywhere = np.ones(len(known.cases), bool)
        self.parts = [*(known.folds != fold for fold in range(known.count)), everywhere]
        """(case,) boolean: the cases that a selection sees: those without each fold, and all."""
        self.kept: list[tuple[Call, ...]] = [() for _ in self.parts]
        """The kept steps of each selection, without the network: the same steps, with other arguments."""
        self.truths = np.zeros((len(known.cases), len(self.labels)), bool)
        """(case, label): whether the truth has the label; known once the cases were scored."""

    def run(self) -> Refined:
        """Try all steps, and write the bundle with the kept ones, and the table."""
        before = self._scores((), [()], "scoring")[0]
        self.measure = Measure.of_truths(self.metric, self.labels, self.groups, self.truths)
        tried: list[Tried] = []
        now = before
        for name in self.names:
            if name == NETWORK:
                after, calls = self._with_network(now), [Call(name)]
            elif learn := learner_of(resolve("refine", self._bare(name))):
                after, calls = self._with_learnt(name, learn, now)
            else:
                after, calls = self._with_step(name, now)
            gain, interval = self.measure.gain(after, now)
            kept = interval.low > 0
            warn(f"{name}: {signed(gain, interval)} {'kept' if kept else 'left out'}")
            arguments = dict(calls[-1].args)
            means = self.measure.means(after), self.measure.means(after, present=True)
            tried.append(Tried(name, arguments, *means, gain, interval, kept))
            if kept:
                now = after
                if name != NETWORK:
                    self.kept = [(*old, new) for old, new in zip(self.kept, calls, strict=True)]
        gain, interval = self.measure.gain(now, before)
        result = Refined(
            len(self.groups),
            len(set(self.groups)),
            self.measure.means(before),
            self.measure.means(before, present=True),
            self.measure,
            tuple(tried),
            gain,
            interval,
            self.folder.path / HOME / TABLE,
        )
        self._write_bundle(result)
        result.save()
        return result

    def _with_step(self, name: str, now: np.ndarray) -> tuple[np.ndarray, list[Call]]:
        """The cross-fitted Dice with a step after the kept ones, and the best call of each selection."""
        calls = tried_calls(name, self.labels, self.folder.trust)
        candidates = [load_refine([call]) for call in calls]
        by_prefix: dict[str, np.ndarray] = {}
        best: list[Call] = []
        after = now.copy()
        for part, kept in zip(self.parts, self.kept, strict=True):
            prefix = repr([(call.name, call.args) for call in kept])
            if prefix not in by_prefix:
                by_prefix[prefix] = self._scores(kept, candidates, f"trying {name}")
            scores = by_prefix[prefix]
            everyone = np.ones((1, int(part.sum())))
            means = [self.measure.mean(one[part], everyone)[0] for one in scores]
            chosen = int(np.argmax(np.nan_to_num(means, nan=-1.0)))
            best.append(calls[chosen])
            after[~part] = scores[chosen][~part]
        return after, best

    def _with_learnt(
        self, name: str, learn: Learn, now: np.ndarray
    ) -> tuple[np.ndarray, list[Call]]:
        """The cross-fitted Dice with a step that learns its arguments, and its call of each selection."""
        calls = []
        after = now.copy()
        for selection, part in enumerate(self.parts):
            which = np.flatnonzero(part)
            try:
                arguments = learn(self._examples(selection, track(which, f"learning {name}")))
            except NothingToLearnError as error:
                warn(f"{name} learns nothing: {error}.")
                return now.copy(), [self._bare(name)]
            call = replace(self._bare(name), args=dict(arguments))
            calls.append(call)
            held_out = np.flatnonzero(~part)
            if held_out.size:
                candidates = [load_refine([call])]
                scores = self._scores(self.kept[selection], candidates, f"trying {name}", held_out)
                after[held_out] = scores[0][held_out]
        return after, calls

    def _bare(self, name: str) -> Call:
        return tried_calls(name, self.labels, self.folder.trust)[0]

    def _examples(
        self, selection: int, which: Iterable[int]
    ) -> Iterator[tuple[Segmentation, Segmentation, Image]]:
        """Cases with their prediction after the kept steps of a selection."""
        steps = load_refine(self.kept[selection])
        for i in which:
            case = self.known.cases[int(i)]
            truth, image = case.truth, case.image
            assert truth is not None  # the fold was trained on it
            yield _refined(self.known.prediction(case, truth), image, steps), truth, image

    def _with_network(self, now: np.ndarray) -> np.ndarray:
        """The cross-fitted Dice with a network after the kept steps; trains also the network of all cases."""
        home = self.folder.path / HOME
        after = now.copy()
        for fold in range(self.known.count):
            warn(f"network without fold {fold + 1}: training for {self.network_time}")
            try:
                trained = self._trained(fold, home / f"{NETWORK}-without-{fold}")
            except NothingToLearnError as error:
                warn(f"{NETWORK} learns nothing: {error}.")
                return now.copy()
            held_out = np.flatnonzero(~self.parts[fold])
            step = network("", partial(_same, trained))
            scores = self._scores(self.kept[fold], [(step,)], f"trying {NETWORK}", held_out)
            after[held_out] = scores[0][held_out]
        warn(f"network on all cases: training for {self.network_time}")
        self._trained(-1, home / NETWORK)
        return after

    def _trained(self, selection: int, place: Path) -> tuple[Network, int]:
        steps = load_refine(self.kept[selection])
        cases = [self.known.cases[int(i)] for i in np.flatnonzero(self.parts[selection])]

        def predicted(case: Case, truth: Segmentation, image: Image) -> Segmentation:
            return _refined(self.known.prediction(case, truth), image, steps)

        # the network was made from what the model was made from; the rest of its card is of the model alone
        alone = {"calibration", "fingerprint", "model", "parts", "refinement", "scores", "training"}
        card = open_bundle(self.folder.path, self.folder.trust).card
        card = {**{k: v for k, v in card.items() if k not in alone}, "command": command()}
        plan = self.folder.plan
        return train_network(plan, cases, predicted, place, card, self.network_time, self.device)

    def _scores(
        self,
        prefix: Sequence[Call],
        candidates: Sequence[Sequence[Refinement]],
        what: str,
        which: np.ndarray | None = None,
    ) -> np.ndarray:
        """The Dice of each case and label after some steps and each of the candidates: (candidate, case, label).

        It is NaN where neither the prediction nor the truth has the label.

        which: indices of cases; the others are NaN. All cases if left out.
        """
        steps = load_refine(prefix)
        cases = self.known.cases
        scores = np.full((len(candidates), len(cases), len(self.labels)), np.nan)
        for i in track(range(len(cases)) if which is None else which, what):
            case = cases[int(i)]
            truth, image = case.truth, case.image
            assert truth is not None  # the fold was trained on it
            self.truths[i] = [truth.mask(name).any() for name in self.labels]
            try:
                prediction = _refined(self.known.prediction(case, truth), image, steps)
                for number, candidate in enumerate(candidates):
                    found = dice(_refined(prediction, image, candidate), truth)
                    forget()
                    scores[number, i] = [found[name] for name in self.labels]
            except ValueError as error:
                raise ValueError(f"{case.id}: {error}") from error
        return scores

    def _write_bundle(self, result: Refined) -> None:
        """Put the kept steps after those of the run's own recipe."""
        bundle = open_bundle(self.folder.path, self.folder.trust)
        calls = [*self.folder.recipe.refine, *self.kept[-1]]
        if any(one.step == NETWORK and one.kept for one in result.tried):
            path = str((self.folder.path / HOME / NETWORK / "bundle").resolve())
            calls.append(Call(NETWORK, {"bundle": path}))
        tree = {**bundle.recipe.tree, "refine": [as_tree(call) for call in calls]}
        recipe = replace(bundle.recipe, refine=tuple(calls), tree=tree)
        # scores and calibration are of the bundle before
        card = {k: v for k, v in bundle.card.items() if k not in ("calibration", "scores", "next")}
        card["refinement"] = {"folds": self.known.count, **result.as_json()}
        for stale in (self.folder.path / name for name in PREDICTED):
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink(missing_ok=True)
        weights = {file.name: file.read_bytes() for file in bundle.weights_files}
        save_bundle(bundle.folder, recipe, card, weights)


def _same(loaded: tuple[Network, int], path: str) -> tuple[Network, int]:
    return loaded


def _refined(prediction: Segmentation, image: Image, steps: Sequence[Refinement]) -> Segmentation:
    for step in steps:
        prediction = step(prediction, image)
    return prediction
