"""Masks of another tool as a predictor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from delineate.core import Case, LabelSet, Segmentation
from delineate.data._masks import read_truth
from delineate.data._stems import by_stem
from delineate.data._values import MaskValues, Values, mask_values
from delineate.data._words import some


@dataclass(frozen=True)
class PredictionMasks:
    """A predictor that reads masks which are there already, whoever made them.

    files: by id of the case.
    values: what the files mean.
    """

    files: Mapping[str, Path]
    values: MaskValues

    def __call__(self, case: Case) -> Segmentation:
        """The prediction for a case, on the grid of its image."""
        return read_truth(case.image_files[0], self.files[case.id], self.values)


def prediction_masks(
    folder: str | Path,
    cases: Sequence[Case],
    labels: LabelSet,
    *,
    values: Values | None = None,
    pattern: str = "*",
    tolerance: float = 0.0,
) -> PredictionMasks:
    """The masks in a folder, each paired with the case of its name.

    Args:
        folder: where another tool wrote its masks.
        cases: what was predicted.
        labels: the labels of the cases.
        values: what the masks hold; None: the values of the labels.
        pattern: a glob below the folder; the stem is the name without ending, or what stands at {stem}.
        tolerance: how far a colour may lie from the nearest one in `values`.

    Raises:
        ValueError: no such folder, or masks and cases that do not pair up; lists what is missing on each side.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder of masks.")
    files = by_stem(folder, pattern, "predictions")
    ids = {case.id for case in cases}
    missing = sorted(ids - files.keys())
    strangers = sorted(files.keys() - ids)
    said = []
    if missing:
        said.append(f"{len(missing)} of {len(ids)} cases have no mask there: {some(missing, 10)}")
    if strangers:
        said.append(f"{len(strangers)} of {len(files)} masks fit no case: {some(strangers, 10)}")
    if said:
        raise ValueError(
            f"{folder}: {'; '.join(said)}. Names must agree but for their ending; where the tool adds to "
            "them, write --prediction-pattern '{stem}_seg.nii.gz'."
        )
    return PredictionMasks(files, mask_values(labels, values, tolerance, "predictions"))
