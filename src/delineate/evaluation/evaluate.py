"""Predictor and cases -> a table with one row per case and label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any

import numpy as np
from scipy import ndimage

from delineate.core import Case, Predictor, Segmentation
from delineate.evaluation.table import Row, Table, subgroup_columns
from delineate.metrics import (
    PARTS,
    Metric,
    Traits,
    counts,
    forget,
    image_level,
    traits_of,
)
from delineate.progress import track

__all__ = ["OnCase", "OnStage", "Table", "evaluate", "evaluate_stages"]

OnCase = Callable[[Case, Segmentation, Segmentation], None]
"""Called with each case, its prediction and its truth, while they are in memory."""

OnStage = Callable[[str, Case, Segmentation, Segmentation], None]
"""Called with the name of a stage, a case, its prediction and its truth, while they are in memory."""


def evaluate(
    predictor: Predictor,
    cases: Sequence[Case],
    metrics: Mapping[str, Metric],
    *,
    split: str = "test",
    progress: bool = True,
    on_case: OnCase | None = None,
) -> Table:
    """Score the prediction of each case against its truth, on the grid of the case's file.

    One case is in memory at a time. The table keeps its scores, counts and sizes, and the columns of
    `subgroup_columns`.

    Raises:
        ValueError: no case or no metric, two cases with one id, a case without truth, a truth or prediction without
            what a metric needs, or a prediction that cannot be compared with its truth; with the id of the case.
    """

    def predict(case: Case) -> Iterator[tuple[str, Segmentation]]:
        yield "", predictor(case)

    def seen(_: str, case: Case, prediction: Segmentation, truth: Segmentation) -> None:
        if on_case is not None:
            on_case(case, prediction, truth)

    (table,) = evaluate_stages(
        predict, [""], cases, metrics, split=split, progress=progress, on_stage=seen
    ).values()
    return table


def evaluate_stages(
    predict: Callable[[Case], Iterable[tuple[str, Segmentation]]],
    names: Sequence[str],
    cases: Sequence[Case],
    metrics: Mapping[str, Metric],
    *,
    split: str = "test",
    progress: bool = True,
    on_stage: OnStage | None = None,
) -> dict[str, Table]:
    """As `evaluate`, for several predictions of each case: a table for each of the names.

    Args:
        predict: gives the predictions of a case by name, one after the other; each is scored before the next is made.
        names: of the predictions, in the order of the tables.
        cases: each with its truth.
        metrics: by name.
        split: the name of these cases.
        progress: show a bar.
        on_stage: called with each prediction.

    Raises:
        ValueError: as `evaluate`.
    """
    if not cases:
        raise ValueError(f"the split {split!r} has no case; there is nothing to evaluate.")
    if not metrics:
        raise ValueError("no metric was named; name at least one, such as dice.")
    name, times = Counter(case.id for case in cases).most_common(1)[0]
    if times > 1:
        raise ValueError(f"{times} cases have the id {name!r}; each needs its own.")
    for case in cases:
        if case.load_truth is None:
            raise ValueError(
                f"{case.id}: has no truth; only cases with a truth can be evaluated. "
                "`delineate predict` needs none."
            )
    traits = {name: traits_of(metric) for name, metric in metrics.items()}
    columns = subgroup_columns((case.group, case.columns) for case in cases)

    rows: dict[str, list[Row]] = {name: [] for name in names}

    def evaluate_case(case: Case) -> None:
        """Add the rows of one case. A function, so that a case is freed before the next is predicted."""
        truth = case.truth
        assert truth is not None  # load_truth was checked above
        for name, prediction in predict(case):
            try:
                _check_needs(prediction, truth, traits)
                rows[name] += _rows(case, prediction, truth, metrics, columns)
            except ValueError as error:
                raise ValueError(f"{case.id}: {error}") from error
            finally:
                forget()
            if on_stage is not None:
                on_stage(name, case, prediction, truth)

    for case in track(cases, f"evaluate {split}", leave=True, show=progress):
        evaluate_case(case)
    return {name: Table(split, tuple(metrics), tuple(of), traits) for name, of in rows.items()}


def _check_needs(
    prediction: Segmentation, truth: Segmentation, traits: Mapping[str, Traits]
) -> None:
    """Refuse a case before it is scored if a metric needs what its prediction or truth does not have.

    Objects and image-level labels are not checked: one case without them may be an image that shows none.
    """
    outlined = {"classes", "probabilities", "instances"}
    for metric, known in traits.items():
        if known.needs & outlined:
            for what, one in (("truth", truth), ("prediction", prediction)):
                if not one.outlined:
                    raise ValueError(
                        f"{metric} needs {PARTS['classes']}, and the {what} has image-level labels only. Leave out "
                        "this metric or this case."
                    )
        if "probabilities" in known.needs and prediction.probabilities is None:
            raise ValueError(
                f"{metric} needs {PARTS['probabilities']}, and the prediction has a label map only. Evaluate a bundle, "
                "whose predictor gives probabilities, or leave out this metric."
            )


def _rows(
    case: Case,
    prediction: Segmentation,
    truth: Segmentation,
    metrics: Mapping[str, Metric],
    kept: Collection[str],
) -> Iterator[Row]:
    scores: dict[str, dict[str, float]] = {name: {} for name in truth.labels.names}
    for name, metric in metrics.items():
        for label, score in metric(prediction, truth).items():
            scores.setdefault(label, {})[name] = score
    unit = truth.geometry.size_unit
    columns = {name: value for name, value in case.columns.items() if value and name in kept}
    about = partial(Row, case.id, case.group, unit=unit, columns=columns)
    masks = _mask_facts(prediction, truth)
    images = image_level(prediction, truth) if prediction.present or not truth.outlined else {}
    for label in truth.labels.names:
        facts: dict[str, Any] = masks.get(label, {"truth_digest": _image_digest(truth, label)})
        if label in images:
            of = images[label]
            facts |= {
                "image_truth": of.truth,
                "image_prediction": of.decided,
                "image_probability": of.probability,
            }
        yield about(label, scores=scores.pop(label), **facts)
    for label, rest in scores.items():
        yield about(label, scores=rest)


def _mask_facts(prediction: Segmentation, truth: Segmentation) -> dict[str, dict[str, Any]]:
    """Counts and sizes of the masks of each label; only the size in the truth if the prediction has no masks."""
    if not truth.outlined:
        return {}
    boxes = _boxes(truth.classes)
    size = truth.geometry.sample_size
    facts: dict[str, dict[str, Any]] = {}
    n = counts(prediction, truth)
    for i, label in enumerate(n.names):
        tp, fp, fn, tn = (int(part[i]) for part in (n.tp, n.fp, n.fn, n.tn))
        of: dict[str, Any] = {"truth_samples": tp + fn, "truth_size": (tp + fn) * size}
        if prediction.outlined:
            of |= {"tp": tp, "fp": fp, "fn": fn, "tn": tn}
            of |= {"prediction_samples": tp + fp, "prediction_size": (tp + fp) * size}
        facts[label] = of | {"truth_digest": _digest(truth, label, boxes)}
    return facts


def _image_digest(truth: Segmentation, label: str) -> str:
    """As `_digest`, for a truth that is an image-level label."""
    return blake2b(repr(("image", truth.shows(label))).encode(), digest_size=8).hexdigest()


def _boxes(classes: np.ndarray) -> list[tuple[slice, ...] | None]:
    """The bounding box of each value from 1 on; None for a value that does not occur."""
    classes = classes.view(np.uint8) if classes.dtype == bool else classes
    # reading in the order of memory is eight times as fast for the arrays of NIfTI files
    if classes.flags.f_contiguous:
        return [box and box[::-1] for box in ndimage.find_objects(classes.T)]
    return list(ndimage.find_objects(classes))


def _digest(truth: Segmentation, label: str, boxes: Sequence[tuple[slice, ...] | None]) -> str:
    """A hash of a true mask, in hex: of its bounding box and the samples in it."""
    values = truth.labels.values_of(label)
    held = [box for value in values if value <= len(boxes) and (box := boxes[value - 1])]
    box = tuple(
        slice(min(side.start for side in sides), max(side.stop for side in sides))
        for sides in zip(*held, strict=True)
    )
    place = [(side.start, side.stop) for side in box]
    digest = blake2b(repr((truth.classes.shape, place)).encode(), digest_size=8)
    if box:
        digest.update(np.packbits(truth.labels.mask(label, truth.classes[box])).tobytes())
    return digest.hexdigest()
