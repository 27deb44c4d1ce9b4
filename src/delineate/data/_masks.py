"""Mask files, or what a table says of images -> segmentations on the grid of their images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from delineate.core import Case, Geometry, Image, LabelSet, Segmentation
from delineate.data._paths import by_stem
from delineate.data._values import BACKGROUND, Colour, MaskValues, Values, mask_values
from delineate.files import read_geometry, read_image, read_mask
from delineate.words import some

MOST_VALUES = 1 << 20
"""A mask with larger values is none; their table would be larger than the mask."""


def read_truth(
    image: Path,
    mask: Path,
    values: MaskValues,
    trust_shape: bool = False,
    *,
    present: Mapping[str, bool | None] | None = None,
) -> Segmentation:
    """The truth in `mask`, its axes ordered as those of `image`; nothing is resampled.

    trust_shape: take the mask to lie on its image wherever their shapes agree, whatever the headers say.
    present: image-level labels that are known beside the mask.

    Raises:
        ValueError: the samples of the two do not coincide, or a raw value has no label; names the files.
    """
    geometry = read_geometry(image)
    read = read_image if values.colours else read_mask  # the colours of a palette, or its indices
    found = align(read(mask), geometry)
    differences = geometry.differences(found.geometry)
    if differences and not (trust_shape and geometry.shape == found.geometry.shape):
        raise ValueError(
            f"{image} and its mask {mask} differ in {' and '.join(differences)}. "
            f"{_advice(geometry, found.geometry)}"
        )
    try:
        classes = decode_mask(found.pixels, values)
    except ValueError as error:
        raise ValueError(f"{mask}: {error}") from error
    return Segmentation(classes, values.labels, geometry, present=present or {})


def image_level_truth(
    image: Path, labels: LabelSet, *, present: Mapping[str, bool | None]
) -> Segmentation:
    """A truth of image-level labels only, on the grid of `image`; its header is read, and nothing is outlined.

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
        return "Was one of them turned by 90 degrees and the other not?"
    if image.ndim == mask.ndim == 3:
        return "Were slices dropped, or one of them cropped, on export?"
    return "Masks are never resized here: export it at the size of its image."


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


def align(image: Image, onto: Geometry) -> Image:
    """The same samples with their axes permuted and flipped to run as those of `onto`; nothing is resampled.

    An image whose axes are oblique to those of `onto`, or whose place in the patient is unknown, stays as
    it is. Whether the samples then coincide is for `Geometry.differences` to say.
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
    return Image(pixels, here.reordered(axes, flips))


def _directions(geometry: Geometry) -> np.ndarray:
    """(3, ndim): the unit vector along which each axis runs in the patient."""
    assert geometry.to_patient is not None
    steps = geometry.to_patient[:3, :-1]
    return np.asarray(steps / np.linalg.norm(steps, axis=0))


def decode_mask(pixels: np.ndarray, values: MaskValues) -> np.ndarray:
    """The label map (*spatial) of a mask's unsigned pixels (1 or 3, *spatial).

    Raises:
        ValueError: a value or colour that is neither background nor a label, or several channels where
            `values` has no colours.
    """
    if values.colours:
        return _by_colour(pixels, values)
    if len(pixels) == 3 and (pixels[:1] == pixels[1:]).all():
        pixels = pixels[:1]
    if len(pixels) != 1:
        raise ValueError(
            f"{len(pixels)} channels that differ, so labels are colours here. Write {values.key}: "
            f"{{{values.labels.names[0]}: '#rrggbb'}}, and a tolerance if masks are JPEG."
        )
    return _by_number(pixels[0], values)


def _by_number(raw: np.ndarray, values: MaskValues) -> np.ndarray:
    highest = int(raw.max())
    if highest >= MOST_VALUES:
        raise ValueError(f"values up to {highest}. Is this an image rather than a mask?")
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
    unknown = nearest > values.tolerance**2
    if unknown.any():
        raise ValueError(_unknown_colours(channels[:, unknown], named, values))
    return classes


def _dtype(values: MaskValues) -> type[np.unsignedinteger]:
    largest = max(label.value for label in values.labels.labels)
    return np.uint8 if largest < 256 else np.uint16


def _unknown_values(raw: np.ndarray, known: np.ndarray, values: MaskValues) -> str:
    found, counts = np.unique(raw, return_counts=True)
    unknown = ~np.isin(found, known)
    label = values.labels.names[0]
    names = {0: BACKGROUND} | {label.value: label.name for label in values.labels.labels}
    expected = {0: BACKGROUND} | {number: names[v] for number, v in values.numbers.items()}
    if _is_lossy(found, counts):
        advice = (
            "It looks like a JPEG-compressed or soft mask: write a threshold, "
            f"{values.key}: {{{label}: '>127'}}."
        )
    elif unknown.sum() == 1 and len(values.labels) == 1:
        advice = f"If that is {label}, write {values.key}: {{{label}: {found[unknown][0]}}}."
    else:
        advice = f"Write what each stands for: {values.key}: {{name: [value, ...]}}."
    return (
        f"values without a label: {_counted(found[unknown], counts[unknown])}; "
        f"expected {', '.join(f'{raw} {name}' for raw, name in sorted(expected.items()))}. {advice}"
    )


def _unknown_colours(unknown: np.ndarray, named: Mapping[Colour, int], values: MaskValues) -> str:
    red, green, blue = unknown
    found, counts = np.unique(red << 16 | green << 8 | blue, return_counts=True)
    colours = [f"#{packed:06x}" for packed in found]
    return (
        f"colours without a label: {_counted(colours, counts)}; expected {some(named, 12)}, each "
        f"within {values.tolerance:g}. Name them in {values.key} or, for masks kept as JPEG, raise the tolerance "
        "(the edges of objects need about 200)."
    )


def _counted(found: Sequence[object] | np.ndarray, counts: np.ndarray) -> str:
    often_first = np.argsort(-counts, kind="stable")
    return some(f"{found[i]} ({counts[i]} times)" for i in often_first)


def _is_lossy(found: np.ndarray, counts: np.ndarray) -> bool:
    """Whether values crowd at the two ends of a byte with others between: a mask after JPEG."""
    ends = (found <= 20) | (found >= 235)
    return len(found) > 8 and found[-1] <= 255 and counts[ends].sum() > 0.8 * counts.sum()
