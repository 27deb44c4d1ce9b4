"""An interval from 2,000 resamples of 1,000 cases: scipy.stats.bootstrap against ours.

The mean of cases, and the means of ten metrics, whose draws ours makes once; a ratio pooled over cases (Dice of summed
counts); an AUROC pooled over histograms of 1,300 bins, which SciPy can only be given as a Python function of the cases
that were drawn. Best of several rounds, taken in turn, one thread; the draws that ours keeps are thrown away before
each round. Last, in seconds, a table of 1,000 cases, 5 labels and 10 metrics, with pooled scores and subgroups.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import stats

from delineate.evaluation.stats import bootstrap, weighted_mean
from delineate.evaluation.stats.group_weights import _kept
from delineate.evaluation.table import Row, Table
from delineate.metrics import Tally, pool_weighted

CASES, RESAMPLES, BINS = 1000, 2000, 1300
ROUNDS = 5


def main() -> dict[str, float]:
    rng = np.random.default_rng(0)
    groups = [f"p{i:04}" for i in range(CASES)]
    scores = rng.beta(8, 2, CASES)
    whole = rng.integers(100, 5000, CASES)
    part = rng.binomial(whole, scores)
    ratios = [Tally.of(p / w, "ratio", np.array([p, w])) for p, w in zip(part, whole, strict=True)]
    place = np.linspace(0, 1, BINS)
    histograms = rng.poisson(np.stack([1 - place, place]) * 3, (CASES, 2, BINS))
    curves = [Tally.of(0.5, "auroc", bins) for bins in histograms]
    theirs = partial(stats.bootstrap, n_resamples=RESAMPLES, method="percentile", rng=0)
    jobs = {
        "mean": (
            lambda: theirs((scores,), np.mean),
            lambda: bootstrap(partial(weighted_mean, scores), groups),
        ),
        "ten means": (
            lambda: [theirs((scores,), np.mean) for _ in range(10)],
            lambda: [bootstrap(partial(weighted_mean, scores), groups) for _ in range(10)],
        ),
        "mean, BCa": (
            lambda: theirs((scores,), np.mean, method="BCa"),
            lambda: bootstrap(partial(weighted_mean, scores), groups, method="bca"),
        ),
        "pooled ratio": (
            lambda: theirs((part, whole), _ratio, paired=True),
            lambda: bootstrap(partial(pool_weighted, ratios), groups),
        ),
        "pooled AUROC": (
            lambda: theirs((np.arange(CASES),), partial(_auroc, histograms), vectorized=False),
            lambda: bootstrap(partial(pool_weighted, curves), groups),
        ),
    }
    found = {}
    print(f"{'':16}{'SciPy':>10}{'ours':>10}{'ratio':>8}")
    for name, pair in jobs.items():
        rounds = 1 if name == "pooled AUROC" else ROUNDS
        peer, own = (
            min(of)
            for of in zip(*([_time(job) for job in pair] for _ in range(rounds)), strict=True)
        )
        found[name] = peer / own
        print(f"{name:16}{1e3 * peer:>8.0f}ms{1e3 * own:>8.0f}ms{found[name]:>8.1f}")
    found["table, s"] = _time(_table(rng).scores)
    print(f"{'whole table':16}{'':10}{found['table, s']:>9.1f}s")
    return {name: round(value, 2) for name, value in found.items()}


def _time(job: Callable[[], object]) -> float:
    _kept.cache_clear()
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def _ratio(part: np.ndarray, whole: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(part.sum(axis=axis) / whole.sum(axis=axis))


def _auroc(histograms: np.ndarray, drawn: np.ndarray) -> float:
    negative, positive = histograms[drawn].sum(axis=0)
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / (negative.sum() * positive.sum()))


def _table(rng: np.random.Generator) -> Table:
    metrics = tuple(f"metric {i}" for i in range(10))
    rows = []
    for i in range(CASES):
        columns = {"site": "ABCD"[i % 4], "device": "XY"[i % 2]}
        for label in ("liver", "spleen", "aorta", "kidney", "tumour"):
            tallies = {m: Tally("ratio", rng.integers(1, 99, 2)) for m in metrics}
            rows.append(
                Row(
                    f"case {i}", f"p{i}", label, truth_samples=9, prediction_samples=9,
                    truth_size=float(rng.integers(1, 10**5)), unit="mm³", scores=tallies, columns=columns,
                )
            )  # fmt: skip
    return Table("test", metrics, tuple(rows))


if __name__ == "__main__":
    print(main())
