"""External validation data, such as those of another centre, and their overlap with the training data of a run."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from delineate.audit import Audit, Finding, refusals
from delineate.bundle import Bundle
from delineate.core import Case, Label, LabelSet, Splits
from delineate.data import Values, load_cases
from delineate.recipe import DataFile, Recipe, load_data
from delineate.resolve import Call, RecipeError, check, nearest, resolve
from delineate.verbs._audit import audit_cases, audit_options
from delineate.verbs._independence import (
    ACROSS,
    Independence,
    first_images,
    first_weights,
    in_words,
    made_of,
    members_of,
    own_images,
    used_splits,
)
from delineate.verbs._two_folders import two_folders

TRAINING = "the training data"
"""The split of the training cases in an audit of training and external cases together."""

SAME_NAME = "group" + ACROSS
"""The finding of equal group names. In one data set they mean one patient; in two they may be equal by chance."""


@dataclass(frozen=True)
class External:
    """Cases of other data, with the labels of a run.

    name: of the data.
    cases: all of them, or those of the requested split.
    split: the requested split, or "".
    labels: those of the run, and those of the kind "ignore" in the data.
    allowed: names of audit findings that do not stop the evaluation.
    about: where the data are, in one line.
    written: the text of the file that describes the data, or "".
    """

    name: str
    cases: tuple[Case, ...]
    split: str
    labels: LabelSet
    allowed: tuple[str, ...]
    about: str
    written: str = ""

    @property
    def title(self) -> str:
        """The name of the cases in a table and a report."""
        return f"external: {self.name}" + (f", split {self.split}" if self.split else "")


def external_name(
    data: str | Path | None, images: str | Path | None, masks: str | Path | None
) -> str:
    """The name of external data: that of their file, or of the folder that holds images and masks.

    Raises:
        ValueError: no such file or folder, both kinds are given, or only images or only masks.
    """
    if data is not None:
        if images is not None or masks is not None:
            raise ValueError("data and images with masks were given; give one of the two.")
        return load_data(data).name
    if images is None or masks is None:
        lacking = "images" if images is None else "masks"
        raise ValueError(
            f"external data need images and masks, and {lacking} are missing. Give both, or give a data file."
        )
    home = os.path.commonpath([Path(place).absolute() for place in (images, masks)])
    return Path(home).name or "external"


def load_external(
    recipe: Recipe,
    *,
    data: str | Path | None = None,
    images: str | Path | None = None,
    masks: str | Path | None = None,
    table: str | Path | None = None,
    group: str | None = None,
    values: Values | None = None,
    split: str | None = None,
    allow: Sequence[str] = (),
) -> External:
    """Load other data with the labels of a recipe; the arguments are those of `evaluate`.

    Raises:
        ValueError: the data do not exist or do not fit together, they do not name a label of the run, there is no such
            split, or a name in `allow` is not the name of a finding.
    """
    name = external_name(data, images, masks)
    if data is not None:
        given = {"table": table, "group": group, "values": values}
        if both := [key for key, value in given.items() if value is not None]:
            raise ValueError(
                f"{', '.join(both)}: belongs to images and masks, and a data file was given. Write it into the "
                f"section data of {data}."
            )
        file = load_data(data, recipe.data.trust)
        about = f"{data} ({file.data.args.get('root', file.data.name)})"
    else:
        assert images is not None
        assert masks is not None
        layout = two_folders(images, masks) | {
            "table": None if table is None else str(Path(table).absolute()),
            "group": group,
            "values": None if values is None else dict(values),
        }
        call = Call("folder", {k: v for k, v in layout.items() if v is not None}, "external data")
        file = DataFile(name, Path.cwd(), call, Call("audit", {}), None, whole=False)
        about = f"images {images}, masks {masks}"
    labels = _labels(recipe.labels, file)
    args = dict(file.data.args)
    check("data", file.data)
    takes = inspect.signature(resolve("data", file.data)).parameters
    if file.labels is not None and "values" in takes and args.get("values") is None:
        args["values"] = _values(recipe.labels, file, labels)
    built_in = ":" not in file.data.name  # in a user's own layout `split` may mean something else
    if split is None and built_in and "split" in takes:  # all cases, whatever their split
        args = {k: v for k, v in args.items() if k != "stratify"} | {"split": {"all": 1.0}}
    allowed = _allowed(file, allow)
    as_recipe = replace(
        recipe,
        data=replace(file.data, args=args),
        folder=file.folder,
        labels=labels,
        audit=Call("audit", {"allow": [n for n in allowed if n != SAME_NAME]}, file.audit.where),
    )
    splits = load_cases(as_recipe)
    if split is not None and not splits.get(split):
        raise ValueError(
            f"{name}: the data have no split {split!r}; there are {', '.join(splits)}."
        )
    cases = splits[split] if split else tuple(case for part in splits.values() for case in part)
    written = "" if data is None else Path(data).read_text(encoding="utf-8")
    return External(name, cases, split or "", labels, allowed, about, written)


def compared_with_training(
    bundle: Bundle, training: Callable[[], Splits] | None, external: External
) -> tuple[Audit, Independence]:
    """The audit of external data, with findings of images and groups that they share with the training data.

    If the training data are not available, images are compared by the digests on the card, which find exact copies
    only. The training data of the members of an ensemble never are.

    Args:
        bundle: the model; its members count too.
        training: gives the data of its run; None where a bundle alone is at hand.
        external: the data that it is evaluated on.

    Raises:
        ValueError: findings that make the scores wrong and are not allowed by name.
    """
    own = audit_cases({external.title: external.cases}, external.labels)
    used, reason = _training_cases(training, bundle.card)
    unknown = []
    leaks: list[Finding] = []
    if used:
        leaks, changed = _shared(used, external, bundle)
        unknown += [changed] if changed else []
        before = first_images(bundle.card, "images") or {}
        leaks += _copies(
            own, external, set().union(*before.values()), "the data of the initial weights"
        )
    else:
        unknown.append(
            f"The training data are not available ({reason.rstrip('.')}): {_looked(bundle)}."
        )
        leaks += _copies(own, external, made_of(bundle), TRAINING)
    if first_images(bundle.card, "images") is None:
        unknown += first_weights(bundle.card, ()).caveats
    for name, member in members_of(bundle):
        unknown.append(
            f"The training data of the member {name} are not available: {_looked(member)}."
        )
        leaks += _copies(own, external, made_of(member), f"{TRAINING} of the member {name}")
    found = replace(own, findings=(*leaks, *own.findings))
    _refuse(found, external)
    if leaks:
        caveat = (
            f"These data overlap with the data that the model was made from, and this was allowed by name: "
            f"{in_words(leaks)}. On new patients the scores may be worse."
        )
        return found, Independence(False, (caveat, *unknown))
    return found, Independence(None, tuple(unknown)) if unknown else Independence(True)


def _labels(ours: LabelSet, file: DataFile) -> LabelSet:
    """The labels of the run, and the labels of the kind "ignore" of the file, at values that are free."""
    ignored = [] if file.labels is None else [x for x in file.labels.labels if x.kind == "ignore"]
    labels = list(ours.labels)
    for label in ignored:
        if label.name in {known.name for known in labels}:
            continue
        taken = {known.value for known in labels}
        free = next(v for v in (label.value, *range(255, 65536), *range(1, 255)) if v not in taken)
        labels.append(Label(label.name, free, "ignore", label.colour))
    return LabelSet(tuple(labels))


def _values(ours: LabelSet, file: DataFile, labels: LabelSet) -> dict[str, int | list[int]]:
    """The values of the masks by the run's labels, from the labels that a file names.

    A label that the run does not have becomes the run's label that includes it in the file, else background.
    """
    assert file.labels is not None
    theirs = {label.name: label.value for label in file.labels.labels}
    missing = [name for name in ours.names if name not in theirs]
    if missing:
        raise RecipeError(
            f"{file.data.where}: the run has the labels {', '.join(ours.names)}; labels does not name "
            f"{', '.join(missing)}{nearest(missing[0], theirs)} Give the mask values by the run's names, in data: "
            f"values: {{{missing[0]}: ...}}, with [] for a label that is not in these masks."
        )
    known = {label.name for label in labels.labels}
    values: dict[str, int | list[int]] = {n: v for n, v in theirs.items() if n in known}
    background = [0]
    for name in theirs.keys() - known:
        inside = [x.name for x in file.labels.inner_first if name in file.labels.parts(x.name)]
        whole = next((outer for outer in inside if outer in known), None)
        if whole is None:
            background.append(theirs[name])
        else:  # a part of a label of the run
            values[whole] = [*_listed(values[whole]), theirs[name]]
    return values | ({"background": background} if len(background) > 1 else {})


def _listed(values: int | list[int]) -> list[int]:
    return [values] if isinstance(values, int) else values


def _allowed(file: DataFile, allow: Sequence[str]) -> tuple[str, ...]:
    """The findings that are allowed. A whole recipe allows leaks in its own split, and not between data sets."""
    names = list(audit_options(file.audit).allow) if file.whole else _names(file.audit)
    written = [name for name in names if not (file.whole and name.endswith(ACROSS))]
    chosen = tuple(dict.fromkeys([*written, *allow]))
    options = Call("audit", {"allow": [n for n in chosen if n != SAME_NAME]}, "external data")
    audit_options(options)  # raises for unknown names
    return chosen


def _names(call: Call) -> list[str]:
    """The names in audit.allow. SAME_NAME is added after the check, since it can be allowed for two data sets only."""
    given = call.args.get("allow")
    listed = [n for n in given if n != SAME_NAME] if isinstance(given, list) else given
    options = audit_options(
        replace(call, args={**call.args, **({"allow": listed} if given else {})})
    )
    same_name = isinstance(given, list) and SAME_NAME in given
    return [*options.allow, *([SAME_NAME] if same_name else [])]


def _training_cases(
    training: Callable[[], Splits] | None, card: Mapping[str, Any]
) -> tuple[tuple[Case, ...], str]:
    """The cases that the model was made from; if they cannot be loaded, none and the reason."""
    if training is None:
        return (), "a bundle was given, not the folder of its run"
    try:
        splits = training()
    except (ValueError, OSError) as error:
        return (), str(error)
    return tuple(case for name in used_splits(card) for case in splits.get(name, ())), ""


def _shared(
    training: Sequence[Case], external: External, bundle: Bundle
) -> tuple[list[Finding], str]:
    """Findings of images and groups that are in both; and a caveat if the training data have changed since."""
    renamed = tuple(
        replace(
            case,
            id=f"{external.name}/{case.id}",
            # a group of one case has the name of the file, which does not identify a patient
            group=f"{external.name}/{case.group}" if case.group == case.id else case.group,
        )
        for case in external.cases
    )
    both: Splits = {TRAINING: tuple(training), external.title: renamed}
    found = audit_cases(both, bundle.recipe.labels)
    place = f"in {TRAINING} and in {external.name}"
    leaks = [
        replace(f, says=f.says.replace("on two sides of the split", place), advice=_advice(f.check))
        for f in found.findings
        if f.level == "refuse" and f.check.endswith(ACROSS)
    ]
    known = own_images(bundle.card)
    if known and known != set(found.pixels[TRAINING]):
        return leaks, (
            "The images of the training data have changed since the training, so leaks may be missed."
        )
    return leaks, ""


def _looked(bundle: Bundle) -> str:
    """What the audit can find by the digests on a card."""
    if made_of(bundle):
        return "the audit searched for exact copies of training images only"
    return "the audit did not search for overlap with them"


def _copies(own: Audit, external: External, known: Collection[str], of: str) -> list[Finding]:
    """Exact copies of training images, by their digests on the card."""
    copies = [case.id for case in own.cases if case.image and case.image.pixels in known]
    if not copies:
        return []
    check = f"duplicates{ACROSS}"
    many = f"{len(copies)} image{'s' * (len(copies) > 1)} in {of} and in {external.name}"
    return [Finding(check, "refuse", many, _advice(check), tuple((id,) for id in copies))]


def _advice(check: str) -> str:
    if check == SAME_NAME:
        return "If these are the same patients, leave the cases out; if the names are equal by chance, allow it."
    return "Leave the cases out: the model was trained or selected on them."


def _refuse(found: Audit, external: External) -> None:
    """Stop before the evaluation if the findings would make the scores wrong."""
    refused = found.refused(external.allowed)
    if not refused:
        return
    names = list(dict.fromkeys(finding.check for finding in refused))
    can = {*refusals(), SAME_NAME}
    allowed = ""
    if set(names) <= can:
        allowed = f" To evaluate nevertheless, and record it: --allow {','.join(names)}"
    if "values_without_label" in names and not external.written:
        allowed = f" On the command line: --values {external.labels.names[0]}=255.{allowed}"
    raise ValueError(
        f"{external.name}: scores on these data would be wrong. {'; '.join(f.line() for f in refused)}. "
        f"{' '.join(dict.fromkeys(f.advice for f in refused if f.advice))}{allowed}"
    )
