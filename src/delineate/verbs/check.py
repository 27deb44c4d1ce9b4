"""Look at a recipe and its data before anything is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from delineate.bundle import predict_options
from delineate.core import Case
from delineate.data import load_cases
from delineate.prepare import load_prepare
from delineate.recipe import load_recipe
from delineate.verbs.train import check_calls


@dataclass(frozen=True)
class Findings:
    """What a look at the data showed; `problems` keep it from being trained on."""

    lines: Sequence[str] = ()
    problems: Sequence[str] = field(default_factory=tuple)


def check(recipe: str | Path, *, overrides: Sequence[str] = ()) -> Findings:
    """Check every name and argument of a recipe, then read every image and mask of its data.

    Raises:
        RecipeError: the recipe cannot be run as written.
        ValueError: its data cannot be found or paired.
    """
    plan = load_recipe(recipe, overrides)
    check_calls(plan)
    splits = load_cases(plan)
    prepare = load_prepare(plan.prepare)
    problems: list[str] = []
    shapes: Counter[str] = Counter()
    grids: Counter[str] = Counter()
    lines = [f"recipe   {plan.name}: every name and argument is known"]
    for name, cases in splits.items():
        presence: Counter[str] = Counter()
        sizes: dict[str, list[float]] = {label: [] for label in plan.labels.names}
        for case in tqdm(cases, desc=f"reading {name}", unit="case", leave=False):
            try:
                image, truth = case.image, case.truth
                pixels, grid = prepare(image)
                predict_options(plan.predict, len(grid.shape))
                if truth is None:
                    presence["no truth"] += 1
                    continue
            except (ValueError, MemoryError) as error:
                problems.append(str(error))
                continue
            shapes[f"{image.channels} x {_times(image.geometry.shape)} {image.pixels.dtype}"] += 1
            grids[f"{pixels.shape[0]} x {_times(grid.shape)}"] += 1
            if not np.isfinite(pixels).all():
                problems.append(f"{case.id}: prepared pixels hold NaN or infinity.")
            for label in plan.labels.names:
                count = int(np.count_nonzero(truth.mask(label)))
                if count:
                    presence[label] += 1
                    sizes[label].append(count / truth.classes.size)
        lines.append(_summary(name, cases, presence, sizes))
    lines.append("images   " + _common(shapes))
    lines.append("prepared " + _common(grids))
    if len({g.split(" x ", 1)[0] for g in grids}) > 1:
        problems.append(
            f"prepared images differ in channels ({_common(grids)}): add {{channels: 1}} or "
            "{channels: 3} to prepare."
        )
    return Findings(lines, list(dict.fromkeys(problems)))


def _summary(
    name: str, cases: Sequence[Case], presence: Counter[str], sizes: dict[str, list[float]]
) -> str:
    groups = len({case.group for case in cases})
    said = [f"{name:<8} {len(cases)} cases of {groups} groups"]
    for label, shares in sizes.items():
        median = f", median {np.median(shares):.1%} of the image" if shares else ""
        said.append(f"{label} in {presence[label]}{median}")
    if presence["no truth"]:
        said.append(f"{presence['no truth']} without truth")
    return "; ".join(said)


def _common(counted: Counter[str]) -> str:
    most = [f"{what} ({n})" for what, n in counted.most_common(4)]
    rest = len(counted) - len(most)
    return ", ".join(most) + (f" and {rest} other kinds" if rest > 0 else "")


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
