"""Which fields and columns say who somebody is, by their names."""

from __future__ import annotations

import re

DIRECT = {
    "name", "surname", "forename", "firstname", "lastname", "fullname", "patient", "subject", "person", "mrn", "birth",
    "birthday", "birthdate", "dob", "address", "street", "postcode", "zip", "phone", "telephone", "mobile", "fax",
    "mail", "email", "accession", "ssn", "nhs", "insurance", "id", "ids", "uid", "uuid", "identifier",
}  # fmt: skip
"""Words in the name of a field that says who somebody is."""

OF_MANY = {"sex", "gender", "age"}
"""Words that make it a fact of many patients: PatientSex does not say who somebody is."""

INDIRECT = ("institution", "physician", "operator")
"""What helps to tell, together with other fields, who somebody is."""


def is_direct_identifier(name: str) -> bool:
    """Whether a field of this name says who somebody is, by its words; they may be joined as in DICOM's keywords.

    >>> [is_direct_identifier(name) for name in ("PatientName", "referring_mail", "patientid", "PatientSex", "site")]
    [True, True, True, False, False]
    """
    words = {word.lower() for word in _words(name)}
    for word in list(words):
        if word.startswith("patient"):  # patientname, in which no capital shows where a word begins
            words |= {"patient", word.removeprefix("patient")}
    return not DIRECT.isdisjoint(words - {"patient"} if words & OF_MANY else words)


def is_identifier(name: str) -> bool:
    """Whether it says who somebody is, or helps to: the institution, a physician, an operator.

    Files are searched for these. A column of such a name is one that scores are told by, and no direct identifier.

    >>> [is_identifier(name) for name in ("PatientName", "InstitutionAddress", "operatorsname", "site")]
    [True, True, True, False]
    """
    return is_direct_identifier(name) or any(word in name.lower() for word in INDIRECT)


def _words(name: str) -> list[str]:
    return re.split(r"[\W_\d]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", name)
