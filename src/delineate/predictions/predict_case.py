"""One case: predict it, and write all that is kept of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from delineate.components import components
from delineate.core import Case, Geometry, Image, Predictor, Segmentation
from delineate.core.scores import EXPECTED_DICE, PRESENCE
from delineate.evaluation.report import overlay
from delineate.files import mask_suffix, whole_file, write_mask
from delineate.predictions.folder import COLUMNS, PredictionFolder

UNLIKE = "unlike the training images: {how}"


@dataclass(frozen=True)
class Outputs:
    """Which files are written for a case, besides the rows of the table.

    mask: the label map, in the format of the image; PNG for JPEG, and for a photograph that was never a file.
    overlay: overlays/<id>.jpg, to look at.
    probabilities: <id>.probabilities.npz, (1 + label, *spatial) float16, background first.
    """

    mask: bool = True
    overlay: bool = True
    probabilities: bool = False

    def names(self, case: Case, geometry: Geometry | None = None) -> dict[str, str]:
        """The name of each file in the folder; `geometry` is that of the image, where it is known already."""
        names = {}
        if self.mask:
            names["mask"] = case.id + mask_ending(case, geometry)
        if self.overlay:
            names["overlay"] = f"overlays/{case.id}.jpg"
        if self.probabilities:
            names["probabilities"] = f"{case.id}.probabilities.npz"
        return names


@dataclass(frozen=True)
class CasePrediction:
    """What was written for a case, and what was said of it; plain values, so that it can be sent and kept as JSON.

    case: its id.
    files: the files that were written, by what they are ("mask", "overlay", "probabilities"), below the folder.
    rows: those of the table, one for each label.
    warnings: what is doubtful in the image, in words.
    unlike_training: how the image differs from the training images, in words; empty where it does not.
    review: whether a person should look at it.
    """

    case: str
    files: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[Mapping[str, object], ...] = ()
    warnings: tuple[str, ...] = ()
    unlike_training: tuple[str, ...] = ()
    review: bool = False


def predict_case(
    predictor: Predictor,
    case: Case,
    folder: PredictionFolder,
    outputs: Outputs | None = None,
    *,
    review_below: Mapping[str, float] | None = None,
    strict: bool = False,
) -> CasePrediction:
    """Predict a case, write its files and its rows of the table, and return what was written.

    Each file appears whole or not at all, the mask last and its rows after it. The caller has asked
    `PredictionFolder.refuse` whether the names are free, and takes the rows in `PredictionFolder.table`. Threads and
    processes may call this at once, for different cases.

    Args:
        predictor: one that keeps probabilities, where they or the confidence are wanted.
        case: an image; `Case.of_image` makes one of an image in memory.
        folder: where to write.
        outputs: which files; a mask and an overlay if left out. Nothing is drawn of a task that outlines nothing.
        review_below: labels with the confidence below which a person should look, as `Bundle.review_below`: the
            expected Dice, or of an image-level label the larger of its probability and the complement.
        strict: refuse an image that is unlike the training images, before anything is written.

    Raises:
        ValueError: the image cannot be read or predicted, is unlike the training images and `strict`, or probabilities
            are asked for and the predictor gives none. What is doubtful in the image is among the error's notes.
        OSError: a file cannot be written.
    """
    outputs = Outputs() if outputs is None else outputs
    image = case.image
    try:
        found = predictor(replace(case, load_image=partial(_same, image)))
    except Exception as error:
        for warning in image.warnings:  # they may say why
            error.add_note(warning)
        raise
    if strict and found.unlike_training:
        raise ValueError(UNLIKE.format(how="; ".join(found.unlike_training)))
    if outputs.probabilities and found.probabilities is None:
        raise ValueError(
            f"{case.id}: the predictor gives no probability maps, and they are to be written. Load it with "
            "keep_probabilities=True; a task that outlines nothing has none."
        )
    if not found.outlined:
        outputs = replace(outputs, mask=False, overlay=False)
    names = outputs.names(case, image.geometry)
    like = case.image_files[0] if case.image_files else None
    if "overlay" in names:
        with folder.file(names["overlay"], ".jpg") as part:
            write_overlay(image, found, None, part)
    if "probabilities" in names:
        with folder.file(names["probabilities"], ".npz") as part:
            _write_probabilities(found, part)
    if "mask" in names:
        with folder.file(names["mask"], mask_ending(case, image.geometry)) as part:
            write_mask(found, part, like=like)
    named = case.id if like is None else shown(like)
    rows = tuple(_rows(named, names.get("mask", ""), found, review_below or {}))
    folder.add(rows)
    return CasePrediction(
        case.id,
        names,
        rows,
        image.warnings,
        found.unlike_training,
        any(row["review"] == "yes" for row in rows),
    )


def _same(image: Image) -> Image:
    return image


def mask_ending(case: Case, geometry: Geometry | None = None) -> str:
    """The ending of a case's mask: that of the image's format, or of one that fits an image which was never a file."""
    if case.image_files:
        return mask_suffix(case.image_files[0])
    geometry = case.image.geometry if geometry is None else geometry
    return ".png" if geometry.ndim == 2 and geometry.unit == "px" else ".nii.gz"


def shown(path: str | Path) -> str:
    r"""The name of a file as UTF-8 text; bytes that are none are written as \xff."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def write_overlay(
    image: Image, prediction: Segmentation, truth: Segmentation | None, path: Path
) -> None:
    """Draw what was found, and the truth where it is known, over the image, and write it as JPEG."""
    drawn = cv2.cvtColor(overlay(image, prediction, truth), cv2.COLOR_RGB2BGR)
    with whole_file(path) as part:
        part.write_bytes(cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())


def _rows(
    image: str, mask: str, prediction: Segmentation, review_below: Mapping[str, float]
) -> Iterator[Mapping[str, object]]:
    how = "; ".join(prediction.unlike_training)
    for channel, label in enumerate(prediction.labels, start=1):
        row: dict[str, object] = dict.fromkeys(COLUMNS, "")
        row |= {"image": image, "mask": shown(mask), "label": label.name, "unlike_training": how}
        if prediction.outlined:
            there = prediction.mask(label.name)
            count = int(np.count_nonzero(there))
            row |= {
                "size": f"{count * prediction.geometry.sample_size:.6g}",
                "unit": prediction.geometry.size_unit,
                "share": f"{count / there.size:.6f}",
                "objects": len(components(there)[1]) - 1,
            }
            if count and prediction.probabilities is not None:
                row["confidence"] = f"{float(prediction.probabilities[channel][there].mean()):.4f}"
        expected = prediction.scores.get(EXPECTED_DICE.format(label=label.name))
        least = review_below.get(label.name)
        if expected is not None:
            row["expected_dice"] = f"{expected:.4f}"
            if least is not None:
                row["review"] = "yes" if expected < least else "no"
        shows = prediction.shows(label.name)
        row["shows"] = "" if shows is None else "yes" if shows else "no"
        probability = prediction.scores.get(PRESENCE.format(label=label.name))
        if probability is not None:
            row["presence"] = f"{probability:.4f}"
            if least is not None:
                row["review"] = "yes" if max(probability, 1 - probability) < least else "no"
        if how:
            row["review"] = "yes"
        yield row


def _write_probabilities(prediction: Segmentation, path: Path) -> None:
    assert prediction.probabilities is not None
    with open(path, "wb") as file:
        np.savez_compressed(
            file,
            probabilities=prediction.probabilities.astype(np.float16),
            names=np.array(["background", *prediction.labels.names]),
        )
