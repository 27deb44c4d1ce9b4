"""Lists and counts in messages."""

from __future__ import annotations

from collections.abc import Iterable


def some(names: Iterable[object], limit: int = 5) -> str:
    """The first `limit` names, and the number of the others.

    >>> some(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    known = [str(name) for name in names]
    rest = len(known) - limit
    return ", ".join(known[:limit]) + (f" and {rest} more" if rest > 0 else "")


def counted(count: int, what: str) -> str:
    """A count with its noun, in the singular or the plural.

    >>> counted(1, "image"), counted(1200, "image")
    ('1 image', '1,200 images')
    """
    return f"{count:,} {what}" + ("" if count == 1 else "s")
