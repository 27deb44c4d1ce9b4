"""Names and numbers as they are read."""

from __future__ import annotations


def title(name: str) -> str:
    """A metric's name as it is read.

    >>> title("pixel_accuracy"), title("iou")
    ('Pixel accuracy', 'IoU')
    """
    words = name.replace("_", " ").replace("iou", "IoU")
    return words[:1].upper() + words[1:]


def number(value: float | None) -> str:
    """A score as it is printed; a dash where the question does not arise."""
    return "–" if value is None or value != value else f"{value:.3f}"
