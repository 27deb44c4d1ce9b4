"""One row of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """The scores of one label in one case.

    label: "all" for the scores of the whole image, which have neither counts nor sizes.
    tp, fp, fn, tn: samples, without those that the truth marks to be ignored.
    prediction_size, truth_size: area or volume in `unit`, "mm³" or "px²".
    scores: by metric; NaN if the score is not defined for this case, a `Tally` if cases can be pooled.
    columns: known facts of the case by name (site, device).
    image_truth, image_prediction: whether the image shows the label, in truth and as predicted; None if that is not
        known, or if masks were evaluated.
    image_probability: predicted probability that the image shows the label.
    truth_digest: hash of the true mask of the label; "" if it is not known.
    """

    case: str
    group: str
    label: str
    tp: int | None = None
    fp: int | None = None
    fn: int | None = None
    tn: int | None = None
    prediction_samples: int | None = None
    truth_samples: int | None = None
    prediction_size: float | None = None
    truth_size: float | None = None
    unit: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    truth_digest: str = ""
    image_truth: bool | None = None
    image_prediction: bool | None = None
    image_probability: float | None = None
