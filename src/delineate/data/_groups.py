"""Which patient each case belongs to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from delineate.data._table import Row
from delineate.data._words import some
from delineate.resolve import nearest

COLUMN = "column:"


def group_names(ids: Sequence[str], group: str, rows: Mapping[str, Row]) -> dict[str, str]:
    """The group of each case, by its id.

    Args:
        ids: the cases.
        group: "{stem}", each its own; "column:NAME", from `rows`; or a regular expression with one group (or
            one named "group"), matched from the start of the id.
        rows: the facts known of each case.

    Raises:
        ValueError: no such column, an empty field, no such expression, or ids that it does not match.
    """
    if group == "{stem}":
        return {id: id for id in ids}
    if group.startswith(COLUMN):
        return column_values({id: rows.get(id, {}) for id in ids}, group, "group")
    try:
        expression = re.compile(group)
    except re.error as error:
        raise ValueError(f"group is {group!r}, no regular expression: {error}.") from error
    if "group" not in expression.groupindex and expression.groups != 1:
        raise ValueError(
            f"group is {group!r}; expected '{{stem}}', 'column:NAME', or a regular expression with one "
            f"group in parentheses, like '(patient\\d+)_', not {expression.groups}."
        )
    matches = {id: expression.match(id) for id in ids}
    without = [id for id, match in matches.items() if match is None]
    if without:
        raise ValueError(
            f"group {group!r} matches {len(ids) - len(without)} of {len(ids)} ids, but not "
            f"{some(without)}; it is matched from the start of the id."
        )
    key: str | int = "group" if "group" in expression.groupindex else 1
    return {id: match[key] or "" for id, match in matches.items() if match is not None}


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
