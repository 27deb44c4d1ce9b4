"""Groups drawn into splits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping


def draw(
    sizes: Mapping[str, int], shares: Mapping[str, float], seed: int, kinds: Mapping[str, str]
) -> dict[str, str]:
    """The split of each group, close to the shares within every kind and overall.

    Kind by kind, largest group first, a group draws among the splits that have room for all of it, in
    proportion to that room; where it fits nowhere it goes where there is most. What a kind leaves over or
    takes too much is carried to the next. A split that got nothing is at last given the smallest group of
    the split with most groups, so that none is empty while there are as many groups.

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


def _chances(seed: int, group: str) -> tuple[float, float]:
    """Two numbers in [0, 1), as good as random: one for the order, one for the draw."""
    digest = hashlib.sha256(f"{seed}:{group}".encode()).digest()
    first, second = (int.from_bytes(digest[i : i + 7]) / 2**56 for i in (0, 7))
    return first, second
