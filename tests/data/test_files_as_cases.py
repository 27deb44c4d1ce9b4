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
    assert found[0].files == (photos / "a.jpg",)
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
