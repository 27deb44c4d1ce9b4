"""Masks whose values have no label, or an unclear one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from delineate.audit._case_facts import CaseFacts
from delineate.audit._finding import Finding, Level, finding
from delineate.core import LabelSet
from delineate.words import counted

FINDS: Mapping[str, Level] = {
    "values_without_label": "refuse",
    "lossy_masks": "warn",
    "masks_below_threshold": "warn",
    "masks_of_one_value": "warn",
    "float_masks": "note",
}
NEVER_ALLOWED = ("values_without_label",)


def mask_values(cases: Sequence[CaseFacts], labels: LabelSet) -> list[Finding]:
    """Values without a label; masks after lossy compression, below every threshold, all of one value, of floats."""
    masks = [(c.id, c.mask) for c in cases if c.mask]
    return [
        *finding(
            FINDS,
            "values_without_label",
            [((c.id,), p.says) for c in cases for p in c.problems if p.kind == "values"],
            lambda n: f"{counted(n, 'mask')} with values or colours that no label has",
            "Write the values of each label, and of background: values: {name: [value, ...]}.",
        ),
        *finding(
            FINDS,
            "lossy_masks",
            [
                ((id,), f"{m.values} values, {m.between:.2%} of the samples between the ends")
                for id, m in masks
                if m.lossy
            ],
            lambda n: f"{counted(n, 'mask')} compressed with loss, or soft",
            "Edges, and the scores there, are uncertain by a pixel or two. Use the masks from before the compression, "
            "if there are any.",
        ),
        *finding(
            FINDS,
            "masks_below_threshold",
            [((id,), "") for id, m in masks if m.below],
            lambda n: f"{counted(n, 'mask')} with something in it that reaches no threshold",
            "Read as empty. Are these masks stored as 0 and 1, and the others as 0 and 255?",
        ),
        *finding(
            FINDS,
            "masks_of_one_value",
            [((id,), f"{m.only} everywhere") for id, m in masks if m.only],
            lambda n: f"{counted(n, 'mask')} of one value everywhere, which is not 0",
            "Is the whole image really one object?",
        ),
        *finding(
            FINDS,
            "float_masks",
            [((id,), m.dtype) for id, m in masks if m.dtype.startswith("float")],
            lambda n: f"labels stored as floats in {counted(n, 'mask')}",
            "All of them are whole numbers and read as such. Were they resampled once?",
        ),
    ]
