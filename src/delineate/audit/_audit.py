"""All cases of a problem -> what there is to say about them."""

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
"""Cases that are in memory at once; some are large volumes."""


@dataclass(frozen=True)
class Audit:
    """What the checks found, and what the data are like.

    findings: the gravest first.
    splits: by split, what there is: cases, groups, and of each label cases, objects, sizes.
    fingerprint: what the images are like: shapes, types, spacings, intensities.
    pixels: by split, a digest of the samples of each image, sorted: they tell whether an image is among them, also
        where the files are no longer at hand.
    cases: the facts of each case; none after `from_json`, which brings back what was said of them.
    """

    findings: tuple[Finding, ...]
    splits: Mapping[str, Any]
    fingerprint: Mapping[str, Any]
    pixels: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    cases: tuple[CaseFacts, ...] = field(default=(), repr=False, compare=False)

    def refused(self, allowed: Collection[str] = ()) -> list[Finding]:
        """The findings that make results untrue and are not allowed by name."""
        return [f for f in self.findings if f.level == "refuse" and f.check not in allowed]

    def at(self, level: str) -> list[Finding]:
        """The findings of one level."""
        return [f for f in self.findings if f.level == level]

    def lines(self, allowed: Collection[str] = ()) -> list[str]:
        """The data and the findings in a few short lines, but for what is refused."""
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
        """All of it but the cases, ready for JSON."""
        return {
            "findings": [asdict(finding) for finding in self.findings],
            "splits": dict(self.splits),
            "fingerprint": dict(self.fingerprint),
            "pixels": {split: list(digests) for split, digests in self.pixels.items()},
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Audit:
        """What `as_json` gave, also after a file."""
        findings = tuple(
            Finding(**{**f, "cases": tuple(map(tuple, f["cases"])), "why": tuple(f["why"])})
            for f in tree["findings"]
        )
        return cls(findings, tree["splits"], tree["fingerprint"], tree.get("pixels", {}))

    def save_csv(self, path: str | Path) -> None:
        """One row per case: its facts, and the names of the findings it is in."""
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
    """Read every case once and look at all of them together.

    Args:
        splits: the cases.
        labels: the labels of the problem.
        cache: a folder in which the facts of each case are kept by what its files hold; None keeps nothing. Where
            it cannot be written, a line on stderr says so, and the audit goes on without.
        progress: show a bar.
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

    with ThreadPoolExecutor(WORKERS) as pool:  # reading and unpacking leave the interpreter free
        read = track(pool.map(facts, cases), "auditing", total=len(cases), show=progress)
        known_cases = tuple(read)
    if unkept:
        warn(
            f"the cache at {cache} cannot be written ({unkept[0].strerror}): the next audit reads all cases again. "
            "Free some space there, or point DELINEATE_CACHE to another folder."
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
    ):  # no such file; a lambda that reads
        return read_case(case, split)
    found = _kept(cache, key)
    if found is None:
        found = read_case(case, split)
        if not found.problems:  # these name paths, and a file may be mended elsewhere
            try:
                _keep(cache, key, found)
            except OSError as error:
                unkept.append(error)
    return found


def _key_of(case: Case, labels: LabelSet) -> str:
    """A digest of all that the facts of a case follow from: its files, how they are read, and this program."""
    digest = hashlib.sha256(repr((VERSION, __version__, labels)).encode())
    for file in case.files:
        digest.update(bytes.fromhex(sha256(file)))
        digest.update(file.name.encode())
    for load in (case.load_image, case.load_truth):
        digest.update(_how(load))
    return digest.hexdigest()


def _kept(folder: Path, key: str) -> CaseFacts | None:
    """What is kept under a key; None if that is nothing, or nothing that can be read."""
    try:
        return _facts().validate_json((folder / f"{key}.json").read_bytes(), strict=False)  # type: ignore[no-any-return]
    except (OSError, ValueError):
        return None


def _keep(folder: Path, key: str, facts: CaseFacts) -> None:
    """Keep facts under a key, without the case and the person they are about.

    Raises:
        OSError: the disk is full, or not to be written to.
    """
    bare = replace(facts, id="", group="", split="", patient="")
    with whole_file(folder / f"{key}.json") as part:
        part.write_bytes(_facts().dump_json(bare))


def _how(load: Callable[..., Any] | None) -> bytes:
    """What decides how a file is read: the function and its arguments, but for where the files lie."""
    if not isinstance(load, partial):
        return pickle.dumps(load)
    given = [arg for arg in (*load.args, *load.keywords.items()) if not isinstance(arg, Path)]
    return repr((load.func.__module__, load.func.__qualname__, given)).encode()


@lru_cache
def _facts() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(CaseFacts)
