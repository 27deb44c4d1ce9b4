"""Split cases by group, so that no patient is in two splits."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from delineate.core import Case, Splits
from delineate.data._groups import COLUMN, column_values
from delineate.data._paths import find_file
from delineate.data._strata import strata
from delineate.data._tables import FOLD, read_folds, read_split
from delineate.words import some

THREE_WAYS = {"train": 0.8, "val": 0.1, "test": 0.1}
"""The fractions of a layout whose recipe says nothing of the split."""


def split_cases(
    cases: Sequence[Case],
    split: Mapping[str, float] | str,
    *,
    seed: int = 0,
    stratify: str | None = None,
    places: Sequence[Path] = (),
) -> Splits:
    """Assign the cases to splits. The result does not depend on the order of the cases; each split is sorted by id.

    Args:
        cases: the cases, with unique ids.
        split: fractions by name that sum to 1; {folds: 5, fold: 0, test: 0.1}, where fold 0 is "val", the other
            folds are "train", and the optional "test" is the same for every fold; "column:NAME"; a CSV with
            the columns id and split; or "splits_final.json:2", fold 2 of nnU-Net's list of folds (without a number,
            fold 0).
        seed: the seed of fractions and folds.
        stratify: "labels" or "column:NAME": fractions and folds keep its proportions.
        places: the folders in which the CSV is searched.

    Raises:
        ValueError: a split without cases, fractions that do not sum to 1, too few groups, a group in two
            splits, or a CSV whose ids are not those of the cases.
    """
    cases = sorted(cases, key=lambda case: case.id)
    if isinstance(split, str):
        if stratify is not None:
            raise ValueError(f"stratify is {stratify!r}, but the split is given by {split!r}.")
        if split.startswith(COLUMN):
            rows = {case.id: case.columns for case in cases}
            return _gathered(cases, column_values(rows, split, "split"))
        if folds := FOLD.fullmatch(split):
            path = find_file(folds[1], places, "split")
            names = read_folds(path, int(folds[2] or 0))
        else:
            path = find_file(split, places, "split")
            names = read_split(path)
        return _gathered(cases, _complete(names, cases, path))
    check = _check_folds if "folds" in split else _check_fractions
    check(split)
    kinds = strata(cases, stratify)  # may read every mask
    if "folds" in split:
        return _gathered(cases, _by_fold(cases, split, seed, kinds))
    return _gathered(cases, _by_group(cases, split, seed, kinds), split)


def _check_fractions(split: Mapping[str, float]) -> None:
    if not (abs(sum(split.values()) - 1) <= 1e-6 and min(split.values()) > 0):
        raise ValueError(
            f"split is {_written(split)}; expected fractions above 0 that sum to 1, "
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
    """The split of each case, drawn at random by group."""
    sizes: dict[str, int] = {}
    for case in cases:
        sizes[case.group] = sizes.get(case.group, 0) + 1
    if len(sizes) < len(shares):
        raise ValueError(
            f"split: {len(cases)} cases of {len(sizes)} groups cannot fill {len(shares)} splits "
            f"({some(shares)}). Ask for fewer splits, add cases, or check `group`: all cases of one group "
            "are in the same split."
        )
    drawn = _draw(sizes, shares, seed, kinds)
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


def _complete(names: Mapping[str, str], cases: Sequence[Case], path: Path) -> Mapping[str, str]:
    """The split of each id in a CSV; refuses a CSV whose ids are not those of the cases."""
    ids = {case.id for case in cases}
    missing = sorted(ids - names.keys())
    unknown = sorted(names.keys() - ids)
    problems = []
    if missing:
        problems.append(f"{len(missing)} cases are not in it: {some(missing)}")
    if unknown:
        problems.append(f"{len(unknown)} of its ids are not cases: {some(unknown)}")
    if problems:
        raise ValueError(
            f"{path} does not fit the data of {len(cases)} cases: {'; '.join(problems)}."
        )
    return names


def _gathered(
    cases: Sequence[Case], names: Mapping[str, str], order: Sequence[str] | Mapping[str, float] = ()
) -> Splits:
    """The cases by split; refuses a group in two splits."""
    first: dict[str, Case] = {}
    for case in cases:
        other = first.setdefault(case.group, case)
        if names[other.id] != names[case.id]:
            raise ValueError(
                f"group {case.group!r} is in two splits: {other.id} in {names[other.id]}, "
                f"{case.id} in {names[case.id]}. Scores would be too high. Put both in one split, or, if they "
                "are not of one patient, write group: '{stem}'."
            )
    usual = ("train", "val", "test")
    order = list(order) or [*usual, *sorted(set(names.values()) - set(usual))]
    parts = {name: tuple(c for c in cases if names[c.id] == name) for name in order}
    return {name: part for name, part in parts.items() if part}


def _written(split: Mapping[str, float]) -> str:
    return "{" + ", ".join(f"{name}: {share:g}" for name, share in split.items()) + "}"


def _draw(
    sizes: Mapping[str, int], shares: Mapping[str, float], seed: int, kinds: Mapping[str, str]
) -> dict[str, str]:
    """The split of each group, drawn so that the shares hold within each stratum (kind) and overall.

    1. Kind by kind, largest group first: a group is drawn into one of the splits with room for all its cases, with
       probability proportional to that room. If no split has enough room, it goes to the one with the most. Room
       left over, or exceeded, is carried to the next kind.
    2. A split without groups gets the smallest group of the split with most groups, so that no split is empty if
       there are at least as many groups as splits.
    3. If a kind has at least as many groups as there are splits, but a split has none of them, that split gets one in
       exchange for a group of a kind that it has several of. So rare kinds are in every split, and the shares stay.

    Random numbers are made from the seed and the name of the group. They do not depend on the order of files, the
    platform or the version of NumPy.

    Args:
        sizes: the number of cases of each group.
        shares: the fraction of cases of each split; they sum to 1.
        seed: the seed of the draw.
        kinds: the stratum of each group; groups without one form a stratum of their own.
    """
    chance = {group: _chances(seed, group) for group in sizes}
    order = sorted(sizes, key=lambda g: (kinds.get(g, ""), -sizes[g], chance[g]))
    drawn: dict[str, str] = {}
    room = dict.fromkeys(shares, 0.0)
    kind = None
    for group in order:
        if kinds.get(group, "") != kind:
            kind = kinds.get(group, "")
            cases = sum(n for g, n in sizes.items() if kinds.get(g, "") == kind)
            room = {name: left + shares[name] * cases for name, left in room.items()}
        drawn[group] = _draw_one(room, sizes[group], chance[group][1])
        room[drawn[group]] -= sizes[group]
    _fill_empty_splits(drawn, shares, sizes, chance)
    _spread_rare_kinds(drawn, shares, sizes, chance, kinds)
    return drawn


def _draw_one(room: Mapping[str, float], size: int, chance: float) -> str:
    """A split with room for `size`, drawn in proportion to its room; else the one with most room."""
    fitting = {name: left for name, left in room.items() if left >= size - 1e-9}
    mark = chance * sum(fitting.values())
    for name, left in fitting.items():
        mark -= left
        if mark < 0:
            return name
    return max(room, key=room.__getitem__)


def _fill_empty_splits(
    drawn: dict[str, str],
    shares: Mapping[str, float],
    sizes: Mapping[str, int],
    chance: Mapping[str, tuple[float, float]],
) -> None:
    for name in shares:
        if name not in drawn.values():
            groups = {s: [g for g in drawn if drawn[g] == s] for s in shares}
            fullest = max(shares, key=lambda s: len(groups[s]))
            drawn[min(groups[fullest], key=lambda g: (sizes[g], chance[g]))] = name


def _spread_rare_kinds(
    drawn: dict[str, str],
    shares: Mapping[str, float],
    sizes: Mapping[str, int],
    chance: Mapping[str, tuple[float, float]],
    kinds: Mapping[str, str],
) -> None:
    """Exchange groups of about the same size between splits, so that each split has every kind."""
    of_kind: dict[str, list[str]] = {}
    for group in drawn:
        of_kind.setdefault(kinds.get(group, ""), []).append(group)
    count = Counter((drawn[group], kinds.get(group, "")) for group in drawn)
    for kind, members in of_kind.items():
        for name in shares if len(members) >= len(shares) else ():
            if count[name, kind]:
                continue
            spare = [g for g in drawn if drawn[g] == name and count[name, kinds.get(g, "")] > 1]
            if not spare:
                continue
            fullest = max(shares, key=lambda s: count[s, kind])
            given, taken = min(
                ((g, t) for g in members if drawn[g] == fullest for t in spare),
                key=lambda pair: (
                    abs(sizes[pair[0]] - sizes[pair[1]]),
                    chance[pair[0]],
                    chance[pair[1]],
                ),
            )
            for group, to in ((given, name), (taken, fullest)):
                count[drawn[group], kinds.get(group, "")] -= 1
                count[to, kinds.get(group, "")] += 1
                drawn[group] = to


def _chances(seed: int, group: str) -> tuple[float, float]:
    """Two pseudo-random numbers in [0, 1): one for the order, one for the draw."""
    digest = hashlib.sha256(f"{seed}:{group}".encode()).digest()
    first, second = (int.from_bytes(digest[i : i + 7]) / 2**56 for i in (0, 7))
    return first, second
