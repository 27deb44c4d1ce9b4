"""A recipe: one YAML file with every setting that affects a result, checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import yaml
from annotated_types import Len

from delineate.arguments import Seed, Text
from delineate.core.labels import LabelSet
from delineate.recipe.calls import as_call, as_calls
from delineate.recipe.labels import labels_of
from delineate.recipe.overrides import override
from delineate.recipe.sections import DEFAULTS, INIT_FROM, SECTIONS
from delineate.recipe.variables import expanded, refuse_variables
from delineate.recipe.yaml_file import nearest_place, read_sections
from delineate.resolve import (
    NOBODY,
    OWN,
    Call,
    RecipeError,
    Trust,
    bind,
    nearest,
    renamed,
    shown,
)


@dataclass(frozen=True)
class Recipe:
    """A recipe, parsed into its sections.

    Attributes:
        name: the name of its runs; by default the file name without its ending.
        folder: the folder of the recipe when its run was started; relative paths of `data` are searched there first.
        tree: the YAML tree to save, with overrides applied. Environment variables keep their names in `data`, because
            paths differ between machines; in all other sections they are replaced by their values.
        init_from: what the weights of the model are initialised from, its argument `path`; None for none. It belongs to
            the training: a bundle loads without it.
        loss: the terms of a weighted sum; each may have an argument `weight`.
        started: for a saved recipe, the folder from which its run was started; relative paths of `data` are searched
            there too.
    """

    name: str
    folder: Path
    tree: Mapping[str, Any]
    data: Call
    audit: Call
    labels: LabelSet
    task: Call
    prepare: tuple[Call, ...]
    slices: Call | None
    augment: tuple[Call, ...]
    model: Call
    loss: tuple[Call, ...]
    deep_supervision: Call
    optimizer: Call
    schedule: Call
    trainer: Call
    predict: tuple[Call, ...]
    refine: tuple[Call, ...]
    metrics: tuple[Call, ...]
    seed: int
    started: Path | None = None
    init_from: Call | None = None

    def save(self, path: Path) -> None:
        """Write the recipe of a run."""
        tree = {"name": self.name, **self.tree}
        path.write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True), encoding="utf-8")


def load_recipe(path: str | Path, overrides: str | Sequence[str] = ()) -> Recipe:
    """Read a recipe that the caller trusts: functions named `package.module:function` will be imported.

    Recipes inside bundles and runs are read by `load_bundle` and the verbs, which import trusted modules only.

    Args:
        path: a YAML file. `${NAME}` and `${NAME:-default}` in its texts are replaced by environment variables.
        overrides: "section.name.argument=value", as for `--set`.

    Raises:
        RecipeError: not YAML, an unknown or missing section, or an override that matches nothing;
            with the line and what was expected.
    """
    path = Path(path)
    if not path.is_file():
        raise RecipeError(
            f"{path}: no such recipe. `delineate list recipes` shows the installed ones."
        )
    return _load(path, overrides, OWN)


def saved_recipe(path: Path, trust: Trust = NOBODY, *, data: bool = False) -> Recipe:
    """Read the recipe of a bundle or a run. It imports trusted modules only.

    Former names of entries, which `load_recipe` refuses, are read as the present ones.

    Args:
        path: a file written by `Recipe.save`.
        trust: which modules its names may import.
        data: replace environment variables in its section `data`, to load its cases. If False, the section is left
            unchanged, and no environment variable is read.

    Raises:
        RecipeError: as `load_recipe`; or an environment variable outside of `data`.
    """
    return _load(path, (), trust, saved=True, data=data)


def _load(
    path: Path,
    overrides: str | Sequence[str],
    trust: Trust,
    *,
    saved: bool = False,
    data: bool = True,
) -> Recipe:
    tree, places = read_sections(path)
    for text in [overrides] if isinstance(overrides, str) else overrides:
        override(tree, places, text)
    where = partial(nearest_place, places, str(path))

    for key in tree:
        if key not in SECTIONS:
            raise RecipeError(
                f"{where(key)}: unknown section {shown(key)}{nearest(str(key), SECTIONS)} "
                f"A recipe has: {', '.join(SECTIONS)}"
            )
    for key in ("data", "labels", "model", "loss"):
        if tree.get(key) is None:
            raise RecipeError(f"{where()}: the section {key!r} is missing.")
    written = tree["data"]
    if saved:
        refuse_variables({k: v for k, v in tree.items() if k != "data"}, (), where)
    else:
        tree = {key: expanded(value, partial(where, key)) for key, value in tree.items()}
    full = {**DEFAULTS, **{k: v for k, v in tree.items() if v is not None}}
    full["data"] = expanded(written, partial(where, "data")) if data else written
    plain: dict[str, Any] = {
        "name": path.stem,
        **{key: full[key] for key in ("name", "seed") if key in full},
    }
    top = bind(_top, Call("the recipe", plain, str(path), {key: where(key) for key in plain}))
    labels = labels_of(full["labels"], where)

    def present(catalogue: str, call: Call) -> Call:
        return renamed(catalogue, call) if saved else call

    def one(section: str, catalogue: str = "") -> Call:
        call = as_call(full[section], partial(where, section), section, labels.names, trust)
        return present(catalogue or section, call)

    written_model = full["model"]
    init_from = None
    if isinstance(written_model, Mapping) and INIT_FROM in written_model:
        path_of_weights = written_model[INIT_FROM]
        full["model"] = {k: v for k, v in written_model.items() if k != INIT_FROM}
        if path_of_weights is not None:
            place = where("model", INIT_FROM)
            given = {"path": path_of_weights}
            init_from = Call(f"model.{INIT_FROM}", given, place, {"path": place}, trust=trust)
            bind(_init_from, init_from)

    def many(section: str, catalogue: str = "") -> tuple[Call, ...]:
        calls = as_calls(full[section], partial(where, section), section, labels.names, trust)
        return tuple(present(catalogue or section, call) for call in calls)

    def options(section: str) -> Call:
        if not isinstance(full[section], dict):
            raise RecipeError(
                f"{where(section)}: {section} is {shown(full[section])}; expected key: value."
            )
        places = {key: where(section, key) for key in full[section]}
        return Call(section, full[section], where(section), places, labels.names, trust)

    if isinstance(full["predict"], dict):
        raise RecipeError(
            f"{where('predict')}: predict is key: value; expected a list of wrappers, from the inside out. "
            f"Write: predict: {_as_wrappers(full['predict'])}"
        )
    if full["loss"] == []:
        raise RecipeError(f"{where('loss')}: loss is []; expected at least one, for instance dice.")
    return Recipe(
        name=Path(top["name"]).name or path.stem,
        folder=path.resolve().parent,
        tree={**tree, "data": written},
        data=one("data"),
        audit=options("audit"),
        labels=labels,
        task=one("task", "tasks"),
        prepare=many("prepare"),
        slices=None if full["slices"] is None else options("slices"),
        augment=many("augment"),
        model=one("model", "models"),
        loss=many("loss", "losses"),
        deep_supervision=one("deep_supervision"),
        optimizer=one("optimizer", "optimizers"),
        schedule=one("schedule", "schedules"),
        trainer=options("trainer"),
        predict=many("predict"),
        refine=many("refine"),
        metrics=many("metrics"),
        seed=top["seed"],
        init_from=init_from,
    )


def _as_wrappers(settings: Mapping[Any, Any]) -> str:
    """Convert the former settings `window`, `overlap` and `flips` to the list of wrappers that replaced them."""
    rest = dict(settings)
    window, overlap = rest.pop("window", None), rest.pop("overlap", None)
    window = window if isinstance(window, Mapping) else {"size": window, "overlap": overlap}
    windows = {key: value for key, value in window.items() if value is not None}
    wrappers = [{"sliding_window": windows}] if "size" in windows else []
    wrappers += [{name: value} for name, value in rest.items()]
    written: str = yaml.safe_dump(wrappers, default_flow_style=True, sort_keys=False, width=10**6)
    return written.strip()


def _top(name: Annotated[str, Len(1, 200)], seed: Seed) -> None:
    """The signature against which the top-level values of a recipe are checked."""


def _init_from(path: Text) -> None:
    """The signature against which `model.init_from` is checked."""


def all_calls(recipe: Recipe) -> Iterable[tuple[str, Call]]:
    """Every call of a recipe, with the catalogue of its name."""
    yield "data", recipe.data
    yield "tasks", recipe.task
    yield from (("prepare", call) for call in recipe.prepare)
    yield from (("augment", call) for call in recipe.augment)
    yield "models", recipe.model
    yield from (("losses", call.without("weight")) for call in recipe.loss)
    yield "deep_supervision", recipe.deep_supervision
    yield "optimizers", recipe.optimizer
    yield "schedules", recipe.schedule
    yield from (("predict", call) for call in recipe.predict)
    yield from (("refine", call) for call in recipe.refine)
    yield from (("metrics", call) for call in recipe.metrics)
