"""The sections of a recipe and their defaults."""

from __future__ import annotations

from typing import Any

SECTIONS = (
    "name", "data", "audit", "labels", "task", "prepare", "slices", "augment", "model", "loss", "deep_supervision",
    "optimizer", "schedule", "trainer", "predict", "refine", "metrics", "seed",
)  # fmt: skip


ONE_CALL = ("data", "task", "model", "deep_supervision", "optimizer", "schedule")
"""Sections that name one function; a new name replaces the old one."""

INIT_FROM = "init_from"
"""The option of the section `model`, beside the name of the model: what the weights are initialised from."""

DEFAULTS: dict[str, Any] = {
    "audit": {},
    "task": "semantic",
    "prepare": [],
    "slices": None,  # a 2D model for 3D images, if given
    "augment": [],
    "deep_supervision": "halving",
    "optimizer": "adamw",
    "schedule": "constant",
    "trainer": {},
    "predict": [],
    "refine": [],
    "metrics": [],  # empty: the metrics of the full set that fit the task
    "seed": 0,
}
