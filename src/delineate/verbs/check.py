"""Check a recipe and its data before training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from delineate.audit import Finding
from delineate.bundle import find_source
from delineate.core import Splits
from delineate.data import load_cases
from delineate.evaluation.report import write_audit
from delineate.prepare import load_prepare, load_slices
from delineate.progress import track
from delineate.recipe import Recipe, load_recipe
from delineate.verbs._audit import audit_options, audit_recipe, save_audit
from delineate.verbs._init_from import record_of, with_leaks
from delineate.verbs._replacing import own_folder, replacing
from delineate.verbs.train import check_calls

WRITES = ("audit.html", "audit.json", "cases.csv")


@dataclass(frozen=True)
class Findings:
    """The result of a check.

    lines: for the terminal.
    problems: what makes `train` refuse the recipe.
    folder: where audit.html, audit.json and cases.csv were written.
    """

    lines: Sequence[str]
    problems: Sequence[str]
    folder: Path


def check(
    recipe: str | Path, *, overrides: str | Sequence[str] = (), out: str | Path | None = None
) -> Findings:
    """Check every name and argument of a recipe, build all that training builds, and audit and prepare its data.

    Writes audit.html, audit.json and cases.csv (one row per case with its properties).

    Args:
        recipe: its file.
        overrides: "section.name.argument=value" each.
        out: the folder to write to; outputs/<recipe>/audit if left out.

    Raises:
        RecipeError: the recipe cannot be run as written.
        ValueError: its data cannot be found or paired.
    """
    plan = load_recipe(recipe, overrides)
    check_calls(plan)
    allowed = audit_options(plan.audit).allow
    folder = Path("outputs") / plan.name / "audit" if out is None else Path(out)
    own_folder(folder, WRITES)
    splits = load_cases(plan)
    from delineate.training.rehearse import rehearse  # imports torch, as `check_calls` did

    rehearsed = rehearse(plan, splits)
    prepared, problems = _prepared(plan, splits)
    found = audit_recipe(plan, splits)
    source = find_source(plan)
    if source is not None:
        found = with_leaks(found, record_of(source, rehearsed.copied, found))
    if problems:
        found = replace(found, findings=(_unprepared(problems), *found.findings))
    with replacing(folder, WRITES) as part:
        save_audit(found, part / "audit.json")
        found.save_csv(part / "cases.csv")
        write_audit(
            part / "audit.html",
            title=plan.name,
            audit=found,
            splits=splits,
            labels=plan.labels,
            allowed=allowed,
        )
    lines = [
        f"recipe   {plan.name}: every name and argument is known",
        *found.lines(allowed),
        prepared,
        *(f"weights  {line}" for line in rehearsed.copied),
        *(f"warn     {note}" for note in rehearsed.notes),
        f"page     {folder / 'audit.html'}",
    ]
    return Findings(lines, [finding.line() for finding in found.refused(allowed)], folder)


def _unprepared(problems: list[str]) -> Finding:
    return Finding(
        "unprepared",
        "refuse",
        "; ".join(problems[:3]) + (f"; and {len(problems) - 3} more" if len(problems) > 3 else ""),
        "Change `prepare` in the recipe.",
    )


def _prepared(plan: Recipe, splits: Splits) -> tuple[str, list[str]]:
    """The shapes of the prepared images in words, and the problems that make training fail.

    Images that cannot be read are skipped here; the audit reports them.
    """
    from delineate.training.options import load_options

    prepare = load_prepare(plan.prepare)
    problems: list[str] = []
    grids: Counter[str] = Counter()
    cases = [(name, case) for name, part in splits.items() for case in part]
    learnt_from: dict[int, Counter[str]] = {}
    for split, case in track(cases, "preparing"):
        try:
            image = case.image
        except (ValueError, OSError, MemoryError):
            continue
        try:
            pixels, grid = prepare(image)
        except (ValueError, MemoryError) as error:
            problems.append(f"{case.id}: {error}")
            continue
        shape = f"{pixels.shape[0]} x {' x '.join(map(str, grid.shape))}"
        grids[shape] += 1
        if split == "train":
            for axis, sample in _samples(plan, pixels.shape).items():
                learnt_from.setdefault(axis, Counter())[sample] += 1
            if case.load_truth is None:
                problems.append(f"{case.id}: no truth to learn from.")
        if np.isfinite(image.pixels).all() and not np.isfinite(pixels).all():
            problems.append(f"{case.id}: prepared pixels hold NaN or infinity.")
    if len({grid.split(" x ", 1)[0] for grid in grids}) > 1:
        problems.append(
            f"prepared images differ in channels ({_common(grids)}): add {{channels: 1}} or "
            "{channels: 3} to prepare."
        )
    elif load_options(plan.trainer).batch_size > 1:
        for axis, shapes in learnt_from.items():
            what = "cases" if plan.slices is None else f"slices along axis {axis}"
            if len(shapes) > 1:
                problems.append(
                    f"prepared training {what} differ in shape ({_common(shapes)}), and a batch needs one: add "
                    "{resize: ...} or {crop: ...} to prepare, or set trainer.batch_size to 1."
                )
    return f"prepared {_common(grids)}", list(dict.fromkeys(problems))


def _samples(plan: Recipe, shape: tuple[int, ...]) -> dict[int, str]:
    """The shapes of what training draws from a prepared image: of the image, or of its slices by axis."""
    slices = load_slices(plan.slices)
    if slices is None or len(shape) != 4:
        return {0: " x ".join(map(str, shape))}
    return {
        axis: " x ".join(
            map(
                str, (slices.channels(shape[0]), *(n for i, n in enumerate(shape[1:]) if i != axis))
            )
        )
        for axis in slices.axes
    }


def _common(counted: Counter[str]) -> str:
    most = [f"{what} ({n})" for what, n in counted.most_common(4)]
    rest = len(counted) - len(most)
    return ", ".join(most) + (f" and {rest} other kinds" if rest > 0 else "")
