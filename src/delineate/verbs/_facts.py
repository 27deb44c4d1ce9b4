"""Provenance for cards and reports: command, commit, versions, hashes of the data and the fingerprint."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import pickle
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from delineate._version import __version__
from delineate.core import Case, Splits
from delineate.files import data_files, sha256
from delineate.inference import Fingerprint, Measures
from delineate.prepare import load_prepare
from delineate.progress import track
from delineate.recipe import Recipe
from delineate.resolve import GIVEN, check, resolve
from delineate.verbs._init_from import group_digests

LIBRARIES = ("numpy", "opencv-python-headless", "torch", "timm", "segmentation-models-pytorch")
SAMPLE = 256
"""Number of training images that a fingerprint is computed from; more images hardly change its limits."""

WORKERS = min(4, os.cpu_count() or 1)
"""Images that are in memory at the same time; some are large volumes."""

INTENDED_USE = "Research only. Not a medical device; not for diagnosis or treatment."


def is_first_process() -> bool:
    """Whether this is the only process of a training, or the one that writes."""
    names = ("RANK", "SLURM_PROCID", "NODE_RANK", "LOCAL_RANK")
    return all(os.environ.get(name, "0") == "0" for name in names)


def make_card(recipe: Recipe, splits: Splits) -> dict[str, Any]:
    """The card of a bundle before training.

    Raises:
        RecipeError: the recipe's preparation cannot be run as written.
        ValueError: a training image cannot be prepared; with the id of its case.
    """
    return {
        "name": recipe.name,
        "intended_use": INTENDED_USE,
        "labels": list(recipe.labels.names),
        "model": model_facts(recipe),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command(),
        "seed": recipe.seed,
        "commit": commit(),
        "versions": versions(),
        "data": {
            "sha256": data_hash(splits),
            "cases": {name: len(cases) for name, cases in splits.items()},
            "groups": {name: len({c.group for c in cases}) for name, cases in splits.items()},
            **group_digests(splits),
        },
        "fingerprint": fingerprint(recipe, splits.get("train", ())),
        "image_channels": next((list(case.channels) for case in splits.get("train", ())), []),
        "split": {name: [case.id for case in cases] for name, cases in splits.items()},
    }


def model_facts(recipe: Recipe) -> dict[str, Any]:
    """The model of a recipe with all its arguments: weights may fit two models that differ in a default alone."""
    known = inspect.signature(resolve("models", recipe.model)).parameters.values()
    defaults = {
        p.name: p.default
        for p in known
        if p.name not in GIVEN["models"] and p.default is not p.empty
    }
    arguments = {**defaults, **check("models", recipe.model)}
    return {recipe.model.name: json.loads(json.dumps(arguments, default=str))}


def fingerprint(recipe: Recipe, cases: Sequence[Case]) -> dict[str, Any] | None:
    """Properties of up to SAMPLE training images, spread evenly over all; None if their axes or channels differ."""
    if not is_first_process() or not cases:
        return None
    prepare = load_prepare(recipe.prepare)
    count = min(len(cases), SAMPLE)
    some = [cases[i * len(cases) // count] for i in range(count)]

    def measured(case: Case) -> Measures:
        image = case.image
        try:
            return Measures.of(image, *prepare(image))
        except ValueError as error:
            raise ValueError(f"{case.id}: {error}") from error

    with ThreadPoolExecutor(WORKERS) as pool:
        seen = list(track(pool.map(measured, some), "looking at images", total=count))
    if len({(one.axes, one.levels.size) for one in seen}) > 1:
        return None  # training refuses them and names the case
    return Fingerprint.of(seen).as_json()


def data_hash(splits: Splits) -> str:
    """One hash over every file of every case and its image-level labels; the name of the folder has no influence."""
    total = hashlib.sha256()
    cases = sorted((case for part in splits.values() for case in part), key=lambda case: case.id)
    for case in track(cases, "hashing data"):
        total.update(case.id.encode())
        for file in case.files:
            total.update(bytes.fromhex(sha256(file)))
        present = getattr(case.load_truth, "keywords", {}).get("present")
        if present:  # image-level labels, which are in no file of the case
            total.update(repr(sorted(present.items())).encode())
        if not case.files:  # a generated case: hash the functions that generate it
            total.update(pickle.dumps((case.load_image, case.load_truth)))
    return total.hexdigest()


def files_hash(files: Iterable[Path]) -> str:
    """One hash over the content of images, their data files included, in the order of their names."""
    total = hashlib.sha256()
    for image in sorted(files, key=lambda path: path.name):
        for file in data_files(image):
            total.update(bytes.fromhex(sha256(file)))
    return total.hexdigest()


def done_by(what: str) -> dict[str, str]:
    """The command, time, commit and versions of what is done now, as facts for a page.

    what: a participle, "evaluated" or "compared".
    """
    return {
        f"{what} by": command(),
        f"{what} at": datetime.now(UTC).isoformat(timespec="seconds"),
        f"{what} with": built_from(commit(), versions()),
    }


def built_from(commit: str | None, versions: Mapping[str, str]) -> str:
    """A commit and versions in words."""
    numbers = ", ".join(f"{name} {number}" for name, number in versions.items())
    return f"commit {commit or 'unknown'}; {numbers}"


def command() -> str:
    """The command line as it was typed."""
    return shlex.join(["delineate", *sys.argv[1:]])


def versions() -> dict[str, str]:
    """The versions of Python, Delineate and the libraries that influence results."""
    found = {"python": platform.python_version(), "delineate": __version__}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The commit of the source, if Delineate runs from its own git checkout; else None."""
    here = Path(__file__).parent
    try:
        # fails in the repository of another project that has Delineate in its .venv
        _git(here, ["ls-files", "--error-unmatch", Path(__file__).name])
        head, changes = _git(here, ["rev-parse", "HEAD"]), _git(here, ["status", "--porcelain"])
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+changes" if changes else "")


def _git(where: Path, words: Iterable[str]) -> str:
    command = ["git", "-C", str(where), *words]
    done = subprocess.run(command, capture_output=True, check=True)
    return done.stdout.decode("utf-8", "replace").strip()
