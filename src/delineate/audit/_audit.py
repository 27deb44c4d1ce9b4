"""Run all checks on all cases."""

from __future__ import annotations

import csv
import hashlib
import os
import pickle
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from delineate._version import __version__
from delineate.audit._case_facts import VERSION, CaseFacts
from delineate.audit._checks import checks
from delineate.audit._finding import Finding
from delineate.audit._identity import patient
from delineate.audit._read_case import read_case
from delineate.audit._statistics import by_split, fingerprint, most_common, row_of, split_line
from delineate.core import Case, LabelSet, Splits
from delineate.files import sha256, whole_file
from delineate.progress import track, warn

ORDER = ("refuse", "warn", "note")

WORKERS = min(4, os.cpu_count() or 1)
"""Maximum number of cases in memory at once, because some are large volumes."""


@dataclass(frozen=True)
class Audit:
    """The findings of all checks, and statistics of the data.

    findings: sorted by level, "refuse" first.
    splits: statistics of each split: cases, groups, and the cases, objects and sizes of each label.
    fingerprint: statistics of the images: shapes, types, spacings, intensities.
    pixels: for each split, the sorted digests of the samples of its images. They tell later whether an image was in
        the data, without its file.
    cases: the facts of each case; empty after `from_json`.
    """

    findings: tuple[Finding, ...]
    splits: Mapping[str, Any]
    fingerprint: Mapping[str, Any]
    pixels: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    cases: tuple[CaseFacts, ...] = field(default=(), repr=False, compare=False)

    def refused(self, allowed: Collection[str] = ()) -> list[Finding]:
        """The findings of level "refuse" that are not allowed by name."""
        return [f for f in self.findings if f.level == "refuse" and f.check not in allowed]

    def at(self, level: str) -> list[Finding]:
        """The findings of one level."""
        return [f for f in self.findings if f.level == level]

    def lines(self, allowed: Collection[str] = ()) -> list[str]:
        """Short lines about the data and the findings, without the refused ones."""
        lines = [split_line(name, split) for name, split in self.splits.items()]
        kinds = ("shapes", "channels", "types")
        lines.append(
            "images   " + "; ".join(f"{k}: {most_common(self.fingerprint[k])}" for k in kinds)
        )
        refused = self.refused(allowed)
        for finding in self.findings:
            if finding not in refused:
                level = "allowed" if finding.level == "refuse" else finding.level
                lines.append(f"{level:<8} {finding.line()}")
        return lines

    def as_json(self) -> dict[str, Any]:
        """The audit without the cases, ready for JSON."""
        return {
            "findings": [asdict(finding) for finding in self.findings],
            "splits": dict(self.splits),
            "fingerprint": dict(self.fingerprint),
            "pixels": {split: list(digests) for split, digests in self.pixels.items()},
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Audit:
        """The audit from the result of `as_json`, or from a JSON file of it."""
        findings = tuple(
            Finding(**{**f, "cases": tuple(map(tuple, f["cases"])), "why": tuple(f["why"])})
            for f in tree["findings"]
        )
        return cls(findings, tree["splits"], tree["fingerprint"], tree.get("pixels", {}))

    def save_csv(self, path: str | Path) -> None:
        """Write a CSV with one row per case: its facts, and the names of its findings."""
        concerned: dict[str, list[str]] = {}
        for finding in self.findings:
            for id in dict.fromkeys(id for ids in finding.cases for id in ids):
                concerned.setdefault(id, []).append(finding.check)
        rows = [
            row_of(case) | {"findings": " ".join(concerned.get(case.id, []))} for case in self.cases
        ]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            table.writeheader()
            table.writerows(rows)


def audit(
    splits: Splits, labels: LabelSet, *, cache: Path | None = None, progress: bool = True
) -> Audit:
    """Read every case once and run all checks.

    Args:
        splits: the cases.
        labels: the labels of the recipe.
        cache: a folder for the facts of each case, by the content of its files; None: no cache. If it cannot be
            written, a warning goes to stderr, and the audit continues without it.
        progress: show a progress bar.
    """
    secret = secrets.token_bytes(16)
    cases = [(case, split) for split, members in splits.items() for case in members]
    unkept: list[OSError] = []

    def facts(place: tuple[Case, str]) -> CaseFacts:
        case, split = place
        found = _known_or_read(case, split, labels, cache, unkept)
        return replace(
            found,
            id=case.id,
            group=case.group,
            split=split,
            patient=next((p for p in (patient(f, secret) for f in case.files) if p), ""),
        )

    with ThreadPoolExecutor(WORKERS) as pool:  # file reading and decompression release the GIL
        read = track(pool.map(facts, cases), "auditing", total=len(cases), show=progress)
        known_cases = tuple(read)
    if unkept:
        warn(
            f"the cache at {cache} cannot be written ({unkept[0].strerror}): the next audit reads all cases again. "
            "Free some space there, or set DELINEATE_CACHE to another folder."
        )
    return summed_up(known_cases, labels)


def summed_up(cases: Sequence[CaseFacts], labels: LabelSet) -> Audit:
    """The audit of cases whose facts are known."""
    findings = [finding for check in checks().values() for finding in check(cases, labels)]
    findings.sort(key=lambda finding: ORDER.index(finding.level))
    splits = dict.fromkeys(case.split for case in cases)
    pixels = {
        split: sorted({c.image.pixels for c in cases if c.split == split and c.image})
        for split in splits
    }
    return Audit(tuple(findings), by_split(cases, labels), fingerprint(cases), pixels, tuple(cases))


def _known_or_read(
    case: Case, split: str, labels: LabelSet, cache: Path | None, unkept: list[OSError]
) -> CaseFacts:
    if cache is None or not case.files:
        return read_case(case, split)
    try:
        key = _key_of(case, labels)
    except (
        OSError,
        pickle.PicklingError,
        AttributeError,
        TypeError,
    ):  # a missing file, or a loader that cannot be pickled (a lambda)
        return read_case(case, split)
    found = _kept(cache, key)
    if found is None:
        found = read_case(case, split)
        if not found.problems:  # problems name paths, and a missing file may be added later
            try:
                _keep(cache, key, found)
            except OSError as error:
                unkept.append(error)
    return found


def _key_of(case: Case, labels: LabelSet) -> str:
    """The cache key of a case: a digest of its files, its loaders, the labels and the program version."""
    digest = hashlib.sha256(repr((VERSION, __version__, labels)).encode())
    for file in case.files:
        digest.update(bytes.fromhex(sha256(file)))
        digest.update(file.name.encode())
    for load in (case.load_image, case.load_truth):
        digest.update(_loader_bytes(load))
    return digest.hexdigest()


def _kept(folder: Path, key: str) -> CaseFacts | None:
    """The cached facts of a key; None if there are none, or if they cannot be read."""
    try:
        return _facts().validate_json((folder / f"{key}.json").read_bytes(), strict=False)  # type: ignore[no-any-return]
    except (OSError, ValueError):
        return None


def _keep(folder: Path, key: str, facts: CaseFacts) -> None:
    """Cache facts under a key, without the ids of the case, its group and its patient.

    Raises:
        OSError: the disk is full or read-only.
    """
    bare = replace(facts, id="", group="", split="", patient="")
    with whole_file(folder / f"{key}.json") as part:
        part.write_bytes(_facts().dump_json(bare))


def _loader_bytes(load: Callable[..., Any] | None) -> bytes:
    """A loader as bytes for the cache key: its function and its arguments, without paths."""
    if not isinstance(load, partial):
        return pickle.dumps(load)
    given = [arg for arg in (*load.args, *load.keywords.items()) if not isinstance(arg, Path)]
    return repr((load.func.__module__, load.func.__qualname__, given)).encode()


@lru_cache
def _facts() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(CaseFacts)
