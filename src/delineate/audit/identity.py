"""Check for identifiers of persons. Only names of fields are reported, never their values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from delineate.audit._case_facts import Box, CaseFacts
from delineate.audit._finding import Finding, Level, finding
from delineate.core import LabelSet
from delineate.words import counted

FINDS: Mapping[str, Level] = {
    "burned_in_text": "warn",
    "burned_in_pixels": "warn",
    "burned_in_unknown": "note",
    "identity_fields": "note",
}

WRITTEN_ON = ("US", "ES", "SC", "XA", "RF", "OT")
"""Modalities whose devices write into the picture."""


def identity(cases: Sequence[CaseFacts], labels: LabelSet) -> list[Finding]:
    """Fields of DICOM, EXIF, PNG, NIfTI and NRRD that are filled, and pictures that say or show they carry text.

    Pixels are looked at in 2D images only, and most lines of text are found, not all: see `text_lines`.
    """
    shown = [(c.id, c.image.text) for c in cases if c.image and c.image.text]
    return [
        *finding(
            FINDS,
            "burned_in_text",
            [((c.id,), "") for c in cases if c.identity.burned_in == "YES"],
            lambda n: f"text written into the picture of {counted(n, 'case')}, as the files say",
            "It may name the patient, and a model may read it. Cover it before anything leaves this place.",
        ),
        *finding(
            FINDS,
            "burned_in_pixels",
            [((id,), f"{counted(len(text), 'line')} {_where(text)}") for id, text in shown],
            lambda n: (
                f"what looks like text in the pixels of {counted(n, 'picture')}, "
                f"{_where(box for _, text in shown for box in text)}"
            ),
            "It may name the patient, and a model may read it. Look at some, and cover it before anything leaves "
            "this place. Others may carry text that is faint, small or cut off, and is not found.",
        ),
        *finding(
            FINDS,
            "burned_in_unknown",
            [
                ((c.id,), c.identity.modality)
                for c in cases
                if not c.identity.burned_in and c.identity.modality in WRITTEN_ON
            ],
            lambda n: (
                f"{counted(n, 'case')} of devices that write into pictures, without a word about it"
            ),
            "Look at the margins of some.",
        ),
        *finding(
            FINDS,
            "identity_fields",
            [((c.id,), ", ".join(c.identity.fields)) for c in cases if c.identity.fields],
            lambda n: (
                f"fields that may say who somebody is in the files of {counted(n, 'case')}: "
                + ", ".join(dict.fromkeys(name for c in cases for name in c.identity.fields))
            ),
            "They are neither read into a model nor copied into anything here. Take them out before the files "
            "leave this place.",
        ),
    ]


def _where(boxes: Iterable[Box]) -> str:
    """At which side of the picture most of them are, in words."""
    sides = Counter(_side(*box) for box in boxes)
    (side, most), *_ = sides.most_common(1)
    if most == sides.total():
        return side
    return f"mostly {side}" if most > sides.total() / 2 else "at several sides"


def _side(y: float, x: float, height: float, width: float) -> str:
    """The nearest side, unless the middle of a box lies in the middle third of the picture."""
    away = {
        "at the left": x + width / 2,
        "at the right": 1 - x - width / 2,
        "at the top": y + height / 2,
        "at the bottom": 1 - y - height / 2,
    }
    side = min(away, key=lambda name: away[name])
    return side if away[side] < 1 / 3 else "in the middle"
