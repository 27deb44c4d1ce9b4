"""What every check of the folder keeps."""

import inspect

import pytest

from delineate.audit import Finding, levels, refusals
from delineate.audit._case_facts import Problem
from delineate.audit._checks import checks


def test_each_name_is_used_once_and_the_refusals_are_known():
    declared = [name for check in checks().values() for name in inspect.getmodule(check).FINDS]
    assert len(declared) == len(set(declared)) == len(levels()) > 20
    assert {
        "not_finite", "misplaced", "label_never_trained",
        "duplicates_across_splits", "near_duplicates_across_splits", "shared_slices_across_splits",
        "patient_across_splits",
    } == set(refusals())  # fmt: skip
    for name in ("unreadable", "misaligned", "values_without_label", "group_across_splits"):
        assert levels()[name] == "refuse"


@pytest.mark.parametrize("name", checks())
def test_nothing_is_said_of_no_cases_or_of_good_ones(name, labels, facts):
    assert checks()[name]([], labels) == []
    good = [facts(f"case {i}", split) for i, split in enumerate(["train", "train", "val", "test"])]
    assert checks()[name](good, labels) == []


@pytest.mark.parametrize("name", checks())
def test_findings_are_of_declared_names_and_levels_and_name_known_cases(name, labels, facts):
    check = checks()[name]
    bad = [
        facts("a", "train", pixels="same", not_finite=3, dtype="float32", group="g"),
        facts("b", "test", pixels="same", channels=3, unit="mm", spacing=(1.0, 50.0), group="g"),
        facts("c", "test", unit="mm", skew=0.2, two_places=3.0, misnamed=("c.jpg is PNG",)),
        facts("d", "val", unit="mm", shape=(8, 8, 8), spacing=(1.0,) * 3, patient="p", truth=None),
        facts("e", "train", image=None, truth=None, patient="p",
              problems=tuple(Problem(kind, "why") for kind in ("unreadable", "misaligned", "misplaced", "values"))),
    ]  # fmt: skip
    found = check(bad, labels)
    finds = inspect.getmodule(check).FINDS
    for finding in found:
        assert isinstance(finding, Finding)
        assert finds[finding.check] == finding.level
        assert {id for ids in finding.cases for id in ids} <= set("abcde")
        assert finding.why == () or len(finding.why) == len(finding.cases)
        assert finding.says
        assert not finding.says.endswith(".")


def test_a_line_names_the_first_cases():
    finding = Finding("duplicates", "warn", "5 images", "", tuple((f"{i}", "x") for i in range(5)))
    assert finding.line(limit=2) == "duplicates: 5 images (0 = x, 1 = x and 3 more)"
    assert Finding("mixed", "note", "two kinds").line() == "mixed: two kinds"
