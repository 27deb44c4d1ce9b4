"""One line of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """The scores of one label in one case.

    label: "all" for the scores of the whole image, which have neither counts nor sizes.
    tp, fp, fn, tn: samples, without those that the truth marks to be ignored.
    prediction_size, truth_size: area or volume in `unit`, "mm³" or "px²".
    scores: by metric; NaN where the question does not arise, a `Tally` where cases can be pooled.
    columns: facts of the case by name (site, device); what is not known is not among them.
    image_truth, image_prediction: whether the image shows the label, in truth and as a task decided; None where that is
        not known, or where masks were judged.
    image_probability: that the image shows it, as the prediction states it.
    truth_digest: tells one truth of the label from another of the same size; "" where it is not known.
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
