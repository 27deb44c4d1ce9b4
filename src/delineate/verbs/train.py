"""Recipe -> run folder."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from delineate.bundle import Source, find_source, named
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
from delineate.verbs._init_from import record_of, refuse_changed, saved_record, with_leaks
from delineate.verbs._run_folder import CHECKPOINT, RunFolder
from delineate.verbs.calibrate import calibrate
from delineate.verbs.evaluate import evaluate


def train(
    recipe: str | Path | Recipe | None = None,
    *,
    overrides: str | Sequence[str] = (),
    run: str | Path | None = None,
    resume: str | Path | None = None,
    trust: Trust | Iterable[str] = (),
) -> Path:
    """Audit a recipe's data, train, calibrate, and evaluate on the test cases; returns the run's folder.

    Args:
        recipe: a recipe, or its file.
        overrides: "section.name.argument=value" each.
        run: the folder to make; outputs/<recipe>/<time> if left out.
        resume: the folder of an interrupted run to continue, instead of a recipe.
        trust: modules whose code the recipe of a resumed run may name (`package.module:function`). A recipe that you
            train is your own and needs no trust.

    Raises:
        RecipeError: the recipe cannot be run as written.
        ValueError: the audit found something that would make the results wrong, and it is not allowed by name; or
            another process works on the run.
        KeyboardInterrupt: the user interrupted training; the bundle in the run's folder is usable.
    """
    if (recipe is None) == (resume is None):
        raise ValueError(
            "give either a recipe to train, or --resume with the folder of a run to continue."
        )
    if resume is not None and (overrides or run is not None):
        raise ValueError(
            "--resume continues a run with its own recipe and folder; it takes neither --set nor --run."
        )
    trust = Trust.of(trust)
    if resume is None and trust != NOBODY:
        raise ValueError("--trust belongs to --resume; a recipe that you train needs no trust.")
    try:
        import delineate.training.fit  # noqa: F401 (fails here if torch is missing, before files are read)
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
    source = find_source(plan)
    if source is not None:
        plan = named(plan, source)
    copied: list[str] = []
    if is_first_process():
        rehearsed = rehearse(plan, splits)
        copied = rehearsed.copied
        for note in (
            *([source.chosen] if source and source.chosen else []),
            *copied,
            *rehearsed.notes,
        ):
            warn(note)
    folder = _begin(plan, splits, None if run is None else Path(run), source, copied)
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
    """Train or resume in a folder that holds recipe and split, then calibrate and evaluate; write the log."""
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
    record = saved_record(folder.path)
    if record is not None:
        card["init_from"] = record
        if not (folder.path / CHECKPOINT).exists():  # it holds the weights
            refuse_changed(plan, record)
    if is_first_process():
        log(built_from(card["commit"], card["versions"]))
        for line in () if record is None else record["copied"]:
            log(line)
        for line in () if known is None else known.lines(audit_options(plan.audit).allow):
            log(line)
    finished = fit(plan, splits, folder.path, card)
    if not is_first_process():
        sys.exit(0)  # the first process evaluates
    if not finished:
        warn(
            f"interrupted; the best weights so far are in {folder.path / 'bundle'}. Continue with: "
            f"{_resume(folder, plan)}"
        )
        raise KeyboardInterrupt
    device = str(plan.trainer.args.get("device", "auto"))
    if splits.get("val"):
        calibrate(folder.path, device=device, trust=plan.trainer.trust)
    evaluate(folder.path, device=device, trust=plan.trainer.trust)


@contextmanager
def _resumable(folder: RunFolder, plan: Recipe) -> Iterator[None]:
    """Add the command to resume to the error of a full disk, if there is a checkpoint or a bundle."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not folder.trained:
            raise
        raise OSError(
            error.errno,
            f"{error.strerror}. Free some space, and continue from the last checkpoint with: "
            f"{_resume(folder, plan)}",
            error.filename or str(folder.path),
        ) from error


def _begin(
    plan: Recipe, splits: Splits, run: Path | None, source: Source | None, copied: Sequence[str]
) -> RunFolder:
    """The folder of a new run, with the audit of its data. Only the first of several processes audits."""
    if not is_first_process():
        return RunFolder.begin(plan, splits, run)
    audited = audit_recipe(plan, splits)
    record = None
    if source is not None:
        record = record_of(source, copied, audited)
        audited = with_leaks(audited, record)
    refuse(plan, audited)
    return RunFolder.begin(plan, splits, run, audited, record)


def _resume(folder: RunFolder, plan: Recipe) -> str:
    """The command that resumes a run, with --trust for each module that its recipe names."""
    from delineate.training.options import load_options, logger_calls

    loggers = logger_calls(load_options(plan.trainer), plan.trainer)
    names = [call.name for call in (*(call for _, call in all_calls(plan)), *loggers)]
    modules = sorted({name.partition(":")[0] for name in names if ":" in name})
    return " ".join([f"delineate train --resume {folder.path}", *(f"--trust {m}" for m in modules)])


def check_calls(recipe: Recipe, *, data: bool = True) -> None:
    """Refuse a recipe with a name that does not exist or does not fit its task and labels, before anything runs.

    All parts of the training that need no data are built here.

    data: check the section `data` and `model.init_from` too; those of a saved recipe are checked when its cases are
        loaded, and when its training begins without a checkpoint.

    Raises:
        RecipeError: the recipe cannot be run as written.
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
    if data:
        find_source(recipe)
