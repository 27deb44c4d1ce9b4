import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from delineate.data import cases_of


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("b.png", "a.jpg", "deep/a.PNG", ".hidden.png", ".git/c.png", "deep/a.bmp"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Picture.fromarray(np.zeros((3, 5), np.uint8)).save(path)
    (tmp_path / "photos/notes.txt").write_text("no image")
    return tmp_path / "photos"


def test_a_folder_is_all_images_below_it(photos):
    found = cases_of([photos])
    assert [case.id for case in found] == ["a", "b", "deep/a.PNG", "deep/a.bmp"]
    assert found[0].image_files == (photos / "a.jpg",)
    assert found[0].image.geometry.shape == (3, 5)
    assert found[0].truth is None


def test_a_glob_counts_from_where_it_begins(photos):
    assert [case.id for case in cases_of([str(photos / "*.png")])] == ["b"]
    assert [case.id for case in cases_of([str(photos / "**/*.PNG")])] == ["deep/a"]
    assert next(case.id for case in cases_of([str(photos.parent / "pho*")])) == "photos/a"


def test_each_file_is_taken_once(photos, monkeypatch):
    monkeypatch.chdir(photos)
    assert [case.id for case in cases_of(["a.jpg", photos, Path("b.png")])] == [
        "a",
        "b",
        "deep/a.PNG",
        "deep/a.bmp",
    ]


def test_files_of_one_name_are_numbered(photos):
    other = photos.parent / "other"
    other.mkdir()
    (other / "b.png").write_bytes((photos / "b.png").read_bytes())
    assert [c.id for c in cases_of([photos / "b.png", other / "b.png"])] == ["b.png", "b.png-2"]


def test_ids_also_differ_where_upper_and_lower_case_are_one(tmp_path):
    for name in ("A.png", "a.png", "b.png"):
        (tmp_path / name).touch()
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("on this disk they are one file")
    assert [c.id for c in cases_of([tmp_path])] == ["A.png", "a.png-2", "b"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_files_of_any_name_have_ids(tmp_path):
    for name in ("back\\slash.png", "line\nbreak.png", "dot..png", "C:x.png", "é" * 120 + ".png"):
        (tmp_path / name).touch()
    ids = [c.id for c in cases_of([tmp_path])]
    assert ids == ["C_x", "back_slash", "dot..png", "line_break", "é" * 93]


def test_a_file_named_outright_is_taken_whatever_its_ending(photos):
    (case,) = cases_of([photos / "notes.txt"])
    with pytest.raises(ValueError, match=r"notes\.txt"):
        _ = case.image


def test_cases_travel_to_other_processes(photos):
    (case,) = pickle.loads(pickle.dumps(cases_of([photos / "b.png"])))
    assert case.image.channels >= 1


def test_nothing_to_find(photos, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no image in .*empty, .*\*\.gif.*can be read: .*\.jpg"):
        cases_of([tmp_path / "empty", tmp_path / "*.gif"])
    with pytest.raises(ValueError, match="missing: no such file or folder"):
        cases_of([photos, tmp_path / "missing"])


def test_one_path_needs_no_list(tmp_path):
    Picture.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "one.png")
    assert [case.id for case in cases_of(str(tmp_path / "one.png"))] == ["one"]
    assert [case.id for case in cases_of(tmp_path)] == ["one"]


VOLUME = np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5)
UNPLACED = {"Modality": "DX", "ImagePositionPatient": None, "ImageOrientationPatient": None}


def test_a_folder_with_a_dicom_series_is_one_case(write_series, tmp_path, monkeypatch):
    series = write_series(tmp_path / "data" / "p1" / "ct.1", VOLUME, name="IM{}")
    for given, id in (
        (series, "ct.1"),
        (tmp_path / "data", "p1/ct.1"),
        (tmp_path / "data/*", "p1/ct.1"),
    ):
        (case,) = cases_of(given)
        assert case.id == id
        assert case.image_path == series
        assert case.image_files == tuple(series / f"IM{i}" for i in range(3))
        np.testing.assert_array_equal(case.image.pixels[0], VOLUME)
    monkeypatch.chdir(series)
    assert [case.id for case in cases_of(".")] == ["ct.1"]


def test_a_tree_of_patients_studies_and_series(write_series, tmp_path):
    for patient in ("p1", "p2"):
        for series in ("1.2.840.1", "1.2.840.2"):
            write_series(tmp_path / patient / series, VOLUME, uid=f"1.{patient[1]}.{series}")
    write_series(
        tmp_path / "p1", VOLUME[:1], uid="1.9", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]
    )
    found = cases_of(tmp_path)
    assert [case.id for case in found] == [
        "p1/1.2.840.1", "p1/1.2.840.2", "p2/1.2.840.1", "p2/1.2.840.2",
    ]  # fmt: skip
    assert {case.image.geometry.ndim for case in found} == {3}


def test_several_series_in_one_folder_are_cases_with_their_descriptions(write_series, tmp_path):
    folder = tmp_path / "study"
    for uid, description in (
        ("1.1", "T1/FL"),
        ("1.2", "../liver"),
        ("1.3", "T1/FL"),
        ("1.4", None),
        ("1.5", ".."),
        ("1.6", "."),
    ):
        named = {"SeriesDescription": description} if description else {"SeriesNumber": 4}
        write_series(folder, VOLUME, uid=uid, name=uid + "-{}", **named)
    found = cases_of(folder)
    ids = [
        "study/T1_FL",
        "study/_liver",
        "study/T1_FL-2",
        "study/series 4",
        "study/series",
        "study/series-2",
    ]
    assert [case.id for case in found] == ids
    assert [case.image_path for case in found] == [folder / f"1.{i}" for i in range(1, 7)]
    assert [len(case.image_files) for case in found] == [3] * 6
    assert found[3].image.geometry.shape == VOLUME.shape
    assert [case.id for case in cases_of(folder / "1.2")] == ["1.2"]


def test_radiographs_are_a_case_each(write_series, tmp_path):
    for i in range(2):
        write_series(tmp_path / "films", VOLUME[:1], uid=f"1.{i}", name=f"1.2.84{i}", **UNPLACED)
    write_series(tmp_path / "films", VOLUME[:1], uid="1.5", name="a.dcm", **UNPLACED)
    found = cases_of(tmp_path / "films")
    assert [case.id for case in found] == ["1.2.840", "1.2.841", "a"]
    assert {case.image.geometry.shape for case in found} == {(4, 5)}
    assert [case.id for case in cases_of(str(tmp_path / "films" / "1.2*"))] == [
        "1.2.840",
        "1.2.841",
    ]
    assert [case.id for case in cases_of(tmp_path / "films" / "1.2.841")] == ["1.2.841"]


def test_images_of_other_formats_beside_a_series_are_cases_too(write_series, photos):
    series = write_series(photos / "ct", VOLUME)
    Picture.fromarray(np.zeros((3, 5), np.uint8)).save(series / "key.png")
    (series / "index.txt").write_text("nothing")
    assert [case.id for case in cases_of(photos)] == [
        "a",
        "b",
        "ct",
        "ct/key",
        "deep/a.PNG",
        "deep/a.bmp",
    ]


def test_a_slice_that_is_named_itself_is_an_image_of_two_axes(write_series, tmp_path):
    series = write_series(tmp_path, VOLUME)
    (case,) = cases_of(series / "001.dcm")
    assert (case.id, case.image.geometry.shape) == ("001", (4, 5))


@pytest.mark.parametrize("names", [("*.dcm",), ("*",), ("000.dcm", "002.dcm")])
def test_slices_of_a_series_that_are_named_themselves_are_a_warning(
    names, write_series, tmp_path, capsys
):
    series = write_series(tmp_path / "ct", VOLUME)
    found = cases_of([series / name for name in names])
    assert {case.image.geometry.ndim for case in found} == {2}
    said = capsys.readouterr().err
    assert said.count("slices of one series") == 1
    assert said.rstrip().endswith(f"give the folder: {series}")


def test_other_dicom_files_are_no_slices_of_one_series(write_series, tmp_path, capsys):
    series = write_series(tmp_path / "ct", VOLUME)
    write_series(tmp_path / "films", VOLUME, **UNPLACED)
    write_series(tmp_path / "other", VOLUME[:1], uid="1.9")
    cases_of([series, tmp_path / "films/*", tmp_path / "other/*", series / "001.dcm"])
    cases_of(tmp_path / "*")
    assert capsys.readouterr().err == ""


def test_a_file_named_dcm_that_is_none_fails_by_name(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"\0" * 300)
    (case,) = cases_of(tmp_path)
    with pytest.raises(ValueError, match=r"a\.dcm"):
        _ = case.image
