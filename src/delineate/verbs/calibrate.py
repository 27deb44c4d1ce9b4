"""Run folder -> the fitted temperature and the review thresholds, in the bundle's card."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from delineate.bundle import load_bundle, open_bundle
from delineate.core import Case, Segmentation
from delineate.evaluation.evaluate import evaluate
from delineate.evaluation.stats.risk_coverage import risk_coverage
from delineate.inference import CasePredictor
from delineate.inference.confidence import LOGITS, dice_by_level, mean_over_levels
from delineate.inference.temperature import at_bound, ece, fit_temperature, nll, seen_probabilities
from delineate.metrics import load_metrics
from delineate.progress import LOG, log, log_to
from delineate.resolve import Call, Trust
from delineate.verbs._run_folder import RunFolder


def calibrate(
    run: str | Path,
    *,
    split: str = "val",
    device: str = "auto",
    review: float = 0.08,
    trust: Trust | Iterable[str] = (),
) -> dict[str, Any]:
    """Fit a temperature, and the confidence (expected Dice) below which a person should review a case.

    Masks do not change. The temperature minimises the negative log-likelihood over all samples of all cases of `split`;
    each case has the same weight. The result is written into the card as `calibration`, and returned. It holds, before
    and after: the negative log-likelihood, the expected calibration error over all samples (`ece_everywhere`; the
    metric `ece` uses samples near the truth only), and the agreement of the expected with the true Dice. The figures
    "after" are optimistic, since they are of the cases that the temperature was fitted on: evaluate another split for
    an unbiased figure. `at_bound` is true if the temperature is at a bound of the search (0.1 or 10): the model is
    then nearly always right or nearly always wrong on these cases, or there are too few cases.

    For a model of image-level labels the temperature is fitted to the image-level logits of all labels together;
    images whose truth is not known are left out. A person should then review an image if the larger of the probability
    and its complement is below the threshold. Decisions do not change.

    Args:
        run: the folder that `train` wrote.
        split: cases that are used neither for training nor for testing.
        device: "auto", "cpu", "cuda", "mps".
        review: the share of cases that a person should review.
        trust: modules whose code the run and its bundle may name (`package.module:function`); none else is imported.

    Raises:
        ValueError: not a run, no such split, a case without truth, no image of known truth, a share outside 0 to 1,
            a task that gives neither probabilities nor image-level labels, or another process works on the run.
    """
    if not 0 <= review <= 1:
        raise ValueError(f"review is {review}; expected a share of all cases, from 0 to 1.")
    folder = RunFolder.find(run, trust)
    with folder.locked():
        return _calibrate(folder, split, device, review)


def _calibrate(folder: RunFolder, split: str, device: str, review: float) -> dict[str, Any]:
    splits = folder.cases()
    if not splits.get(split):
        raise ValueError(
            f"{folder.path}: the data has no split {split!r} to calibrate on; there are {', '.join(splits)}. "
            "Probabilities stay as the model gives them (temperature 1)."
        )
    bundle = open_bundle(folder.path, folder.trust)
    predictor = replace(
        load_bundle(bundle, device=device, keep_probabilities=True), temperature=1.0
    )
    gives = predictor.task.gives
    if "probabilities" in gives:
        fitted = _of_masks(predictor, splits[split], folder.recipe.labels.names, split, review)
    elif "present" in gives:
        fitted = _of_images(predictor, splits[split], split, review)
    else:
        raise ValueError(
            f"{folder.path}: the task {folder.recipe.task.name} gives {', '.join(sorted(gives))}; there is no "
            "probability to calibrate."
        )
    temperature = fitted["temperature"]
    entry = {
        "temperature": temperature,
        "at_bound": at_bound(temperature),
        "split": split,
        "cases": len(splits[split]),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        **fitted,
    }
    bundle.update_card(calibration=entry)
    with log_to(folder.path / LOG):
        log(f"calibrated on {split}: temperature {temperature:.3f}, of {len(splits[split])} cases")
    return entry


def _of_images(
    predictor: CasePredictor, cases: Sequence[Case], split: str, review: float
) -> dict[str, Any]:
    """The temperature of image-level logits, and its effect."""
    table = evaluate(predictor, cases, load_metrics([Call("image_brier")]), split=split)
    rows = [
        row
        for row in table.rows
        if row.image_truth is not None and row.image_probability is not None
    ]
    if not rows:
        raise ValueError(
            f"no image of the split {split!r} has a known image-level label. Choose a split with known labels."
        )
    probability = np.array([row.image_probability for row in rows], float)
    there = np.array([row.image_truth for row in rows], bool)
    seen = seen_probabilities(probability, there)
    temperature = fit_temperature(seen)
    thresholds, labels = {}, {}
    for name in table.labels:
        own = np.array([row.label == name for row in rows])
        if not own.any():
            continue
        p = probability[own].clip(1e-12, 1 - 1e-12)
        logits = np.log(p) - np.log1p(-p)
        certain = 1 / (1 + np.exp(-np.abs(logits) / temperature))
        wrong = [row.image_prediction != row.image_truth for row in rows if row.label == name]
        thresholds[name] = risk_coverage(certain, np.array(wrong, float)).review(review).threshold
        labels[name] = {
            "cases": int(own.sum()),
            "shown": int(there[own].sum()),
            "wrong": int(sum(wrong)),
        }
    return {
        "temperature": temperature,
        "nll_before": nll(seen, 1.0),
        "nll_after": nll(seen, temperature),
        "image_ece_before": ece(seen, 1.0, bins=10),
        "image_ece_after": ece(seen, temperature, bins=10),
        "labels": labels,
        "review": {"share": review, "thresholds": thresholds},
    }


def _of_masks(
    predictor: CasePredictor,
    cases: Sequence[Case],
    names: Sequence[str],
    split: str,
    review: float,
) -> dict[str, Any]:
    """The temperature of the logits of all samples, and its effect."""
    seen = np.zeros((2, len(LOGITS) + 1))
    levels: dict[str, list[np.ndarray]] = {name: [] for name in names}

    def collect(case: Case, prediction: Segmentation, truth: Segmentation) -> None:
        assert prediction.probabilities is not None
        maps = dict(zip(prediction.labels.names, prediction.probabilities[1:], strict=True))
        valid = ... if truth.valid is None else truth.valid
        for name, dice in dice_by_level(prediction).items():
            counts = seen_probabilities(maps[name][valid], truth.mask(name)[valid])
            seen[:] += counts / max(counts.sum(), 1)
            levels[name].append(dice)

    table = evaluate(predictor, cases, load_metrics([Call("dice")]), split=split, on_case=collect)
    temperature = fit_temperature(seen)
    labels, thresholds = {}, {}
    for name in names:
        dice = np.array([score for _, score in table.of(name, "dice")])
        before, after = (mean_over_levels(np.stack(levels[name]), t) for t in (1.0, temperature))
        labels[name] = _agreement(dice, before, after)
        risk = np.where(
            np.isnan(dice), 0.0, 1 - dice
        )  # NaN: prediction and truth are empty, so no risk
        thresholds[name] = risk_coverage(after, risk).review(review).threshold
    return {
        "temperature": temperature,
        "nll_before": nll(seen, 1.0),
        "nll_after": nll(seen, temperature),
        "ece_everywhere_before": ece(seen, 1.0),
        "ece_everywhere_after": ece(seen, temperature),
        "labels": labels,
        "review": {"share": review, "thresholds": thresholds},
    }


def _agreement(dice: np.ndarray, before: np.ndarray, after: np.ndarray) -> dict[str, float | None]:
    """How well the expected Dice agrees with the true one, over the cases that have a true Dice."""
    known = ~np.isnan(dice)
    dice, before, after = dice[known], before[known], after[known]
    return {
        "cases": int(known.sum()),
        "dice": _mean(dice),
        "expected_before": _mean(before),
        "expected_after": _mean(after),
        "rmse_before": _root(_mean((before - dice) ** 2)),
        "rmse_after": _root(_mean((after - dice) ** 2)),
        "spearman": _spearman(after, dice),
    }


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None


def _root(value: float | None) -> float | None:
    return None if value is None else math.sqrt(value)


def _spearman(a: np.ndarray, b: np.ndarray) -> float | None:
    """Rank correlation; None if all values of one side are equal."""
    from scipy.stats import spearmanr

    if any(len(np.unique(values)) < 2 for values in (a, b)):
        return None
    return float(spearmanr(a, b).statistic)
