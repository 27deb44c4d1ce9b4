"""Names in an error message: a few, and how many more."""

from __future__ import annotations

from collections.abc import Iterable


def some(names: Iterable[object], limit: int = 5) -> str:
    """The first names, and the number of the others.

    >>> some(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    known = [str(name) for name in names]
    rest = len(known) - limit
    return ", ".join(known[:limit]) + (f" and {rest} more" if rest > 0 else "")
