"""Facts that are known already, by what the files hold."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from delineate._version import __version__
from delineate.audit._case_facts import VERSION, CaseFacts
from delineate.core import Case, LabelSet
from delineate.files import sha256, whole_file


def key_of(case: Case, labels: LabelSet) -> str:
    """A digest of all that the facts of a case follow from: its files, how they are read, and this program."""
    digest = hashlib.sha256(repr((VERSION, __version__, labels)).encode())
    for file in case.files:
        digest.update(bytes.fromhex(sha256(file)))
        digest.update(file.name.encode())
    for load in (case.load_image, case.load_truth):
        digest.update(_how(load))
    return digest.hexdigest()


def known(folder: Path, key: str) -> CaseFacts | None:
    """What is kept under a key; None if that is nothing, or nothing that can be read."""
    try:
        return _facts().validate_json((folder / f"{key}.json").read_bytes(), strict=False)  # type: ignore[no-any-return]
    except (OSError, ValueError):
        return None


def keep(folder: Path, key: str, facts: CaseFacts) -> None:
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


@cache
def _facts() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(CaseFacts)
