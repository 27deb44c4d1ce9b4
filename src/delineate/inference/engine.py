"""Calls of an engine: one at a time in a process, for many cases in one thread, and none for what was stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

import numpy as np

from delineate.core import Network, Output


class PredictionStopped(Exception):  # noqa: N818
    """Another thread has stopped this prediction."""


def in_turn(network: Network) -> Network:
    """A network whose calls wait for each other, and for those of all other networks in turn.

    A call uses all cores, so that two at a time would be slower than one after the other. The number of threads of an
    engine changes the last bits of its results (eager torch: by about 1e-7), so it does not depend on how many
    cases are predicted at the same time. Other threads read, prepare and write meanwhile.

    Raises:
        PredictionStopped: at a call for a stopped `EngineThread`. Sliding windows, slices, flips and the members of an
            ensemble are single calls, so that a long prediction ends soon.
    """
    return partial(_in_turn, network)


class EngineThread:
    """One thread that makes the calls of networks `in_turn` for several workers, until it is stopped.

    An engine keeps memory for each thread that calls it, so that workers which call it themselves take more of it.
    """

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._pool = ThreadPoolExecutor(1, "engine")

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Inside, calls of networks in turn by the calling thread are made here."""
        token = _engine.set(self)
        try:
            yield
        finally:
            _engine.reset(token)

    def call(self, network: Network, pixels: np.ndarray) -> Output[np.ndarray]:
        """Call a network and wait for its output.

        Raises:
            PredictionStopped: `stopped` is set.
        """
        return self._pool.submit(self._call, network, pixels).result()

    def close(self) -> None:
        """End the thread, after its call; workers must have ended."""
        self._pool.shutdown()

    def _call(self, network: Network, pixels: np.ndarray) -> Output[np.ndarray]:
        with _turn:
            if self.stopped.is_set():
                raise PredictionStopped
            return network(pixels)


def _in_turn(network: Network, pixels: np.ndarray) -> Output[np.ndarray]:
    engine = _engine.get()
    if engine is not None:
        return engine.call(network, pixels)
    with _turn:
        return network(pixels)


_turn = threading.RLock()
_engine: ContextVar[EngineThread | None] = ContextVar("engine", default=None)
