"""Cases -> splits, a patient never on two sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from delineate.core import Case, Splits
from delineate.data._draw import draw
from delineate.data._groups import COLUMN, column_values
from delineate.data._places import find_file
from delineate.data._split_csv import read_split
from delineate.data._strata import strata
from delineate.data._words import some


def split_cases(
    cases: Sequence[Case],
    split: Mapping[str, float] | str,
    *,
    seed: int = 0,
    stratify: str | None = None,
    places: Sequence[Path] = (),
) -> Splits:
    """The cases by the name of their split, sorted by id; the same for every order they come in.

    Args:
        cases: with ids that are unique.
        split: fractions by name, which add up to 1; {folds: 5, fold: 0, test: 0.1}, one of several equal
            parts as "val", the others as "train", and if wanted a "test" that is the same for every fold;
            "column:NAME"; or a CSV with the columns id and split.
        seed: decides fractions and folds.
        stratify: "labels" or "column:NAME", whose proportions fractions and folds keep.
        places: folders in which the CSV is looked for.

    Raises:
        ValueError: a split without cases, fractions that do not add up, too few groups, a group on two
            sides, or a CSV that is not about these cases.
    """
    cases = sorted(cases, key=lambda case: case.id)
    if isinstance(split, str):
        if stratify is not None:
            raise ValueError(f"stratify is {stratify!r}, but the split is given by {split!r}.")
        if split.startswith(COLUMN):
            rows = {case.id: case.columns for case in cases}
            return _gathered(cases, column_values(rows, split, "split"))
        path = find_file(split, places, "split")
        return _gathered(cases, _complete(read_split(path), cases, path))
    check = _check_folds if "folds" in split else _check_fractions
    check(split)
    kinds = strata(cases, stratify)  # may read every mask
    if "folds" in split:
        return _gathered(cases, _by_fold(cases, split, seed, kinds))
    return _gathered(cases, _by_group(cases, split, seed, kinds), split)


def _check_fractions(split: Mapping[str, float]) -> None:
    if not (abs(sum(split.values()) - 1) <= 1e-6 and min(split.values()) > 0):
        raise ValueError(
            f"split is {_written(split)}; expected fractions above 0 that add up to 1, "
            f"not {sum(split.values()):g}."
        )


def _check_folds(split: Mapping[str, float]) -> None:
    folds, fold, test = (split.get(key, 0) for key in ("folds", "fold", "test"))
    whole = float(folds).is_integer() and float(fold).is_integer()
    if set(split) - {"folds", "fold", "test"} or not (
        whole and 2 <= folds <= 1000 and 0 <= fold < folds and 0 <= test < 1
    ):
        raise ValueError(
            f"split is {_written(split)}; expected {{folds: 5, fold: 0, test: 0.1}} with fold from 0 to "
            "folds - 1, and test optional."
        )


def _by_group(
    cases: Sequence[Case], shares: Mapping[str, float], seed: int, kinds: Mapping[str, str]
) -> dict[str, str]:
    """The split of each case, drawn group by group."""
    sizes: dict[str, int] = {}
    for case in cases:
        sizes[case.group] = sizes.get(case.group, 0) + 1
    if len(sizes) < len(shares):
        raise ValueError(
            f"split: {len(cases)} cases of {len(sizes)} groups cannot fill {len(shares)} splits "
            f"({some(shares)}). Ask for fewer splits, add cases, or check `group`: cases of one group "
            "stay together."
        )
    drawn = draw(sizes, shares, seed, kinds)
    return {case.id: drawn[case.group] for case in cases}


def _by_fold(
    cases: Sequence[Case], split: Mapping[str, float], seed: int, kinds: Mapping[str, str]
) -> dict[str, str]:
    folds, val, test = int(split["folds"]), str(int(split.get("fold", 0))), split.get("test", 0)
    sides = {case.id: "rest" for case in cases}
    if test:
        sides = _by_group(cases, {"rest": 1 - test, "test": test}, seed, kinds)
    rest = [case for case in cases if sides[case.id] == "rest"]
    parts = _by_group(rest, {str(i): 1 / folds for i in range(folds)}, seed, kinds)
    return sides | {id: "val" if part == val else "train" for id, part in parts.items()}


def _complete(found: Mapping[str, str], cases: Sequence[Case], path: Path) -> Mapping[str, str]:
    ids = {case.id for case in cases}
    missing = sorted(ids - found.keys())
    unknown = sorted(found.keys() - ids)
    if missing or unknown:
        said = []
        if missing:
            said.append(f"{len(missing)} cases are not in it: {some(missing)}")
        if unknown:
            said.append(f"{len(unknown)} of its ids are no case: {some(unknown)}")
        raise ValueError(f"{path} does not fit the data of {len(cases)} cases. {'; '.join(said)}.")
    return found


def _gathered(
    cases: Sequence[Case], names: Mapping[str, str], order: Sequence[str] | Mapping[str, float] = ()
) -> Splits:
    """The cases by split; refuses a group on two sides."""
    first: dict[str, Case] = {}
    for case in cases:
        other = first.setdefault(case.group, case)
        if names[other.id] != names[case.id]:
            raise ValueError(
                f"group {case.group!r} is on two sides of the split: {other.id} in {names[other.id]}, "
                f"{case.id} in {names[case.id]}. Such results are too good to be true; if the two are "
                "no relatives, write group: '{stem}'."
            )
    usual = ("train", "val", "test")
    order = list(order) or [*usual, *sorted(set(names.values()) - set(usual))]
    parts = {name: tuple(c for c in cases if names[c.id] == name) for name in order}
    return {name: part for name, part in parts.items() if part}


def _written(split: Mapping[str, float]) -> str:
    return "{" + ", ".join(f"{name}: {share:g}" for name, share in split.items()) + "}"
