"""Refuse reflections that would make a left organ a right one without swapping their labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import yaml

from delineate.core import Geometry
from delineate.prepare import Slices, load_slices
from delineate.prepare.augment import load_augment
from delineate.recipe import Recipe
from delineate.resolve import Call, check


def refuse_unswapped_sides(recipe: Recipe, grid: Geometry) -> None:
    """Refuse a recipe that reflects left and right without swapping the labels that come in such pairs.

    Args:
        recipe: its augmentations `flip`, its test-time `flips`, and its rotations are looked at.
        grid: the grid of a prepared image. It tells which axis runs from left to right. If its orientation is
            unknown, the axis is the `swap_axis` of each flip, by default the last. Augmentations of a recipe with
            `slices` are those of its slices.

    Raises:
        RecipeError: with the line to write instead.
    """
    slices = load_slices(recipe.slices)
    samples = [grid] if slices is None else slices.grids(grid)
    for call, args in _flips("augment", "flip", recipe.augment):
        if slices is not None and _differ(recipe, call, args, slices, samples):
            continue
        _refuse_flip(recipe, call, args, samples[0])
    for sample in samples:
        _refuse_rotations(recipe, sample)
    for call, args in _flips("predict", "flips", recipe.predict):
        _refuse_flip(recipe, call, args, grid)


def _differ(
    recipe: Recipe, call: Call, args: dict[str, Any], slices: Slices, samples: Sequence[Geometry]
) -> bool:
    """Whether the left-right axis differs between slices along several axes; the flip is then checked here.

    Raises:
        RecipeError: it differs, or is unknown, and the flip may act along it.
    """
    if len(samples) < 2:
        return False
    flipped = _axes(args, 2)
    if samples[0].to_patient is None:
        if args["swap"]:
            raise call.fail(
                f"{call.name} swaps labels along one axis, but slices are cut along several, and the orientation "
                "of the images in the patient is unknown. Cut slices along one axis.",
                "swap",
            )
        return False
    across = [left_right_axis(sample) for sample in samples]
    if len({*across}) == 1:
        return False
    swaps, reflects = args["swap_axis"] % 2 in flipped, bool(flipped & {*across})
    if (args["swap"] and (swaps or reflects)) or (
        args["swap"] is None and recipe.labels.sides and reflects
    ):
        told = " and ".join(
            f"{'none' if axis is None else f'axis {axis}'} of the slices along axis {cut}"
            for cut, axis in zip(slices.axes, across, strict=True)
        )
        raise call.fail(
            f"{call.name} would reflect left and right in some slices only: left to right is {told}. "
            f"Leave out {call.name}, or cut slices along one axis.",
            "swap" if args["swap"] else None,
        )
    return True


def _flips(
    catalogue: str, name: str, calls: Sequence[Call]
) -> Iterator[tuple[Call, dict[str, Any]]]:
    """The flips among some calls, with their checked arguments."""
    for call in calls:
        if call.name == name:
            yield call, {"swap": None, "swap_axis": -1, "axes": None, **check(catalogue, call)}


def _refuse_flip(recipe: Recipe, call: Call, args: dict[str, Any], grid: Geometry) -> None:
    written = args["swap_axis"] % grid.ndim
    across = written if grid.to_patient is None else left_right_axis(grid)
    if args["swap"] and across != written:
        if across is None:
            raise call.fail(
                f"{call.name} swaps labels, but no axis of the prepared images runs from left to right. Write: "
                f"{_line(call, args, swap=[])}"
            )
        raise call.fail(
            f"{call.name} swaps labels in flips along axis {written}, but left to right is axis {across} of the "
            f"prepared images. Write: {_line(call, args, swap_axis=across)}",
            "swap_axis",
        )
    if args["swap"] is None and recipe.labels.sides and across in _axes(args, grid.ndim):
        pairs = [list(pair) for pair in recipe.labels.sides]
        right = {"swap": pairs} if across == written else {"swap": pairs, "swap_axis": across}
        named = " and ".join(", ".join(pair) for pair in zip(*pairs, strict=True))
        raise call.fail(
            f"{call.name} reflects left and right (axis {across}), and would leave the labels {named} where they "
            f"were. Write: {_line(call, args, **right)} Or, if they differ in more than their side, swap: []."
        )


def _refuse_rotations(recipe: Recipe, grid: Geometry) -> None:
    """Refuse turns that bring the left to the right side, beside flips that keep each label on its side.

    A flip of the other axis of the plane and half a turn together are a flip from left to right: the same picture
    would have two truths.
    """
    across = left_right_axis(grid)
    flips = [a for _, a in _flips("augment", "flip", recipe.augment) if a["swap"] != ()]
    flipped = {axis for args in flips for axis in _axes(args, grid.ndim)}
    if not recipe.labels.sides:
        return
    if grid.to_patient is None:
        across = (flips[0]["swap_axis"] if flips else -1) % grid.ndim
    steps = load_augment(recipe.augment, recipe.labels).steps
    for step, call in zip(steps, recipe.augment, strict=True):
        for plane in _half_turns(call.name, step, grid.ndim):
            (other,) = plane - {across} if across in plane else (None,)
            if other in flipped:
                raise call.fail(
                    f"{call.name} may turn left to the side of right, and flip along axis {other} keeps each label on "
                    f"its side: the two contradict each other for {', '.join(recipe.labels.sides[0])}. Leave out "
                    f"{call.name if call.name == 'rotate90' else 'degrees of 90 and more'}, or flip axis {across} only."
                )


def _half_turns(name: str, step: Any, ndim: int) -> list[set[int]]:
    """The planes in which a rotation may reach a quarter turn or more."""
    if name == "rotate90":
        return [{axis % ndim for axis in step.plane}]
    if name == "rotate" and max(map(abs, step.degrees)) >= 90:
        planes = step.planes or combinations(range(ndim), 2)
        return [{axis % ndim for axis in plane} for plane in planes]
    return []


def left_right_axis(grid: Geometry) -> int | None:
    """The axis that runs nearest to the patient's left-right direction; None if none does, or it is unknown."""
    if grid.to_patient is None:
        return None
    steps = np.abs(grid.to_patient[:3, :-1]) / np.array(grid.spacing)
    along = [axis for axis in range(grid.ndim) if steps[:, axis].argmax() == 0]
    return max(along, key=lambda axis: float(steps[0, axis]), default=None)


def _axes(args: dict[str, Any], ndim: int) -> set[int]:
    """The axes that may be flipped."""
    return {axis % ndim for axis in (range(ndim) if args["axes"] is None else args["axes"])}


def _line(call: Call, args: dict[str, Any], **changed: Any) -> str:
    """The call as it should be written in the recipe."""
    new = {**args, **changed}
    names = [
        name
        for name in ("axes", "p", "swap", "swap_axis")
        if name in changed or new.get(name) not in (None, -1)
    ]
    kept = {name: list(new[name]) if isinstance(new[name], tuple) else new[name] for name in names}
    if kept.get("swap"):
        kept["swap"] = [list(pair) for pair in kept["swap"]]
    text: str = yaml.safe_dump(
        {call.name: kept}, default_flow_style=True, sort_keys=False, width=10**6
    )
    return f"{text.strip()}."
