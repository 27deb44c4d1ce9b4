from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delineate.core import Case


@pytest.mark.parametrize(
    "id", ["a", "sub/a", "scan.1", "photo 3", "née", "<case 0>", "\udcff", "..a"]
)
def test_a_name_and_a_path_below_a_folder_are_ids(id):
    assert Case(id, "g", lambda: None).id == id


@pytest.mark.parametrize(
    ("id", "why"),
    [
        ("", "empty"),
        ("/etc/passwd", "absolute"),
        ("../images/a", r"part '\.\.'"),
        ("a/../../b", r"part '\.\.'"),
        ("a//b", "part ''"),
        ("a/", "part ''"),
        ("./a", r"part '\.'"),
        (r"a\b", "backslash"),
        ("a\n", "control character"),
        ("a\0", "control character"),
        ("a/.. /b", "ends with a dot or a space"),
        ("C:a", "drive"),
        ("é" * 101, "more than 200 bytes"),
    ],
)
def test_an_id_that_could_lead_to_another_file_is_refused(id, why):
    with pytest.raises(ValueError, match=why):
        Case(id, "g", lambda: None)


@given(st.text())
def test_an_id_names_a_file_below_the_folder_it_is_joined_to(tmp_path_factory, id):
    try:
        Case(id, "g", lambda: None)
    except ValueError:
        return
    folder = tmp_path_factory.getbasetemp()
    assert folder in (folder / id).resolve().parents


def test_the_first_file_is_what_to_open_unless_another_path_is_given():
    scan, mask = Path("scan.mhd"), Path("mask.png")
    case = Case("a", "g", lambda: None, None, (scan, Path("scan.raw")), (mask,))
    assert (case.image_path, case.truth_path) == (scan, mask)
    slices = (Path("ct/1.dcm"), Path("ct/2.dcm"))
    series = Case("a", "g", lambda: None, image_files=slices, image_path=Path("ct"))
    assert (series.image_path, series.truth_path) == (Path("ct"), None)
    assert series.files == slices
    assert Case("a", "g", lambda: None).image_path is None
