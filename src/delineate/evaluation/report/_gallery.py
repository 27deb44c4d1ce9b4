"""Pictures of selected cases, truth and prediction side by side."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from delineate.core import Image, LabelSet, Segmentation
from delineate.evaluation.report._planes import GROUND, Plane, montage, planes
from delineate.evaluation.report._scores import named, unit_of
from delineate.evaluation.report._view import scaled, view
from delineate.evaluation.report._words import decimals, number
from delineate.evaluation.report.overlay import fill, outline
from delineate.evaluation.table import Row, Table

Show = Callable[[str], tuple[Image, Segmentation, Segmentation]]
"""id of a case -> its image, its prediction, its truth."""

SIDE = 560
"""Longer side of a picture, in pixels: large enough to see details, and forty pictures make a small file."""

PLANE = 400
"""Longer side of a plane of a volume, in pixels; three of them are beside each other."""

SAYS = {
    "image": "the image alone",
    "truth": "the truth",
    "prediction": "the prediction, and the truth as a dashed outline",
}
"""The panels of a case, in order."""

LABELS = 6
"""Most labels of a case with scores; if there are more, the worst ones."""


@dataclass(frozen=True)
class Picture:
    """One panel, and what it is.

    pixels: (H, W, 3) uint8.
    """

    name: str
    says: str
    pixels: np.ndarray

    @property
    def address(self) -> str:
        """The panel as a data address."""
        bgr = cv2.cvtColor(self.pixels, cv2.COLOR_RGB2BGR)
        data = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, 80])[1]
        return "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode()


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
    """The pictures of one case with these of its scores; the first metric decides which labels are the worst.

    A volume has one picture with the image, the truth and the prediction side by side in three planes.
    """
    image, prediction, truth = show(case)
    volume = image.geometry.ndim == 3
    pictures = (_in_planes if volume else _flat)(image, prediction, truth)
    rows = [row for row in table.rows if row.case == case and metrics[0] in row.scores]
    height, width = pictures[0].pixels.shape[:2]
    return Look(
        case=case,
        group=rows[0].group,
        scores=_scores(rows, table, metrics),
        pictures=pictures,
        width=width,
        height=height,
        labels=prediction.labels,
        volume=volume,
    )


def _flat(image: Image, prediction: Segmentation, truth: Segmentation) -> tuple[Picture, ...]:
    picture, maps = view(image, [prediction, truth])
    scale = SIDE / max(picture.shape[:2])
    shape = max(1, round(picture.shape[0] * scale)), max(1, round(picture.shape[1] * scale))
    picture, *maps = [scaled(array, shape) for array in (picture, *maps)]
    pictures = [
        Picture(name, SAYS[name], pixels)
        for name, pixels in _panels(picture, maps, prediction, truth).items()
    ]
    return tuple(pictures[1:] if picture.min() == picture.max() else pictures)


def _in_planes(image: Image, prediction: Segmentation, truth: Segmentation) -> tuple[Picture, ...]:
    cuts = [_smaller(cut) for cut in planes(image, [prediction, truth])]
    cells = [_panels(cut.picture, cut.maps, prediction, truth) for cut in cuts]
    flat = all(cut.picture.min() == cut.picture.max() for cut in cuts)
    names = [name for name in SAYS if name != "image" or not flat]
    drawn = [
        [
            montage([of[name]], [replace(cut, name=f"{cut.name} {name}".strip())], ())
            for name in names
        ]
        for cut, of in zip(cuts, cells, strict=True)
    ]
    width = max(cell.shape[1] for row in drawn for cell in row)
    sheet = np.vstack([np.hstack([_widened(cell, width) for cell in row]) for row in drawn])
    says = f"three planes, in each {', '.join(SAYS[name] for name in names)}"
    return (Picture("", says, sheet),)


def _panels(
    picture: np.ndarray, maps: list[np.ndarray], prediction: Segmentation, truth: Segmentation
) -> dict[str, np.ndarray]:
    """The image, the truth on it, and the prediction with the outline of the truth; `maps` in the other order."""
    labels = [prediction.labels, truth.labels]
    return {
        "image": picture,
        "truth": outline(fill(picture, maps[1], truth.labels), maps[1:], labels[1:]),
        "prediction": outline(fill(picture, maps[0], prediction.labels), maps, labels),
    }


def _smaller(cut: Plane) -> Plane:
    """A plane whose longer side is PLANE pixels at most."""
    factor = min(1.0, PLANE / max(cut.picture.shape[:2]))
    height, width = (max(1, round(n * factor)) for n in cut.picture.shape[:2])
    row, column = (int(line * factor) for line in cut.lines)
    return replace(
        cut,
        picture=scaled(cut.picture, (height, width)),
        maps=[scaled(classes, (height, width)) for classes in cut.maps],
        lines=(row, column),
    )


def _widened(cell: np.ndarray, width: int) -> np.ndarray:
    left = (width - cell.shape[1]) // 2
    sides = (left, width - cell.shape[1] - left)
    return np.stack(
        [np.pad(cell[..., i], ((0, 0), sides), constant_values=GROUND[i]) for i in range(3)],
        axis=-1,
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
        pictures=(Picture("image", f"the image, which {words}", scaled(picture, shape)),),
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
