"""Progress is a bar on a terminal, a line now and then elsewhere, and nothing where quiet."""

import logging
import os
from contextlib import contextmanager, redirect_stderr, suppress
from datetime import datetime

import pytest

from delineate import progress
from delineate.cli import main
from delineate.progress import Progress, log, log_to, quiet, say, track, warn

pty, termios = (pytest.importorskip(name) for name in ("pty", "termios"))


@contextmanager
def terminal():
    """Stderr as a pseudo-terminal for the block; gives a list, which holds what was written there after it."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (24, 80))
    said = []
    with os.fdopen(theirs, "w") as screen, redirect_stderr(screen):
        yield said
    read = b""
    with suppress(OSError):  # the end of a pseudo-terminal; one call may return a part
        while part := os.read(ours, 100_000):
            read += part
    os.close(ours)
    said.append(read.decode())


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by adding to its only item."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_on_a_terminal_there_is_a_bar_that_is_redrawn():
    with terminal() as screen:
        for _ in track(range(50), "preparing", leave=True):
            pass
    (said,) = screen
    assert said.count("\r") >= 2
    assert "preparing: 100%" in said
    assert "50/50" in said


def test_in_a_pipe_there_is_one_line_at_the_end_of_what_is_quick(capsys):
    for _ in track(range(1000), "preparing"):
        pass
    assert capsys.readouterr().err == "preparing: 1000 of 1000 cases, 0:00:00\n"


def test_in_a_pipe_lines_lie_thirty_seconds_and_a_tenth_apart(capsys, clock):
    for _ in track(range(1000), "preparing"):
        clock[0] += 1.0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0] == "preparing: 100 of 1000 cases, 0:01:40"
    assert lines[-1] == "preparing: 1000 of 1000 cases, 0:16:40"
    for _ in track(range(100), "quicker"):
        clock[0] += 1.0
    assert len(capsys.readouterr().err.splitlines()) == 4


def test_in_a_pipe_slow_work_shows_that_it_is_alive(capsys, clock):
    bar = Progress("training", 100_000, "step")
    for _ in range(100):
        clock[0] += 60.0
        bar.update(1)
    assert len(capsys.readouterr().err.splitlines()) == 10
    bar.close()


def test_the_last_line_tells_where_work_failed(capsys):
    def fails():
        for i in track(range(10), "preparing"):
            if i == 3:
                raise ValueError("the fourth")

    with pytest.raises(ValueError, match="the fourth"):
        fails()
    assert capsys.readouterr().err == "preparing: 3 of 10 cases, 0:00:00\n"


def test_steps_take_the_place_of_a_line_that_is_due(capsys, clock):
    bar = Progress("training", 100, "step")
    for epoch in range(1, 11):
        clock[0] += 20.0
        bar.done += 10
        bar.say(f"epoch {epoch}")
    bar.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["epoch 2", "epoch 4", "epoch 6", "epoch 8", "epoch 10"]


def test_quiet_silences_progress_and_no_warning(capsys):
    def work():
        with quiet():
            list(track(range(100), "preparing"))
            say("a step")
            warn("a warning")

    work()
    assert capsys.readouterr().err == "a warning\n"
    with terminal() as screen:
        work()
    assert screen[0].split() == ["a", "warning"]


def test_a_log_holds_what_was_said_with_times_and_is_appended_to(tmp_path):
    path = tmp_path / "log.txt"
    with log_to(path), quiet():
        say("begun")
        list(track(range(3), "preparing"))
        with log_to(path):  # a verb that another one calls
            warn("once")
    with pytest.raises(RuntimeError), log_to(path):
        raise RuntimeError("no memory")
    log("nowhere")
    lines = path.read_text().splitlines()
    assert [line.split("  ", 1)[1] for line in lines] == [
        "begun",
        "preparing: 3 of 3 cases, 0:00:00",
        "once",
        "error: RuntimeError: no memory",
    ]
    assert all(datetime.fromisoformat(line.split("  ")[0]) for line in lines)
    assert not [h for h in logging.getLogger("delineate").handlers if hasattr(h, "baseFilename")]


def test_quiet_goes_before_or_after_the_verb(tmp_path, capsys):
    truth = tmp_path / "truth"
    truth.mkdir()
    import cv2
    import numpy as np

    cv2.imwrite(str(truth / "a.png"), np.eye(20, dtype=np.uint8))
    labels = tmp_path / "labels.yaml"
    labels.write_text("labels: {line: 1}\n")
    words = [
        "evaluate",
        "--truth",
        str(truth),
        "--predictions",
        str(truth),
        "--labels",
        str(labels),
    ]
    loud = [*words, "--metrics", "dice", "-o", str(tmp_path / "out")]
    assert main(loud) == 0
    assert "evaluate test: 1 of 1 case" in capsys.readouterr().err
    for silent in (["--quiet", *loud], [*loud, "-q"]):
        assert main(silent) == 0
        said = capsys.readouterr()
        assert said.err == ""
        assert "dice" in said.out
    assert main(["-q", "evaluate", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err
