"""Compare tables of the same cases, in pairs: differences, intervals and tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations

from delineate.evaluation.compare._aligned import aligned
from delineate.evaluation.compare.comparison import Comparison
from delineate.evaluation.compare.difference import Difference, Draw, both_scores, difference
from delineate.evaluation.stats import bootstrap, holm
from delineate.evaluation.table import Table

FEW = 3
"""Without a reference, up to so many tables are each compared with each other."""


def compare(
    tables: Mapping[str, Table],
    *,
    metrics: Sequence[str] | None = None,
    reference: str | None = None,
    pairs: Sequence[tuple[str, str]] | None = None,
    common: bool = False,
    seed: int = 0,
    resamples: int = 2000,
) -> Comparison:
    """Compare the scores of several predictors on the same cases, case by case.

    Each table is compared with the reference. Without a reference up to three tables are compared with each other, and
    more than three with the first. Intervals of mean and pooled differences resample whole groups (patients), the same
    groups in both tables. Wilcoxon's test uses the mean difference of each group, since cases of one patient are not
    independent.

    Args:
        tables: by name.
        metrics: what to compare; if left out, all that every table has, except scores that models expect of themselves.
        reference: the name of the table that the others are compared with.
        pairs: instead of a reference, what is compared: (against, name).
        common: compare only the cases that every table has.
        seed: of the resamples.
        resamples: number of resamples.

    Raises:
        ValueError: fewer than two tables, a table without cases, an unknown name or metric, no pairs or pairs beside a
            reference, or tables that differ in cases, labels or truths.
    """
    if len(tables) < 2:
        raise ValueError(f"{len(tables)} table given; a comparison needs at least two.")
    if pairs is not None and (reference is not None or not pairs):
        raise ValueError("expected a reference, or at least one pair of tables, not both.")
    for name in (*([] if reference is None else [reference]), *(n for p in pairs or () for n in p)):
        if name not in tables:
            raise ValueError(f"there is no table {name!r}; there are {', '.join(tables)}.")
    if empty := [name for name, table in tables.items() if not table.rows]:
        raise ValueError(
            f"{', '.join(empty)} has no case, so there is nothing to compare. Is it the right file?"
        )
    chosen = _shared_metrics(tables, metrics)
    same, left_out = aligned(tables, common=common)
    pairs = _pairs(tuple(tables), reference) if pairs is None else list(dict.fromkeys(pairs))
    draw = partial(bootstrap, seed=seed, resamples=resamples)
    differences = list(_overall(same, pairs, chosen, draw))
    corrected = holm([difference.p for difference in differences])
    return Comparison(
        same,
        chosen,
        tuple(replace(d, p_holm=float(p)) for d, p in zip(differences, corrected, strict=True)),
        tuple(_by_subgroup(same, pairs, chosen, draw)),
        left_out,
        seed,
        resamples,
    )


def _pairs(names: tuple[str, ...], reference: str | None) -> list[tuple[str, str]]:
    if reference is None and len(names) <= FEW:
        return list(combinations(names, 2))
    against = names[0] if reference is None else reference
    return [(against, name) for name in names if name != against]


def _shared_metrics(tables: Mapping[str, Table], metrics: Sequence[str] | None) -> tuple[str, ...]:
    if metrics is None:
        first = next(iter(tables.values())).metrics
        shared = tuple(m for m in first if all(m in table.metrics for table in tables.values()))
        # Expected Dice does not measure quality: a model that expects more of itself is not better.
        measured = tuple(m for m in shared if not any(_expected(t, m) for t in tables.values()))
        if measured:
            return measured
        if shared:
            raise ValueError(
                f"the tables share only scores that models expect of themselves: {', '.join(shared)}. Name them to "
                "compare them nevertheless, or evaluate all of them by the same metrics."
            )
    for metric in metrics or ():
        lacking = [name for name, table in tables.items() if metric not in table.metrics]
        if lacking:
            raise ValueError(
                f"{', '.join(lacking)} was not evaluated by {metric}. " + _metrics_of_each(tables)
            )
    if not metrics:
        raise ValueError("no metric is in every table. " + _metrics_of_each(tables))
    return tuple(dict.fromkeys(metrics))


def _expected(table: Table, metric: str) -> bool:
    return bool(table.traits[metric].expects)


def _metrics_of_each(tables: Mapping[str, Table]) -> str:
    has = "; ".join(f"{name} has {', '.join(t.metrics)}" for name, t in tables.items())
    return f"{has}. Evaluate all of them by the same metrics."


def _overall(
    tables: Mapping[str, Table],
    pairs: Sequence[tuple[str, str]],
    metrics: Sequence[str],
    draw: Draw,
) -> Iterator[Difference]:
    for against, name in pairs:
        for label in tables[against].labels:
            for metric in metrics:
                both = both_scores(tables[against], tables[name], label, metric)
                if both:
                    yield difference(
                        both, tables[against].traits[metric], draw, whole=True,
                        label=label, metric=metric, against=against, name=name,
                    )  # fmt: skip


def _by_subgroup(
    tables: Mapping[str, Table],
    pairs: Sequence[tuple[str, str]],
    metrics: Sequence[str],
    draw: Draw,
) -> Iterator[Difference]:
    """Every difference of means again, for subgroups of the cases; the subgroups are those of the first table."""
    first = next(iter(tables.values()))
    metrics = [metric for metric in metrics if not first.traits[metric].pooled_only]
    for label in first.labels:
        parts = [
            ((column, value), set(part.cases))
            for column, by_value in first.every_subgroup([label]).items()
            for value, part in by_value.items()
        ]
        for against, name in pairs:
            for metric in metrics:
                both = both_scores(tables[against], tables[name], label, metric)
                for subgroup, cases in parts:
                    inside = [of for of in both if of.case in cases]
                    if inside:
                        yield difference(
                            inside, first.traits[metric], draw, whole=False, subgroup=subgroup,
                            label=label, metric=metric, against=against, name=name,
                        )  # fmt: skip
