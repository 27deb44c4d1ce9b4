"""Predict many cases in threads, in order, with a fixed number of them in memory."""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from itertools import islice
from typing import TypeVar

import cv2

from delineate.core import Case, Predictor
from delineate.inference import EngineThread, PredictionStopped
from delineate.predictions.folder import PredictionFolder
from delineate.predictions.predict_case import (
    CasePrediction,
    Draft,
    Outputs,
    draft_case,
    read_case,
)

MOST_CASES = 8
"""Cases that are predicted at the same time at most, on a machine with many cores."""

MOST_SAMPLES = 1 << 26
"""Samples of the probability maps of all cases in memory; a case with more is predicted while no other one is."""

LARGE_BYTES = 1 << 24
"""Images of files of this size or more are read one at a time, since they stay in memory until there is room."""

T = TypeVar("T")


def predict_cases(
    predictor: Predictor,
    cases: Sequence[Case],
    folder: PredictionFolder,
    outputs: Outputs | None = None,
    *,
    review_below: Mapping[str, float] | None = None,
    strict: bool = False,
    workers: int | None = None,
) -> Generator[tuple[Case, CasePrediction | Exception], None, None]:
    """`predict_case` for each case, in threads: gives the cases in order, each with what was written or its error.

    Each worker takes a case from its files to hidden files of its results. A thread calls the network for all workers,
    one call at a time on all cores (`in_turn`), while others read, prepare, decide and write. So the results are those
    of `predict_case` to the bit. The calling thread puts the files in place and writes the rows and the record, in the
    order of the cases. Memory does not grow with the number of cases, and a large case counts as several.

    Args:
        predictor: as `predict_case`.
        cases: the images.
        folder: as `predict_case`.
        outputs: as `predict_case`.
        review_below: as `predict_case`.
        strict: as `predict_case`.
        workers: number of threads; by default one more than cores, at most `MOST_CASES`. With 1 there are none.

    Raises:
        OSError: a file cannot be written; that affects all cases. It ends the run, as KeyboardInterrupt does, and the
            files of earlier cases are in place. No file is half-written.
    """
    workers = min(workers or min(_cores() + 1, MOST_CASES), len(cases))
    draft_of = partial(
        draft_case,
        predictor,
        folder=folder,
        outputs=outputs,
        review_below=review_below,
        strict=strict,
    )
    if workers <= 1:
        for case in cases:
            drawn = _outcome(lambda one: draft_of(*read_case(one)), case)
            yield case, drawn.commit() if isinstance(drawn, Draft) else drawn
        return
    engine = EngineThread()
    room = _Room(MOST_SAMPLES, maps=1 + len(getattr(predictor, "labels", ())))

    def draft(case: Case) -> Draft:
        with engine.serving(), room.of(case) as (held, inputs):
            if engine.stopped.is_set():
                raise PredictionStopped
            return draft_of(held, inputs)

    waiting = deque[Future[Draft | Exception]]()
    coming = iter(cases)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the workers and the engine have all cores already
    pool = ThreadPoolExecutor(workers, "predict")
    try:
        for case in cases:
            for one in islice(coming, 2 * workers - len(waiting)):
                waiting.append(pool.submit(_outcome, draft, one))
            drawn = waiting[0].result()
            yield case, drawn.commit() if isinstance(drawn, Draft) else drawn
            waiting.popleft()
    finally:
        engine.stopped.set()
        pool.shutdown(cancel_futures=True)
        engine.close()
        for future in waiting:
            with suppress(BaseException):  # cancelled, or an error of the disk
                if isinstance(drawn := future.result(), Draft):
                    drawn.discard()
        cv2.setNumThreads(threads)


class _Room:
    """Memory for cases, in samples of their probability maps.

    Args:
        samples: for all cases together.
        maps: probability maps of a case.
    """

    def __init__(self, samples: int, maps: int) -> None:
        self._all = self._free = samples
        self._maps = maps
        self._door, self._changed = threading.RLock(), threading.Condition()

    @contextmanager
    def of(self, case: Case) -> Iterator[tuple[Case, str]]:
        """Read a case and wait until there is room for its maps, which it has in the block; as `read_case`."""
        with self._door if _bytes(case) >= LARGE_BYTES else nullcontext():
            held, inputs = read_case(case)
            samples = min(self._all, self._maps * math.prod(held.image.geometry.shape))
            with self._door, self._changed:  # who came first goes first
                self._changed.wait_for(lambda: self._free >= samples)
                self._free -= samples
        try:
            yield held, inputs
        finally:
            with self._changed:
                self._free += samples
                self._changed.notify_all()


def _outcome(work: Callable[[Case], T], case: Case) -> T | Exception:
    """The result, or the error without the frames that hold its arrays."""
    try:
        return work(case)
    except OSError:  # a full disk affects all cases
        raise
    except Exception as error:  # the other cases can still be predicted
        error.__cause__ = error.__context__ = None
        return error.with_traceback(None)


def _bytes(case: Case) -> int:
    with suppress(OSError):  # reading it will say so
        return sum(file.stat().st_size for file in case.image_files)
    return 0


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
