"""What a reader must know of intervals from few groups."""

from __future__ import annotations

ENOUGH = 20
"""Groups from which an interval covers about as often as it says."""


def caution(groups: int) -> str | None:
    """One sentence where a bootstrap over so few groups (patients) is not to be taken at its word, else None.

    >>> caution(20)
    """
    if groups >= ENOUGH:
        return None
    if groups < 2:
        many = "1 group" if groups == 1 else f"{groups} groups"
        return f"With {many} there is no interval: nothing is known of the spread between groups."
    return (
        f"With {groups} groups a 95 % bootstrap interval covers less often than it says (about 75 % of the time "
        "with 3, 84 % with 5, 89 % with 8): read it as too narrow."
    )
