"""Pictures of chosen cases, side by side with what was found in them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from delineate.core import Image, LabelSet, Segmentation
from delineate.report._view import scaled, view
from delineate.report._words import number, title
from delineate.report.overlay import fill, outline
from delineate.table import Table

Show = Callable[[str], tuple[Image, Segmentation, Segmentation]]
"""id of a case -> its image, what is found in it, its truth."""

SIDE = 460
"""Longer side of a picture, in pixels: large enough to judge, and some thirty pictures stay a small file."""


@dataclass(frozen=True)
class Pair:
    """One case: the picture, and the picture with the finding and the truth drawn on it, as data addresses."""

    case: str
    group: str
    scores: tuple[str, ...]
    plain: str
    drawn: str
    width: int
    height: int
    labels: LabelSet


def pair(case: str, show: Show, table: Table, metric: str) -> Pair:
    """Look at one case."""
    image, found, truth = show(case)
    picture, maps = view(image, [found, truth])
    scale = SIDE / max(picture.shape[:2])
    shape = max(1, round(picture.shape[0] * scale)), max(1, round(picture.shape[1] * scale))
    picture, *maps = [scaled(array, shape) for array in (picture, *maps)]
    drawn = outline(fill(picture, maps[0], found.labels), maps, [found.labels, truth.labels])
    rows = [row for row in table.rows if row.case == case and metric in row.scores]
    several = len(rows) > 1
    return Pair(
        case=case,
        group=rows[0].group,
        scores=tuple(
            f"{row.label if several else title(metric)} {number(row.scores[metric])}"
            for row in rows
        ),
        plain=_address(picture),
        drawn=_address(drawn),
        width=shape[1],
        height=shape[0],
        labels=found.labels,
    )


def _address(picture: np.ndarray) -> str:
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, 82])[1]
    return "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode()
