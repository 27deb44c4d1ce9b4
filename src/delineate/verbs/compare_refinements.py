"""Runs without and with refinement steps -> what each step gains, in one table."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from delineate.core import Image, Segmentation
from delineate.evaluation.compare import Ablation
from delineate.evaluation.compare import compare as compare_tables
from delineate.evaluation.table import Table
from delineate.metrics import load_metrics
from delineate.resolve import OWN, Call, Trust
from delineate.verbs._refine_stages import NO_REFINEMENT, KeptMasks, stages_of
from delineate.verbs._replacing import own_folder
from delineate.verbs._run_folder import RunFolder, fresh_folder
from delineate.verbs.compare import (
    WRITES,
    facts_of,
    names_of,
    refuse_twice,
    write_comparison_folder,
)


def compare_refinements(
    runs: str | Path | Sequence[str | Path],
    steps: Sequence[str],
    out: str | Path | None = None,
    *,
    metrics: Sequence[str] | None = None,
    common: bool = False,
    device: str = "auto",
    trust: Trust | Iterable[str] = (),
) -> tuple[Ablation, Path]:
    """Compare the predictions of runs without and with refinement steps, on their test cases (an ablation).

    Each stage adds one step to those before it, with the arguments that `refine fit` chose, or else the first ones that
    its file lists. Each case is predicted once per run. Writes as `compare`, and ablation.csv: a row per metric, label,
    run and stage, with the differences from the first stage and from the stage before.

    Args:
        runs: a folder that `train` wrote, or several with the same test cases.
        steps: stages; the first is the reference. `none` has only the steps of the run's own recipe; any other is the
            name of a refinement step.
        out: the folder to write to; outputs/compare/<time> if left out.
        metrics: names; if left out, Dice, and `dice_empty1` where the recipes have it.
        common: of several runs, compare only the cases that all of them have.
        device: "auto", "cpu", "cuda", "mps".
        trust: modules whose code the runs may name (`package.module:function`); none else is imported.

    Raises:
        ValueError: fewer than two stages, one of them twice, an unknown step, `network` where there is none, a run
            twice, or runs that differ in cases, labels or truths.
    """
    folders = [Path(run) for run in ([runs] if isinstance(runs, str | Path) else runs)]
    trust = Trust.of(trust)
    if len(steps) < 2 or len(set(steps)) < len(steps):
        raise ValueError(
            f"steps is {','.join(steps)}; expected at least two stages, each once, for instance none,vote."
        )
    if common and len(folders) < 2:
        raise ValueError("--common (common=True) is for several runs; only one was given.")
    refuse_twice(folders)
    if out is not None:
        own_folder(Path(out), WRITES, folders)
    if metrics is None:
        listed = [{m.name for m in RunFolder.find(f, trust).recipe.metrics} for f in folders]
        metrics = ["dice", *(["dice_empty1"] if all("dice_empty1" in of for of in listed) else [])]
    chosen = load_metrics([Call(m, trust=OWN) for m in metrics])
    named = dict(zip(names_of(folders), folders, strict=True))
    with tempfile.TemporaryDirectory() as kept:
        shared: set[str] | None = None
        if len(folders) > 1:  # a mistake in the last run is found before the first is predicted
            every = [stages_of(f, steps, trust, Path(kept), device) for f in folders]
            _check_labels(folders, [stages.labels for stages in every])
            shared = _check_cases(folders, [set(stages.cases) for stages in every], common)
        tables: dict[str, Table] = {}
        names: dict[str, dict[str, str]] = {}
        masks: dict[str, KeptMasks] = {}
        about: dict[str, dict[str, str]] = {}
        for i, (run, folder) in enumerate(named.items()):
            place = Path(kept, str(i))
            place.mkdir()
            stages = stages_of(folder, steps, trust, place, device, shared)
            names[run] = {s: s if len(folders) == 1 else _of_run(run, s) for s in stages.steps}
            tables |= {names[run][s]: table for s, table in stages.tables(chosen).items()}
            masks[run] = stages.pictures
            arguments = {f"arguments of {step}": told for step, told in stages.told.items() if told}
            about[run] = {**facts_of(folder), **arguments}
        comparison = compare_tables(
            tables,
            pairs=[
                (first, name) for first, *rest in map(dict.values, names.values()) for name in rest
            ],
            common=common,
        )
        ablation = Ablation(comparison, names)

        def gallery(case: str) -> tuple[Image, Mapping[str, Segmentation], Segmentation]:
            every: dict[str, Segmentation] = {}
            for run, kept_masks in masks.items():
                image, predicted, truth = kept_masks(case)
                every |= {names[run][stage]: one for stage, one in predicted.items()}
            return image, every, truth

        written = fresh_folder(Path("outputs") / "compare") if out is None else Path(out)
        title = f"{' and '.join(named) if len(named) < 3 else f'{len(named)} runs'}: refinement"
        write_comparison_folder(written, comparison, title, about, gallery, ablation)
    return ablation, written


def _check_labels(folders: Sequence[Path], labels: Sequence[tuple[str, ...]]) -> None:
    """Refuse runs with different labels."""
    for folder, of in zip(folders, labels, strict=True):
        if of != labels[0]:
            raise ValueError(
                f"{folders[0]} has the labels {', '.join(labels[0])}, but {folder} has {', '.join(of)}. "
                "Compare runs with the same labels."
            )


def _check_cases(folders: Sequence[Path], cases: Sequence[set[str]], common: bool) -> set[str]:
    """The test cases that all runs have. Refuses runs with different ones, unless the common ones are compared."""
    for folder, of in zip(folders, cases, strict=True):
        if of != cases[0] and not (common and cases[0].intersection(*cases)):
            raise ValueError(
                f"{folders[0]} and {folder} have different test cases, so their stages do not fit into one table. "
                "Compare the common ones with --common (common=True), or each run alone."
            )
    return cases[0].intersection(*cases)


def _of_run(run: str, stage: str) -> str:
    return f"{run} without refinement" if stage == NO_REFINEMENT else f"{run} with {stage}"
