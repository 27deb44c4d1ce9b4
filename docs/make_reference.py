"""Write docs/reference/ from the code: every name a recipe can use, its arguments and what it is."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from pathlib import Path

from delineate.metrics import PARTS, Traits, traits_of
from delineate.prepare import Slices
from delineate.resolve import CATALOGUES, resolve
from delineate.training.options import Options
from delineate.verbs.list_names import list_names, types_of

EMPTY = """
Below each metric stands what it gives for a label that is missing in the truth (all that was predicted is false), in
the prediction (all was missed), or in both. A case that is left out has no score (NaN): the mean is over the others,
and terminal, scores.json and report tell how many they are and how many errors that hides.
"""

HERE = Path(__file__).parent / "reference"


def main() -> int:
    """Write the pages; with --check, only say whether they are what the code says."""
    pages = {catalogue: page(catalogue) for catalogue in CATALOGUES}
    pages["trainer"] = (
        f"# trainer\n\n{_types(types_of(Options))}```text\n{inspect.getdoc(Options)}\n```\n"
    )
    pages["slices"] = (
        f"# slices\n\n{_types(types_of(Slices))}```text\n{inspect.getdoc(Slices)}\n```\n"
    )
    paths = {HERE / f"{name}.md": text for name, text in pages.items()}
    stale = [path for path, text in paths.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        if stale:
            print(f"make docs would change: {', '.join(p.name for p in stale)}", file=sys.stderr)
        return len(stale) > 0
    HERE.mkdir(exist_ok=True)
    for path in stale:
        path.write_text(paths[path])
    return 0


def page(catalogue: str) -> str:
    """One catalogue as Markdown."""
    parts = [f"# {catalogue}\n\nMade from the code by `make docs`.\n"]
    if catalogue == "metrics":
        parts.append(EMPTY)
    for entry in list_names(catalogue):
        thing = resolve(catalogue, entry.name)
        ours = getattr(thing, "__module__", "delineate").startswith("delineate")
        said = (inspect.getdoc(thing) if callable(thing) and ours else None) or entry.summary
        call = f"{entry.name}({entry.arguments})" if entry.arguments else entry.name
        types = _types(entry.types)
        parts.append(f"\n## {entry.name}\n\n    {call}\n\n{types}```text\n{said.strip()}\n```\n")
        if catalogue == "metrics":
            parts.append(_facts(traits_of(thing)))
    return "".join(parts)


def _facts(known: Traits) -> str:
    """What a metric says of itself besides its docstring."""
    unit = "mm or px" if known.unit == "length" else "a pure number"
    better = (
        "0 is best"
        if known.signed
        else "less is better"
        if known.lower_is_better
        else "more is better"
    )
    if known.range:
        unit += f" from {known.range[0]:g} to {known.range[1]:g}"
    needs = [PARTS[part] for part in PARTS if part in known.needs]
    needs += ["labels of the kind thing"] * known.things
    needs += ["labels that exclude each other"] * known.exclusive
    place = "" if known.place is None else "Part of the full set. "
    return (
        f"\nIn a report: **{known.title}**. {known.meaning}\n\n"
        f"{known.family.capitalize()}; {unit}; {better}. {place}Needs {' and '.join(needs) or 'nothing'}.\n\n"
        f"Empty masks: {known.empty}.\n"
    )


def _types(types: Mapping[str, str]) -> str:
    """What each argument may be, as a list."""
    return "".join(f"- `{name}`: {words}\n" for name, words in types.items()) + "\n" * bool(types)


if __name__ == "__main__":
    sys.exit(main())
