"""Stages of a run: what each scores, and gains over the first and over the one before."""

import csv

import numpy as np
import pytest

from delineate.evaluation.compare import Ablation, compare
from delineate.evaluation.stats import bootstrap, weighted_mean
from delineate.evaluation.table import Row, Table


def table(scores):
    rows = [
        Row(f"c{i}", f"p{i // 2}", label, truth_samples=9, prediction_samples=9, scores={"dice": s})
        for i, of in enumerate(scores)
        for label, s in zip(("red", "green"), of, strict=True)
    ]
    return Table("test", ("dice",), tuple(rows))


@pytest.fixture
def ablation():
    rng = np.random.default_rng(0)
    base = rng.uniform(0.3, 0.6, (12, 2))
    stages = {
        "no refinement": base,
        "vote": base + 0.1,
        "grow": base + rng.uniform(0, 0.3, (12, 2)),
    }
    runs, tables = {}, {}
    for run, shift in (("a", 0.0), ("b", 0.05)):
        runs[run] = {stage: f"{run} {stage}" for stage in stages}
        tables |= {f"{run} {stage}": table(of + shift) for stage, of in stages.items()}
    pairs = [
        (f"{run} no refinement", f"{run} {stage}") for run in runs for stage in ("vote", "grow")
    ]
    return Ablation(compare(tables, pairs=pairs, resamples=200), runs)


def test_each_stage_has_its_mean_and_both_differences(ablation):
    assert [(of.label, of.run, of.stage) for of in ablation.stages] == [
        (label, run, stage)
        for label in ("red", "green")
        for run in "ab"
        for stage in ("no refinement", "vote", "grow")
    ]
    for of in ablation.stages:
        names = list(ablation.runs[of.run].values())
        scores = {
            n: np.array([s for _, s in ablation.comparison.tables[n].of(of.label, "dice")])
            for n in names
        }
        assert of.mean == pytest.approx(scores[of.table].mean())
        place = names.index(of.table)
        if not place:
            assert of.first is of.before is None
            continue
        groups = [f"p{i // 2}" for i in range(12)]
        for d, against in ((of.first, names[0]), (of.before, names[place - 1])):
            apart = scores[of.table] - scores[against]
            assert d.mean == pytest.approx(apart.mean())
            expected = bootstrap(
                lambda w, apart=apart: weighted_mean(apart, w),
                groups,
                seed=0,
                resamples=200,
                bounds=(-1, 1),
            )
            assert d.interval == pytest.approx(expected)
        assert of.first.p_holm == of.first.p_holm, "tested"
        if place == 2:
            assert of.before.p_holm != of.before.p_holm, "not one of the tests"


def test_only_the_pairs_that_are_given_are_compared_and_tested(ablation):
    assert ablation.comparison.pairs == (
        ("a no refinement", "a vote"),
        ("a no refinement", "a grow"),
        ("b no refinement", "b vote"),
        ("b no refinement", "b grow"),
    )
    assert ablation.comparison.tests == 8
    tables = ablation.comparison.tables
    with pytest.raises(ValueError, match="no table 'c'"):
        compare(tables, pairs=[("a vote", "c")])
    with pytest.raises(ValueError, match="not both"):
        compare(tables, pairs=[("a vote", "a grow")], reference="a vote")


def test_it_is_written_as_csv_and_for_the_terminal(ablation, tmp_path):
    ablation.save(tmp_path / "ablation.csv")
    with open(tmp_path / "ablation.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert float(rows[1]["against_first"]) == pytest.approx(0.1)
    assert rows[0]["against_first"] == rows[0]["against_before_low"] == ""
    assert ablation.lines[0].startswith(
        "red, dice: mean, against no refinement, against the stage before"
    )
    assert "+0.100 [" in ablation.lines[3]
    assert not [line for line in ablation.lines if "nan" in line]
