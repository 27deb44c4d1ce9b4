"""Folders that `evaluate` wrote -> which model is better, by how much, and with what confidence."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from delineate.core import Image, Segmentation
from delineate.data import prediction_masks
from delineate.evaluation.compare import Ablation, Comparison
from delineate.evaluation.compare import compare as compare_tables
from delineate.evaluation.report import write_comparison
from delineate.evaluation.table import Table
from delineate.files import whole_file
from delineate.progress import warn
from delineate.resolve import NOBODY, Trust, UntrustedError
from delineate.verbs._evaluation import warnings
from delineate.verbs._facts import done_by
from delineate.verbs._replacing import own_folder, replacing
from delineate.verbs._run_folder import RunFolder, fresh_folder

WRITES = ("report.html", "comparison.csv", "comparison.json", "ablation.csv")


def compare(
    runs: Sequence[str | Path],
    out: str | Path | None = None,
    *,
    metrics: Sequence[str] | None = None,
    common: bool = False,
    trust: Trust | Iterable[str] = (),
) -> tuple[Comparison, Path]:
    """Compare evaluations of the same cases; returns the comparison and the folder that was written.

    To compare refinement steps, see `compare_refinements`.

    Writes report.html, comparison.csv (a row per case, label and metric) and comparison.json.

    Args:
        runs: folders with a cases.csv, of runs or of masks; the first is the reference.
        out: the folder to write to; outputs/compare/<time> if left out.
        metrics: names; if left out, the metrics with the role "compared": Dice, NSD and HD95.
        common: compare only the cases that all of them have.
        trust: modules whose code the runs may name for their data (`package.module:function`); none else is imported.

    Raises:
        ValueError: a folder has no table, or the tables differ in cases, labels or truth.
    """
    folders = [Path(run) for run in runs]
    if len(folders) < 2:
        raise ValueError(f"{runs[0]} alone was given; a comparison needs at least two folders.")
    refuse_twice(folders)
    if out is not None:
        own_folder(Path(out), WRITES, folders)
    for folder in folders:
        if not (folder / "cases.csv").is_file():
            raise ValueError(
                f"{folder}: has no cases.csv. Evaluate it first: delineate evaluate {folder}"
            )
    named = dict(zip(names_of(folders), folders, strict=True))
    tables = {name: Table.load(folder / "cases.csv") for name, folder in named.items()}
    first = next(iter(tables))
    shared = [m for m in tables[first].metrics if all(m in t.metrics for t in tables.values())]
    # few by default, since Holm's correction raises every p with each further test
    few = [m for m in shared if "compared" in tables[first].traits[m].roles]
    chosen = metrics or few or None
    comparison = compare_tables(tables, metrics=chosen, reference=first, common=common)
    written = fresh_folder(Path("outputs") / "compare") if out is None else Path(out)
    title = " and ".join(named) if len(named) == 2 else f"{first} and {len(named) - 1} others"
    about = {name: facts_of(folder) for name, folder in named.items()}
    gallery = _Pictures.of(named, comparison.first.split, Trust.of(trust))
    write_comparison_folder(written, comparison, title, about, gallery)
    return comparison, written


def refuse_twice(folders: Sequence[Path]) -> None:
    """Refuse a folder that is given twice.

    Raises:
        ValueError: two are the same folder.
    """
    twice = [str(f) for f, n in Counter(folder.resolve() for folder in folders).items() if n > 1]
    if twice:
        raise ValueError(f"{twice[0]} was given twice; a comparison needs different folders.")


def write_comparison_folder(
    out: Path,
    comparison: Comparison,
    title: str,
    about: Mapping[str, Mapping[str, str]],
    gallery: Callable[[str], tuple[Image, Mapping[str, Segmentation], Segmentation]] | None,
    ablation: Ablation | None = None,
) -> None:
    """Write the comparison as CSV, JSON and a report."""
    with replacing(out, WRITES) as part:
        comparison.save(part / "comparison.csv")
        if ablation is not None:
            ablation.save(part / "ablation.csv")
        with whole_file(part / "comparison.json") as file:
            file.write_text(
                json.dumps(comparison.as_json(), indent=2, ensure_ascii=False) + "\n",
                encoding="utf-8",
                errors="backslashreplace",
            )
        write_comparison(
            part / "report.html",
            title=title,
            comparison=comparison,
            facts=done_by("compared"),
            about=about,
            gallery=gallery,
            ablation=ablation,
        )


def lines(comparison: Comparison) -> list[str]:
    """The differences, for the terminal."""
    tables = comparison.tables.values()
    independent = False if any(table.independent is False for table in tables) else None
    caveats = [
        caveat if len(names) == len(comparison.names) else f"{', '.join(names)}: {caveat}"
        for caveat, names in comparison.caveats.items()
    ]
    written = [
        *warnings(independent, caveats),
        f"{len(comparison.first.cases)} cases of {len(comparison.first.groups)} groups; "
        "difference of the means, 95 % interval, p after Holm",
    ]
    wide = max((len(d.metric) for d in comparison.differences), default=0)
    for d in comparison.differences:
        apart, interval = d.leading
        ends = f"[{interval.low:+.3f}, {interval.high:+.3f}]" if interval.known else ""
        p = f"p {d.p_holm:.3g}" if d.p_holm == d.p_holm else ""
        cases = f"better in {d.wins}, worse in {d.losses} of {d.cases}"
        written.append(
            f"  {d.name} - {d.against}: {d.label:<12} {d.metric:<{wide}} {apart:+.3f} {ends} "
            + (f"{p}  {cases}" if p else "pooled, not tested")
        )
    return [*written, comparison.caution] if comparison.caution else written


def names_of(folders: Sequence[Path]) -> list[str]:
    """The name of each folder: that of its recipe, else of the folder; equal names get more parts of the path."""
    names = [
        path.resolve().name if run is None else run.recipe.name
        for path, run in ((path, _run(path)) for path in folders)
    ]
    for depth in range(1, max(len(path.resolve().parts) for path in folders) + 1):
        times = Counter(names)
        if max(times.values()) == 1:
            break
        names = [
            name if times[name] == 1 else "/".join(path.resolve().parts[-depth:])
            for name, path in zip(names, folders, strict=True)
        ]
    return names


def _run(folder: Path, trust: Trust = NOBODY) -> RunFolder | None:
    return RunFolder.find(folder, trust) if (folder / "recipe.yaml").is_file() else None


def facts_of(folder: Path) -> Mapping[str, str]:
    """Facts about one of the compared folders."""
    known: dict[str, str] = {"folder": str(folder)}
    card = folder / "bundle" / "card.json"
    if card.is_file():
        content: dict[str, Any] = json.loads(card.read_text(encoding="utf-8"))
        known |= {
            "trained by": content["command"],
            "data SHA-256": content["data"]["sha256"],
            "commit": str(content["commit"]),
        }
    return known


class _Pictures:
    """Gives the image, the predictions of several runs, and the truth of a case, from the masks that the runs wrote."""

    def __init__(self, runs: Mapping[str, RunFolder], split: str) -> None:
        self.cases = {case.id: case for case in next(iter(runs.values())).cases()[split]}
        self.predictions = {
            name: prediction_masks(
                run.path / "predictions", list(self.cases.values()), run.recipe.labels
            )
            for name, run in runs.items()
        }

    @classmethod
    def of(cls, named: Mapping[str, Path], split: str, trust: Trust) -> _Pictures | None:
        """Pictures, if all folders are runs whose data and masks can be read; else None."""
        runs = {name: run for name, folder in named.items() if (run := _run(folder, trust))}
        if len(runs) < len(named):
            return None
        try:
            return cls(runs, split)
        except UntrustedError as error:
            warn(f"no pictures: {error}")
            return None
        except (
            ValueError,
            KeyError,
        ):  # the data have changed, or there are no masks: the report has no pictures
            return None

    def __call__(self, case_id: str) -> tuple[Image, Mapping[str, Segmentation], Segmentation]:
        case = self.cases[case_id]
        truth = case.truth
        assert truth is not None
        return case.image, {name: masks(case) for name, masks in self.predictions.items()}, truth
