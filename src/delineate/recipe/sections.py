"""The sections of a recipe, and what they are where they are left out."""

from __future__ import annotations

from typing import Any

SECTIONS = (
    "name", "data", "audit", "labels", "task", "prepare", "augment", "model", "loss", "deep_supervision", "optimizer",
    "schedule", "trainer", "predict", "refine", "metrics", "seed",
)  # fmt: skip


ONE_CALL = ("data", "task", "model", "deep_supervision", "optimizer", "schedule")
"""Sections that name one function, so that another name takes the place of the one there."""

DEFAULTS: dict[str, Any] = {
    "audit": {},
    "task": "semantic",
    "prepare": [],
    "augment": [],
    "deep_supervision": "halving",
    "optimizer": "adamw",
    "schedule": "constant",
    "trainer": {},
    "predict": [],
    "refine": [],
    "metrics": [],  # the first of the full set that fit the task
    "seed": 0,
}
