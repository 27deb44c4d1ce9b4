"""The folder a run leaves behind, and reading it again."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path

from delineate.core import Splits
from delineate.data import load_cases, write_split
from delineate.files import whole_file
from delineate.progress import LOG
from delineate.recipe import Recipe, load_recipe
from delineate.resolve import Call, RecipeError, check

FOLDER = "DELINEATE_RUN"
"""The variable by which the first of several training processes tells the others where the run is."""


def is_first_process() -> bool:
    """Whether this is the only process of a training, or the one that writes."""
    names = ("RANK", "SLURM_PROCID", "NODE_RANK", "LOCAL_RANK")
    return all(os.environ.get(name, "0") == "0" for name in names)


@dataclass(frozen=True)
class RunFolder:
    """outputs/<recipe>/<time>/: what was asked (recipe.yaml, split.csv) and all that came of it."""

    path: Path

    @classmethod
    def begin(cls, recipe: Recipe, splits: Splits, path: Path | None = None) -> RunFolder:
        """Make the folder, with the recipe and the split in it; processes after the first join it."""
        if not is_first_process():
            known = os.environ.get(FOLDER, path)
            if known is None:
                raise ValueError("processes on several nodes need one folder: give it with --run.")
            return cls(Path(known))
        if path is None:
            path = fresh_folder(Path("outputs") / recipe.name)
        elif (path / "recipe.yaml").exists():
            raise ValueError(
                f"{path} holds a run already. Give another folder, or go on with it: "
                f"delineate train --resume {path}"
            )
        elif path.exists() and any(path.iterdir()):
            raise ValueError(f"{path} is not empty. Give a run a folder of its own.")
        path.mkdir(parents=True, exist_ok=True)
        write_split(splits, path / "split.csv")
        with whole_file(path / "recipe.yaml") as part:
            recipe.save(part)
        os.environ[FOLDER] = str(path.resolve())
        return cls(path)

    @classmethod
    def find(cls, path: str | Path) -> RunFolder:
        """An existing run.

        Raises:
            ValueError: there is none at `path`.
        """
        folder = Path(path)
        missing = [n for n in ("recipe.yaml", "split.csv") if not (folder / n).is_file()]
        if missing:
            raise ValueError(
                f"{path}: no run there (no {missing[0]}). Expected a folder that delineate train wrote, "
                "like outputs/<recipe>/<time>."
            )
        return cls(folder)

    def discard(self) -> None:
        """Take back what `begin` wrote into an empty folder, unless something was trained since."""
        if (self.path / "metrics.csv").exists() or (self.path / "bundle").exists():
            return
        for name in ("recipe.yaml", "split.csv", "audit.json", LOG):
            (self.path / name).unlink(missing_ok=True)
        for name in ("checkpoints", "tensorboard", "wandb"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()

    @property
    def recipe(self) -> Recipe:
        """The recipe as it was run."""
        return load_recipe(self.path / "recipe.yaml")

    def cases(self) -> Splits:
        """The cases as the run had them, by its own split; data that changed since are refused."""
        recipe = self.recipe
        frozen = {**recipe.data.args, "split": str((self.path / "split.csv").resolve())}
        call = Call(recipe.data.name, frozen, recipe.data.where)
        try:
            check("data", call)
        except RecipeError:  # this layout makes its own split, the same each time
            return load_cases(recipe)
        return load_cases(replace(recipe, data=call))


def fresh_folder(home: Path) -> Path:
    """A new folder named after the time; a second run in the same second gets another."""
    time = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for again in count(1):
        path = home / (time if again == 1 else f"{time}-{again}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        return path
    raise AssertionError("count never ends")
