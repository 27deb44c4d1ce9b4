"""The command line. Heavy imports stay inside the functions of the verbs, so that --help does not import torch."""

from __future__ import annotations

import argparse
import io
import re
import sys
from collections.abc import Sequence

from delineate._version import __version__

QUIET = "show no progress; errors, warnings and results are shown (before or after the verb)"

LEVEL_FIRST = re.compile(r"^-\d+(\.\d+)?(/.*)?$")
"""A window with a level below 0, which argparse would take for an option."""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; a user's error becomes one line and status 2."""
    for stream in (sys.stdout, sys.stderr):  # file names may contain what a terminal cannot show
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(words)
    try:
        if not options.quiet:
            return int(options.verb(options) or 0)
        from delineate.progress import quiet

        with quiet():
            return int(options.verb(options) or 0)
    except KeyboardInterrupt:
        print("delineate: interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader has closed the pipe, as in `delineate list | head`
        sys.stderr.close()
        return 1
    except (ValueError, OSError, RuntimeError, MemoryError) as error:
        if options.debug:
            raise
        print(f"delineate: {_one_line(error)}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if options.debug:
            raise
        print(
            f"delineate: this command needs {error.name}, which is not installed. "
            "Install all that training needs with pip install 'delineate[train]'.",
            file=sys.stderr,
        )
        return 2
    except Exception as error:
        if options.debug:
            raise
        kind = type(error).__name__
        text = f"{kind}: {error} (use --debug before the verb to see where)"
        print(f"delineate: {' '.join([text, *_notes(error)])}", file=sys.stderr)
        return 1


def _one_line(error: BaseException) -> str:
    message = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        message = f"{where}{error.strerror}."
    return " ".join([message, *_notes(error)])


def _notes(error: BaseException) -> list[str]:
    """The notes of an error, such as what was saved of a run, and where."""
    return list(getattr(error, "__notes__", ()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="delineate",
        description=(
            "Trains, evaluates and runs segmentation models for medical images. Not a medical device."
        ),
    )
    parser.add_argument("--version", action="version", version=f"delineate {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the whole traceback of an error")
    parser.add_argument("-q", "--quiet", action="store_true", help=QUIET)
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")

    verb = _verb(verbs, "demo", _demo, "train, evaluate, report and predict on synthetic polyps")
    verb.add_argument("-o", "--out", default="outputs/demo", help="folder to write to")

    verb = _verb(verbs, "check", _check, "audit a recipe and its data before training")
    _recipe(verb)
    verb.add_argument("-o", "--out", help="folder to write to; default: outputs/RECIPE/audit")

    verb = _verb(verbs, "train", _train, "train a recipe, then evaluate and report the result")
    _recipe(verb, optional=True)
    verb.add_argument("-o", "--run", help="folder of the run; default: outputs/RECIPE/TIME")
    verb.add_argument("--resume", metavar="RUN", help="continue a run that was interrupted")
    _trust(verb, "a run that is resumed")

    verb = _verb(
        verbs, "evaluate", _evaluate,
        "evaluate a run on its own data or on other data, or masks of any tool, with a report",
    )  # fmt: skip
    verb.add_argument(
        "--metrics", metavar="A,B", type=_words, help="only these metrics; default: the full set"
    )
    verb.add_argument("--answers", metavar="FILE", help="YAML: answers to the report's checklist")
    _trust(verb, "the run or the file of labels")
    run = verb.add_argument_group("1. a run on its own data")
    run.add_argument("run", nargs="?", help="folder of a run; for 2 also a bundle")
    run.add_argument("--split", help="cases to evaluate: test, val or train")
    _device(run)
    other = verb.add_argument_group(
        "2. a run on other data: external validation",
        "RUN with --data, or with --images and --masks. All cases are evaluated; --split selects some. "
        "A bundle, such as an ensemble, needs -o.",
    )
    other.add_argument("--data", metavar="FILE", help="recipe, or YAML with a section data")
    other.add_argument("--masks", metavar="DIR", help="folder of true masks; needs --images")
    other.add_argument(
        "--values",
        metavar="NAME=VALUE",
        type=_value,
        action="append",
        help="value of a label in the true masks, for instance polyp=255; repeatable",
    )
    other.add_argument(
        "--allow",
        metavar="A,B",
        type=_words,
        default=(),
        help="findings of the audit to accept, as audit.allow in a recipe",
    )
    masks = verb.add_argument_group(
        "3. masks of any tool, instead of a run",
        "--truth, --predictions and --labels, without RUN.",
    )
    masks.add_argument("--truth", metavar="DIR", help="folder of true masks")
    masks.add_argument(
        "--predictions",
        metavar="DIR",
        help="folder of predicted masks, or a submission CSV such as --to neopolyp-csv writes",
    )
    masks.add_argument(
        "--labels",
        metavar="FILE",
        help="recipe, nnU-Net dataset.json or YAML that names the labels",
    )
    masks.add_argument(
        "--prediction-pattern",
        default="*",
        metavar="GLOB",
        help="names of the predicted masks, for instance {stem}_seg.nii.gz; default: *",
    )
    both = verb.add_argument_group("for 2 and 3")
    both.add_argument("--images", metavar="DIR", help="folder of images; for 3 only drawn on")
    both.add_argument(
        "--table", metavar="CSV", help="columns about the cases, for groups and subgroups"
    )
    both.add_argument(
        "--group", help="the patient: column:NAME, text with {column:NAME}, or a regular expression"
    )
    both.add_argument(
        "-o",
        "--out",
        help="folder to write to; default: RUN/external/NAME or outputs/evaluate/TIME",
    )

    verb = _verb(verbs, "compare", _compare, "compare runs that were evaluated on the same cases")
    verb.add_argument(
        "runs",
        nargs="+",
        help="folders with a cases.csv; the first is the reference. With --refine: runs",
    )
    verb.add_argument("-o", "--out", help="folder to write to; default: outputs/compare/TIME")
    verb.add_argument("--metrics", metavar="A,B", type=_words, help="only these metrics")
    verb.add_argument(
        "--common", action="store_true", help="compare only the cases that all runs have"
    )
    verb.add_argument(
        "--refine",
        metavar="none,A,B",
        type=_words,
        help="the test cases of each run without refinement (none), then with one step after the other",
    )
    _device(verb)
    _trust(verb, "the runs")

    verb = _verb(
        verbs, "calibrate", _calibrate,
        "fit a temperature and review thresholds on validation cases",
    )  # fmt: skip
    verb.add_argument("run", help="folder of the run, as written by train")
    verb.add_argument(
        "--split", default="val", help="cases to fit on, not those of the test; default: val"
    )
    verb.add_argument(
        "--review",
        type=float,
        default=0.08,
        metavar="SHARE",
        help="share of cases that a person should review; default: 0.08",
    )
    _device(verb)
    _trust(verb, "the run")

    verb = _verb(verbs, "predict", _predict, "write a mask or image-level labels for every image")
    verb.add_argument(
        "inputs",
        nargs="+",
        metavar="PATH",
        help="folder of a run or a bundle, then images, folders (of images, or of a DICOM series) or globs; "
        "with --bundle, images only",
    )
    verb.add_argument(
        "--bundle",
        dest="bundles",
        action="append",
        default=[],
        metavar="BUNDLE",
        help="folder of a run or a bundle; repeat it to average the probabilities of several models",
    )
    verb.add_argument("-o", "--out", required=True, help="folder to write to")
    verb.add_argument("--probabilities", action="store_true", help="also write probabilities")
    verb.add_argument("--no-overlays", action="store_true", help="write no overlays")
    verb.add_argument("--window", metavar="N,N", type=_numbers, help="size of sliding windows")
    verb.add_argument(
        "--flips", metavar="A,B", type=_numbers, help="average over flips of these axes"
    )
    verb.add_argument(
        "--to",
        metavar="FORMAT",
        help="also write all masks into one CSV of run lengths: neopolyp-csv, the submission file of BKAI-IGH NeoPolyp "
        "(neopolyp.csv)",
    )
    verb.add_argument(
        "--to-label",
        metavar="CLASS=LABEL",
        type=_class,
        action="append",
        help="label of a class of this format, if it has another name, for instance neoplastic=adenoma; nothing after "
        "the = for a class that the model does not have, or for a label that is left out; repeatable",
    )
    verb.add_argument(
        "--strict", action="store_true", help="refuse images unlike the training images"
    )
    verb.add_argument(
        "--overwrite", action="store_true", help="replace files that this bundle did not write"
    )
    verb.add_argument(
        "--resume",
        action="store_true",
        help="go on with an interrupted run: predict only what is not there yet, or was changed since",
    )
    _device(verb)
    _trust(verb, "the bundle")

    verb = _verb(verbs, "convert", _convert, "convert images or masks to another format")
    verb._negative_number_matcher = LEVEL_FIRST  # so that -600/1500 is no option
    verb.add_argument("inputs", nargs="+", metavar="PATH", help="images, folders or globs")
    verb.add_argument(
        "-o",
        "--out",
        required=True,
        help="folder to write to, or for one image a file; slices.csv there keeps the slices of a DICOM patient in one "
        "group, also over several calls, by a digest whose key is in .slices.key",
    )
    verb.add_argument(
        "--to",
        metavar="FORMAT",
        help="nifti, nrrd, png, ... (delineate list formats), or an ending; default: that of the file of -o",
    )
    verb.add_argument(
        "--window",
        metavar="WINDOW",
        help="write this window of CT as 8 bits: abdomen, lung, bone, ..., or LEVEL/WIDTH, for instance 50/400; three, "
        "separated by commas, make RGB",
    )
    verb.add_argument(
        "--bits", type=int, choices=(8, 16), default=8, help="bits of a window; default: 8"
    )
    verb.add_argument("--masks", action="store_true", help="the files are label maps")
    verb.add_argument(
        "--orient",
        metavar="AXES",
        help="directions in which the axes grow, for instance RAS; default: as in the file, pictures in "
        "radiological view",
    )
    verb.add_argument(
        "--overwrite", action="store_true", help="replace existing files, except the inputs"
    )

    verb = _verb(verbs, "ensemble", _ensemble, "save several bundles as one that averages them")
    verb.add_argument("bundles", nargs="+", help="runs or bundles, at least two")
    verb.add_argument(
        "-o", "--out", required=True, help="folder of the new bundle; or one file, NAME.delineate"
    )
    _trust(verb, "one of the bundles")

    verb = _verb(
        verbs, "rehash", _rehash,
        "accept changes that you made to a bundle by hand: write the new hashes into its card",
    )  # fmt: skip
    verb.add_argument("bundle", help="folder of a bundle or a run")

    refine = verbs.add_parser("refine", help="fit the post-processing of a run")
    actions = refine.add_subparsers(title="actions", required=True, metavar="ACTION")
    verb = _verb(
        actions, "fit", _refine_fit,
        "choose and fit refinement steps on predictions of unseen cases, and write them into the run's bundle",
    )  # fmt: skip
    verb.add_argument("run", help="folder of the run")
    verb.add_argument(
        "--folds",
        type=int,
        default=3,
        help="trainings of the run's recipe, each without one fold; default: 3",
    )
    verb.add_argument(
        "--steps",
        metavar="A,B",
        type=_words,
        help="steps to try, in this order; default: components,fill_holes,morphology,vote,colour,classify,network",
    )
    verb.add_argument(
        "--network-time",
        default="3m",
        metavar="TIME",
        help="time to train each refinement network, one for each fold and one more; default: 3m",
    )
    verb.add_argument(
        "--metric",
        choices=["dice", "dice_empty1"],
        default="dice",
        help="what the steps are chosen by: mean Dice of cases that have the label, or of all, both-empty as 1",
    )
    _device(verb)
    _trust(verb, "the run")

    verb = _verb(verbs, "list", _list, "list the names that a recipe can use, with their arguments")
    verb.add_argument("what", nargs="?", help="models, losses, metrics, ..., recipes")
    verb.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _verb(verbs: argparse._SubParsersAction[argparse.ArgumentParser], name: str, run: object,
          summary: str) -> argparse.ArgumentParser:  # fmt: skip
    verb = verbs.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
    verb.add_argument("-q", "--quiet", action="store_true", default=argparse.SUPPRESS, help=QUIET)
    verb.set_defaults(verb=run)
    return verb


def _recipe(verb: argparse.ArgumentParser, *, optional: bool = False) -> None:
    verb.add_argument("recipe", nargs="?" if optional else None, help="a YAML file")
    verb.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="SECTION.NAME.ARGUMENT=VALUE",
        help="change the recipe, for instance optimizer.adamw.lr=3e-4; repeatable",
    )


def _device(verb: argparse._ActionsContainer) -> None:
    verb.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")


def _trust(verb: argparse.ArgumentParser, whose: str) -> None:
    verb.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="PACKAGE.MODULE",
        help=f"allow code of this module where {whose} names it; repeatable",
    )


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of whole numbers; expected for instance 256,256"
        ) from None


def _value(text: str) -> tuple[str, list[int | str]]:
    name, sign, raw = text.partition("=")
    if not name or not sign:
        raise argparse.ArgumentTypeError(
            f"{text!r} has no name or no =; expected for instance polyp=255"
        )
    return name, [int(part) if part.isdigit() else part for part in raw.split(",") if part]


def _class(text: str) -> tuple[str, str | None]:
    name, sign, label = text.partition("=")
    if not name or not sign:
        raise argparse.ArgumentTypeError(
            f"{text!r} has no name or no =; expected for instance neoplastic=adenoma"
        )
    return name, label or None


def _words(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(",") if part)


def _demo(options: argparse.Namespace) -> None:
    from delineate.verbs.demo import demo

    demo(options.out)


def _check(options: argparse.Namespace) -> int:
    from delineate.verbs.check import check

    findings = check(options.recipe, overrides=options.overrides, out=options.out)
    print("\n".join(findings.lines))
    for problem in findings.problems:
        print(f"refused  {problem}", file=sys.stderr)
    return 2 if findings.problems else 0


def _train(options: argparse.Namespace) -> None:
    from delineate.verbs.train import train

    run = train(
        options.recipe,
        overrides=options.overrides,
        run=options.run,
        resume=options.resume,
        trust=options.trust,
    )
    _print_scores(str(run))


def _evaluate(options: argparse.Namespace) -> None:
    masks = {
        "--truth": options.truth,
        "--predictions": options.predictions,
        "--labels": options.labels,
    }
    pattern = None if options.prediction_pattern == "*" else options.prediction_pattern
    if options.run is not None:
        given = [
            name
            for name, value in {**masks, "--prediction-pattern": pattern}.items()
            if value is not None
        ]
        if given:
            raise ValueError(
                f"{', '.join(given)} is for masks without a run, but the run {options.run} was given too. Leave one "
                "out; to evaluate the run on other data, give its true masks with --masks."
            )
        _evaluate_run(options)
        return
    of_run = {
        "--split": options.split,
        "--device": None if options.device == "auto" else options.device,
        "--data": options.data,
        "--masks": options.masks,
        "--values": options.values,
        "--allow": options.allow or None,
    }
    given = [name for name, value in of_run.items() if value is not None]
    if given:
        raise ValueError(
            f"{', '.join(given)} is for a run, but no run was given. Leave it out; the values of labels in masks are "
            "set in the file of --labels."
        )
    missing = [name for name, value in masks.items() if value is None]
    if missing:
        raise ValueError(
            f"{', '.join(missing)} is missing. Give the folder of a run, or masks of any tool with "
            "--truth, --predictions and --labels."
        )
    from delineate.verbs.evaluate_masks import evaluate_masks

    _, out = evaluate_masks(
        options.predictions,
        options.truth,
        options.labels,
        options.out,
        images=options.images,
        pattern=options.prediction_pattern,
        table=options.table,
        group=options.group,
        metrics=options.metrics,
        answers=options.answers,
        trust=options.trust,
    )
    _print_scores(str(out))
    print(f"report: {out / 'report.html'}")


def _evaluate_run(options: argparse.Namespace) -> None:
    from delineate.verbs.evaluate import evaluate, external_folder

    other = {"data": options.data, "images": options.images, "masks": options.masks}
    values: dict[str, list[int | str]] = {}
    for name, raw in options.values or ():
        values.setdefault(name, []).extend(raw)
    evaluate(
        options.run,
        split=options.split,
        metrics=options.metrics,
        device=options.device,
        answers=options.answers,
        **other,
        table=options.table,
        group=options.group,
        values=values or None,
        allow=options.allow,
        out=options.out,
        trust=options.trust,
    )
    external = any(place is not None for place in other.values())
    out = options.out or (external_folder(options.run, **other) if external else options.run)
    _print_scores(str(out))
    if external:
        print(f"report: {out}/report.html")


def _compare(options: argparse.Namespace) -> None:
    from delineate.verbs.compare import compare, lines

    if options.refine:
        _compare_refinements(options)
        return
    if options.device != "auto":
        raise ValueError("--device is for --refine; otherwise nothing is predicted here.")
    comparison, out = compare(
        options.runs,
        options.out,
        metrics=options.metrics,
        common=options.common,
        trust=options.trust,
    )
    print("\n".join(lines(comparison)))
    print(f"report: {out / 'report.html'}")


def _compare_refinements(options: argparse.Namespace) -> None:
    from delineate.verbs.compare import lines
    from delineate.verbs.compare_refinements import compare_refinements

    ablation, out = compare_refinements(
        options.runs,
        options.refine,
        options.out,
        metrics=options.metrics,
        common=options.common,
        device=options.device,
        trust=options.trust,
    )
    print("\n".join([*ablation.lines, *lines(ablation.comparison)]))
    print(f"report: {out / 'report.html'}")


def _calibrate(options: argparse.Namespace) -> None:
    import json

    from delineate.verbs.calibrate import calibrate

    calibration = calibrate(
        options.run,
        split=options.split,
        device=options.device,
        review=options.review,
        trust=options.trust,
    )
    print(json.dumps(calibration, indent=2))


def _refine_fit(options: argparse.Namespace) -> None:
    from delineate.verbs.refine_fit import refine_fit

    refined = refine_fit(
        options.run,
        folds=options.folds,
        steps=options.steps,
        network_time=options.network_time,
        metric=options.metric,
        device=options.device,
        trust=options.trust,
    )
    print("\n".join(refined.lines))
    _print_scores(options.run)


def _print_scores(run: str) -> None:
    from delineate.verbs._evaluation import summary

    print(summary(run))


def _is_bundle(path: str) -> bool:
    from pathlib import Path

    cards = ("card.json", "bundle/card.json")
    return path.endswith(".delineate") or any((Path(path) / card).is_file() for card in cards)


def _predict(options: argparse.Namespace) -> int:
    from delineate.verbs.predict import predict

    bundles, inputs = options.bundles, options.inputs
    if not bundles:
        bundles, inputs = inputs[:1], inputs[1:]
    elif models := [path for path in inputs if _is_bundle(path)]:
        raise ValueError(
            f"{models[0]} is a bundle or a run, but with --bundle all paths are images. Write --bundle {models[0]}."
        )
    if not inputs:
        raise ValueError(
            f"no image given; expected a bundle and then images, but there is only {bundles[0]}."
        )
    predicted = predict(
        bundles,
        inputs,
        options.out,
        device=options.device,
        probabilities=options.probabilities,
        overlays=not options.no_overlays,
        window=options.window,
        flips=options.flips,
        to=options.to,
        to_labels=dict(options.to_label or ()),
        overwrite=options.overwrite,
        trust=options.trust,
        strict=options.strict,
        resume=options.resume,
    )
    return _summed_up(predicted.lines, len(predicted.failures), "predicted")


def _summed_up(lines: Sequence[str], failures: int, done: str) -> int:
    """Print the summary of a command on several images; returns the exit code."""
    print("\n".join(lines))
    if failures:
        print(f"delineate: {failures} of the images could not be {done}.", file=sys.stderr)
    return 2 if failures else 0


def _convert(options: argparse.Namespace) -> int:
    from delineate.verbs.convert import convert

    converted = convert(
        options.inputs,
        options.out,
        to=options.to,
        window=options.window,
        bits=options.bits,
        masks=options.masks,
        orient=options.orient,
        overwrite=options.overwrite,
    )
    return _summed_up(converted.lines, len(converted.failures), "converted")


def _ensemble(options: argparse.Namespace) -> None:
    from delineate.verbs.ensemble import ensemble

    print(f"bundle: {ensemble(options.bundles, options.out, trust=options.trust)}")


def _rehash(options: argparse.Namespace) -> None:
    from delineate.verbs.rehash import rehash

    print("\n".join(rehash(options.bundle).lines))


def _list(options: argparse.Namespace) -> None:
    import json

    from delineate.resolve import CATALOGUES
    from delineate.verbs.list_names import as_mapping, list_names

    if options.what is None:
        print("\n".join([*CATALOGUES, "trainer", "recipes"]))
        return
    entries = list_names(options.what)
    if options.json:
        print(json.dumps(as_mapping(entries), indent=2))
        return
    for entry in entries:
        print(f"{entry.name}({entry.arguments})" if entry.arguments else entry.name)
        print(f"    {entry.summary}")
        if entry.types:
            print(f"    {'; '.join(f'{name}: {words}' for name, words in entry.types.items())}")


if __name__ == "__main__":
    sys.exit(main())
