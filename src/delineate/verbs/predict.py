"""Files -> masks, overlays, and a table of what was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from delineate.bundle import join_bundles, load_bundle, open_bundle
from delineate.core import Case
from delineate.data import cases_of
from delineate.predictions import (
    TABLE,
    UNLIKE,
    Outputs,
    PredictionFolder,
    predict_case,
    shown,
)
from delineate.progress import track, warn
from delineate.resolve import Trust
from delineate.tasks import load_task


@dataclass(frozen=True)
class Predicted:
    """What became of the images.

    out: the folder that was written.
    images: how many there were.
    failures: why, by file.
    review: files a person should look at; None where the model was not calibrated.
    unlike: files whose images differ from those the model was trained on; None where nothing is known of these.
    masks: whether masks were written; a task of image-level labels gives none.
    """

    out: Path
    images: int
    failures: Mapping[str, str]
    review: tuple[str, ...] | None
    unlike: tuple[str, ...] | None
    masks: bool = True

    @property
    def lines(self) -> list[str]:
        """The same in two lines."""
        failed = f", {len(self.failures)} failed" if self.failures else ""
        review = "" if self.review is None else f", {len(self.review)} to review"
        unlike = f", {len(self.unlike)} unlike the training images" if self.unlike else ""
        masks = f"masks: {self.out}; " if self.masks else ""
        return [
            f"{self.images - len(self.failures)} of {self.images} images predicted{failed}{review}{unlike}",
            f"{masks}table: {self.out / TABLE}",
        ]


def predict(
    bundle: str | Path | Sequence[str | Path],
    inputs: str | Path | Case | Sequence[str | Path | Case],
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
    """Write a mask or image-level labels for every image under `out`; what became of each is returned.

    A mask has the format and size of its image. A task of image-level labels (presence) gives no mask and no overlay:
    `predictions.csv` then says for each image and label whether the image shows it and with which probability.
    Calibrated, it asks a person to look where the larger of the probability and its complement is low.

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
        bundle: a bundle's or a run's folder; several make an ensemble, and the first decides with its task and
            refinements.
        inputs: files, folders and globs, one or many; from Python also cases, as `Case.of_image` makes of an image in
            memory.
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
    inputs = [inputs] if isinstance(inputs, str | Path | Case) else inputs
    images = [each for each in inputs if isinstance(each, Case)]
    paths = [each for each in inputs if not isinstance(each, Case)]
    cases = [*images, *(cases_of(paths) if paths or not images else ())]
    bundles = [bundle] if isinstance(bundle, str | Path) else bundle
    known = join_bundles([open_bundle(path, trust) for path in bundles])
    gives = load_task(known.recipe.task, known.recipe.labels).gives
    if probabilities and "probabilities" not in gives:
        raise ValueError(
            f"the task {known.recipe.task.name} gives no probability maps. Leave out --probabilities."
        )
    drawn = "classes" in gives
    outputs = Outputs(mask=drawn, overlay=overlays and drawn, probabilities=probabilities)
    folder = PredictionFolder(out, known.digest)
    folder.refuse(
        [name for case in cases for name in outputs.names(case).values()],
        [file for case in cases for file in case.files],
        overwrite=overwrite,
    )
    if known.fingerprint is None:
        unknown = f"{bundles[0]} does not say what its training images are like, so unlike ones are not noticed"
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
            file = shown(case.image_files[0]) if case.image_files else case.id
            try:
                written = predict_case(
                    predictor,
                    case,
                    folder,
                    outputs,
                    review_below=known.review_below,
                    strict=strict,
                )
            except OSError:  # a full disk is full for the rest too
                raise
            except Exception as error:  # whatever it is, the other images can still be predicted
                failures[file] = _reason(error, case)
                for said in (*getattr(error, "__notes__", ()), failures[file]):
                    warn(f"{file}: {said}")
                continue
            for warning in written.warnings:
                warn(f"{file}: {warning}")
            if written.review:
                review.append(file)
            if written.unlike_training:
                unlike.append(file)
                _tell(file, written.unlike_training, len(unlike))
    return Predicted(
        Path(out),
        len(cases),
        failures,
        tuple(review) if known.review_below else None,
        tuple(unlike) if known.fingerprint else None,
        drawn,
    )


TOLD = 10
"""Unlike images that are named as they are met; the table names all."""


def _reason(error: Exception, case: Case) -> str:
    """What an error says, without the names of the case that stand before it."""
    said = str(error) or type(error).__name__
    for name in (*map(str, case.files[:1]), case.id):
        said = said.removeprefix(f"{name}: ")
    return said


def _tell(file: str, how: Sequence[str], count: int) -> None:
    """Name an unlike image, and say once that the rest are in the table."""
    if count <= TOLD:
        warn(f"{file}: {UNLIKE.format(how='; '.join(how))}")
    elif count == TOLD + 1:
        warn(f"more images are unlike the training images: see {TABLE}")
