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
