"""Patients on two sides of the split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from delineate.audit._case_facts import CaseFacts
from delineate.audit._finding import Finding, Level, by_side, finding
from delineate.core import LabelSet
from delineate.words import counted

FINDS: Mapping[str, Level] = {
    "group_across_splits": "refuse",
    "patient_across_splits": "refuse",
    "patient_of_two_groups": "warn",
}
NEVER_ALLOWED = ("group_across_splits",)


def groups(cases: Sequence[CaseFacts], labels: LabelSet) -> list[Finding]:
    """Groups whose cases are in several splits, and DICOM patients who are under several groups."""
    members: dict[str, list[CaseFacts]] = {}
    patients: dict[str, list[CaseFacts]] = {}
    for case in cases:
        members.setdefault(case.group, []).append(case)
        if case.patient:
            patients.setdefault(case.patient, []).append(case)
    groups = by_side((together, f"group {group}") for group, together in members.items())
    people = by_side((together, "one PatientID") for together in patients.values())
    return [
        *finding(
            FINDS,
            "group_across_splits",
            groups["across"],
            lambda n: f"{counted(n, 'group')} on two sides of the split",
            "Scores of patients in the training data are too high. Split by group.",
        ),
        *finding(
            FINDS,
            "patient_across_splits",
            people["across"],
            lambda n: f"{counted(n, 'patient')}, by DICOM's PatientID, on two sides of the split",
            "Scores of patients in the training data are too high. Give the cases of each patient one group.",
        ),
        *finding(
            FINDS,
            "patient_of_two_groups",
            people["between"],
            lambda n: (
                f"{counted(n, 'patient')}, by DICOM's PatientID, under several groups of one split"
            ),
            "Another split may separate them. Give the cases of each patient one group.",
        ),
    ]
