"""Calls of an engine: one at a time in a process, and none for a prediction that was stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
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
        PredictionStopped: at a call inside `stoppable` after its event was set. Sliding windows, slices, flips and
            the members of an ensemble are single calls, so that a long prediction stops soon.
    """
    return partial(_in_turn, network)


@contextmanager
def stoppable(stop: threading.Event) -> Iterator[None]:
    """Inside, calls of a network `in_turn` raise `PredictionStopped` after `stop` was set."""
    token = _stop.set(stop)
    try:
        yield
    finally:
        _stop.reset(token)


def _in_turn(network: Network, pixels: np.ndarray) -> Output[np.ndarray]:
    with _turn:
        stop = _stop.get()
        if stop is not None and stop.is_set():
            raise PredictionStopped
        return network(pixels)


_turn = threading.Lock()
_stop: ContextVar[threading.Event | None] = ContextVar("stop", default=None)
