"""Align tables: the same cases in the same order, with a check that cases, groups and truths are the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from delineate.evaluation.table import Table
from delineate.words import some


def aligned(
    tables: Mapping[str, Table], *, common: bool
) -> tuple[dict[str, Table], dict[str, tuple[str, ...]]]:
    """The tables reduced to their common cases, in the order of the first; and the cases of each that are left out.

    Raises:
        ValueError: labels differ, cases differ and `common` is false, no case is common, groups differ, or the truth of
            a case differs.
    """
    _check_labels(tables)
    has = {name: set(table.cases) for name, table in tables.items()}
    every = set.intersection(*has.values())
    anywhere = dict.fromkeys(case for table in tables.values() for case in table.cases)
    lacks = {name: [case for case in anywhere if case not in of] for name, of in has.items()}
    if not every or (any(lacks.values()) and not common):
        raise ValueError(
            "the tables are of different cases: "
            + "; ".join(f"{name} lacks {some(cases)}" for name, cases in lacks.items() if cases)
            + ". Evaluate all of them on the same cases"
            + (", or compare the common ones: --common, common=True." if every else ".")
        )
    facts = _facts(tables, every)
    place = {case: i for i, case in enumerate(facts)}
    kept = {
        name: replace(
            table,
            rows=tuple(
                replace(row, group=facts[row.case][0], columns=facts[row.case][1])
                for row in sorted(table.rows, key=lambda row: place.get(row.case, -1))
                if row.case in every
            ),
        )
        for name, table in tables.items()
    }
    left_out = {
        name: tuple(case for case in table.cases if case not in every)
        for name, table in tables.items()
    }
    _check_truths(kept)
    return kept, {name: cases for name, cases in left_out.items() if cases}


def _check_labels(tables: Mapping[str, Table]) -> None:
    labels = {name: {x for x in table.labels if x != "all"} for name, table in tables.items()}
    if len(set(map(frozenset, labels.values()))) > 1:
        raise ValueError(
            "the tables have different labels: "
            + "; ".join(
                f"{name} has {', '.join(sorted(of)) or 'none'}" for name, of in labels.items()
            )
            + ". Only scores of the same labels can be compared."
        )


def _facts(
    tables: Mapping[str, Table], cases: Collection[str]
) -> dict[str, tuple[str, Mapping[str, str]]]:
    """Group and columns of each case, in the order of the first table.

    Groups are taken from the first table with a group of several cases, since a table whose groups all have one case
    holds no information on patients. Columns are collected from all tables.
    """
    groups = {
        name: {row.case: row.group for row in table.rows if row.case in cases}
        for name, table in tables.items()
    }
    grouped = {name: of for name, of in groups.items() if len(set(of.values())) < len(of)}
    (first, known), *others = (grouped or groups).items()
    for name, of in others:
        both = {(known[case], of[case]) for case in cases}
        if not len(both) == len(set(of.values())) == len(set(known.values())):
            raise ValueError(
                f"cases of one group in {first} are of several groups in {name}, or the reverse. Evaluate both with "
                "the same groups (patients)."
            )
    columns: dict[str, dict[str, str]] = {}
    for table in tables.values():
        for row in table.rows:
            columns[row.case] = {**row.columns, **columns.get(row.case, {})}
    return {case: (known[case], columns[case]) for case in next(iter(groups.values()))}


def _check_truths(tables: Mapping[str, Table]) -> None:
    (first, reference), *others = tables.items()
    by_case = {(row.case, row.label): row for row in reference.rows}
    for name, table in others:
        for row in table.rows:
            known = by_case.get((row.case, row.label))
            if known is None:
                continue
            if known.truth_samples != row.truth_samples:
                raise ValueError(
                    f"{row.case}: {row.label} has {known.truth_samples} samples in the truth of {first}, "
                    f"{row.truth_samples} in that of {name}. They were evaluated against different truths or at "
                    "different resolutions, and cannot be compared. Evaluate both with the same truth."
                )
            digests = {known.truth_digest, row.truth_digest} - {
                ""
            }  # tables of older versions have none
            if len(digests) > 1:
                raise ValueError(
                    f"{row.case}: the truth of {row.label} is not the same in {first} and in {name}, although it has "
                    "the same size. They were evaluated against different truths, and cannot be compared. Evaluate "
                    "both with the same truth."
                )
