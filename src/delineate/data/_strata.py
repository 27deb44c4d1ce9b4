"""The stratum (kind) of each group, for stratified splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from delineate.core import Case
from delineate.data._groups import COLUMN, column_values


def strata(cases: Sequence[Case], stratify: str | None) -> dict[str, str]:
    """The kind of each group: that of most of its cases, the first by name in a tie.

    Args:
        cases: all cases.
        stratify: None: no strata. "labels": the labels of an image, and the tercile of their area among the images
            that have any; reads every mask once. If some cases have image-level labels only, the kind of a group is
            the rarest label that any of its images shows. "column:NAME": the values of a column.

    Raises:
        ValueError: another value, or no such column.
    """
    if stratify is None:
        return {}
    if stratify == "labels":
        contents = _contents_of(cases)
        if not all(content.outlined for content in contents.values()):
            return _rarest_labels(cases, contents)
        kinds = _label_kinds(contents)
    elif stratify.startswith(COLUMN):
        kinds = column_values({case.id: case.columns for case in cases}, stratify, "stratify")
    else:
        raise ValueError(f"stratify is {stratify!r}; expected 'labels' or 'column:NAME'.")
    votes: dict[str, Counter[str]] = {}
    for case in cases:
        votes.setdefault(case.group, Counter())[kinds[case.id]] += 1
    return {
        group: min(count, key=lambda kind: (-count[kind], kind)) for group, count in votes.items()
    }


@dataclass(frozen=True)
class _Content:
    """The labels of an image (None without truth), the fraction of its area they cover, and whether it has a mask."""

    names: tuple[str, ...] | None
    area: float = 0.0
    outlined: bool = True


def _contents_of(cases: Sequence[Case]) -> dict[str, _Content]:
    # file reading and decompression release the GIL
    with ThreadPoolExecutor() as pool:
        return dict(zip((case.id for case in cases), pool.map(_content, cases), strict=True))


def _content(case: Case) -> _Content:
    truth = case.truth
    if truth is None:
        return _Content(None)
    names = tuple(name for name in truth.labels.names if truth.shows(name))
    if not truth.outlined:
        return _Content(names, outlined=False)
    area = int(np.count_nonzero(np.isin(truth.classes, truth.labels.values)))
    return _Content(names, area / truth.classes.size)


def _label_kinds(contents: Mapping[str, _Content]) -> dict[str, str]:
    filled = [content.area for content in contents.values() if content.names]
    thirds = np.quantile(filled, (1 / 3, 2 / 3)) if filled else np.zeros(2)
    return {id: _kind(content, thirds) for id, content in contents.items()}


def _kind(content: _Content, thirds: np.ndarray) -> str:
    if not content.names:
        return "unlabelled" if content.names is None else "empty"
    return f"{'+'.join(content.names)} {np.searchsorted(thirds, content.area)}"


def _rarest_labels(cases: Sequence[Case], contents: Mapping[str, _Content]) -> dict[str, str]:
    """The rarest label that any image of a group shows, for each group."""
    shown: dict[str, set[str]] = {}
    for case in cases:
        shown.setdefault(case.group, set()).update(contents[case.id].names or ())
    groups = Counter(name for names in shown.values() for name in names)
    return {
        group: min(names, key=lambda name: (groups[name], name), default="empty")
        for group, names in shown.items()
    }
