"""Predictor x cases -> a table, one row per case and label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from tqdm import tqdm

from delineate.core import Case, Predictor, Segmentation
from delineate.metrics import Metric, Traits, counts, traits_of
from delineate.table import Row, Table

__all__ = ["OnCase", "Table", "evaluate"]

OnCase = Callable[[Case, Segmentation, Segmentation], None]
"""Called with each case, what was found and the truth, while they are at hand."""


def evaluate(
    predictor: Predictor,
    cases: Sequence[Case],
    metrics: Mapping[str, Metric],
    *,
    split: str = "test",
    progress: bool = True,
    on_case: OnCase | None = None,
) -> Table:
    """Judge what a predictor finds in each case, on the grid of the case's file.

    One case is held at a time; of each, the table keeps numbers only.

    Raises:
        ValueError: no case or no metric, two cases of one id, a case without truth, a metric of probabilities on
            a finding that has none, or a finding that cannot be compared with its truth; with the case's name.
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
                f"{case.id}: has no truth; only cases with a mask can be judged. "
                "`delineate predict` needs none."
            )
    traits = {metric: traits_of(judge) for metric, judge in metrics.items()}
    rows: list[Row] = []
    for case in tqdm(cases, desc=f"evaluate {split}", unit="case", disable=not progress):
        truth = case.truth
        assert truth is not None  # load_truth was looked at above
        found = predictor(case)
        try:
            _check_needs(found, traits)
            rows += _judge(case, found, truth, metrics)
        except ValueError as error:
            raise ValueError(f"{case.id}: {error}") from error
        if on_case is not None:
            on_case(case, found, truth)
    return Table(split, tuple(metrics), tuple(rows), traits)


def _check_needs(found: Segmentation, traits: Mapping[str, Traits]) -> None:
    """Refuse before anything is judged what would fail in the middle."""
    lacking = [metric for metric, known in traits.items() if known.needs == "probabilities"]
    if lacking and found.probabilities is None:
        raise ValueError(
            f"{', '.join(lacking)} judge{'s' if len(lacking) == 1 else ''} probabilities, and the finding has a "
            "label map only. Judge a bundle, whose predictor gives them, or leave "
            f"{'this metric' if len(lacking) == 1 else 'these metrics'} out."
        )


def _judge(
    case: Case, found: Segmentation, truth: Segmentation, metrics: Mapping[str, Metric]
) -> Iterator[Row]:
    n = counts(found, truth)
    scores: dict[str, dict[str, float]] = {name: {} for name in n.names}
    for metric, judge in metrics.items():
        for label, score in judge(found, truth).items():
            scores.setdefault(label, {})[metric] = score
    unit = truth.geometry.size_unit
    columns = {name: value for name, value in case.columns.items() if value}  # blank: not known
    size = truth.geometry.sample_size
    for i, label in enumerate(n.names):
        tp, fp, fn, tn = (int(part[i]) for part in (n.tp, n.fp, n.fn, n.tn))
        samples = tp + fp, tp + fn
        sizes = samples[0] * size, samples[1] * size
        yield Row(
            case.id, case.group, label, tp, fp, fn, tn, *samples, *sizes, unit, scores.pop(label), columns
        )  # fmt: skip
    for label, rest in scores.items():
        yield Row(case.id, case.group, label, unit=unit, scores=rest, columns=columns)
