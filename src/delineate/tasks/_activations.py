"""Logits to probabilities, with no more than one array beside the logits."""

from __future__ import annotations

import numpy as np


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """The sigmoid of each logit; it does not overflow, unlike 1 / (1 + exp(-x))."""
    maps: np.ndarray = np.multiply(0.5, logits)
    np.tanh(maps, out=maps)
    maps *= 0.5
    maps += 0.5
    return maps


def softmax(logits: np.ndarray) -> np.ndarray:
    """The softmax over the first axis."""
    maps: np.ndarray = np.subtract(logits, logits.max(axis=0, keepdims=True))
    np.exp(maps, out=maps)
    maps /= maps.sum(axis=0, keepdims=True)
    return maps
