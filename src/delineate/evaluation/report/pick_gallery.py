"""Select the cases for the pictures of a report."""

from __future__ import annotations

import math

from delineate.evaluation.table import Table


def pick_gallery(
    table: Table, metric: str, label: str | None = None, count: int = 6
) -> dict[str, list[str]]:
    """Ids of the worst, median and best cases, each case once, from worst to best.

    A case with several labels is placed by the mean over those that have a score in it, or by `label` alone.
    Cases without any score are not shown; of few cases, each kind gets a third.
    """
    places: dict[str, list[float]] = {}
    for row in table.rows:
        score = row.scores.get(metric, math.nan)
        if label in (None, row.label) and score == score:
            places.setdefault(row.case, []).append(score)
    # More is better of a ratio, less of a distance, and what is nearer to 0 of an error to either side.
    worth = -1 if table.traits[metric].lower_is_better or table.traits[metric].signed else 1

    def place(case: str) -> float:
        mean = math.fsum(places[case]) / len(places[case])
        return worth * (abs(mean) if table.traits[metric].signed else mean)

    ranked = sorted(places, key=place)
    n = len(ranked)
    worst = min(count, math.ceil(n / 3))
    best = min(count, (n + 1) // 3)
    median = min(count, n - worst - best)
    middle = min(max((n - median) // 2, worst), n - best - median)
    return {
        "worst": ranked[:worst],
        "median": ranked[middle : middle + median],
        "best": ranked[n - best :],
    }
