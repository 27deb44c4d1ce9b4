"""Cases -> splits, a patient never on two sides."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from delineate.core import Case, Splits
from delineate.data._groups import COLUMN, column_values
from delineate.data._paths import find_file
from delineate.data._strata import strata
from delineate.data._tables import read_split
from delineate.words import some


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


def _draw(
    sizes: Mapping[str, int], shares: Mapping[str, float], seed: int, kinds: Mapping[str, str]
) -> dict[str, str]:
    """The split of each group, close to the shares within every kind and overall.

    Kind by kind, largest group first, a group draws among the splits that have room for all of it, in
    proportion to that room; where it fits nowhere it goes where there is most. What a kind leaves over or
    takes too much is carried to the next. A split that got nothing at all is then given the smallest group of
    the split with most groups, so that none is empty while there are as many groups. At last a split without a kind of
    which there are as many groups as splits is given one of them for one of a kind that it has several of, so that a
    rare kind is on every side and the shares stay.

    Chance is made from the seed and the group's name: the order of files, the platform and the version of
    NumPy have no part in it.

    Args:
        sizes: the number of cases of each group.
        shares: the fraction of cases each split is to have; they add up to 1.
        seed: decides the draw.
        kinds: the stratum of each group; groups of none form one.
    """
    chance = {group: _chances(seed, group) for group in sizes}
    order = sorted(sizes, key=lambda g: (kinds.get(g, ""), -sizes[g], chance[g]))
    found: dict[str, str] = {}
    room = dict.fromkeys(shares, 0.0)
    kind = None
    for group in order:
        if kinds.get(group, "") != kind:
            kind = kinds.get(group, "")
            cases = sum(n for g, n in sizes.items() if kinds.get(g, "") == kind)
            room = {name: left + shares[name] * cases for name, left in room.items()}
        found[group] = _one(room, sizes[group], chance[group][1])
        room[found[group]] -= sizes[group]
    _fill(found, shares, sizes, chance)
    _share_out(found, shares, sizes, chance, kinds)
    return found


def _one(room: Mapping[str, float], size: int, chance: float) -> str:
    """A split with room for `size`, drawn in proportion to its room; else the one with most."""
    fitting = {name: left for name, left in room.items() if left >= size - 1e-9}
    mark = chance * sum(fitting.values())
    for name, left in fitting.items():
        mark -= left
        if mark < 0:
            return name
    return max(room, key=room.__getitem__)


def _fill(
    found: dict[str, str],
    shares: Mapping[str, float],
    sizes: Mapping[str, int],
    chance: Mapping[str, tuple[float, float]],
) -> None:
    for name in shares:
        if name not in found.values():
            groups = {s: [g for g in found if found[g] == s] for s in shares}
            fullest = max(shares, key=lambda s: len(groups[s]))
            found[min(groups[fullest], key=lambda g: (sizes[g], chance[g]))] = name


def _share_out(
    found: dict[str, str],
    shares: Mapping[str, float],
    sizes: Mapping[str, int],
    chance: Mapping[str, tuple[float, float]],
    kinds: Mapping[str, str],
) -> None:
    """Exchange groups of about the same size, so that kinds are on every side."""
    of_kind: dict[str, list[str]] = {}
    for group in found:
        of_kind.setdefault(kinds.get(group, ""), []).append(group)
    count = Counter((found[group], kinds.get(group, "")) for group in found)
    for kind, members in of_kind.items():
        for name in shares if len(members) >= len(shares) else ():
            if count[name, kind]:
                continue
            spare = [g for g in found if found[g] == name and count[name, kinds.get(g, "")] > 1]
            if not spare:
                continue
            fullest = max(shares, key=lambda s: count[s, kind])
            given, taken = min(
                ((g, t) for g in members if found[g] == fullest for t in spare),
                key=lambda pair: (
                    abs(sizes[pair[0]] - sizes[pair[1]]),
                    chance[pair[0]],
                    chance[pair[1]],
                ),
            )
            for group, to in ((given, name), (taken, fullest)):
                count[found[group], kinds.get(group, "")] -= 1
                count[to, kinds.get(group, "")] += 1
                found[group] = to


def _chances(seed: int, group: str) -> tuple[float, float]:
    """Two numbers in [0, 1), as good as random: one for the order, one for the draw."""
    digest = hashlib.sha256(f"{seed}:{group}".encode()).digest()
    first, second = (int.from_bytes(digest[i : i + 7]) / 2**56 for i in (0, 7))
    return first, second
