"""What may say who somebody is. Names of fields only: no value is told, here or anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from delineate.audit._case_facts import CaseFacts
from delineate.audit._finding import Finding, Level, finding, many
from delineate.core import LabelSet

FINDS: Mapping[str, Level] = {
    "burned_in_text": "warn",
    "burned_in_unknown": "note",
    "identity_fields": "note",
}

WRITTEN_ON = ("US", "ES", "SC", "XA", "RF", "OT")
"""Modalities whose devices write into the picture."""


def identity(cases: Sequence[CaseFacts], labels: LabelSet) -> list[Finding]:
    """Fields of DICOM, EXIF, PNG, NIfTI and NRRD that are filled, and pictures that say they carry text."""
    return [
        *finding(
            FINDS,
            "burned_in_text",
            [((c.id,), "") for c in cases if c.identity.burned_in == "YES"],
            lambda n: f"text written into the picture of {many(n, 'case')}, as the files say",
            "It may name the patient, and a model may read it. Cover it before anything leaves this place.",
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
                f"{many(n, 'case')} of devices that write into pictures, without a word about it"
            ),
            "Look at the margins of some.",
        ),
        *finding(
            FINDS,
            "identity_fields",
            [((c.id,), ", ".join(c.identity.fields)) for c in cases if c.identity.fields],
            lambda n: (
                f"fields that may say who somebody is in the files of {many(n, 'case')}: "
                + ", ".join(dict.fromkeys(name for c in cases for name in c.identity.fields))
            ),
            "They are neither read into a model nor copied into anything here. Take them out before the files "
            "leave this place.",
        ),
    ]
