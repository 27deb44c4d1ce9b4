import pytest

from delineate.identifiers import is_direct_identifier, is_identifier


@pytest.mark.parametrize(
    "name",
    ["PatientName", "patient_name", "patientname", "PATIENT ID", "patientid", "MRN", "referring mail", "DateOfBirth",
     "birthdate", "patient", "Subject-ID", "id2", "StudyInstanceUID", "patientcomments"],
)  # fmt: skip
def test_a_name_that_says_who_somebody_is(name):
    assert is_direct_identifier(name)
    assert is_identifier(name)


@pytest.mark.parametrize("name", ["PatientSex", "patient_age", "patientsex", "patient gender"])
def test_what_is_true_of_many_patients_tells_nobody(name):
    assert not is_direct_identifier(name)
    assert not is_identifier(name)


@pytest.mark.parametrize(
    "name", ["institution", "InstitutionName", "ReferringPhysician", "operators"]
)
def test_what_helps_to_tell_is_an_identifier_of_files(name):
    assert is_identifier(name)


@pytest.mark.parametrize("name", ["institution", "operator", "Physician"])
def test_what_helps_to_tell_may_be_a_column_of_subgroups(name):
    assert not is_direct_identifier(name)


@pytest.mark.parametrize(
    "name",
    [
        "site",
        "device",
        "valid_until",
        "filename",
        "modality",
        "idle",
        "spacing",
        "",
        "Segment0_Color",
    ],
)
def test_other_names_tell_nobody(name):
    assert not is_identifier(name)
