"""Predict one case and write its files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from delineate.components import components
from delineate.core import Case, Geometry, Image, Predictor, Segmentation
from delineate.core.scores import EXPECTED_DICE, PRESENCE
from delineate.evaluation.report import overlay
from delineate.files import RunLengthTable, mask_suffix, whole_file, write_mask
from delineate.inference import PredictionStopped
from delineate.predictions.folder import COLUMNS, PredictionFolder, digest_of

UNLIKE = "unlike the training images: {how}"


@dataclass(frozen=True)
class Outputs:
    """Which files are written for a case, besides the rows of the table.

    mask: the label map, in the format of the image, or as `mask_suffix` says; PNG for a photograph that was made in
        memory, NIfTI for a scan.
    overlay: overlays/<id>.jpg, a picture of the mask on the image; of a volume in three planes.
    probabilities: <id>.probabilities.npz, (1 + label, *spatial) float16, background first, with axes as `read_image`
        gives those of the image.
    run_lengths: return the masks as rows of this table, which `PredictionFolder.add_run_lengths` writes. The name of
        an image there is the last part of the id of its case.
    run_length_labels: the label of each class of this table, as `RunLengthTable.labels_of`.
    """

    mask: bool = True
    overlay: bool = True
    probabilities: bool = False
    run_lengths: RunLengthTable | None = None
    run_length_labels: Mapping[str, str | None] = field(default_factory=dict)

    def names(self, case: Case, geometry: Geometry | None = None) -> dict[str, str]:
        """The name of each file in the folder; `geometry` is that of the image, if it is already known."""
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
    """The files and results of one case; plain values, so that it can be stored as JSON.

    case: id of the case.
    files: the files that were written, relative to the folder, by kind ("mask", "overlay", "probabilities").
    rows: rows of the table, one for each label.
    warnings: doubts about the image, in words.
    unlike_training: how the image differs from the training images, in words; empty if it does not.
    review: whether a person should check the case.
    run_lengths: the masks as run lengths, by the ids of their rows, if they were asked for.
    """

    case: str
    files: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[Mapping[str, object], ...] = ()
    warnings: tuple[str, ...] = ()
    unlike_training: tuple[str, ...] = ()
    review: bool = False
    run_lengths: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Draft:
    """A predicted case whose files are written but hidden. Nothing else of it is in memory.

    prediction: what `commit` returns.
    inputs: `digest_of` the case.
    folder: where the files are.
    parts: the hidden files.
    """

    prediction: CasePrediction
    inputs: str
    folder: PredictionFolder
    parts: ExitStack

    def commit(self) -> CasePrediction:
        """Put the files in place, then write the rows, then record that the case is finished.

        Raises:
            OSError: a file cannot be written.
        """
        self.parts.close()
        done = self.prediction
        self.folder.add(done.rows)
        self.folder.finish(done.case, self.inputs, tuple(done.files.values()), asdict(done))
        return done

    def discard(self) -> None:
        """Remove the hidden files."""
        self.parts.__exit__(PredictionStopped, PredictionStopped(), None)


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

    Each file is written completely or not at all: first the overlay and the probabilities, then the mask, then its
    rows. Call `PredictionFolder.refuse` before, to check the names, and call this function inside
    `PredictionFolder.table`. Threads and processes may call it at the same time, for different cases.

    Args:
        predictor: with `keep_probabilities`, if probabilities or the confidence are to be written.
        case: the image; `Case.of_image` makes a case from an image in memory.
        folder: where to write.
        outputs: which files; by default a mask and an overlay. A task without masks writes neither.
        review_below: confidence of each label below which a person should check the case, as `Bundle.review_below`: the
            expected Dice, or for an image-level label the larger of its probability and 1 - probability.
        strict: refuse an image that is unlike the training images, before anything is written.

    Raises:
        ValueError: the image cannot be read or predicted, is unlike the training images and `strict` is set, or
            probabilities are requested and the predictor keeps none. Warnings about the image are added as notes.
        OSError: a file cannot be written.
    """
    held, inputs = read_case(case)
    draft = draft_case(
        predictor, held, inputs, folder, outputs, review_below=review_below, strict=strict
    )
    return draft.commit()


def read_case(case: Case) -> tuple[Case, str]:
    """The case with its image in memory, and `digest_of` its files."""
    inputs = digest_of(
        case
    )  # first: of a file that changes meanwhile, this is no longer the digest
    return replace(case, load_image=partial(_same, case.image)), inputs


def draft_case(
    predictor: Predictor,
    case: Case,
    inputs: str,
    folder: PredictionFolder,
    outputs: Outputs | None = None,
    *,
    review_below: Mapping[str, float] | None = None,
    strict: bool = False,
) -> Draft:
    """The first part of `predict_case`, from an image in memory to hidden files; arguments as there.

    Args:
        predictor: as `predict_case`.
        case: with its image in memory, as `read_case` returns it.
        inputs: `digest_of` the case.
        folder: as `predict_case`, and so the rest.
        outputs: which files.
        review_below: thresholds of review.
        strict: refuse unlike images.

    Raises:
        ValueError, OSError: as `predict_case`.
    """
    outputs = Outputs() if outputs is None else outputs
    image = case.image
    try:
        prediction = predictor(case)
    except Exception as error:
        for warning in image.warnings:  # they may explain the error
            error.add_note(warning)
        raise
    if strict and prediction.unlike_training:
        raise ValueError(UNLIKE.format(how="; ".join(prediction.unlike_training)))
    if outputs.probabilities and prediction.probabilities is None:
        raise ValueError(
            f"{case.id}: probabilities are to be written, but the predictor keeps none. Load it with "
            "keep_probabilities=True; a task without masks has none."
        )
    run_lengths: Mapping[str, str] = {}
    if outputs.run_lengths is not None:
        run_lengths = outputs.run_lengths.rows(
            case.id.split("/")[-1], prediction, outputs.run_length_labels
        )
    if not prediction.outlined:
        outputs = replace(outputs, mask=False, overlay=False)
    names = outputs.names(case, image.geometry)
    like = case.image_path
    ending = mask_ending(case, image.geometry)
    writers: dict[str, tuple[str, Callable[[Path], None]]] = {  # the last is put in place first
        "mask": (ending, lambda part: write_mask(prediction, part, like=like)),
        "probabilities": (".npz", lambda part: _write_probabilities(prediction, part)),
        "overlay": (".jpg", lambda part: write_overlay(image, prediction, None, part)),
    }
    with ExitStack() as parts:
        for kind, (suffix, write) in writers.items():
            if kind not in names:
                continue
            part = parts.enter_context(folder.draft(names[kind], suffix))
            with folder.naming(part, names[kind]):
                write(part)
        image_name = case.id if like is None else shown(like)
        rows = tuple(_rows(image_name, names.get("mask", ""), prediction, review_below or {}))
        written = CasePrediction(
            case.id,
            names,
            rows,
            image.warnings,
            prediction.unlike_training,
            any(row["review"] == "yes" for row in rows),
            run_lengths,
        )
        return Draft(written, inputs, folder, parts.pop_all())


def finished_case(folder: PredictionFolder, case: Case, outputs: Outputs) -> CasePrediction | None:
    """What an earlier run wrote of a case, if all of it is there and the same would be written again; else None."""
    if case.image_path is None:
        return None
    found = folder.finished(case, outputs.names(case).values())
    if found is None:
        return None
    image = shown(case.image_path)  # the folder of the images may have moved
    try:
        rows = tuple({**row, "image": image} for row in found["rows"])
        return replace(CasePrediction(**found), case=case.id, rows=rows)
    except (TypeError, KeyError):  # somebody has edited the record
        return None


def _same(image: Image) -> Image:
    return image


def mask_ending(case: Case, geometry: Geometry | None = None) -> str:
    """The file ending of a case's mask: that of the image's format; .png or .nii.gz for an image made in memory."""
    if case.image_path is not None:
        return mask_suffix(case.image_path)
    geometry = case.image.geometry if geometry is None else geometry
    return ".png" if geometry.ndim == 2 and geometry.unit == "px" else ".nii.gz"


def shown(path: str | Path) -> str:
    r"""The name of a file as UTF-8 text; invalid bytes are written as \xff."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def write_overlay(
    image: Image, prediction: Segmentation, truth: Segmentation | None, path: Path
) -> None:
    """Draw the prediction, and the truth if it is known, over the image, and write it as JPEG."""
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
            size = count * prediction.geometry.sample_size
            row |= {
                "size": f"{size:.6g}",
                "unit": prediction.geometry.size_unit,
                "share": f"{count / there.size:.6f}",
                "objects": len(components(there)[1]) - 1,
            }
            if prediction.geometry.size_unit == "mm³":
                row["ml"] = f"{size / 1000:.6g}"
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
