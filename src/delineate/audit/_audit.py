"""All cases of a problem -> what there is to say about them."""

from __future__ import annotations

import csv
import os
import pickle
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from delineate.audit._cache import keep, key_of, known
from delineate.audit._case_facts import CaseFacts
from delineate.audit._checks import checks
from delineate.audit._finding import Finding
from delineate.audit._identity import patient
from delineate.audit._read_case import read_case
from delineate.audit._statistics import by_split, fingerprint, share
from delineate.core import Case, LabelSet, Splits
from delineate.files import whole_file
from delineate.progress import track, warn

ORDER = ("refuse", "warn", "note")

WORKERS = min(4, os.cpu_count() or 1)
"""Cases that are in memory at once; some are large volumes."""

TABLED = {"min": 0, "p0.5": 1, "median": 4, "p99.5": 7, "max": 8}
"""The quantiles in the table, by their place in `QUANTILES`."""


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
        lines = [_split_line(name, split) for name, split in self.splits.items()]
        kinds = ("shapes", "channels", "types")
        lines.append("images   " + "; ".join(f"{k}: {_common(self.fingerprint[k])}" for k in kinds))
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
            _row(case) | {"findings": " ".join(concerned.get(case.id, []))} for case in self.cases
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
        key = key_of(case, labels)
    except (
        OSError,
        pickle.PicklingError,
        AttributeError,
        TypeError,
    ):  # no such file; a lambda that reads
        return read_case(case, split)
    found = known(cache, key)
    if found is None:
        found = read_case(case, split)
        if not found.problems:  # these name paths, and a file may be mended elsewhere
            try:
                keep(cache, key, found)
            except OSError as error:
                unkept.append(error)
    return found


def _split_line(name: str, split: Mapping[str, Any]) -> str:
    said = [f"{name:<8} {split['cases']} cases of {split['groups']} groups"]
    for label, of in split["labels"].items():
        median = f", median {of['share']['median']:.1%} of the image" if of["share"] else ""
        said.append(f"{label} in {of['cases']}{median}, {of['objects']} objects")
    if split["empty"]:
        said.append(f"{split['empty']} empty")
    for what in ("without_truth", "unusable"):
        if split[what]:
            said.append(f"{split[what]} {what.replace('_', ' ')}")
    return "; ".join(said)


def _common(counted: Mapping[str, int]) -> str:
    most = [f"{what} ({n})" for what, n in list(counted.items())[:4]]
    rest = len(counted) - len(most)
    return ", ".join(most) + (f" and {rest} other kinds" if rest else "")


def _row(case: CaseFacts) -> dict[str, str]:
    row = {"id": case.id, "split": case.split, "group": case.group}
    return row | dict(_numbers(case))


def _numbers(case: CaseFacts) -> Iterator[tuple[str, str]]:
    if case.image:
        yield "shape", "x".join(map(str, case.image.shape))
        yield "channels", str(case.image.channels)
        yield "type", case.image.dtype
        yield "spacing", "x".join(f"{s:.4g}" for s in case.image.spacing)
        yield "unit", case.image.unit
        for number, channel in enumerate(case.image.quantiles):
            for name, quantile in TABLED.items():
                yield f"{name} of channel {number}", f"{channel[quantile]:.6g}"
    if case.mask:
        yield "mask type", case.mask.dtype
        yield "mask values", str(case.mask.values)
    if case.truth:
        for name, objects in case.truth.objects.items():
            yield f"{name} objects", str(len(objects))
            yield f"{name} size", f"{sum(case.sizes(name)):.6g}"
            yield f"{name} share", f"{share(case, name):.6g}"
