"""Read truths on the grid of their images, from mask files or from image-level labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from delineate.core import Case, Geometry, Image, LabelSet, Segmentation
from delineate.data._jpeg_noise import DISTANCE, filled, without_noise
from delineate.data._paths import by_stem
from delineate.data._values import (
    BACKGROUND,
    JPEG,
    Colour,
    MaskValues,
    Tolerance,
    Values,
    mask_values,
)
from delineate.files import read_geometry, read_image, read_mask
from delineate.words import some

MOST_VALUES = 1 << 20
"""Values from here on are refused: the file is probably not a mask, and the lookup table would be larger than it."""


def read_truth(
    image: Path,
    mask: Path,
    values: MaskValues,
    trust_shape: bool = False,
    *,
    present: Mapping[str, bool | None] | None = None,
) -> Segmentation:
    """Read the truth in `mask`, with its axes reordered to those of `image`; nothing is resampled.

    trust_shape: accept a mask of the same shape as its image even if their headers disagree.
    present: image-level labels that are known in addition to the mask.

    Raises:
        ValueError: image and mask are on different grids, or a value has no label; names the files.
    """
    geometry = read_geometry(image)
    read = read_image if values.colours else read_mask  # colours of a palette, or its indices
    aligned = align(read(mask), geometry)
    differences = geometry.differences(aligned.geometry)
    if differences and not (trust_shape and geometry.shape == aligned.geometry.shape):
        raise ValueError(
            f"{image} and its mask {mask} differ in {' and '.join(differences)}. "
            f"{_advice(geometry, aligned.geometry)}"
        )
    try:
        classes = decode_mask(aligned.pixels, values)
    except ValueError as error:
        raise ValueError(f"{mask}: {error}") from error
    return Segmentation(classes, values.labels, geometry, present=present or {})


def image_level_truth(
    image: Path, labels: LabelSet, *, present: Mapping[str, bool | None]
) -> Segmentation:
    """A truth of image-level labels only, with an empty label map on the grid of `image`. Only its header is read.

    Raises:
        ValueError: the image cannot be read.
    """
    geometry = read_geometry(image)
    largest = max(label.value for label in labels.labels)
    classes = np.zeros(geometry.shape, np.min_scalar_type(largest))
    return Segmentation(classes, labels, geometry, present=present, outlined=False)


def _advice(image: Geometry, mask: Geometry) -> str:
    if image.shape == mask.shape:
        return "If their arrays match, give the mask the header of the image; if not, resample it."
    if image.shape == mask.shape[::-1]:
        return "Was only one of them rotated by 90 degrees?"
    if image.ndim == mask.ndim == 3:
        return "Were slices dropped, or was one of them cropped, on export?"
    return "Masks are never resized: export the mask at the size of its image."


@dataclass(frozen=True)
class PredictionMasks:
    """A predictor that reads existing mask files, from any program.

    files: id of a case -> its mask file.
    values: the meaning of the values in the files.
    """

    files: Mapping[str, Path]
    values: MaskValues

    def __call__(self, case: Case) -> Segmentation:
        """The prediction for a case, on the grid of its image."""
        if case.image_path is None:
            raise ValueError(f"{case.id}: a mask file needs the image file that it lies on.")
        return read_truth(case.image_path, self.files[case.id], self.values)


def prediction_masks(
    folder: str | Path,
    cases: Sequence[Case],
    labels: LabelSet,
    *,
    values: Values | None = None,
    pattern: str = "*",
    tolerance: Tolerance = 0.0,
) -> PredictionMasks:
    """Pair the masks in a folder with cases, by name.

    Args:
        folder: the folder of predicted masks.
        cases: the cases that were predicted.
        labels: the labels of the cases.
        values: the values in the masks; None: the values of the labels.
        pattern: a glob below the folder; the stem is the name without ending, or the part at {stem}.
        tolerance: maximum distance of a colour from the nearest one in `values`; or "jpeg", as `decode_mask`.

    Raises:
        ValueError: no such folder, or masks and cases do not pair up; lists the unpaired ones.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder of masks.")
    files = by_stem(folder, pattern, "predictions")
    ids = {case.id for case in cases}
    missing = sorted(ids - files.keys())
    unmatched = sorted(files.keys() - ids)
    problems = []
    if missing:
        problems.append(
            f"{len(missing)} of {len(ids)} cases have no mask there: {some(missing, 10)}"
        )
    if unmatched:
        problems.append(
            f"{len(unmatched)} of {len(files)} masks match no case: {some(unmatched, 10)}"
        )
    if problems:
        raise ValueError(
            f"{folder}: {'; '.join(problems)}. Names must be equal except for their ending. If the tool adds "
            "a suffix, write --prediction-pattern '{stem}_seg.nii.gz'."
        )
    return PredictionMasks(files, mask_values(labels, values, tolerance, "predictions"))


def align(image: Image, onto: Geometry) -> Image:
    """Permute and flip the axes of an image to match those of `onto`; nothing is resampled.

    An image is returned unchanged if its axes are oblique to those of `onto`, or if its position in the patient is
    unknown. `Geometry.differences` then tells whether the samples coincide.
    """
    here = image.geometry
    if here.ndim != onto.ndim or here.to_patient is None or onto.to_patient is None:
        return image
    cosines = _directions(onto).T @ _directions(here)
    axes = [int(a) for a in np.abs(cosines).argmax(axis=1)]
    matched = cosines[np.arange(onto.ndim), axes]
    if sorted(axes) != list(range(onto.ndim)) or np.abs(matched).min() < 0.999:
        return image
    flips = [bool(cosine < 0) for cosine in matched]
    pixels = image.pixels.transpose(0, *(a + 1 for a in axes))
    pixels = pixels[(slice(None), *(slice(None, None, -1 if flip else 1) for flip in flips))]
    return Image(pixels, here.reordered(axes, flips), image.warnings)


def _directions(geometry: Geometry) -> np.ndarray:
    """(3, ndim): the direction of each axis in the patient, as unit vectors."""
    assert geometry.to_patient is not None
    steps = geometry.to_patient[:3, :-1]
    return np.asarray(steps / np.linalg.norm(steps, axis=0))


def decode_mask(pixels: np.ndarray, values: MaskValues) -> np.ndarray:
    """Convert the unsigned pixels of a mask (1 or 3, *spatial) to a label map (*spatial).

    With tolerance jpeg, a mask of colours was stored as JPEG, which blurs its edges. Each pixel then gets the nearest
    colour, black among them. Of red and green it is red if R >= 128 and R > G. Then each pixel gets the most frequent
    value in its 3 x 3 neighbourhood. A region of one label with fewer than 25 pixels gets the value beside it, and so
    does a seam of less than 3 pixels between two others, such as background between red and green that touch. A colour
    that fills a square of 5 x 5 pixels and differs by more than 100 from all named ones is refused.

    Raises:
        ValueError: a value or colour is neither background nor a label, or there are several channels and
            `values` has no colours.
    """
    if values.colours:
        return _by_colour(pixels, values)
    if len(pixels) == 3 and (pixels[:1] == pixels[1:]).all():
        pixels = pixels[:1]
    if len(pixels) != 1:
        raise ValueError(
            f"has {len(pixels)} different channels, so its labels are colours. Write {values.key}: "
            f"{{{values.labels.names[0]}: '#rrggbb'}}, and tolerance: jpeg if masks are JPEG."
        )
    return _by_number(pixels[0], values)


def _by_number(raw: np.ndarray, values: MaskValues) -> np.ndarray:
    highest = int(raw.max())
    if highest >= MOST_VALUES:
        raise ValueError(f"has values up to {highest}. Is it an image and not a mask?")
    candidates = np.arange(highest + 1)
    table = np.zeros(len(candidates), _dtype(values))
    known = (candidates == 0) | bool(values.thresholds)
    for above, value in values.thresholds.items():
        table[candidates > above.raw] = value
    for number, value in values.numbers.items():
        table[candidates == number] = value
        known |= candidates == number
    if not known[raw].all():
        raise ValueError(_unknown_values(raw, candidates[known], values))
    return np.asarray(table[raw])


def _by_colour(pixels: np.ndarray, values: MaskValues) -> np.ndarray:
    named = dict(values.colours)
    if 0 not in named.values():
        named.setdefault(Colour(0, 0, 0), 0)
    channels = np.broadcast_to(pixels, (3, *pixels.shape[1:])).astype(np.int32)
    classes = np.zeros(pixels.shape[1:], _dtype(values))
    nearest = np.full(pixels.shape[1:], np.iinfo(np.int32).max, np.int32)
    for colour, value in named.items():
        squared = np.zeros_like(nearest)
        for channel, wanted in zip(channels, colour, strict=True):
            squared += (channel - wanted) ** 2
        nearer = squared < nearest
        nearest[nearer] = squared[nearer]
        classes[nearer] = value
    jpeg = values.tolerance == JPEG
    unknown = nearest > (DISTANCE if values.tolerance == JPEG else values.tolerance) ** 2
    unknown = filled(unknown) if jpeg else unknown
    if unknown.any():
        raise ValueError(_unknown_colours(channels[:, unknown], named, values))
    return without_noise(classes) if jpeg else classes


def _dtype(values: MaskValues) -> type[np.unsignedinteger]:
    largest = max(label.value for label in values.labels.labels)
    return np.uint8 if largest < 256 else np.uint16


def _unknown_values(raw: np.ndarray, known: np.ndarray, values: MaskValues) -> str:
    used, counts = np.unique(raw, return_counts=True)
    unknown = ~np.isin(used, known)
    label = values.labels.names[0]
    names = {0: BACKGROUND} | {label.value: label.name for label in values.labels.labels}
    expected = {0: BACKGROUND} | {number: names[v] for number, v in values.numbers.items()}
    if _is_lossy(used, counts):
        advice = (
            "It looks like a JPEG-compressed or soft mask: write a threshold, "
            f"{values.key}: {{{label}: '>127'}}."
        )
    elif unknown.sum() == 1 and len(values.labels) == 1:
        advice = f"If that is {label}, write {values.key}: {{{label}: {used[unknown][0]}}}."
    else:
        advice = f"Write the values of each label: {values.key}: {{name: [value, ...]}}."
    return (
        f"values without a label: {_counted(used[unknown], counts[unknown])}; "
        f"expected {', '.join(f'{raw} {name}' for raw, name in sorted(expected.items()))}. {advice}"
    )


def _unknown_colours(unknown: np.ndarray, named: Mapping[Colour, int], values: MaskValues) -> str:
    red, green, blue = unknown
    used, counts = np.unique(red << 16 | green << 8 | blue, return_counts=True)
    colours = [f"#{packed:06x}" for packed in used]
    return (
        f"colours without a label: {_counted(colours, counts)}; expected {some(named, 12)}, each "
        f"within {DISTANCE if values.tolerance == JPEG else f'{values.tolerance:g}'}. Name them in {values.key}"
        f"{'.' if values.tolerance == JPEG else ' or, for masks stored as JPEG, write tolerance: jpeg.'}"
    )


def _counted(used: Sequence[object] | np.ndarray, counts: np.ndarray) -> str:
    most_frequent = np.argsort(-counts, kind="stable")
    return some(f"{used[i]} ({counts[i]} times)" for i in most_frequent)


def _is_lossy(used: np.ndarray, counts: np.ndarray) -> bool:
    """Whether most values are near 0 or 255 with others between, as in a mask after JPEG compression."""
    ends = (used <= 20) | (used >= 235)
    return len(used) > 8 and used[-1] <= 255 and counts[ends].sum() > 0.8 * counts.sum()
