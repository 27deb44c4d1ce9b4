"""Differences in words, in a table, and on an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator

from delineate.evaluation.compare import Comparison, Difference
from delineate.evaluation.report._scores import named, unit_of
from delineate.evaluation.report._words import decimals, left_out, number, whole
from delineate.evaluation.stats import Interval
from delineate.words import counted


@dataclass(frozen=True)
class Line:
    """One difference in words.

    best: an arrow to the better side, where that is not the larger number.
    cases: in how many `name` is better, equal, worse.
    side: "name" or "against" where one is shown to be better, else "".
    """

    name: str
    unit: str
    best: str
    against: str
    score: str
    difference: str
    interval: str
    p: str
    cases: str
    side: str


@dataclass(frozen=True)
class Branch:
    """One difference on an axis, in percent of its width; to the right is better for `name`.

    side: "name" or "against" where one is shown to be better, else "".
    """

    name: str
    cases: str
    difference: str
    interval: str
    at: float
    low: float | None
    high: float | None
    side: str


@dataclass(frozen=True)
class Forest:
    """Groups of branches over one axis: its ticks as (place in percent, number), and the place of no difference.

    groups: what each is by, its branches, and what is not drawn, in words.
    """

    title: str
    measured: str
    against: str
    name: str
    groups: tuple[tuple[str, tuple[Branch, ...], str], ...]
    ticks: tuple[tuple[float, str], ...]
    zero: float


@dataclass(frozen=True)
class Tile:
    """One figure on top of the page; at, low and high in percent of an axis with no difference in its middle."""

    name: str
    figure: str
    unit: str
    verdict: str
    interval: str
    at: float
    low: float | None
    high: float | None
    side: str


def line(comparison: Comparison, d: Difference, *, pooled: bool = False) -> Line:
    """One line of a table, of the means or of all cases taken together."""
    of_all = pooled or d.mean != d.mean
    scores, apart, interval = (
        (d.pooled_scores, d.pooled, d.pooled_interval) if of_all else (d.scores, d.mean, d.interval)
    )
    traits = comparison.first.traits[d.metric]
    places = decimals([*scores, apart])
    return Line(
        named(comparison.first, d.metric) + (", pooled" if of_all and not pooled else ""),
        unit_of(comparison.first, d.metric),
        "↓" if traits.lower_is_better else "→ 0" if traits.signed else "",
        number(scores[0], places),
        number(scores[1], places),
        signed(apart, places),
        between(interval, places),
        probability(d.p_holm),
        "–" if of_all else f"{d.wins:,} · {d.ties:,} · {d.losses:,}",
        side(d) if of_all == (d.mean != d.mean) else "",
    )


def tile(comparison: Comparison, d: Difference) -> Tile:
    """The leading difference as a figure."""
    apart, interval = d.leading
    places = decimals([*d.scores, apart])
    reach = 1.1 * max(abs(end) for end in (apart, *interval) if end == end) or 1.0
    low, high = _ends(interval, -reach, reach, d)
    return Tile(
        f"{_capital(measured(comparison, d))}, {whole(d.label)}",
        signed(apart, places),
        unit_of(comparison.first, d.metric),
        f"{d.better} is better"
        if d.shown
        else ("no difference shown" if d.p_holm == d.p_holm else "not tested"),
        f"{d.name} minus {d.against}, 95 % interval {between(interval, places)}"
        if interval.known
        else ("one group: no interval" if d.groups == 1 else "no interval"),
        _place(apart, -reach, reach, d),
        low,
        high,
        side(d),
    )


def sentence(comparison: Comparison, d: Difference) -> str:
    """The main difference as a sentence."""
    apart, interval = d.leading
    places = decimals([*d.scores, *d.pooled_scores, apart])
    unit = unit_of(comparison.first, d.metric)
    of = f"{'mean' if d.mean == d.mean else 'pooled'} {measured(comparison, d)}"
    of += "" if d.label == "all" else f" of {d.label}"
    a, b = d.scores if d.mean == d.mean else d.pooled_scores
    amount = number(abs(apart), places) + (f" {unit}" if unit else "")
    scores = f"{number(b, places)} against {number(a, places)}"
    if d.shown:
        worse = d.against if d.better == d.name else d.name
        more = "lower" if d.lower_is_better else "higher"
        scores = scores if d.better == d.name else " against ".join(scores.split(" against ")[::-1])
        words = f"{d.better} is better than {worse}: its {of} is {more} by {amount} ({scores}"
    else:
        tested = "is shown" if d.p_holm == d.p_holm else "was tested"
        words = f"No difference between {d.name} and {d.against} {tested}: their {of} differs by {amount} ({scores}"
    if interval.known:
        words += f"; 95 % interval of the difference {between(interval, places)}"
    if d.p_holm == d.p_holm:
        p = probability(d.p_holm)
        words += f"; p {p if p[0] in '<>' else '= ' + p}"
        words += f" after correction for {comparison.tests} tests" if comparison.tests > 1 else ""
    words += ")."
    if d.mean == d.mean:
        words += (
            f" Case by case, {d.name} is better in {d.wins:,}, equal in {d.ties:,} and worse in {d.losses:,} "
            f"of {counted(d.cases, 'case')}."
        )
    if d.ties == d.cases and not apart:
        words += " All differences are 0."
    elif not d.shown and interval.known:
        words += " This does not show that they are equal: any difference within the interval fits these cases."
    return words


def forest(
    comparison: Comparison,
    heading: str,
    groups: Sequence[tuple[str, dict[str, Difference]]],
    *,
    least: int = 1,
) -> Forest | None:
    """Differences above each other, all of one pair and in one unit; None for fewer than two.

    least: cases of a part that is drawn; those of fewer are told in words.
    """
    known_of = [
        (name, {branch: d for branch, d in parts.items() if d.leading[0] == d.leading[0]})
        for name, parts in groups
    ]
    drawn = [
        (name, {n: d for n, d in parts.items() if d.subgroup is None or d.cases >= least}, len(parts))
        for name, parts in known_of
    ]  # fmt: skip
    every = [d for _, parts, _ in drawn for d in parts.values()]
    if len(every) < 2:
        return None
    known = [v for d in every for v in (d.leading[0], *d.leading[1]) if v == v]
    low, high = min(0.0, *known), max(0.0, *known)
    if high - low < 1e-6:
        low, high = -0.05, 0.05
    ticks = [float(t) for t in MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)]
    low, high = ticks[0], ticks[-1]
    places = decimals(known)
    first = every[0]

    def branch(name: str, d: Difference) -> Branch:
        apart, interval = d.leading
        left, right = _ends(interval, low, high, d)
        return Branch(
            name, f"{d.cases:,}", signed(apart, places), between(interval, places),
            _place(apart, low, high, d), left, right, side(d),
        )  # fmt: skip

    unit = unit_of(comparison.first, first.metric)
    return Forest(
        heading,
        "Difference" + (f", {unit}" if unit else ""),
        first.against,
        first.name,
        tuple(
            (name, tuple(branch(n, d) for n, d in parts.items()), left_out(count - len(parts)))
            for name, parts, count in drawn
            if parts
        ),
        tuple((_place(tick, low, high, first), f"{tick:g}".replace("-", "−")) for tick in ticks),
        _place(0.0, low, high, first),
    )


def measured(comparison: Comparison, d: Difference) -> str:
    """The metric's name; of a signed error, that its size is compared."""
    name = named(comparison.first, d.metric)
    return (
        f"size of {name[:1].lower()}{name[1:]}"
        if comparison.first.traits[d.metric].signed
        else name
    )


def side(d: Difference) -> str:
    """Which of the two is shown to be better."""
    return "" if not d.shown else "name" if d.better == d.name else "against"


def signed(value: float, places: int = 3) -> str:
    """A difference as it is printed.

    >>> signed(0.0214), signed(-0.0214), signed(0.0001), signed(float("nan"))
    ('+0.021', '−0.021', '0.000', '–')
    """
    words = number(value, places)
    return f"+{words}" if value > 0 and float(words) else words


def between(interval: Sequence[float], places: int = 3) -> str:
    """The ends of an interval of a difference."""
    low, high = (signed(end, places) for end in interval)
    return "–" if "–" in (low, high) else f"{low} to {high}"


def probability(p: float) -> str:
    """A p value as it is printed.

    >>> [probability(p) for p in (0.0002, 0.0123, 0.4561, 1.0, float("nan"))]
    ['< 0.001', '0.012', '0.46', '> 0.99', '–']
    """
    if p != p:
        return "–"
    if p < 0.001:
        return "< 0.001"
    return "> 0.99" if p > 0.99 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _ends(
    interval: Interval, low: float, high: float, d: Difference
) -> tuple[float, float] | tuple[None, None]:
    """The left and the right end of an interval."""
    if not interval.known:
        return None, None
    left, right = sorted(_place(end, low, high, d) for end in interval)
    return left, right


def _place(value: float, low: float, high: float, d: Difference) -> float:
    """In percent from the left; where less is better the axis runs the other way."""
    share = (value - low) / (high - low)
    return round(100 * (1 - share if d.lower_is_better else share), 2)
