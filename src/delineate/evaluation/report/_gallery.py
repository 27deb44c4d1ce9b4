"""Pictures of selected cases, truth and prediction side by side."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from delineate.core import Image, LabelSet, Segmentation
from delineate.evaluation.report._scores import named, unit_of
from delineate.evaluation.report._view import scaled, view
from delineate.evaluation.report._words import decimals, number
from delineate.evaluation.report.overlay import fill, outline
from delineate.evaluation.table import Row, Table

Show = Callable[[str], tuple[Image, Segmentation, Segmentation]]
"""id of a case -> its image, its prediction, its truth."""

SIDE = 560
"""Longer side of a picture, in pixels: large enough to see details, and forty pictures make a small file."""

LABELS = 6
"""Most labels of a case with scores; if there are more, the worst ones."""


@dataclass(frozen=True)
class Picture:
    """One panel as a data address, and what it is."""

    name: str
    says: str
    address: str


@dataclass(frozen=True)
class Look:
    """One case: image, truth and prediction; an image of one flat colour is left out.

    scores: per label, its name and its scores in words.
    outlined: whether anything is drawn over the image.
    """

    case: str
    group: str
    scores: tuple[tuple[str, tuple[str, ...]], ...]
    pictures: tuple[Picture, ...]
    width: int
    height: int
    labels: LabelSet
    volume: bool
    outlined: bool = True


def look(case: str, show: Show, table: Table, metrics: Sequence[str]) -> Look:
    """The pictures of one case with these of its scores; the first metric decides which labels are the worst."""
    image, prediction, truth = show(case)
    picture, maps = view(image, [prediction, truth])
    scale = SIDE / max(picture.shape[:2])
    shape = max(1, round(picture.shape[0] * scale)), max(1, round(picture.shape[1] * scale))
    picture, *maps = [scaled(array, shape) for array in (picture, *maps)]
    true = outline(fill(picture, maps[1], truth.labels), maps[1:], [truth.labels])
    drawn = outline(
        fill(picture, maps[0], prediction.labels), maps, [prediction.labels, truth.labels]
    )
    pictures = [
        Picture("image", "the image alone", _address(picture)),
        Picture("truth", "the truth", _address(true)),
        Picture("prediction", "the prediction, and the truth as a dashed outline", _address(drawn)),
    ]
    rows = [row for row in table.rows if row.case == case and metrics[0] in row.scores]
    return Look(
        case=case,
        group=rows[0].group,
        scores=_scores(rows, table, metrics),
        pictures=tuple(pictures[1:] if picture.min() == picture.max() else pictures),
        width=shape[1],
        height=shape[0],
        labels=prediction.labels,
        volume=image.geometry.ndim == 3,
    )


def image_look(case: str, group: str, label: str, words: str, show: Show) -> Look:
    """The image alone, with the decision on one label in words."""
    image, prediction, _ = show(case)
    picture, _ = view(image, [prediction])
    scale = SIDE / max(picture.shape[:2])
    shape = max(1, round(picture.shape[0] * scale)), max(1, round(picture.shape[1] * scale))
    return Look(
        case=case,
        group=group,
        scores=((label, (f"{label}: {words}",)),),
        pictures=(Picture("image", f"the image, which {words}", _address(scaled(picture, shape))),),
        width=shape[1],
        height=shape[0],
        labels=prediction.labels,
        volume=image.geometry.ndim == 3,
        outlined=False,
    )


def _scores(
    rows: Sequence[Row], table: Table, metrics: Sequence[str]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    sign = -1 if table.traits[metrics[0]].lower_is_better else 1
    if len(rows) > LABELS:
        scored = [row for row in rows if row.scores[metrics[0]] == row.scores[metrics[0]]]
        rows = sorted(scored, key=lambda row: sign * row.scores[metrics[0]])[:LABELS]
    return tuple(
        (
            row.label,
            tuple(_told(row.scores[m], m, table) for m in metrics if m in row.scores),
        )
        for row in rows
    )


def _told(score: float, metric: str, table: Table) -> str:
    unit = unit_of(table, metric)
    words = f"{named(table, metric)} {number(score, decimals([score]))}"
    return f"{words} {unit}" if unit and score == score else words


def _address(picture: np.ndarray) -> str:
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, 80])[1]
    return "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode()
