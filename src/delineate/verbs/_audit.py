"""The audit of a recipe's data, as `check` and `train` run it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from delineate.audit import Audit, Finding, audit, levels, refusals
from delineate.core import Geometry, LabelSet, Segmentation, Splits
from delineate.files import cache_folder, whole_file
from delineate.recipe import Recipe
from delineate.resolve import Call, bind, nearest
from delineate.tasks import load_task
from delineate.verbs._init_from import GROUPS, IMAGES


@dataclass(frozen=True)
class AuditOptions:
    """The `audit` section of a recipe.

    allow: names of findings that do not stop training; the bundle's card records them.
    """

    allow: list[str] = field(default_factory=list)


def audit_options(call: Call) -> AuditOptions:
    """The `audit` section, checked.

    Raises:
        RecipeError: an unknown setting, or a name that is not the name of a refusal.
    """
    options = AuditOptions(**bind(AuditOptions, call))
    for name in options.allow:
        if name not in (*refusals(), IMAGES, GROUPS):
            raise call.fail(
                f"audit.allow names {name!r}{_reason(name)} "
                f"Refusals that can be allowed: {', '.join((*refusals(), IMAGES, GROUPS))}"
            )
    return options


def _reason(name: str) -> str:
    if name not in levels():
        return nearest(name, refusals())
    if levels()[name] == "refuse":
        return ", which cannot be allowed: correct the data."
    return f", which is a {levels()[name]} and stops nothing."


def audit_recipe(recipe: Recipe, splits: Splits) -> Audit:
    """The audit of a recipe's cases. Its findings include cases that the recipe's task cannot learn from.

    Images of several orientations are no finding if the recipe orients them, and are refused if one of its settings
    means an axis of the patient: `slices`, or flips where labels come in left and right.
    """
    found = audit_cases(splits, recipe.labels)
    return replace(found, findings=(*_unlearnable(recipe, found), *_orientations(recipe, found)))


def _orientations(recipe: Recipe, found: Audit) -> list[Finding]:
    """The findings, `mixed_orientations` as the recipe makes it."""
    if any(call.name == "orient" for call in recipe.prepare):
        return [f for f in found.findings if f.check != "mixed_orientations"]
    flips = [
        call
        for call in (*recipe.augment, *recipe.predict)
        if call.name in ("flip", "flips")
        and (call.args.get("swap") or (call.args.get("swap") is None and recipe.labels.sides))
    ]
    own = any(":" in call.name for call in recipe.prepare)  # a user's own step may orient them
    if own or not (flips or recipe.slices):
        return list(found.findings)
    what = "slices cuts along" if recipe.slices else f"{flips[0].name} reflects along"
    return [
        replace(
            f,
            check="unoriented",
            level="refuse",
            says=f"{f.says}; {what} an axis that is another direction in each",
            advice="Begin prepare with {orient: SPL}.",
        )
        if f.check == "mixed_orientations"
        else f
        for f in found.findings
    ]


def _unlearnable(recipe: Recipe, found: Audit) -> list[Finding]:
    """A finding of the cases with image-level labels only, if the task needs masks for training and evaluation."""
    task = load_task(recipe.task, recipe.labels)
    try:
        geometry = Geometry.in_pixels((1, 1))
        task.encode(
            Segmentation(np.zeros((1, 1), np.uint8), recipe.labels, geometry, outlined=False)
        )
    except ValueError as error:
        cases = [c for c in found.cases if c.truth and not c.truth.outlined]
        if not cases:
            return []
        return [
            Finding(
                "task_needs_masks",
                "refuse",
                f"{len(cases):,} case{'s' if len(cases) > 1 else ''} without a mask: {error}",
                "Give them masks, leave them out, or choose a task that learns from image-level labels.",
                tuple((c.id,) for c in cases),
            )
        ]
    return []


def audit_cases(splits: Splits, labels: LabelSet) -> Audit:
    """Audit cases with the user's cache, so that files that have not changed are not read again."""
    try:
        cache = cache_folder() / "audit"
    except OSError:  # no home folder; the audit needs no cache
        cache = None
    return audit(splits, labels, cache=cache)


def refuse(recipe: Recipe, found: Audit) -> None:
    """Stop before training if the findings would make the results wrong.

    Raises:
        ValueError: there is a refusal that is not allowed; with its cases and what to do.
    """
    refused = found.refused(audit_options(recipe.audit).allow)
    if refused:
        names = list(dict.fromkeys(finding.check for finding in refused))
        allowed = (
            f" To train nevertheless, and record it: --set audit.allow=[{', '.join(names)}]"
            if set(names) <= {*refusals(), IMAGES, GROUPS}
            else ""
        )
        raise ValueError(
            f"results on these data would be wrong. {'; '.join(f.line() for f in refused)}. "
            f"{' '.join(dict.fromkeys(f.advice for f in refused if f.advice))} `delineate check` shows every finding."
            f"{allowed}"
        )


def for_card(recipe: Recipe, found: Audit) -> dict[str, Any]:
    """The part of an audit for a bundle's card: no names of cases, but a digest of each image to recognise it."""
    return {
        "allowed": list(audit_options(recipe.audit).allow),
        "findings": [_short(finding) for finding in found.findings],
        "pixels": dict(found.pixels),
    }


def save_audit(found: Audit, path: Path) -> None:
    """Write an audit as JSON."""
    with whole_file(path) as part:
        part.write_text(
            json.dumps(found.as_json(), indent=1, ensure_ascii=False) + "\n",
            encoding="utf-8",
            errors="backslashreplace",
        )


def saved_audit(run: Path) -> Audit | None:
    """The audit in a run's folder; None if it has none."""
    path = run / "audit.json"
    return Audit.from_json(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def _short(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "level": finding.level,
        "says": finding.says,
        "cases": len(finding.cases),
    }
