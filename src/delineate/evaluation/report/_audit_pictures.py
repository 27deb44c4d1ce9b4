"""Pictures of cases as an audit shows them: with their truth, one by one or side by side."""

from __future__ import annotations

import base64
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from delineate.audit import Audit, Finding
from delineate.core import Case, Segmentation, Splits
from delineate.evaluation.report._view import scaled, view
from delineate.evaluation.report.overlay import fill, outline

SIDE = 420
"""Longer side of a picture, in pixels."""

PAIRS, EXAMPLES, SAMPLES = 12, 3, 6
"""Most pictures: pairs of a finding, single cases of a finding, cases of a split."""


@dataclass(frozen=True)
class Panel:
    """One case as a data address: the image with the truth drawn on it, where there is one."""

    case: str
    split: str
    address: str
    width: int
    height: int


@dataclass(frozen=True)
class Exhibit:
    """The panels of one entry of a finding, and the reason of that entry."""

    panels: tuple[Panel, ...]
    why: str


def exhibits(audit: Audit, splits: Splits) -> dict[str, list[Exhibit]]:
    """By name of the finding: pictures of its first pairs or cases, for findings that a picture can show."""
    cases = {case.id: (case, split) for split, members in splits.items() for case in members}
    shown = {}
    for finding in audit.findings:
        entries = [_exhibit(finding, i, cases) for i in range(_most(finding))]
        shown[finding.check] = [entry for entry in entries if entry.panels]
    return {check: entries for check, entries in shown.items() if entries}


def samples(splits: Splits, *, seed: int = 0) -> dict[str, list[Panel]]:
    """A few random cases of each split."""
    lot = random.Random(seed)
    drawn = {}
    for split, members in splits.items():
        chosen = lot.sample(list(members), min(SAMPLES, len(members)))
        panels = [_panel(case, split) for case in sorted(chosen, key=lambda case: case.id)]
        drawn[split] = [panel for panel in panels if panel is not None]
    return drawn


def _most(finding: Finding) -> int:
    """The number of entries with pictures; 0 for findings about files, which a picture cannot show."""
    unseen = ("unreadable", "misnamed", "identity_fields", "no_truth", "mixed_types")
    if finding.check in (*unseen, "image_level_labels_only", "image_label_not_known"):
        return 0
    pairs = bool(finding.cases) and len(finding.cases[0]) > 1
    return min(len(finding.cases), PAIRS if pairs else EXAMPLES)


def _exhibit(finding: Finding, entry: int, cases: Mapping[str, tuple[Case, str]]) -> Exhibit:
    ids: Sequence[str] = finding.cases[entry][:2]
    panels = [_panel(*cases[id]) for id in ids if id in cases]
    why = finding.why[entry] if finding.why else ""
    return Exhibit(tuple(panel for panel in panels if panel is not None), why)


def _panel(case: Case, split: str) -> Panel | None:
    """The picture of a case; without its truth if that cannot be read, and None if its image cannot be read."""
    try:
        image = case.image
    except (ValueError, OSError, MemoryError):
        return None
    shown: list[Segmentation] = []
    try:
        truth = case.truth
        shown = [] if truth is None or truth.geometry.shape != image.geometry.shape else [truth]
    except (ValueError, OSError, MemoryError):
        pass  # the finding gives the reason; the image is shown without its truth
    picture, maps = view(image, shown)
    scale = SIDE / max(picture.shape[:2])
    shape = max(1, round(picture.shape[0] * scale)), max(1, round(picture.shape[1] * scale))
    picture, *maps = [scaled(array, shape) for array in (picture, *maps)]
    if shown:
        picture = outline(fill(picture, maps[0], shown[0].labels), maps, [shown[0].labels])
    return Panel(case.id, split, _address(picture), shape[1], shape[0])


def _address(picture: np.ndarray) -> str:
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, 80])[1]
    return "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode()
