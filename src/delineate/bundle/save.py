"""Save a trained model as a bundle, in a folder or in one file.

A process killed at any moment leaves the old bundle or the new one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from delineate.arguments import names_bundles
from delineate.bundle.bundle import Bundle, open_bundle, open_member
from delineate.bundle.card import (
    CARD,
    DEEPEST,
    FORMAT,
    PART,
    READABLE,
    WEIGHTS,
    changed_files,
    json_bytes,
    read_json,
    sealed,
    settled,
    write_json,
)
from delineate.bundle.packed import PACKED, pack
from delineate.files import part_folder, sha256, whole_file
from delineate.recipe import Recipe, as_tree
from delineate.resolve import Call, check, hints_of, resolve


def save_bundle(
    folder: Path,
    recipe: Recipe,
    card: Mapping[str, Any],
    weights: bytes | Mapping[str, bytes],
) -> Bundle:
    """Write a bundle, or replace one; `weights` is a safetensors file, or the files of another engine by their names.

    Bundles that the recipe's `predict` and `refine` name are copied into `parts/`, and the saved recipe refers to the
    copies. The card contains the SHA-256 of the other files, and of the members' cards. A process killed at any moment
    leaves the old bundle or the new one: while the weights are written, the card contains both versions of itself.
    (Of weights in several files it may leave a bundle that is refused, since its hashes differ.)

    Raises:
        RecipeError: the recipe names a bundle that does not exist or cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    recipe, members = _with_members(folder, recipe)
    try:
        old = settled(folder, read_json(folder / CARD))
    except (OSError, ValueError):  # no card yet, or a damaged one that will be replaced
        old = None
    with whole_file(folder / "recipe.yaml") as part:
        recipe.save(part)
    write_json([asdict(label) for label in recipe.labels.labels], folder / "labels.json")
    parts = {part: sha256(folder / part) for part in READABLE}
    files = {"weights.safetensors": weights} if isinstance(weights, bytes) else weights
    parts |= {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    parts |= {f"{member}/{CARD}": sha256(folder / member / CARD) for member in members}
    card = sealed({"format": FORMAT} | dict(card) | {"format": FORMAT, "parts": parts})
    if isinstance(old, dict):
        write_json({**old, "next": card}, folder / CARD)
    for name, content in files.items():
        with whole_file(folder / name) as part:
            part.write_bytes(content)
    write_json(card, folder / CARD)
    for stale in set(WEIGHTS) - set(files):  # of another engine
        (folder / stale).unlink(missing_ok=True)
    for old_member in (folder / "parts").glob("[!.]*"):
        if f"parts/{old_member.name}" not in members:
            shutil.rmtree(old_member, ignore_errors=True)
    with suppress(OSError):  # not empty, or not there
        (folder / "parts").rmdir()
    return Bundle(folder, recipe, card, members)


def pack_bundle(bundle: Bundle, path: str | Path) -> Path:
    """Write a bundle as one file: a zip of its folder, from which `open_bundle` and every verb read it.

    The same bundle gives the same bytes. Other files in its folder are left out.

    Raises:
        ValueError: something is at `path`; the bundle has no hashes or more than 4 GiB; or it was joined in memory or
            changed since it was opened.
    """
    path = Path(path)
    if os.path.lexists(path):
        raise ValueError(f"{path}: exists already. Give the new file another name.")
    for one in bundle.with_all_members():
        if one.card["format"] == 1:
            raise ValueError(
                f"{one.folder}: this bundle has format 1, which has no hashes. To add them, run: delineate rehash "
                f"{bundle.folder}"
            )
        if changed := changed_files(one.folder, one.card):
            raise ValueError(
                f"{one.folder / next(iter(changed))}: was changed since the bundle was opened. Open it again."
            )
    if stray := [at for at in bundle.members if not PART.fullmatch(f"{at}/{CARD}")]:
        raise ValueError(
            f"{stray[0]}: was joined with other bundles in memory. Save them as one with delineate ensemble first."
        )
    contents = {name: bundle.folder / name for name in bundle.files}
    pack(contents | {CARD: json_bytes(bundle.card)}, path)
    return path


@contextmanager
def new_bundle(out: str | Path) -> Iterator[Path]:
    """Yield a temporary folder to save a bundle in. At the end it becomes `out`; on an error nothing is left.

    It becomes one file if `out` ends in .delineate, else a folder.

    Raises:
        ValueError: something is at `out`, other than an empty folder.
    """
    out = Path(out)
    packed = out.suffix == PACKED
    if os.path.lexists(out) and (packed or not out.is_dir() or any(out.iterdir())):
        what = "file" if packed else "or empty folder"
        raise ValueError(
            f"{out} {'exists already' if packed else 'is not empty'}. Give a new {what} for the new bundle."
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with part_folder(out.parent) as part:
        folder = part / "bundle"
        yield folder
        if packed:
            pack_bundle(open_bundle(folder), out)
            return
        if out.exists():
            out.rmdir()
        folder.replace(out)


def _with_members(folder: Path, recipe: Recipe) -> tuple[Recipe, dict[str, Bundle]]:
    """Copy the bundles that a recipe names into `folder`; return the recipe with the new paths, and the members."""
    members: dict[str, Bundle] = {}

    def held(path: str) -> str:
        member = open_member(recipe, path)
        if _depth(member) >= DEEPEST:
            raise ValueError(
                f"{path}: its bundles are nested {DEEPEST} deep; expected fewer. Name its members instead."
            )
        name = f"parts/{_plain(member.recipe.name)}-{_short_hash(member.card)}"
        if not (folder / name).is_dir():
            _copy_bundle(member, folder / name)
        members[name] = replace(member, folder=folder / name)
        return name

    predict = tuple(_with_paths("predict", call, held) for call in recipe.predict)
    refine = tuple(_with_paths("refine", call, held) for call in recipe.refine)
    if not members:
        return recipe, {}
    tree = {
        **recipe.tree,
        "predict": [as_tree(call) for call in predict],
        "refine": [as_tree(call) for call in refine],
    }
    recipe = replace(recipe, folder=folder.resolve(), predict=predict, refine=refine, tree=tree)
    return recipe, members


def _with_paths(catalogue: str, call: Call, change: Callable[[str], str]) -> Call:
    """A wrapper's or a refinement's call with each path of a bundle changed."""
    hints = hints_of(resolve(catalogue, call))
    bound = check(catalogue, call)
    args = dict(bound)
    for name in [name for name in args if names_bundles(hints.get(name))]:
        value = args[name]
        try:
            args[name] = change(value) if isinstance(value, str) else [change(v) for v in value]
        except ValueError as error:
            raise call.fail(str(error), name) from error
    return call if args == bound else replace(call, args=args)


def _copy_bundle(bundle: Bundle, to: Path) -> None:
    """Copy a bundle and its members, completely or not at all."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with part_folder(to.parent) as part:
        for name in bundle.files:
            if "/" not in name:
                shutil.copyfile(bundle.folder / name, part / name)
        for name, member in bundle.members.items():
            _copy_bundle(member, part / name)
        if read_json(part / CARD) != bundle.card:  # it holds the next card too
            write_json(bundle.card, part / CARD)
        part.replace(to)


def _depth(bundle: Bundle) -> int:
    return 1 + max((_depth(member) for member in bundle.members.values()), default=0)


def _plain(name: str) -> str:
    """A name that every file system accepts for a folder."""
    return re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).lstrip(".-")[:60] or "member"


def _short_hash(card: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()[:8]
