"""Files -> masks, overlays, and a table of what was found."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from delineate.bundle import ENGINES, Bundle, load_bundle, open_bundle
from delineate.components import components
from delineate.core import Case, Image, Segmentation
from delineate.core.segmentation import EXPECTED_DICE
from delineate.data import cases_of
from delineate.evaluation.report import overlay
from delineate.files import mask_suffix, sha256, whole_file, write_mask
from delineate.progress import track, warn
from delineate.resolve import Trust
from delineate.verbs._predictions import TABLE, Predictions


@dataclass(frozen=True)
class Predicted:
    """What became of the images.

    out: the folder that was written.
    images: how many there were.
    failures: why, by file.
    review: files a person should look at; None where the model was not calibrated.
    unlike: files whose images differ from those the model was trained on; None where nothing is known of these.
    """

    out: Path
    images: int
    failures: Mapping[str, str]
    review: tuple[str, ...] | None
    unlike: tuple[str, ...] | None

    @property
    def lines(self) -> list[str]:
        """The same in two lines."""
        failed = f", {len(self.failures)} failed" if self.failures else ""
        review = "" if self.review is None else f", {len(self.review)} to review"
        unlike = f", {len(self.unlike)} unlike the training images" if self.unlike else ""
        return [
            f"{self.images - len(self.failures)} of {self.images} images predicted{failed}{review}{unlike}",
            f"masks: {self.out}; table: {self.out / TABLE}",
        ]


def predict(
    bundle: str | Path,
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    device: str = "auto",
    probabilities: bool = False,
    overlays: bool = True,
    window: tuple[int, ...] | None = None,
    flips: tuple[int, ...] | None = None,
    overwrite: bool = False,
    trust: Trust | Iterable[str] = (),
    strict: bool = False,
) -> Predicted:
    """Write a mask for every image, in its format and size, under `out`; what became of each is returned.

    Besides the masks there are `overlays/` to look at and `predictions.csv`: for each image and label the size,
    the number of objects, the mean probability where it was found, the Dice that the model expects of its mask,
    and, once it is calibrated, whether a person should look: "yes" where that Dice is below what the least
    confident validation cases had (`delineate calibrate`). Where an image is unlike those the model was trained on,
    the column `unlike_training` says how, and a person should look whatever Dice is expected. JPEG images get PNG
    masks, since a mask must not be changed by compression.

    A second run into the same folder replaces what the same bundle wrote there and nobody changed since, as
    `predictions.jsonl` records it; any other file of the same name is refused before anything is predicted. Rows of
    the table are written case by case, and those of images that are not predicted again stay.

    Args:
        bundle: a bundle's or a run's folder.
        inputs: files, folders and globs.
        out: the folder to write to.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        probabilities: also write <image>.probabilities.npz, (1 + label, *spatial) float16, background first.
        overlays: write overlays.
        window: size of sliding windows, instead of the recipe's.
        flips: axes whose flips are averaged, instead of the recipe's.
        overwrite: replace files whoever wrote them, but for the images that are read.
        trust: modules whose code the bundle may name (`package.module:function`); none else is imported.
        strict: an image unlike those the model was trained on is a failure, and nothing is written for it.

    Raises:
        ValueError: no bundle, no input, a device that is not there, a file in `out` that must not be replaced, or
            `strict` with a bundle that does not know its training images.
    """
    cases = cases_of(inputs)
    known = open_bundle(bundle, trust)
    folder = Predictions(Path(out), _digest(known), COLUMNS, key=("mask", "label"))
    masks = {case.id: case.id + mask_suffix(case.image_files[0]) for case in cases}
    names = [
        *masks.values(),
        *(OVERLAY.format(id=id) for id in masks if overlays),
        *(PROBABILITIES.format(id=id) for id in masks if probabilities),
    ]
    folder.refuse(names, [file for case in cases for file in case.files], overwrite=overwrite)
    if known.fingerprint is None:
        unknown = f"{bundle} does not say what its training images are like, so unlike ones are not noticed"
        if strict:
            raise ValueError(f"{unknown}. Train it again, or leave out --strict.")
        warn(f"{unknown}.")
    predictor = load_bundle(
        known, device=device, keep_probabilities=True, window=window, flips=flips
    )
    review: list[str] = []
    unlike: list[str] = []
    failures: dict[str, str] = {}
    with folder.table():
        for case in track(cases, "predicting", unit="image", leave=True):
            file = shown(case.image_files[0])
            try:
                image = case.image
                for warning in image.warnings:
                    warn(f"{file}: {warning}")
                found = predictor(replace(case, load_image=partial(_same, image)))
                if strict and found.unlike_training:
                    raise ValueError(UNLIKE.format(how="; ".join(found.unlike_training)))
                if overlays:
                    with folder.file(OVERLAY.format(id=case.id), ".jpg") as part:
                        write_overlay(image, found, None, part)
                if probabilities:
                    with folder.file(PROBABILITIES.format(id=case.id), ".npz") as part:
                        _write_probabilities(found, part)
                with folder.file(masks[case.id], mask_suffix(case.image_files[0])) as part:
                    write_mask(found, part, like=case.image_files[0])
            except OSError:  # a full disk is full for the rest too
                raise
            except Exception as error:  # whatever it is, the other images can still be predicted
                failures[file] = _reason(error, case)
                warn(f"{file}: {failures[file]}")
            else:
                rows = list(_rows(file, masks[case.id], found, known.review_below))
                folder.add(rows)
                if any(row["review"] == "yes" for row in rows):
                    review.append(file)
                if found.unlike_training:
                    unlike.append(file)
                    _tell(file, found.unlike_training, len(unlike))
    return Predicted(
        Path(out),
        len(cases),
        failures,
        tuple(review) if known.review_below else None,
        tuple(unlike) if known.fingerprint else None,
    )


def _same(image: Image) -> Image:
    return image


def write_overlay(
    image: Image, prediction: Segmentation, truth: Segmentation | None, path: Path
) -> None:
    """Draw what was found, and the truth where it is known, over the image, and write it as JPEG."""
    drawn = cv2.cvtColor(overlay(image, prediction, truth), cv2.COLOR_RGB2BGR)
    with whole_file(path) as part:
        part.write_bytes(cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())


COLUMNS = (
    "image", "mask", "label", "size", "unit", "share", "objects", "confidence", "expected_dice", "review",
    "unlike_training",
)  # fmt: skip

UNLIKE = "unlike the training images: {how}"

TOLD = 10
"""Unlike images that are named as they are met; the table names all."""

OVERLAY, PROBABILITIES = "overlays/{id}.jpg", "{id}.probabilities.npz"


def shown(path: str | Path) -> str:
    r"""The name of a file as UTF-8 text; bytes that are none are written as \xff."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _digest(bundle: Bundle) -> str:
    """Of what decides the masks: the weights and the recipe."""
    total = hashlib.sha256()
    for name in ("recipe.yaml", *ENGINES):
        if (bundle.folder / name).is_file():
            total.update(bytes.fromhex(sha256(bundle.folder / name)))
    return total.hexdigest()


def _reason(error: Exception, case: Case) -> str:
    """What an error says, without the names of the case that stand before it."""
    said = str(error) or type(error).__name__
    for name in (str(case.files[0]), case.id):
        said = said.removeprefix(f"{name}: ")
    return said


def _rows(
    image: str, mask: str, prediction: Segmentation, review_below: Mapping[str, float]
) -> Iterable[Mapping[str, object]]:
    for channel, label in enumerate(prediction.labels, start=1):
        there = prediction.mask(label.name)
        count = int(np.count_nonzero(there))
        objects = len(components(there)[1]) - 1
        sure = ""
        if count and prediction.probabilities is not None:
            sure = f"{float(prediction.probabilities[channel][there].mean()):.4f}"
        expected, least = (
            prediction.scores.get(EXPECTED_DICE.format(label=label.name)),
            review_below.get(label.name),
        )
        hoped = "" if expected is None else f"{expected:.4f}"
        review = "" if expected is None or least is None else "yes" if expected < least else "no"
        how = "; ".join(prediction.unlike_training)
        values = (image, shown(mask), label.name, f"{count * prediction.geometry.sample_size:.6g}",
                  prediction.geometry.size_unit, f"{count / there.size:.6f}", objects, sure, hoped,
                  "yes" if how else review, how)  # fmt: skip
        yield dict(zip(COLUMNS, values, strict=True))


def _tell(file: str, how: Sequence[str], count: int) -> None:
    """Name an unlike image, and say once that the rest are in the table."""
    if count <= TOLD:
        warn(f"{file}: {UNLIKE.format(how='; '.join(how))}")
    elif count == TOLD + 1:
        warn(f"more images are unlike the training images: see {TABLE}")


def _write_probabilities(prediction: Segmentation, path: Path) -> None:
    assert prediction.probabilities is not None
    with open(path, "wb") as file:
        np.savez_compressed(
            file,
            probabilities=prediction.probabilities.astype(np.float16),
            names=np.array(["background", *prediction.labels.names]),
        )
