"""Progress messages: a bar on a terminal, occasional lines elsewhere, and a log file.

Messages go to stderr, so that stdout holds only results. `quiet` silences progress, never warnings.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

EVERY, PART = 30.0, 0.1
"""Minimum seconds and minimum fraction of the work between two lines of progress, where there is no terminal."""

AT_LEAST = 600.0
"""Seconds after which a line is printed even if less work than `PART` was done."""

LOG = "log.txt"
"""The name of the log in a run's folder."""

T = TypeVar("T")

_logger = logging.getLogger("delineate")
_logger.addHandler(logging.NullHandler())
_logger.setLevel(logging.INFO)
_silenced = 0
_open_logs: set[Path] = set()


class _Log(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Ignore the error: a full disk must not end a run because of its log."""


class Progress:
    """Shows progress: a tqdm bar if stderr is a terminal, else a few lines. The last line is always printed.

    Args:
        what: the name of the work, such as "preparing".
        total: units of work; None if unknown.
        unit: the noun of a unit, in the singular.
        done: units already done at the start.
        leave: keep the finished bar on the terminal.
        show: False shows nothing.
        rate: add the units per second since the start to each line, as a bar always does.
        bar: further arguments of tqdm, for the terminal.
    """

    def __init__(
        self, what: str, total: int | None, unit: str, *, done: float = 0, leave: bool = True,
        show: bool = True, rate: bool = False, **bar: Any,
    ) -> None:  # fmt: skip
        self.what, self.total, self.unit, self.done = what, total, unit, done
        self.show, self.logged = show and not _silenced, show
        self.note, self.rate, self.first = "", rate, done
        self.started = self.last_time = time.monotonic()
        self.last_done: float = done
        self.bar: tqdm[Any] | None = None
        if self.show and sys.stderr.isatty():
            self.bar = tqdm(
                desc=what, total=total, unit=unit, initial=done, leave=leave, file=sys.stderr, **bar
            )

    def update(self, units: float = 1, note: str | None = None) -> None:
        """Add finished units; `note` is shown after the numbers from now on."""
        self.done += units
        self.note = self.note if note is None else note
        if self.bar is not None:
            if note is not None:
                self.bar.set_postfix_str(note, refresh=False)
            self.bar.update(units)
        elif self._due():
            self._print()

    def say(self, line: str) -> None:
        """Print a message above the bar; without a terminal, only when a line is due. It is not logged."""
        if self.bar is not None:
            self.bar.write(line, file=sys.stderr)
        elif self._due():
            self._print(line)

    def close(self) -> None:
        """End the progress, after success or failure."""
        if self.bar is not None:
            self.bar.close()
        elif self.done != self.last_done:
            self._print()
        if self.logged and self.done:
            log(self._line())
        self.show, self.logged, self.bar = False, False, None

    def _due(self) -> bool:
        waited = time.monotonic() - self.last_time
        further = self.done - self.last_done >= PART * (self.total or 0)
        return (waited >= EVERY and further) or waited >= AT_LEAST

    def _print(self, line: str | None = None) -> None:
        self.last_time, self.last_done = time.monotonic(), self.done
        if self.show:
            print(line or self._line(), file=sys.stderr, flush=True)

    def _line(self) -> str:
        of = "" if self.total is None else f" of {self.total}"
        units = self.unit if (self.total or self.done) == 1 or self.unit == "s" else f"{self.unit}s"
        seconds = time.monotonic() - self.started
        rate = ""
        if self.rate and self.done > self.first and seconds > 0:
            rate = f", {(self.done - self.first) / seconds:.3g} {self.unit}s/s"
        spent = timedelta(seconds=round(seconds))
        return f"{self.what}: {self.done:.0f}{of} {units}, {spent}{rate}" + (
            self.note and f", {self.note}"
        )


def track(
    items: Iterable[T], what: str, *, unit: str = "case", total: int | None = None,
    leave: bool = False, show: bool = True,
) -> Iterator[T]:  # fmt: skip
    """Iterate over items and show the progress; the arguments are those of `Progress`."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    progress = Progress(what, total, unit, leave=leave, show=show)
    try:
        for item in items:
            yield item
            progress.update()
    finally:
        progress.close()


def say(line: str) -> None:
    """Print a progress message to stderr, unless `quiet`, and to the log."""
    log(line)
    if not _silenced:
        tqdm.write(line, file=sys.stderr)


def warn(line: str) -> None:
    """Print a warning to stderr, even with `quiet`, and to the log."""
    log(line)
    tqdm.write(line, file=sys.stderr)


def log(line: str) -> None:
    """Write a line with its time to the open logs only."""
    _logger.info(line)


@contextmanager
def quiet(silent: bool = True) -> Iterator[None]:
    """Silence progress on stderr inside the block. Warnings, errors and results are still printed."""
    global _silenced
    _silenced += silent
    try:
        yield
    finally:
        _silenced -= silent


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Append the messages inside the block to a file, with times; also an error that ends the block.

    Inside another block for the same file it does nothing.
    """
    path = path.resolve()
    if path in _open_logs:
        yield
        return
    file = _Log(path, encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%Y-%m-%d %H:%M:%S"))
    _logger.addHandler(file)
    _open_logs.add(path)
    try:
        yield
    except KeyboardInterrupt:
        log("interrupted")
        raise
    except BaseException as error:
        if not isinstance(error, SystemExit):
            notes = " ".join(getattr(error, "__notes__", ()))
            log(f"error: {type(error).__name__}: {error} {notes}".rstrip())
        raise
    finally:
        _open_logs.discard(path)
        _logger.removeHandler(file)
        file.close()
