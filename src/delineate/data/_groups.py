"""The group (patient) of each case."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence

from delineate.data._tables import Row
from delineate.resolve import nearest
from delineate.words import some

COLUMN = "column:"

FIELD = re.compile(r"\{column:([^{}]+)\}")
"""A column's field within other text: groups of several data sets can be told apart by it."""

SECONDS = 10
"""Time limit for matching the ids of all cases; 100,000 ids take 0.2 s."""


def group_names(ids: Sequence[str], group: str, rows: Mapping[str, Row]) -> dict[str, str]:
    """The group of each case, by its id.

    Args:
        ids: the ids of the cases.
        group: "{stem}", each case its own group; "column:NAME", from `rows`; text with the field of a column, such as
            "hospital-{column:NAME}", where the numbers of two data sets mean different patients; or a regular
            expression with one capturing group (or one named "group"), matched from the start of the id.
        rows: the row of the table of each case.

    Raises:
        ValueError: no such column, an empty field, an invalid expression, or ids that it does not match.
    """
    if group == "{stem}":
        return {id: id for id in ids}
    if group.startswith(COLUMN):
        return column_values({id: rows.get(id, {}) for id in ids}, group, "group")
    if FIELD.search(group):
        return _filled(ids, group, rows)
    try:
        expression = re.compile(group)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"group is {group!r}, not a valid regular expression: {error}.") from error
    if "group" not in expression.groupindex and expression.groups != 1:
        raise ValueError(
            f"group is {group!r}; expected '{{stem}}', 'column:NAME', or a regular expression with one "
            f"group in parentheses, like '(patient\\d+)_', not {expression.groups}."
        )
    key: str | int = "group" if "group" in expression.groupindex else 1
    matches = dict(zip(ids, _matched(group, key, ids), strict=True))
    without = [id for id, match in matches.items() if match is None]
    if without:
        raise ValueError(
            f"group {group!r} matches {len(ids) - len(without)} of {len(ids)} ids, but not "
            f"{some(without)}; it is matched from the start of the id."
        )
    return {id: match or "" for id, match in matches.items()}


def _filled(ids: Sequence[str], group: str, rows: Mapping[str, Row]) -> dict[str, str]:
    """The group as a text with the fields of columns.

    Raises:
        ValueError: no such column, an empty field, or other braces or parentheses, as of a regular expression.
    """
    if re.search(r"[{}()]", FIELD.sub("", group)):
        raise ValueError(
            f"group is {group!r}; beside fields as {{column:NAME}} it may hold no braces or parentheses."
        )
    fields = {
        name: column_values({id: rows.get(id, {}) for id in ids}, f"{COLUMN}{name}", "group")
        for name in FIELD.findall(group)
    }
    texts = FIELD.split(group)  # text, name, text, name, ... text
    return {
        id: "".join(fields[part][id] if i % 2 else part for i, part in enumerate(texts))
        for id in ids
    }


def _matched(expression: str, key: str | int, ids: Sequence[str]) -> list[str | None]:
    """The capturing group `key` of each id; "" if it did not take part, None if the expression does not match.

    It runs in a separate process that can be stopped: an expression like `(a+)+$` can take hours, and Python's `re`
    has no time limit.
    """
    request = json.dumps([expression, key, list(ids)])
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _MATCH],
            input=request, capture_output=True, text=True, encoding="utf-8", timeout=SECONDS, check=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ValueError(
            f"group is {expression!r}, and matching it took more than {SECONDS} s. Nested repeats, as in (a+)+, are "
            "slow; write the expression without them."
        ) from error
    except subprocess.CalledProcessError as error:
        raise ValueError(f"group is {expression!r}, and it cannot be matched.") from error
    matches: list[str | None] = json.loads(done.stdout)
    return matches


_MATCH = """
import json, re, sys
expression, key, ids = json.load(sys.stdin)
match = re.compile(expression).match
print(json.dumps([None if m is None else m[key] or "" for m in map(match, ids)]))
"""


def column_values(rows: Mapping[str, Mapping[str, str]], column: str, what: str) -> dict[str, str]:
    """The field of "column:NAME" in each row.

    Raises:
        ValueError: no such column, or empty fields.
    """
    name = column.removeprefix(COLUMN)
    known = next(iter(rows.values()), {})
    if name not in known:
        raise ValueError(
            f"{what} is {column!r}, but the table has no such column. "
            f"There are: {some(known, 12) or 'none; no table is given'}{nearest(name, known)}"
        )
    empty = [id for id, row in rows.items() if not row[name]]
    if empty:
        raise ValueError(f"{what} is {column!r}, but that is empty for {some(empty)}.")
    return {id: row[name] for id, row in rows.items()}
