"""Risk-coverage curves: the mean risk of the cases that are kept when the least confident ones go to a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Review(NamedTuple):
    """The effect of sending the least confident cases to a person.

    sent, share: number of cases sent, and their share of all.
    threshold: cases with a confidence below it are sent.
    risk_before, risk_after: mean risk of all cases, and of the cases kept; NaN if none is kept.
    caught: how many of the `sent` cases with the largest risk are among those sent.
    """

    sent: int
    share: float
    threshold: float
    risk_before: float
    risk_after: float
    caught: int


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """The risk-coverage curve: cases ordered by confidence, the most confident first, and the mean risk of the first.

    threshold: each confidence that occurs, in falling order: (step,).
    coverage: the share of cases with at least this confidence: (step,), rising to 1.
    risk: their mean risk: (step,).
    confidences, risks: of each case, in that order: (case,).
    aurc: area under the curve: mean over k of the mean risk of the first k cases (Geifman & El-Yaniv, NeurIPS 2017);
        its expected value if cases have equal confidence.
    best_aurc: that of the optimal order; `aurc` - `best_aurc` is the excess (Geifman et al., ICLR 2019). A random
        order has the mean risk.
    left_out: cases without a confidence or a risk.
    """

    threshold: np.ndarray
    coverage: np.ndarray
    risk: np.ndarray
    confidences: np.ndarray
    risks: np.ndarray
    aurc: float
    best_aurc: float
    left_out: int

    def review(self, share: float) -> Review:
        """Send about `share` of the cases to a person; cases of equal confidence are sent or kept together.

        Raises:
            ValueError: a share that is not between 0 and 1, or no case.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"share is {share}; expected a share of all cases, from 0 to 1.")
        count = len(self.risks)
        if not count:
            raise ValueError("no case has both a confidence and a risk; there is nothing to send.")
        kept = np.rint(count * self.coverage).astype(int)
        step = len(kept) - 1 - int(np.abs(count - kept - share * count)[::-1].argmin())
        first, sent = int(kept[step]), count - int(kept[step])
        largest = np.sort(self.risks)[first:]
        least = (
            largest[0] if sent else np.inf
        )  # among equal risks any case may count as one of the largest
        return Review(
            sent,
            sent / count,
            float(self.threshold[step]),
            float(self.risks.mean()),
            float(self.risk[step]),
            min(sent, int((self.risks[first:] >= least).sum())),
        )


def risk_coverage(confidence: np.ndarray, risk: np.ndarray) -> RiskCoverage:
    """The curve of cases with a confidence and a risk each, (case,); NaN in either leaves a case out.

    >>> curve = risk_coverage(np.array([0.9, 0.5, 0.7]), np.array([0.0, 0.6, 0.3]))
    >>> curve.coverage.round(2), curve.risk.round(2)
    (array([0.33, 0.67, 1.  ]), array([0.  , 0.15, 0.3 ]))

    Raises:
        ValueError: confidence and risk differ in length.
    """
    confidence, risk = np.asarray(confidence, float), np.asarray(risk, float)
    if confidence.ndim != 1 or confidence.shape != risk.shape:
        raise ValueError(
            f"confidence has shape {confidence.shape}, risk {risk.shape}; expected (case,) for both."
        )
    known = ~(np.isnan(confidence) | np.isnan(risk))
    order = np.argsort(-confidence[known], kind="stable")
    confidences, risks = confidence[known][order], risk[known][order]
    levels, member, sizes = np.unique(-confidences, return_inverse=True, return_counts=True)
    kept = sizes.cumsum()
    sums = np.bincount(member, risks, minlength=len(levels))
    return RiskCoverage(
        threshold=-levels,
        coverage=kept / max(len(risks), 1),
        risk=sums.cumsum() / kept,
        confidences=confidences,
        risks=risks,
        aurc=_area((sums / sizes)[member]),
        best_aurc=_area(np.sort(risks)),
        left_out=int((~known).sum()),
    )


def _area(risks: np.ndarray) -> float:
    """Mean over k of the mean of the first k; NaN of none."""
    first = np.arange(1, len(risks) + 1)
    return float((risks.cumsum() / first).mean()) if len(risks) else float("nan")
