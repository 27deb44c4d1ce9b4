"""Files -> masks, overlays, and a table of what was found."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from delineate.bundle import load_bundle, open_bundle
from delineate.components import components
from delineate.core import Case, Image, Segmentation
from delineate.data import cases_of
from delineate.files import mask_suffix, whole_file, write_mask
from delineate.metrics.expected_dice import SCORE
from delineate.progress import track, warn
from delineate.report import overlay


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
) -> dict[str, str]:
    """Write a mask for every image, in its format and size, under `out`; failures are returned by file.

    Besides the masks there are `overlays/` to look at and `found.csv`: for each image and label the size,
    the number of objects, the mean probability where it was found, the Dice that the model expects of its mask,
    and, once it is calibrated, whether a person should look: "yes" where that Dice is below what the least
    confident validation cases had (`delineate calibrate`). JPEG images get PNG masks, since a mask must not be
    changed by compression.

    Args:
        bundle: a bundle's or a run's folder.
        inputs: files, folders and globs.
        out: the folder to write to.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        probabilities: also write <image>.probabilities.npz, (1 + label, *spatial) float16, background first.
        overlays: write overlays.
        window: size of sliding windows, instead of the recipe's.
        flips: axes whose flips are averaged, instead of the recipe's.

    Raises:
        ValueError: no bundle, no input, or a device that is not there.
    """
    cases = cases_of(inputs)
    predictor = load_bundle(
        bundle, device=device, keep_probabilities=True, window=window, flips=flips
    )
    review_below = open_bundle(bundle).review_below
    out = Path(out)
    targets = {case.id: out / (case.id + mask_suffix(case.files[0])) for case in cases}
    lost = {t.resolve() for t in targets.values()} & {c.files[0].resolve() for c in cases}
    if lost:
        raise ValueError(
            f"the mask would be written over the image {min(lost)}. Give another --out."
        )
    rows: list[Mapping[str, object]] = []
    failures: dict[str, str] = {}
    for case in track(cases, "predicting", unit="image", leave=True):
        try:
            image = case.image
            for warning in image.warnings:
                tqdm.write(f"{case.image_files[0]}: {warning}", file=sys.stderr)
            found = predictor(replace(case, load_image=lambda image=image: image))
            if overlays:
                write_overlay(image, found, None, out / "overlays" / f"{case.id}.jpg")
            if probabilities:
                _write_probabilities(found, out / f"{case.id}.probabilities.npz")
            write_mask(found, targets[case.id], like=case.image_files[0])
        except OSError:  # a full disk is full for the rest too
            raise
        except Exception as error:  # whatever it is, the other images can still be predicted
            file = str(case.files[0])
            failures[file] = (str(error) or type(error).__name__).removeprefix(f"{file}: ")
            warn(f"{file}: {failures[file]}")
        else:
            rows.extend(_rows(case, found, review_below))
    write_rows(rows, out / "found.csv")
    return failures


def write_overlay(
    image: Image, found: Segmentation, truth: Segmentation | None, path: Path
) -> None:
    """Draw what was found, and the truth where it is known, over the image, and write it as JPEG."""
    drawn = cv2.cvtColor(overlay(image, found, truth), cv2.COLOR_RGB2BGR)
    with whole_file(path) as part:
        part.write_bytes(cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())


def write_rows(rows: Sequence[Mapping[str, object]], path: Path) -> None:
    """Write a table as CSV."""
    with whole_file(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


COLUMNS = (
    "image", "label", "size", "unit", "share", "objects", "confidence", "expected_dice", "review",
)  # fmt: skip


def _rows(
    case: Case, found: Segmentation, review_below: Mapping[str, float]
) -> Iterable[Mapping[str, object]]:
    for channel, label in enumerate(found.labels, start=1):
        mask = found.mask(label.name)
        count = int(np.count_nonzero(mask))
        objects = len(components(mask)[1]) - 1
        sure = ""
        if count and found.probabilities is not None:
            sure = f"{float(found.probabilities[channel][mask].mean()):.4f}"
        expected, least = (
            found.scores.get(SCORE.format(label=label.name)),
            review_below.get(label.name),
        )
        hoped = "" if expected is None else f"{expected:.4f}"
        review = "" if expected is None or least is None else "yes" if expected < least else "no"
        values = (case.files[0], label.name, f"{count * found.geometry.sample_size:.6g}", found.geometry.size_unit,
                  f"{count / mask.size:.6f}", objects, sure, hoped, review)  # fmt: skip
        yield dict(zip(COLUMNS, values, strict=True))


def _write_probabilities(found: Segmentation, path: Path) -> None:
    assert found.probabilities is not None
    with whole_file(path) as part, open(part, "wb") as file:
        np.savez_compressed(
            file,
            probabilities=found.probabilities.astype(np.float16),
            names=np.array(["background", *found.labels.names]),
        )
