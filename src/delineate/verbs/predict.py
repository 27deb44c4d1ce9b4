"""Image files -> masks, overlays, and a table of the predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from delineate._version import __version__
from delineate.bundle import Bundle, join_bundles, load_bundle, open_bundle
from delineate.core import Case
from delineate.data import cases_of
from delineate.files import RUN_LENGTH_TABLES, RunLengthTable
from delineate.predictions import (
    TABLE,
    UNLIKE,
    CasePrediction,
    Outputs,
    PredictionFolder,
    finished_case,
    predict_cases,
    shown,
)
from delineate.progress import Progress, say, track, warn
from delineate.resolve import Trust, nearest
from delineate.tasks import load_task


@dataclass(frozen=True)
class Predicted:
    """The result of `predict`.

    out: the folder that was written.
    images: number of input images.
    failures: the reason of each failure, by file.
    review: files that a person should review; None if the model is not calibrated.
    unlike: files whose images differ from the training images; None if the bundle has no fingerprint of these.
    masks: whether masks were written; a task of image-level labels gives none.
    run_lengths: the CSV of run lengths that was written; None if none was asked for, or no image was predicted.
    """

    out: Path
    images: int
    failures: Mapping[str, str]
    review: tuple[str, ...] | None
    unlike: tuple[str, ...] | None
    masks: bool = True
    run_lengths: Path | None = None

    @property
    def lines(self) -> list[str]:
        """A summary of two lines."""
        failed = f", {len(self.failures)} failed" if self.failures else ""
        review = "" if self.review is None else f", {len(self.review)} to review"
        unlike = f", {len(self.unlike)} unlike the training images" if self.unlike else ""
        masks = f"masks: {self.out}; " if self.masks else ""
        coded = f"; run lengths: {self.run_lengths}" if self.run_lengths else ""
        return [
            f"{self.images - len(self.failures)} of {self.images} images predicted{failed}{review}{unlike}",
            f"{masks}table: {self.out / TABLE}{coded}",
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
    to: str | None = None,
    to_labels: Mapping[str, str | None] | None = None,
    overwrite: bool = False,
    trust: Trust | Iterable[str] = (),
    strict: bool = False,
    resume: bool = False,
) -> Predicted:
    """Write a mask or image-level labels for every image into `out`; returns a summary.

    A mask has the format and size of its image. JPEG images get PNG masks, since compression would change a mask, and
    a folder with a DICOM series gets a NIfTI mask on its grid, with axes as in the NIfTI image that `convert` makes.
    Besides the masks there are `overlays/` and `predictions.csv`. This table holds for each image and label: the size,
    the number of objects, the mean probability inside the mask, and the Dice that the model expects of its mask. For
    a calibrated model it also holds whether a person should review the image: "yes" if the expected Dice is below the
    threshold of the least confident validation cases (`delineate calibrate`). If an image is unlike the training
    images, the column `unlike_training` says how, and a person should review it whatever Dice is expected.

    A task of image-level labels (presence) gives no mask and no overlay. `predictions.csv` then holds for each image
    and label whether the image shows it, and the probability. For a calibrated model a person should review the image
    if the larger of the probability and its complement is low.

    A model of several channels takes either images that hold all of them, or one file for each channel, named as in
    nnU-Net (CASE_0000.nii.gz, CASE_0001.nii.gz) or after the channels of its training data (CASE_flair.nii.gz).

    A second run into the same folder replaces files that the same bundle wrote and that have not changed since, as
    `predictions.jsonl` records. Any other file of the same name is refused before the first prediction. Rows of the
    table are written case by case; rows of images that are not predicted again stay.

    With `to`, all masks are also written into one CSV of run lengths, such as the submission file of a challenge. For
    neopolyp-csv this is neopolyp.csv with the columns Id and Expected: NAME_0 has the neoplastic and NAME_1 the
    non-neoplastic pixels of the image NAME, at its size, as pairs of a first pixel, counted from 1 along rows, and a
    length; an empty mask has no text. The rows are in the order of their ids. The file is written whole after the last
    image. An image that fails gets no rows; rows of an earlier run by the same bundle stay, also for that image.

    Args:
        bundle: a bundle, its folder or one file, or the folder of a run; several make an ensemble with the task and
            refinements of the first.
        inputs: files, folders and globs, one or many; from Python also cases, such as `Case.of_image` makes from an
            image in memory.
        out: the folder to write to.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        probabilities: also write <image>.probabilities.npz, (1 + label, *spatial) float16, background first, with
            axes as `read_image` gives those of the image.
        overlays: write overlays.
        window: size of sliding windows, instead of the recipe's.
        flips: axes of test-time flips, instead of the recipe's.
        to: a format of run lengths: "neopolyp-csv".
        to_labels: the label of a class of this format, if it has another name: {"neoplastic": "adenoma"}; None for a
            class that the model does not have, or for a label that is left out: {"undefined": None}.
        overwrite: replace any file, except the input images.
        trust: modules whose code the bundle may name (`package.module:function`); none else is imported.
        strict: an image unlike those the model was trained on is a failure, and nothing is written for it.
        resume: go on with an interrupted run. An image is not predicted again if `predictions.jsonl` says that the same
            bundle predicted the same image with the same options, by the same version of Delineate, and all of its
            files are there and unchanged. Its rows, and its run lengths, are in the tables at the end, as if all images
            had been predicted in one run. A changed image, and all images after a change of the options, are predicted
            again; files by another bundle are refused as without `resume`. The device may be another one. Images in
            memory are always predicted.

    Raises:
        ValueError: no bundle, no input, a device that this machine does not have, a file in `out` that must not be
            replaced, a format `to` that does not exist or does not fit the labels, or `strict` with a bundle that has
            no fingerprint of its training images.
    """
    inputs = [inputs] if isinstance(inputs, str | Path | Case) else inputs
    images = [each for each in inputs if isinstance(each, Case)]
    paths = [each for each in inputs if not isinstance(each, Case)]
    bundles = [bundle] if isinstance(bundle, str | Path) else bundle
    known = join_bundles([open_bundle(path, trust) for path in bundles])
    cases = [*images]
    if paths or not images:
        cases += cases_of(paths, known.image_channels)
    gives = load_task(known.recipe.task, known.recipe.labels).gives
    if probabilities and "probabilities" not in gives:
        raise ValueError(
            f"the task {known.recipe.task.name} gives no probability maps. Leave out --probabilities."
        )
    drawn = "classes" in gives
    table = _run_length_table(to, to_labels)
    if table is not None and not drawn:
        raise ValueError(f"the task {known.recipe.task.name} gives no masks. Leave out --to.")
    outputs = Outputs(
        mask=drawn,
        overlay=overlays and drawn,
        probabilities=probabilities,
        run_lengths=table,
        run_length_labels={} if table is None else table.labels_of(known.recipe.labels, to_labels),
    )
    if table is not None:
        _refuse_names(cases, table)
    folder = PredictionFolder(
        out,
        known.digest,
        {
            "version": __version__,
            "window": window,
            "flips": flips,
            "outputs": [drawn, overlays, probabilities],
            "to": None if table is None else [table.name, dict(outputs.run_length_labels)],
            "strict": strict,
            "cards": _cards(known),
        },
    )
    folder.refuse(
        [
            *(name for case in cases for name in outputs.names(case).values()),
            *([] if table is None else [table.file]),
        ],
        [file for case in cases for file in case.files],
        overwrite=overwrite,
    )
    if known.fingerprint is None:
        unknown = f"{bundles[0]} has no fingerprint of its training images, so unlike images are not detected"
        if strict:
            raise ValueError(f"{unknown}. Train it again, or leave out --strict.")
        warn(f"{unknown}.")
    predictor = load_bundle(
        known, device=device, keep_probabilities=True, window=window, flips=flips
    )
    review: list[str] = []
    unlike: list[str] = []
    failures: dict[str, str] = {}
    run_lengths: dict[str, str] = {}

    def keep(case: Case, written: CasePrediction) -> None:
        run_lengths.update(written.run_lengths)
        if written.review:
            review.append(_file(case))
        if written.unlike_training:
            unlike.append(_file(case))

    with folder.table():
        left = _left(cases, folder, outputs, keep) if resume else cases
        done, told = len(cases) - len(left), len(unlike)
        if done:
            say(f"{done} of {len(cases)} images were predicted before and have not changed since.")
        outcomes = predict_cases(
            predictor, left, folder, outputs, review_below=known.review_below, strict=strict
        )
        with (
            closing(outcomes),
            closing(Progress("predicting", len(cases), "image", done=done, rate=True)) as progress,
        ):
            for case, outcome in outcomes:
                file = _file(case)
                if isinstance(outcome, Exception):  # the other images can still be predicted
                    failures[file] = _reason(outcome, case)
                    for message in (*getattr(outcome, "__notes__", ()), failures[file]):
                        warn(f"{file}: {message}")
                else:
                    keep(case, outcome)
                    for warning in outcome.warnings:
                        warn(f"{file}: {warning}")
                    if outcome.unlike_training:
                        _warn_unlike(file, outcome.unlike_training, len(unlike) - told)
                progress.update()
    if table is not None and run_lengths:
        folder.add_run_lengths(table, run_lengths)
    return Predicted(
        Path(out),
        len(cases),
        failures,
        tuple(review) if known.review_below else None,
        tuple(unlike) if known.fingerprint else None,
        drawn,
        Path(out) / table.file if table is not None and run_lengths else None,
    )


def _left(
    cases: Sequence[Case],
    folder: PredictionFolder,
    outputs: Outputs,
    keep: Callable[[Case, CasePrediction], None],
) -> list[Case]:
    """The cases that must be predicted; `keep` gets the others, and their rows are in the table again."""
    left = []
    for case in track(cases, "checking what was predicted before", unit="image"):
        done = finished_case(folder, case, outputs)
        if done is None:
            left.append(case)
        else:
            folder.add(done.rows)
            keep(case, done)
    return left


def _cards(bundle: Bundle) -> list[object]:
    """What decides the columns of the table and is not part of `Bundle.digest`, also of the members."""
    own = [bundle.card.get(name) for name in ("fingerprint", "calibration")]
    return [*own, *(_cards(member) for member in bundle.members.values())]


def _file(case: Case) -> str:
    return case.id if case.image_path is None else shown(case.image_path)


def _run_length_table(
    to: str | None, to_labels: Mapping[str, str | None] | None
) -> RunLengthTable | None:
    if to is None:
        if to_labels:
            raise ValueError("the labels of classes are for a format. Give it with --to.")
        return None
    if to not in RUN_LENGTH_TABLES:
        raise ValueError(
            f"--to {to}: no such format{nearest(to, RUN_LENGTH_TABLES)} There are: "
            f"{', '.join(RUN_LENGTH_TABLES)}. Masks are written in the format of their images; convert writes others."
        )
    return RUN_LENGTH_TABLES[to]


def _refuse_names(cases: Sequence[Case], table: RunLengthTable) -> None:
    """Refuse names that the table cannot hold, and those in several folders, since its rows have no folders."""
    first: dict[str, str] = {}
    for case in cases:
        table.refuse_name(case.id.split("/")[-1])
        if (other := first.setdefault(case.id.split("/")[-1], case.id)) != case.id:
            raise ValueError(
                f"{other} and {case.id} have the same name, and rows of {table.name} have names without folders. "
                "Predict them into separate folders."
            )


MOST_WARNINGS = 10
"""Warnings of unlike images at most; the table names all."""


def _reason(error: Exception, case: Case) -> str:
    """The message of an error, without the file name or id of the case at its start."""
    message = str(error) or type(error).__name__
    for name in (str(case.image_path), case.id):
        message = message.removeprefix(f"{name}: ")
    return message


def _warn_unlike(file: str, how: Sequence[str], count: int) -> None:
    """Warn of an unlike image; after MOST_WARNINGS refer to the table once."""
    if count <= MOST_WARNINGS:
        warn(f"{file}: {UNLIKE.format(how='; '.join(how))}")
    elif count == MOST_WARNINGS + 1:
        warn(f"more images are unlike the training images: see {TABLE}")
