"""Generated phantom images with their truth: no download, equal on every machine, and not solved by a threshold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import count
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le, Len
from scipy import ndimage

from delineate.arguments import Count, NonNegative, Size
from delineate.core import Case, Image, Instance, LabelSet, Segmentation, Splits
from delineate.data._splits import split_cases
from delineate.phantoms import Drawing, Scene
from delineate.phantoms.abdomen import slice_scene, volume_scene
from delineate.phantoms.chest import chest_scene
from delineate.phantoms.endoscopy import endoscopy_scene

SCENES: dict[str, Scene] = {
    "endoscopy": endoscopy_scene,
    "chest": chest_scene,
    "abdomen": slice_scene,
    "abdomen_3d": volume_scene,
}
THREE_WAYS = {"train": 0.7, "val": 0.15, "test": 0.15}


def phantom(
    *,
    labels: LabelSet,
    seed: int,
    scene: Literal["endoscopy", "chest", "abdomen", "abdomen_3d"] = "endoscopy",
    cases: Annotated[Count, Le(100_000)] = 120,
    shape: Annotated[tuple[Annotated[Size, Ge(16), Le(4096)], ...], Len(2, 3)] | None = None,
    masks: bool = True,
    split: dict[str, NonNegative] = THREE_WAYS,
) -> Splits:
    """Generated images of simulated patients, with their truth; split by patient.

    A case depends only on the seed and its number, and is drawn at each access. The scenes and their labels:

    - endoscopy: "polyp", or by kind "neoplastic" and "non_neoplastic"; RGB, 8 bits, some frames without polyps.
    - chest: "lung", "heart", "pneumothorax" (in about one film of four); 12 bits. The lung is its whole side of
      the chest; if pneumothorax is among the labels, the lung is without it.
    - abdomen, abdomen_3d: "liver", "spleen", "left_kidney", "right_kidney", "bowel", and "lesion"; Hounsfield units
      with `to_patient`. A lesion is part of the liver if liver includes it, or if lesion is not among the labels.
      Left is the patient's left. In a slice, rows run to the back and columns to the left; in a volume, indices run
      to the right, the front and the head (RAS).

    Args:
        labels: any of these names. Objects of kind "thing" also become instances.
        seed: the seed of the images and of the split.
        scene: the scene to draw.
        cases: the number of cases.
        shape: the shape of an image; by default 256 x 256, and 96 x 96 x 48 (3.5 x 3.5 x 5 mm) for abdomen_3d.
        masks: False leaves out the masks: the truth has image-level labels only.
        split: fractions by name, which sum to 1, or folds: {folds: 5, fold: 0, test: 0.1}.

    Raises:
        ValueError: a label that the scene does not have, a shape that cannot be drawn, or too few cases to split.
    """
    drawn = SCENES[scene]
    for label in labels.labels:
        if label.name not in drawn.names:
            raise ValueError(
                f"the scene {scene!r} has no {label.name!r}; its labels are {', '.join(drawn.names)}."
            )
    shape = drawn.shape if shape is None else shape
    if len(shape) != len(drawn.shape) or min(shape) < 16:
        raise ValueError(
            f"shape is {shape}; the scene {scene!r} has {len(drawn.shape)} axes of 16 samples or more."
        )
    if math.prod(shape) > 2**28:
        raise ValueError(f"shape is {shape}; expected at most 268 million samples.")
    if seed < 0 or cases < 1:
        raise ValueError(f"seed is {seed}, cases {cases}; expected 0 or more, and 1 or more.")
    made = []
    for number, patient in zip(range(cases), _patients(drawn.per_patient), strict=False):
        place = (scene, shape, seed, patient, number)
        made.append(
            Case(
                id=f"{scene}-{number:04d}",
                group=f"patient-{patient:04d}",
                load_image=partial(_image, *place),
                load_truth=partial(_truth if masks else _image_level_truth, labels, *place),
            )
        )
    return split_cases(made, split, seed=seed)


def _patients(per_patient: tuple[int, ...]) -> Iterator[int]:
    """The patient of each case, in order."""
    for patient in count():
        yield from (patient,) * per_patient[patient % len(per_patient)]


def _image(scene: str, shape: tuple[int, ...], seed: int, patient: int, number: int) -> Image:
    drawing = _drawing(scene, shape, seed, patient, number)
    return Image(drawing.pixels.copy(order="K"), drawing.geometry)


def _truth(
    labels: LabelSet, scene: str, shape: tuple[int, ...], seed: int, patient: int, number: int
) -> Segmentation:
    drawing = _drawing(scene, shape, seed, patient, number)
    known = {label.name: label for label in labels.labels}
    largest = max(label.value for label in labels.labels)
    classes = np.zeros(drawing.geometry.shape, np.min_scalar_type(largest))
    seen: list[tuple[str, np.ndarray]] = []
    for name, mask in drawing.objects:
        if name in known:
            classes[mask] = known[name].value
            seen = [
                (other, before if name in labels.parts(other) else before & ~mask)
                for other, before in seen
            ] + [(name, mask)]
    instances = tuple(
        _instance(name, mask) for name, mask in seen if known[name].kind == "thing" and mask.any()
    )
    return Segmentation(classes, labels, drawing.geometry, instances)


def _image_level_truth(labels: LabelSet, *place: Any) -> Segmentation:
    drawn = _truth(labels, *place)
    return Segmentation(
        np.zeros_like(drawn.classes),
        labels,
        drawn.geometry,
        present={name: drawn.shows(name) for name in labels.names},
        outlined=False,
    )


def _instance(name: str, mask: np.ndarray) -> Instance:
    (box,) = ndimage.find_objects(mask.astype(np.uint8))
    return Instance(name, 1.0, mask[box].copy(), tuple(side.start for side in box))


@lru_cache(maxsize=2)  # the image and the truth of a case are usually read one after the other
def _drawing(scene: str, shape: tuple[int, ...], seed: int, patient: int, number: int) -> Drawing:
    build = np.random.default_rng(np.random.SeedSequence([seed, patient], spawn_key=(1,)))
    view = np.random.default_rng(np.random.SeedSequence([seed, number]))
    return SCENES[scene].draw(build, view, shape)
