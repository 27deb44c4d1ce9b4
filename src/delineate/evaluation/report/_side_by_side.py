"""Pictures of a case: the truth, and the predictions of two models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from delineate.core import Image, LabelSet, Segmentation
from delineate.evaluation.report._gallery import SIDE, Picture
from delineate.evaluation.report._view import scaled, view
from delineate.evaluation.report.overlay import fill, outline

ShowAll = Callable[[str], tuple[Image, Mapping[str, Segmentation], Segmentation]]
"""id of a case -> its image, its predictions by name of the model, its truth."""


@dataclass(frozen=True)
class SideBySide:
    """One case: its image (unless it is one flat colour), the truth, and the predictions.

    told: its scores in words.
    """

    case: str
    told: str
    pictures: tuple[Picture, ...]
    width: int
    height: int
    labels: LabelSet
    volume: bool


def side_by_side(
    case: str,
    told: str,
    names: Sequence[str],
    show: ShowAll,
    titles: Sequence[str] | None = None,
) -> SideBySide:
    """The pictures of one case with the predictions of these models, under these titles or their names.

    Raises:
        ValueError: `show` gives no prediction of one of them.
    """
    image, every, truth = show(case)
    lacking = [name for name in names if name not in every]
    if lacking:
        raise ValueError(
            f"{case}: nothing to show of {', '.join(lacking)}; there are {', '.join(every)}."
        )
    prediction = [every[name] for name in names]
    picture, maps = view(image, [truth, *prediction])
    scale = SIDE / max(picture.shape[:2])
    shape = max(1, round(picture.shape[0] * scale)), max(1, round(picture.shape[1] * scale))
    picture, true, *maps = [scaled(array, shape) for array in (picture, *maps)]
    pictures = [
        Picture("image", "the image alone", picture),
        Picture(
            "truth",
            "the truth",
            outline(fill(picture, true, truth.labels), [true], [truth.labels]),
        ),
    ]
    for name, one, classes in zip(titles or names, prediction, maps, strict=True):
        tinted = fill(picture, classes, one.labels)
        drawn = outline(tinted, [classes, true], [one.labels, truth.labels])
        says = f"the prediction, {name}, and the truth as a dashed outline"
        pictures.append(Picture(name, says, drawn))
    return SideBySide(
        case,
        told,
        tuple(pictures[1:] if picture.min() == picture.max() else pictures),
        shape[1],
        shape[0],
        truth.labels,
        volume=image.geometry.ndim == 3,
    )
