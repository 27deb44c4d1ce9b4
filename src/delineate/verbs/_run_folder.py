"""The folder of a run: made by `train`, read by the other commands."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from delineate.audit import Audit
from delineate.core import Splits
from delineate.data import NotThereError, load_cases, write_split
from delineate.files import is_part, whole_file
from delineate.progress import LOG, warn
from delineate.recipe import Recipe, saved_recipe
from delineate.resolve import NOBODY, RecipeError, Trust, UntrustedError, check
from delineate.verbs._audit import save_audit
from delineate.verbs._facts import command, is_first_process
from delineate.verbs._init_from import RECORD, save_record

ORIGIN = "origin.json"
"""Holds the folder of the recipe and the folder where training was started; relative data paths refer to them."""

FOLDER = "DELINEATE_RUN"
"""The environment variable with the run's folder, set by the first of several training processes for the others."""

CHECKPOINT = "checkpoints/last.ckpt"
"""The last state of the training; it is saved after each epoch."""

LOCK = ".lock"
HOLDER = ".lock-holder"
"""A text file that names the process which holds the lock."""


@dataclass(frozen=True)
class RunFolder:
    """outputs/<recipe>/<time>/: the recipe (recipe.yaml), the split (split.csv) and all results.

    trust: the modules that its recipe may import.
    """

    path: Path
    trust: Trust = NOBODY

    @classmethod
    def begin(
        cls,
        recipe: Recipe,
        splits: Splits,
        path: Path | None = None,
        audited: Audit | None = None,
        init_from: Mapping[str, Any] | None = None,
    ) -> RunFolder:
        """Make the folder with split, audit, recipe and the record of `model.init_from` in it.

        Processes after the first use the same folder.
        """
        if not is_first_process():
            known = os.environ.get(FOLDER, path)
            if known is None:
                raise ValueError("processes on several nodes need one folder: give it with --run.")
            return cls(Path(known))
        if path is None:
            path = fresh_folder(Path("outputs") / recipe.name)
        _refuse_used(path)
        path.mkdir(parents=True, exist_ok=True)
        folder = cls(path)
        origin = {"recipe": str(recipe.folder), "started": str(Path.cwd())}
        with folder.locked():
            _refuse_used(path)
            write_split(splits, path / "split.csv")
            if audited is not None:
                save_audit(audited, path / "audit.json")
            if init_from is not None:
                save_record(init_from, path)
            with whole_file(path / ORIGIN) as part:
                part.write_text(
                    json.dumps(origin, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
                )
            with whole_file(path / "recipe.yaml") as part:
                recipe.save(part)
        os.environ[FOLDER] = str(path.resolve())
        return folder

    @classmethod
    def find(cls, path: str | Path, trust: Trust | Iterable[str] = ()) -> RunFolder:
        """An existing run.

        Args:
            path: its folder.
            trust: modules whose code its recipe may name.

        Raises:
            ValueError: there is none at `path`.
        """
        folder = Path(path)
        missing = [n for n in ("recipe.yaml", "split.csv") if not (folder / n).is_file()]
        if missing:
            raise ValueError(
                f"{path}: is not a run (no {missing[0]}). Expected a folder that delineate train wrote, "
                "like outputs/<recipe>/<time>."
            )
        return cls(folder, Trust.of(trust))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the run against other processes inside the `with` block; the lock ends with the process at the latest.

        The first of several training processes locks for all. A command that calls another keeps its lock.

        Raises:
            ValueError: another process holds the lock; with that process.
        """
        if not is_first_process():
            yield
            return
        from filelock import FileLock, Timeout

        lock = FileLock((self.path / LOCK).absolute(), timeout=0, is_singleton=True)
        outermost = not lock.is_locked
        holder = self.path / HOLDER
        try:
            lock.acquire()
        except Timeout:
            who = holder.read_text(encoding="utf-8") if holder.is_file() else "another process"
            raise ValueError(
                f"{self.path}: is in use by {who}. Two processes that write into one run damage it: wait until "
                "the other has ended, or stop it."
            ) from None
        except (OSError, NotImplementedError) as error:
            warn(
                f"{self.path}: cannot be locked here ({error}). Make sure that no second process works on this run."
            )
            yield
            return
        try:
            if outermost:
                since = datetime.now().astimezone().isoformat(timespec="seconds")
                who = f"process {os.getpid()} on {platform.node()} since {since} ({command()})"
                with suppress(OSError):  # a full disk; the lock still holds
                    holder.write_text(who, encoding="utf-8")
            yield
        finally:
            if outermost:
                holder.unlink(missing_ok=True)
            lock.release()

    @property
    def trained(self) -> bool:
        """Whether there are weights or a checkpoint."""
        kept = ("bundle/weights.safetensors", CHECKPOINT)
        return any((self.path / name).exists() for name in kept)

    def discard(self) -> None:
        """Remove what `begin` wrote, unless something was trained since."""
        if self.trained:
            return
        ours = (
            "recipe.yaml",
            "split.csv",
            ORIGIN,
            "audit.json",
            RECORD,
            "metrics.csv",
            HOLDER,
            LOCK,
            LOG,
        )
        for name in ours:
            with suppress(PermissionError):  # Windows cannot remove a locked file
                (self.path / name).unlink(missing_ok=True)
        for name in ("bundle", "checkpoints", "tensorboard", "wandb"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()

    @property
    def recipe(self) -> Recipe:
        """The recipe as it was run. Its section `data` is not resolved; `cases` does that."""
        return saved_recipe(self.path / "recipe.yaml", self.trust)

    @property
    def plan(self) -> Recipe:
        """The recipe to resume with. Relative paths refer to the folders of the start of the run."""
        return self._as_begun(self.recipe)

    def _as_begun(self, recipe: Recipe) -> Recipe:
        folder, started = self._origin()
        return replace(recipe, folder=folder, started=started)

    def cases(self) -> Splits:
        """The cases of the run with its own split; data that have changed since are refused.

        Raises:
            RecipeError: the data do not exist any more, have changed, or need code that is not trusted.
        """
        recipe = self._as_begun(saved_recipe(self.path / "recipe.yaml", self.trust, data=True))
        data = recipe.data.without("stratify")  # split.csv holds the split that it made
        frozen = {**data.args, "split": str((self.path / "split.csv").resolve())}
        call = replace(data, args=frozen)
        try:
            check("data", call)
        except UntrustedError:
            raise
        except RecipeError:  # this layout takes no split file; it makes the same split each time
            call = recipe.data
        try:
            return load_cases(replace(recipe, data=call))
        except RecipeError as error:
            if not isinstance(error.__cause__, NotThereError):
                raise
            raise RecipeError(
                f"{error} If the data were moved, write where they are now into {self.path / 'recipe.yaml'}."
            ) from error

    def _origin(self) -> tuple[Path, Path | None]:
        """The folder of the recipe and the folder where training was started; without the file, the current folder."""
        path = self.path / ORIGIN
        if not path.is_file():
            return Path.cwd(), None
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            return Path(known["recipe"]), Path(known["started"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: cannot be read ({error}). Remove it; relative paths of the data then refer to the current "
                "folder."
            ) from error


def _refuse_used(path: Path) -> None:
    """Refuse a folder with content, except files that an interrupted `RunFolder.begin` left."""
    if (path / "recipe.yaml").exists():
        raise ValueError(
            f"{path} holds a run already. Give another folder, or resume the run: "
            f"delineate train --resume {path}"
        )
    ours = ("split.csv", ORIGIN, "audit.json", RECORD, LOCK, HOLDER)
    if path.exists() and any(p.name not in ours and not is_part(p.name) for p in path.iterdir()):
        raise ValueError(f"{path} is not empty. Give a new or empty folder for the run.")


def fresh_folder(home: Path) -> Path:
    """A new folder named after the current time; a second one in the same second gets a number."""
    time = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for again in count(1):
        path = home / (time if again == 1 else f"{time}-{again}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        return path
    raise AssertionError("count never ends")
