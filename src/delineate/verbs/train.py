"""Recipe -> run folder."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from delineate.core import Splits
from delineate.data import load_cases
from delineate.progress import LOG, log, log_to, warn
from delineate.recipe import Recipe, all_calls, load_recipe
from delineate.resolve import NOBODY, Trust, check
from delineate.verbs._audit import (
    audit_options,
    audit_recipe,
    for_card,
    refuse,
    saved_audit,
)
from delineate.verbs._facts import built_from, command, is_first_process, make_card
from delineate.verbs._run_folder import RunFolder
from delineate.verbs.calibrate import calibrate
from delineate.verbs.evaluate import evaluate


def train(
    recipe: str | Path | Recipe | None = None,
    *,
    overrides: Sequence[str] = (),
    run: str | Path | None = None,
    resume: str | Path | None = None,
    trust: Trust | Iterable[str] = (),
) -> Path:
    """Audit a recipe's data, train, calibrate, and judge the result on its test cases; the run's folder is returned.

    Args:
        recipe: a recipe, or its file.
        overrides: "section.name.argument=value" each.
        run: the folder to make; outputs/<recipe>/<time> if left out.
        resume: go on with this run instead, where a kill or Ctrl-C left it.
        trust: modules whose code the recipe of a run that is resumed may name (`package.module:function`). A recipe
            that is given is the user's own, and needs none.

    Raises:
        RecipeError: the recipe cannot be run as written.
        ValueError: the audit of its data found what would make results untrue, and it is not allowed by name; or
            another process works on the run.
        KeyboardInterrupt: the user broke off; the bundle in the run's folder is usable.
    """
    if (recipe is None) == (resume is None):
        raise ValueError(
            "give a recipe to train, or --resume with a run's folder to go on with it."
        )
    if resume is not None and (overrides or run is not None):
        raise ValueError("a run goes on as it began: --resume takes neither --set nor --run.")
    trust = Trust.of(trust)
    if resume is None and trust != NOBODY:
        raise ValueError("a recipe that you train is your own: --trust belongs to --resume.")
    try:
        import delineate.training.fit  # noqa: F401 (known to be there before anything is read)
        from delineate.training.rehearse import rehearse
    except ModuleNotFoundError as error:
        raise ValueError(
            f"training needs {error.name}, which is not installed: pip install 'delineate[train]'"
        ) from error
    if resume is not None:
        folder = RunFolder.find(resume, trust)
        plan = folder.plan
        check_calls(plan, data=False)
        with folder.locked(), _resumable(folder, plan):
            _train(folder, plan, folder.cases(), resumed=True)
        return folder.path
    plan = recipe if isinstance(recipe, Recipe) else load_recipe(recipe or "", overrides)
    check_calls(plan)
    splits = load_cases(plan)
    if is_first_process():
        rehearse(plan, splits)
    folder = _begin(plan, splits, None if run is None else Path(run))
    with folder.locked():
        try:
            with _resumable(folder, plan):
                _train(folder, plan, splits, resumed=False)
        except BaseException:
            if is_first_process():
                folder.discard()  # unless something was trained
            raise
    return folder.path


def _train(folder: RunFolder, plan: Recipe, splits: Splits, *, resumed: bool) -> None:
    """Train, or go on, in a folder that holds recipe and split; then calibrate and judge; tell the log of each."""
    if not is_first_process():
        _trained(folder, plan, splits)
        return
    with log_to(folder.path / LOG):
        warn(f"run: {folder.path}")
        log(f"{'resumed' if resumed else 'started'}: {command()}")
        _trained(folder, plan, splits)
        log("finished")


def _trained(folder: RunFolder, plan: Recipe, splits: Splits) -> None:
    from delineate.training.fit import fit

    card = make_card(plan, splits)
    known = saved_audit(folder.path)
    if known is not None:
        card["audit"] = for_card(plan, known)
    if is_first_process():
        log(built_from(card["commit"], card["versions"]))
        for line in () if known is None else known.lines(audit_options(plan.audit).allow):
            log(line)
    finished = fit(plan, splits, folder.path, card)
    if not is_first_process():
        sys.exit(0)  # judging is the first one's work
    if not finished:
        warn(
            f"broken off; the best weights so far are in {folder.path / 'bundle'}. Go on with: {_resume(folder, plan)}"
        )
        raise KeyboardInterrupt
    device = str(plan.trainer.args.get("device", "auto"))
    if splits.get("val"):
        calibrate(folder.path, device=device, trust=plan.trainer.trust)
    evaluate(folder.path, device=device, trust=plan.trainer.trust)


@contextmanager
def _resumable(folder: RunFolder, plan: Recipe) -> Iterator[None]:
    """Say how to go on where a full disk stopped a run of which something is kept."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not folder.trained:
            raise
        raise OSError(
            error.errno,
            f"{error.strerror}. Free some space, and go on from the last whole checkpoint with: "
            f"{_resume(folder, plan)}",
            error.filename or str(folder.path),
        ) from error


def _begin(plan: Recipe, splits: Splits, run: Path | None) -> RunFolder:
    """The folder of a new run, with the audit of its data in it; the first of several processes audits."""
    if not is_first_process():
        return RunFolder.begin(plan, splits, run)
    audited = audit_recipe(plan, splits)
    refuse(plan, audited)
    return RunFolder.begin(plan, splits, run, audited)


def _resume(folder: RunFolder, plan: Recipe) -> str:
    """The command that resumes a run. The folder is data, so the modules that its recipe names are trusted in words."""
    from delineate.training.options import load_options, logger_calls

    loggers = logger_calls(load_options(plan.trainer), plan.trainer)
    names = [call.name for call in (*(call for _, call in all_calls(plan)), *loggers)]
    modules = sorted({name.partition(":")[0] for name in names if ":" in name})
    return " ".join([f"delineate train --resume {folder.path}", *(f"--trust {m}" for m in modules)])


def check_calls(recipe: Recipe, *, data: bool = True) -> None:
    """Refuse a recipe that names what does not exist or does not fit its task and labels, before anything runs.

    Whatever training builds and needs no data for is built here.

    data: the section `data` is checked too; that of a saved recipe is checked when its cases are loaded.
    """
    from delineate.metrics import load_metrics
    from delineate.training.options import check_monitor, load_options, validation_metrics
    from delineate.training.rehearse import build_parts

    for catalogue, call in all_calls(recipe):
        if data or call is not recipe.data:
            check(catalogue, call)
    options = load_options(recipe.trainer)
    check_monitor(options, recipe.trainer, load_metrics(validation_metrics(recipe)))
    audit_options(recipe.audit)
    build_parts(recipe)
