"""What every check of the folder keeps; a new file is tested by being there."""

import copy
import inspect

import pytest

from delineate.audit import Finding, levels, refusals
from delineate.audit._case_facts import Problem
from delineate.audit._checks import checks
from delineate.resolve import names, resolve

every = pytest.mark.parametrize("name", names("audit"))


def finds_of(name):
    return inspect.getmodule(resolve("audit", name)).FINDS


def bad_cases(facts):
    return [
        facts("a", "train", pixels="same", not_finite=3, dtype="float32", group="g"),
        facts("b", "test", pixels="same", channels=3, unit="mm", spacing=(1.0, 50.0), group="g"),
        facts("c", "test", unit="mm", skew=0.2, two_places=3.0, misnamed=("c.jpg is PNG",)),
        facts("d", "val", unit="mm", shape=(8, 8, 8), spacing=(1.0,) * 3, patient="p", truth=None),
        facts("e", "train", image=None, truth=None, patient="p",
              problems=tuple(Problem(kind, "why") for kind in ("unreadable", "misaligned", "misplaced", "values"))),
    ]  # fmt: skip


@every
def test_its_findings_have_names_and_levels_of_their_own(name):
    finds = finds_of(name)
    assert finds
    assert set(finds.values()) <= {"refuse", "warn", "note"}
    for other in names("audit"):
        assert other == name or not set(finds) & set(finds_of(other)), (
            f"{other} has one of them too"
        )
    assert finds.items() <= levels().items()
    never = set(getattr(inspect.getmodule(resolve("audit", name)), "NEVER_ALLOWED", ()))
    refused = {finding for finding, level in finds.items() if level == "refuse"}
    assert never <= refused, "only what is refused can be allowed, or never be allowed"
    assert refused & set(refusals()) == refused - never
    assert inspect.getdoc(checks()[name]).splitlines()[0].endswith(".")


@every
def test_nothing_is_said_of_no_cases_or_of_good_ones(name, labels, facts):
    assert checks()[name]([], labels) == []
    good = [facts(f"case {i}", split) for i, split in enumerate(["train", "train", "val", "test"])]
    assert checks()[name](good, labels) == []


@every
def test_findings_are_of_declared_names_and_levels_and_name_known_cases(name, labels, facts):
    bad = bad_cases(facts)
    before = copy.deepcopy(bad)
    found = checks()[name](bad, labels)
    assert bad == before
    for finding in found:
        assert isinstance(finding, Finding)
        assert finds_of(name)[finding.check] == finding.level
        assert {id for ids in finding.cases for id in ids} <= set("abcde")
        assert finding.why == () or len(finding.why) == len(finding.cases)
        assert finding.says
        assert not finding.says.endswith(".")
        assert finding.advice == "" or finding.advice.endswith((".", "?"))


@every
def test_the_order_of_cases_changes_no_name_that_is_found(name, labels, facts):
    bad = bad_cases(facts)
    found, turned = (sorted(f.check for f in checks()[name](c, labels)) for c in (bad, bad[::-1]))
    assert found == turned


def test_what_cannot_be_allowed_is_refused_and_not_offered():
    """Nobody can allow a file that cannot be read, or a group that the recipe itself names and that is parted."""
    for name in ("unreadable", "group_across_splits"):
        assert levels()[name] == "refuse"
        assert name not in refusals()
    assert "near_duplicates_across_splits" in refusals()


HEAD = "from delineate.audit._finding import Finding, finding\n"
BAD = {
    "undeclared": ({"dark": "warn"}, "[Finding('light', 'warn', 'light') for c in cases if c.truth is None]"),
    "too_loud": ({"dark": "note"}, "[Finding('dark', 'refuse', 'dark') for c in cases if c.truth is None]"),
    "always": ({"dark": "warn"}, "[Finding('dark', 'warn', 'dark')]"),
    "suspicious": ({"dark": "warn"}, "[Finding('dark', 'warn', 'dark') for c in cases]"),
    "inventing": ({"dark": "warn"}, "[Finding('dark', 'warn', 'dark', '', (('z',),)) for c in cases if not c.truth]"),
    "sentence": ({"dark": "warn"}, "[Finding('dark', 'warn', 'It is dark.') for c in cases if not c.truth]"),
    "clashing": ({"unreadable": "refuse"}, "[]"),
    "shouting": ({"dark": "error"}, "[]"),
    "silent": ({}, "[]"),
    "reasons": ({"dark": "warn"}, "[Finding('dark', 'warn', 'x', '', (), ('why',)) for c in cases if not c.truth]"),
    "first": ({"dark": "warn"}, "[Finding('dark', 'warn', 'x') for c in cases[:1] if not c.truth]"),
}  # fmt: skip


def check_file(name, finds, body):
    return f"{HEAD}FINDS = {finds!r}\ndef {name}(cases, labels):\n    'Dark.'\n    return {body}\n"


@pytest.mark.parametrize("name", BAD)
def test_a_bad_check_breaks_the_contract(name, add_file, broken):
    add_file("audit", name, check_file(name, *BAD[name]))
    assert broken(name)


def test_a_check_of_no_name_keeps_the_contract_and_can_be_allowed(add_file, broken):
    body = "finding(FINDS, 'dark', [((c.id,), '') for c in cases if not c.truth], '{} dark'.format, 'Look.')"
    add_file("audit", "darkness", check_file("darkness", {"dark": "refuse"}, body))
    assert broken("darkness") is None
    assert "dark" in refusals()


def test_a_line_names_the_first_cases():
    finding = Finding("duplicates", "warn", "5 images", "", tuple((f"{i}", "x") for i in range(5)))
    assert finding.line(limit=2) == "duplicates: 5 images (0 = x, 1 = x and 3 more)"
    assert Finding("mixed", "note", "two kinds").line() == "mixed: two kinds"
