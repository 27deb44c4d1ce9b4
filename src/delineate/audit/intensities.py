"""Images on scales that cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from delineate.audit._case_facts import QUANTILES, CaseFacts
from delineate.audit._finding import Finding, Level, finding
from delineate.core import LabelSet
from delineate.words import counted

FINDS: Mapping[str, Level] = {"intensity_scales": "warn"}

WILD = 100.0
"""How many times the narrowest range the widest may be; windows and exposures explain ten."""

FAR = 10.0
"""How far from the middle one a range must be to be listed."""

LOW, HIGH = QUANTILES.index(0.005), QUANTILES.index(0.995)


def intensities(cases: Sequence[CaseFacts], labels: LabelSet) -> list[Finding]:
    """Ranges of intensity (0.5th to 99.5th percentile) that differ by a factor of more than a hundred."""
    ranges = {c.id: max(q[HIGH] - q[LOW] for q in c.image.quantiles) for c in cases if c.image}
    ranges = {id: width for id, width in ranges.items() if width > 0}
    if not ranges or max(ranges.values()) <= WILD * min(ranges.values()):
        return []
    middle = float(np.median(list(ranges.values())))
    far = {id: width for id, width in ranges.items() if not middle / FAR <= width <= middle * FAR}
    entries = sorted(far.items(), key=lambda item: -abs(np.log(item[1] / middle)))
    return finding(
        FINDS,
        "intensity_scales",
        [((id,), f"{_plain(width)}, {_times(width / middle)}") for id, width in entries],
        lambda n: (
            f"ranges of intensity from {_plain(min(ranges.values()))} to {_plain(max(ranges.values()))}; "
            f"{counted(n, 'image')} more than {FAR:g} times off the middle of {_plain(middle)}"
        ),
        "Standardize each image by itself, {standardize: image}, and not by the data set; or find out what was "
        "exported differently.",
    )


def _times(ratio: float) -> str:
    return f"{ratio:.3g} times the middle" if ratio > 1 else f"1/{1 / ratio:.3g} of the middle"


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
