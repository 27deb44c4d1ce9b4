"""Read a case and compute its facts."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import numpy as np

from delineate.audit._case_facts import (
    QUANTILES,
    CaseFacts,
    IdentityFacts,
    ImageFacts,
    MaskFacts,
    Problem,
    ProblemKind,
    TruthFacts,
)
from delineate.audit._identity import identity, nifti_header
from delineate.audit._look import canonical, looks
from delineate.audit._text import text_lines
from delineate.components import components
from delineate.core import Case, Geometry, Image, Segmentation
from delineate.data import MaskValues, align, opened_files
from delineate.files import UnreadableFile, by_content, by_ending, read_geometry
from delineate.files.nifti import two_places

ENDS = 20, 235
"""After JPEG, most samples of a sharp 8-bit mask are below the first value or above the second."""

CROWDED, FEW_VALUES, FEW_COLOURS = 0.8, 8, 64
"""A mask is lossy if it has more values than this, and at least the fraction `CROWDED` of its samples near the ends."""

SHOWS = 64
"""A slice with fewer samples above its minimum has too little content to be compared."""


def read_case(case: Case, split: str) -> CaseFacts:
    """Read a case once and compute its facts. Errors of reading become problems and are not raised."""
    problems = []
    image = None
    try:
        image = case.image
    except (ValueError, OSError, MemoryError) as error:
        problems.append(Problem("unreadable", str(error)))
    try:
        truth = case.truth
    except (UnreadableFile, OSError, MemoryError) as error:
        truth = None
        if not problems or str(error) != problems[0].says:
            problems.append(Problem("unreadable", str(error)))
    except ValueError as error:
        truth = None
        if not _differences(case):
            problems.append(Problem("values", str(error)))
    if not problems and (differences := _differences(case)):
        kind: ProblemKind = "misaligned" if differences[0].startswith("shape") else "misplaced"
        names = [path.name for path in (case.image_path, case.truth_path) if path is not None]
        message = f"{names[0]} and its mask {names[1]} differ in {' and '.join(differences)}"
        problems.append(Problem(kind, message))
    images = opened_files(case)
    opened = (images if len(images) > 1 else case.image_files[:1]) + case.truth_files[:1]
    return CaseFacts(
        case.id,
        case.group,
        split,
        None if image is None else _image(case, image),
        None if truth is None else _mask(case, truth),
        None if truth is None else _truth(truth),
        tuple(problems),
        _identity(opened),
        tuple(name for name in map(_misnamed, opened) if name),
        max((two_places(h) for h in map(nifti_header, opened) if h is not None), default=0.0),
    )


def _differences(case: Case) -> list[str]:
    """Descriptions of the differences between the grids of image and mask."""
    if case.image_path is None or case.truth_path is None:
        return []
    image, mask = read_geometry(case.image_path), read_geometry(case.truth_path)
    empty = Image(np.broadcast_to(np.uint8(0), (1, *mask.shape)), mask)
    return image.differences(align(empty, image).geometry)


def _image(case: Case, image: Image) -> ImageFacts:
    pixels, grid = image.pixels, image.geometry
    upright = canonical(image)
    holes = 0
    if pixels.dtype.kind == "f" and case.image_path is not None:
        holes = sum(map(_not_finite, opened_files(case)))
    return ImageFacts(
        grid.shape,
        image.channels,
        pixels.dtype.name,
        grid.spacing,
        grid.unit,
        _skew(grid),
        tuple(_quantiles(channel) for channel in pixels),
        holes,
        _digest(upright),
        _slices(upright) if grid.ndim == 3 else (),
        *(
            looks(image) if case.image_path is not None else ((), ())
        ),  # generated images are similar by design
        text_lines(pixels) if grid.ndim == 2 else (),
        grid.orientation,
    )


def _quantiles(channel: np.ndarray) -> tuple[float, ...]:
    """The quantiles `QUANTILES`: minimum and maximum exactly, the others from about 100,000 samples."""
    some = channel.ravel()[:: 1 + channel.size // 100_000]
    inner = np.quantile(some, QUANTILES[1:-1])
    return tuple(float(q) for q in (channel.min(), *inner, channel.max()))


def _skew(grid: Geometry) -> float:
    if grid.to_patient is None:
        return 0.0
    steps = grid.to_patient[:3, :-1] / np.linalg.norm(grid.to_patient[:3, :-1], axis=0)
    cosines = np.abs(steps.T @ steps)
    return float(cosines[~np.eye(grid.ndim, dtype=bool)].max())


def _digest(array: np.ndarray) -> str:
    """A digest of the samples, independent of dtype and memory layout."""
    values = np.ascontiguousarray(array, np.float32)
    return hashlib.blake2b(values.data, digest_size=16, key=repr(values.shape).encode()).hexdigest()


def _slices(upright: np.ndarray) -> tuple[tuple[str, ...], ...]:
    return tuple(
        tuple(_slice(part) for part in np.moveaxis(upright, axis, 0))
        for axis in range(1, upright.ndim)
    )


def _slice(part: np.ndarray) -> str:
    return _digest(part)[:16] if np.count_nonzero(part != part.min()) >= SHOWS else ""


def _mask(case: Case, truth: Segmentation) -> MaskFacts | None:
    """Facts of the stored mask file; None if the truth is not a file."""
    if case.truth_path is None:
        return None
    raw = _stored_mask(case.truth_path).pixels
    stored = raw.dtype.name
    if raw.dtype.kind == "f":
        raw = np.rint(raw).astype(np.int64)
    if raw.ndim > 2 and len(raw) == 3 and (raw[:1] == raw[1:]).all():
        raw = raw[:1]
    packed = raw[0].astype(np.int64)
    for channel in raw[1:]:
        packed = packed << 16 | channel
    found = np.unique(packed)
    between = (raw > ENDS[0]) & (raw < ENDS[1])
    share = float(between.any(axis=0).mean())
    if len(raw) == 1:
        soft = found[-1] <= 255 and share <= 1 - CROWDED
        lossy = bool(len(found) > FEW_VALUES and soft and found[-1] >= ENDS[1])
    else:
        lossy = len(found) > FEW_COLOURS
    values = _values(case)
    lowest = min((above.raw for above in values.thresholds), default=None) if values else None
    labelled = np.isin(truth.classes, truth.labels.values).any()
    return MaskFacts(
        stored,
        len(found),
        share,
        lossy,
        lowest is not None and not labelled and 0 < int(raw.max()) <= lowest,
        int(found[0]) if len(found) == 1 else None,
    )


def _values(case: Case) -> MaskValues | None:
    """The mapping from raw values to labels, if the truth is read by `read_truth`."""
    given = case.load_truth.args if isinstance(case.load_truth, partial) else ()
    return next((arg for arg in given if isinstance(arg, MaskValues)), None)


def _truth(truth: Segmentation) -> TruthFacts:
    digest = _digest(truth.classes)
    if truth.present:
        both = digest + repr(sorted(truth.present.items()))
        digest = hashlib.blake2b(both.encode(), digest_size=16).hexdigest()
    return TruthFacts(
        {name: _objects(truth.mask(name)) if truth.outlined else () for name in truth.labels.names},
        int(np.isin(truth.classes, truth.labels.ignored).sum()),
        digest,
        dict(truth.present),
        truth.outlined,
        _lateral(truth),
    )


def _lateral(truth: Segmentation) -> dict[str, float]:
    """The centre of mass along the patient's left axis, in mm, of each label that comes in left and right."""
    to_patient = truth.geometry.to_patient
    if to_patient is None or not truth.outlined:
        return {}
    centres = {}
    for name in (name for pair in truth.labels.sides for name in pair):
        places = np.nonzero(truth.mask(name))
        if places[0].size:
            centre = [float(along.mean()) for along in places]
            centres[name] = float(to_patient[0] @ [*centre, 1.0])
    return centres


def _objects(mask: np.ndarray) -> tuple[int, ...]:
    """The sizes of the connected components (8 or 26 neighbours), smallest first."""
    if not mask.any():
        return ()
    _, sizes = components(mask)
    return tuple(sorted(int(n) for n in sizes[1:]))


def _identity(files: tuple[Path, ...]) -> IdentityFacts:
    """The identity facts of all files of a case together."""
    found = [identity(file) for file in files]
    return IdentityFacts(
        tuple(dict.fromkeys(name for one in found for name in one.fields)),
        next((one.burned_in for one in found if one.burned_in), ""),
        next((one.modality for one in found if one.modality), ""),
    )


def _stored_mask(path: Path) -> Image:
    """A mask in the dtype of its file, without the checks of `read_mask`."""
    return by_content(path).read_mask(path)


def _not_finite(path: Path) -> int:
    """The number of NaN or infinite samples in an image file, which `read_image` replaces."""
    pixels = by_content(path).read(path).pixels
    return int(pixels.size - np.count_nonzero(np.isfinite(pixels)))


def _misnamed(path: Path) -> str:
    """A description if the format of a file is not that of its ending ("a.jpg is PNG"), else ""."""
    try:
        content = by_content(path)
    except UnreadableFile:
        return ""
    named, _ = by_ending(path)
    kind = content.about.split(":")[0]
    return "" if named in (None, content) else f"{path.name} is {kind}"
