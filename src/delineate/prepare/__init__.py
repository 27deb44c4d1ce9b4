"""Preprocessing: an image to pixels on the network's grid, and back. One step per file; every step has an inverse."""

from delineate.prepare._layers import Layers, Object
from delineate.prepare._prepare import Prepare, load_prepare
from delineate.prepare._resample import linear
from delineate.prepare._slices import Slices, load_slices, stacked, unstacked
from delineate.prepare._step import Carry, GridStep, Step, ValueStep
from delineate.prepare.window import WINDOWS, Window, read_window

__all__ = [
    "WINDOWS",
    "Carry",
    "GridStep",
    "Layers",
    "Object",
    "Prepare",
    "Slices",
    "Step",
    "ValueStep",
    "Window",
    "linear",
    "load_prepare",
    "load_slices",
    "read_window",
    "stacked",
    "unstacked",
]
