"""Recognise fields and columns that identify a person, by their names."""

from __future__ import annotations

import re

DIRECT = {
    "name", "surname", "forename", "firstname", "lastname", "fullname", "patient", "subject", "person", "mrn", "birth",
    "birthday", "birthdate", "dob", "address", "street", "postcode", "zip", "phone", "telephone", "mobile", "fax",
    "mail", "email", "accession", "ssn", "nhs", "insurance", "id", "ids", "uid", "uuid", "identifier",
}  # fmt: skip
"""Words in the names of direct identifiers: fields that identify a person by themselves."""

SHARED = {"sex", "gender", "age"}
"""Words of fields whose value many patients share: PatientSex does not identify a person."""

INDIRECT = ("institution", "physician", "operator")
"""Words in the names of indirect identifiers: fields that identify a person together with others."""


def is_direct_identifier(name: str) -> bool:
    """Whether a field of this name is a direct identifier. Its words may be joined as in DICOM keywords.

    >>> [is_direct_identifier(name) for name in ("PatientName", "referring_mail", "patientid", "PatientSex", "site")]
    [True, True, True, False, False]
    """
    words = {word.lower() for word in _words(name)}
    for word in list(words):
        if word.startswith("patient"):  # patientname: no capital separates the words
            words |= {"patient", word.removeprefix("patient")}
    return not DIRECT.isdisjoint(words - {"patient"} if words & SHARED else words)


def is_identifier(name: str) -> bool:
    """Whether a field of this name is a direct or an indirect identifier: institution, physician, operator.

    The audit searches files for both. A column with an indirect identifier may still define subgroups of the scores.

    >>> [is_identifier(name) for name in ("PatientName", "InstitutionAddress", "operatorsname", "site")]
    [True, True, True, False]
    """
    return is_direct_identifier(name) or any(word in name.lower() for word in INDIRECT)


def _words(name: str) -> list[str]:
    return re.split(r"[\W_\d]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", name)
