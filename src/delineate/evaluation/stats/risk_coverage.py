"""Whether confidence tells what is wrong: the fewer cases are kept, the better they should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Review(NamedTuple):
    """What comes of sending the least confident cases to a person.

    sent, share: how many cases, and what part of all.
    threshold: sent is what has a confidence below it.
    risk_before, risk_after: mean risk of all cases, and of those kept; NaN if none is.
    caught: of as many cases with the largest risk as are sent, how many are among those sent.
    """

    sent: int
    share: float
    threshold: float
    risk_before: float
    risk_after: float
    caught: int


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """Cases ordered by confidence, the most confident first, and what is at stake if only the first are kept.

    threshold: each confidence that occurs, falling: (step,).
    coverage: the share of cases that reach it: (step,), rising to 1.
    risk: their mean risk: (step,).
    confidences, risks: of each case, in that order: (case,).
    aurc: mean risk of the first k cases over all k (Geifman & El-Yaniv, NeurIPS 2017), the expected one where
        equal confidence leaves their order open.
    best_aurc: that of the best order there is; the rest of `aurc` is excess (Geifman et al., ICLR 2019). Of no order
        at all it is the mean risk.
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
        """Send about `share` of the cases: as near as equal confidence lets the threshold come.

        Raises:
            ValueError: a share that is not between 0 and 1, or no case.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"share is {share}; expected a part of all cases, from 0 to 1.")
        count = len(self.risks)
        if not count:
            raise ValueError("no case has both a confidence and a risk; there is nothing to send.")
        kept = np.rint(count * self.coverage).astype(int)
        step = len(kept) - 1 - int(np.abs(count - kept - share * count)[::-1].argmin())
        first, sent = int(kept[step]), count - int(kept[step])
        largest = np.sort(self.risks)[first:]
        least = largest[0] if sent else np.inf  # of equal risks any may count as the largest
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
