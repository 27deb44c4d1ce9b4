import os

import pytest

from delineate.files import whole_file
from delineate.files._whole_file import clear_parts


def test_appears_under_its_name_with_its_folders(tmp_path):
    path = tmp_path / "a" / "b" / "scores.csv"
    with whole_file(path) as part:
        part.write_text("half", encoding="utf-8")
        assert not path.exists()
        assert part.parent == path.parent
        assert part.suffix == ".csv"
        assert part.name.startswith(".")
    assert path.read_text(encoding="utf-8") == "half"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "failure", [OSError(28, "No space left"), KeyboardInterrupt(), ValueError()]
)
def test_leaves_nothing_behind(failure, tmp_path):
    path = tmp_path / "m.png"
    path.write_bytes(b"old")

    def write():
        with whole_file(path) as part:
            part.write_bytes(b"ha")
            raise failure

    with pytest.raises(type(failure)):
        write()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"old"


def test_nothing_written_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "m.png"):
        pass
    assert not list(tmp_path.iterdir())


def test_long_names_and_permissions(tmp_path):
    path = tmp_path / ("é" * 120 + ".png")
    with whole_file(path) as part:
        part.write_bytes(b"x")
    plain = tmp_path / "plain"
    plain.write_bytes(b"x")
    assert os.stat(path).st_mode == os.stat(plain).st_mode


def test_another_suffix_for_the_library(tmp_path):
    with whole_file(tmp_path / "m.mhd", suffix=".mha") as part:
        assert part.suffix == ".mha"
        part.write_bytes(b"x")
    assert (tmp_path / "m.mhd").exists()


def test_an_error_names_the_file_and_not_the_part(tmp_path):
    (tmp_path / "m.png").mkdir()
    with (
        pytest.raises(OSError, match="m.png") as caught,
        whole_file(tmp_path / "m.png") as part,
    ):
        part.write_bytes(b"x")
    assert caught.value.filename == str(tmp_path / "m.png")
    assert "delineate-" not in str(caught.value)
    assert "->" not in str(caught.value)


def test_a_part_is_written_in_place_so_that_it_keeps_its_lock(tmp_path):
    with whole_file(tmp_path / "a.txt") as part:
        with whole_file(part) as inner:
            assert inner == part
            inner.write_text("content")
        clear_parts(tmp_path)  # as another process does, which looks for leftovers
        assert part.read_text() == "content"
    assert (tmp_path / "a.txt").read_text() == "content"
