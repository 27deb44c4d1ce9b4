"""What a killed process leaves is removed by the next one, and what is being written never is."""

import os
import signal
import subprocess
import sys
import time

import pytest

from delineate.files import is_part, part_folder, whole_file
from delineate.files._whole_file import UNLOCKED_SECONDS, _cleared, clear_parts

WRITER = """
import sys, time
from pathlib import Path
from delineate.files import part_folder, whole_file
with part_folder(Path(sys.argv[1])) as folder, whole_file(Path(sys.argv[1]) / "m.png") as part:
    (folder / "half.csv").write_text("half")
    part.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writer(tmp_path):
    """A process in the middle of writing in a folder."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "writing\n"
        yield process
        process.kill()


@pytest.fixture(autouse=True)
def _first_write():
    _cleared.clear()


@pytest.mark.skipif(sys.platform == "win32", reason="parts are not locked there")
def test_what_a_killed_process_left_is_removed_by_the_next_that_writes_there(writer, tmp_path):
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert len(list(tmp_path.iterdir())) == 2
    with whole_file(tmp_path / "other.csv") as part:
        part.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["other.csv"]


def test_what_another_process_is_writing_is_left_alone(writer, tmp_path):
    before = sorted(tmp_path.iterdir())
    clear_parts(tmp_path)
    with part_folder(tmp_path):
        pass
    assert sorted(tmp_path.iterdir()) == before


def test_nobody_elses_hidden_file_is_touched(tmp_path):
    for name in (".0123456789abcdef.png", ".hidden", "delineate-notes.txt"):
        (tmp_path / name).write_text("mine")
        os.utime(tmp_path / name, (1, 1))
    clear_parts(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_without_locks_only_what_is_old_is_removed(tmp_path, monkeypatch):
    def no_locks(path, *, wait):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("delineate.files._whole_file._locked", no_locks)
    with part_folder(tmp_path) as folder, whole_file(tmp_path / "m.png") as part:
        part.write_text("half")
        (folder / "new.csv").write_text("half")
        long_ago = time.time() - 2 * UNLOCKED_SECONDS
        os.utime(folder, (long_ago, long_ago))
        clear_parts(tmp_path)
        assert folder.exists()
        assert part.exists()
        os.utime(folder / "new.csv", (long_ago, long_ago))
        clear_parts(tmp_path)
        assert not folder.exists()


@pytest.mark.parametrize("opened", [True, False])
def test_a_part_removed_before_it_was_locked_is_made_again(tmp_path, monkeypatch, opened):
    from delineate.files import _whole_file as home

    plain, calls = home._locked, []

    def late(path, *, wait):
        calls.append(path)
        if len(calls) == 1 and not opened:
            path.rmdir()  # another process took it for nobody's
        lock = plain(path, wait=wait)
        if len(calls) == 1:
            path.rmdir()
        return lock

    monkeypatch.setattr(home, "_locked", late)
    with part_folder(tmp_path) as folder:
        assert folder.is_dir()
        assert is_part(folder.name)
    assert len(calls) == 2
    assert not list(tmp_path.iterdir())
