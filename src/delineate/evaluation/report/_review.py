"""How well the expected Dice predicts the true Dice, and which cases to send to a person."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from delineate.evaluation.report._figures import FIRST, HOVER, RULE, SECOND, Plot, _panel, _svg
from delineate.evaluation.report._words import number
from delineate.evaluation.stats.risk_coverage import Review as Sending
from delineate.evaluation.stats.risk_coverage import RiskCoverage, risk_coverage
from delineate.evaluation.table import Table
from delineate.words import counted

SHARE = 0.08
"""Share of the cases that is sent to a person in the text and the plots: one in twelve."""

SHARES = (0.05, 0.1, 0.2, 0.3)
"""Further shares, in the table."""

SIZE = 4.0, 3.2
"""Width and height of a plot."""

FEWEST = 10
"""Fewest cases of a review: with fewer, one case more or less changes the result too much."""


@dataclass(frozen=True)
class Review:
    """The review of one label: how well its expected Dice ranks the cases.

    sent: case, expected and true Dice of those sent to a person, least confident first.
    shares: share sent, cases sent, mean Dice of the rest, and of the rest had the worst been sent.
    """

    label: str
    words: str
    plots: tuple[Plot, ...]
    sent: tuple[tuple[str, str, str], ...]
    shares: tuple[tuple[str, str, str, str], ...]


def review(table: Table, label: str) -> Review | None:
    """None where fewer than ten cases have both an expected and a true Dice."""
    pairs = sorted(_pairs(table, label))
    if len(pairs) < FEWEST:
        return None
    expected, dice = (np.array([pair[i] for pair in pairs], dtype=np.float64) for i in (0, 1))
    by_model, at_best = risk_coverage(expected, 1 - dice), risk_coverage(dice, 1 - dice)
    sending = by_model.review(SHARE)
    cases = [case for _, _, case in pairs]
    return Review(
        label,
        _words(sending, dice),
        (
            _agreement(label, expected, dice, cases, sending.sent),
            _coverage(label, by_model, at_best),
        ),
        tuple((case, number(e), number(d)) for e, d, case in pairs[: sending.sent]),
        tuple(_shares(by_model, at_best)),
    )


def _pairs(table: Table, label: str) -> Iterator[tuple[float, float, str]]:
    """Expected and true Dice of each case that has both, and its name."""
    for metric in table.metrics:
        if true := table.traits[metric].expects:
            for row, expected in table.of(label, metric):
                dice = row.scores.get(true, math.nan)
                if expected == expected and dice == dice:
                    yield expected, dice, row.case


def _words(sending: Sending, dice: np.ndarray) -> str:
    before, after = 1 - sending.risk_before, 1 - sending.risk_after
    change = "raises" if after > before else "does not raise"
    return (
        f"Sending the least confident {100 * sending.share:.0f} % ({counted(sending.sent, 'case')}, expected Dice "
        f"below {sending.threshold:.3f}) to a person {change} the mean Dice of the rest from {before:.3f} to "
        f"{after:.3f}. Those sent have a mean Dice of {number(_mean(dice[: sending.sent]))}; of as many worst cases, "
        f"{sending.caught or 'none'} would be sent."
    )


def _shares(by_model: RiskCoverage, at_best: RiskCoverage) -> Iterator[tuple[str, str, str, str]]:
    for share in SHARES:
        sending = by_model.review(share)
        best = 1 - at_best.review(sending.share).risk_after
        yield (
            f"{100 * share:.0f} %",
            f"{sending.sent:,}",
            number(1 - sending.risk_after),
            number(best),
        )


def _agreement(
    label: str, expected: np.ndarray, dice: np.ndarray, cases: Sequence[str], count: int
) -> Plot:
    figure, axes = _panel(*SIZE)
    axes.plot([0, 1], [0, 1], color=RULE, linewidth=1)
    colours = [SECOND] * count + [FIRST] * (len(cases) - count)
    dots = axes.scatter(expected, dice, s=14, c=colours, alpha=0.7, linewidth=0)
    dots.set_gid(HOVER)
    axes.set(xlabel="Dice the model expects", ylabel="Dice", ylim=(-0.03, 1.03))
    axes.set_xlim(min(0.45, expected.min() - 0.03), 1.03)
    names = [
        f"{case}: expects {e:.3f}, is {d:.3f}"
        for case, e, d in zip(cases, expected, dice, strict=True)
    ]
    words = (
        f"Each dot is a case; on the line, expected and true Dice are equal. The mean expected Dice is "
        f"{expected.mean():.3f}, the mean true Dice {dice.mean():.3f}."
    )
    if np.ptp(expected) and np.ptp(dice):
        order = np.corrcoef(rankdata(expected), rankdata(dice))[0, 1]
        words += f" Rank correlation (Spearman) {number(order, 2)}."
    drawn = _svg(figure, "expected", label, names=names)
    key = (("second", "sent to a person"), ("first", "kept"))
    return Plot(f"Expected and true Dice: {label}", drawn, words, key)


def _coverage(label: str, by_model: RiskCoverage, at_best: RiskCoverage) -> Plot:
    none = by_model.risks.mean()
    figure, axes = _panel(*SIZE)
    axes.axhline(none, color=RULE, linewidth=1)
    axes.plot(100 * at_best.coverage, at_best.risk, color=SECOND, linewidth=1.2)
    axes.plot(100 * by_model.coverage, by_model.risk, color=FIRST)
    axes.set(xlabel="cases kept, most confident first, %", ylabel="1 − mean Dice of those kept")
    axes.set_xlim(0, 102)
    axes.set_ylim(bottom=0)
    words = (
        "If the confidence is good, the risk falls when fewer cases are kept. Area under the curve: "
        f"{by_model.aurc:.3f}; {by_model.best_aurc:.3f} in the optimal order, {none:.3f} in random order (the "
        "horizontal line)."
    )
    key = (("first", "by expected Dice"), ("second", "by true Dice, the optimal order"))
    return Plot(f"Risk and coverage: {label}", _svg(figure, "coverage", label), words, key)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan
