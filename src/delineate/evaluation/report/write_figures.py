"""The figures of a report as files of their own, for a paper or a slide."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from itertools import zip_longest
from pathlib import Path

import cv2
import numpy as np

from delineate.evaluation.report._confusion import Confusion
from delineate.evaluation.report._figures import Plot
from delineate.evaluation.report._gallery import Look
from delineate.evaluation.report._page import GALLERY, Page
from delineate.evaluation.report._thresholds import roc_points
from delineate.evaluation.table import Table, sizes

FIGURES = "figures"
"""The folder of the files, beside the report."""

FONT = "Arial, Helvetica, 'DejaVu Sans', sans-serif"
TITLE, LINE, GAP = 10.0, 12.0, 14.0
"""Height of a title's letters, of a line of the key, and of the space between two plots, in points."""


def write_figures(page: Page, folder: Path) -> None:
    """Write the figures of a report into a new folder; a figure that the report does not have is left out.

    - roc.svg, precision_recall.svg, reliability.svg, training_curves.svg, volumes.svg: as in the report, with their
      keys, on white; vector graphics with text. More labels than the six colours are in roc-2.svg and so on.
    - roc.csv: label, false_positive_rate, true_positive_rate, threshold, over all cases together.
    - confusion.csv: numbers of pixels or voxels, rows truth and columns prediction; confusion.svg: the same with the
      share of each row in percent.
    - volumes.csv: case, group, label, and the sizes in ml; for images of two axes areas.svg and areas.csv, in cm².
    - panels/: image, truth and prediction of the worst, median and best cases, side by side, as PNG.
    """
    folder.mkdir()
    by_stem: dict[str, list[list[Plot]]] = {}
    for number, plots in enumerate(page.thresholds, start=1):
        for plot in plots:
            stem = plot.stem if number == 1 else f"{plot.stem}-{number}"
            by_stem.setdefault(stem, []).append([plot])
    agreement = [of.plot for of in page.volumes if of.plot is not None]
    for plots in (page.training, agreement):
        if plots:
            by_stem[plots[0].stem] = [plots]
    for stem, parts in by_stem.items():
        plots = [plot for part in parts for plot in part]
        (folder / f"{stem}.svg").write_text(sheet(plots), encoding="utf-8")
    if points := roc_points(page.table):
        rows = (
            (label, *point) for label, curve in points.items() for point in zip(*curve, strict=True)
        )
        header = ["label", "false_positive_rate", "true_positive_rate", "threshold"]
        _write(
            folder / "roc.csv",
            header,
            ((name, *(f"{v:.6g}" for v in rest)) for name, *rest in rows),
        )
    if page.confusion:
        names = page.confusion.names
        _write(
            folder / "confusion.csv", ["truth", *names],
            ((name, *row) for name, row in zip(names, page.confusion.samples, strict=True)),
        )  # fmt: skip
        (folder / "confusion.svg").write_text(sheet([_matrix(page.confusion)]), encoding="utf-8")
    _write_sizes(page.table, folder)
    for heading, looks in page.pictures.items():
        kind = next((k for k, words in GALLERY.items() if words == heading), heading.split(",")[0])
        for number, of in enumerate(looks, start=1):
            _write_panels(
                of, folder / "panels" / f"{kind.lower()} {number} {of.case}.png".replace("/", "_")
            )
    if not any(folder.iterdir()):
        folder.rmdir()


def sheet(plots: Sequence[Plot], across: int = 2) -> str:
    """Plots with their titles and keys as one SVG file, on white, in the light colours of the page."""
    boxes = [_box(plot) for plot in plots]
    across = min(across, len(boxes))
    rows = list(zip_longest(*[iter(boxes)] * across))
    width = across * max(width for _, width, _ in boxes) + (across + 1) * GAP
    drawn, y = [], GAP
    for row in rows:
        x = GAP
        for box in row:
            if box is not None:
                drawn.append(f'<g transform="translate({x:g} {y:g})">{box[0]}</g>')
                x += (width - GAP) / across
        y += max(box[2] for box in row if box is not None) + GAP
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}pt" height="{y:g}pt" viewBox="0 0 {width:g} {y:g}" '
        f'font-family="{FONT}"><rect width="100%" height="100%" fill="#ffffff"/>{"".join(drawn)}</svg>\n'
    )
    return _coloured(text)


def _box(plot: Plot) -> tuple[str, float, float]:
    """A plot with its title above and its key below, its width and its height."""
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', plot.svg)
    assert found is not None
    width, height = float(found[1]), float(found[2])
    top = TITLE + 6
    inner = plot.svg.replace("<svg", f'<svg y="{top:g}" width="{width:g}" height="{height:g}"', 1)
    title = (
        f'<text y="{TITLE:g}" font-size="{TITLE:g}" font-weight="bold" fill="currentColor">'
        f"{escape(plot.title)}</text>"
    )
    key, y = [], top + height
    for colour, meaning in plot.key:
        y += LINE
        key.append(
            f'<rect x="4" y="{y - 4:g}" width="14" height="2" fill="var(--{colour})"/>'
            f'<text x="24" y="{y:g}" font-size="8" fill="currentColor">{escape(meaning)}</text>'
        )
    longest = max(
        [0.6 * TITLE * len(plot.title), *(24 + 4.8 * len(words) for _, words in plot.key)]
    )
    return title + inner + "".join(key), max(width, longest), y + 4


def _coloured(svg: str) -> str:
    """The drawing with the light colours of the page in place of their names, which other programs do not know."""
    style = files("delineate.evaluation.report").joinpath("style.css").read_text("utf-8")
    light = style[: style.index("}")]
    for name, colour in re.findall(r"--(\w+): (#\w+)", light):
        svg = svg.replace(f"var(--{name})", colour)
        svg = svg.replace("currentColor", colour) if name == "ink" else svg
    return svg


def _matrix(confusion: Confusion) -> Plot:
    """Shares of the truth in percent, and below them the numbers, as a drawing."""
    names, few = confusion.names, len(confusion.names) <= 8
    side = 44 if few else 22
    left = 22 + 4.8 * max(map(len, names))
    end = side * len(names)
    drawn = []
    for down, (row, counts) in enumerate(zip(confusion.of_truth, confusion.samples, strict=True)):
        for right, (share, count) in enumerate(zip(row, counts, strict=True)):
            x, y = left + side * right, side * down
            middle, centre = x + side / 2, y + side / 2
            ink = "#ffffff" if share is not None and share > 0.5 else "currentColor"
            drawn.append(
                f'<rect x="{x:g}" y="{y:g}" width="{side - 1}" height="{side - 1}" fill="var(--first)" '
                f'fill-opacity="{0.03 + 0.97 * (share or 0):.3f}"/>'
            )
            lines = [f"{100 * share:.1f}", _short(count)] if share is not None else ["–"]
            if not few:
                lines = [f"{100 * share:.0f}"] if share is not None and share >= 0.005 else []
            for line, words in enumerate(lines):
                at = centre + 3 + 9 * line - (4.5 if len(lines) > 1 else 0)
                drawn.append(_text(middle, at, words, 7, f'text-anchor="middle" fill="{ink}"'))
    turned = 'text-anchor="end" transform="rotate(-90 {x:g} {y:g})"'
    for place, name in enumerate(names):
        middle = side * (place + 0.5) + 3
        drawn.append(_text(left - 5, middle, name, 8, 'text-anchor="end"'))
        drawn.append(
            _text(left + middle, end + 5, name, 8, turned.format(x=left + middle, y=end + 5))
        )
    below = end + left - 4
    drawn.append(_text(left + end / 2, below, "prediction", 8, 'text-anchor="middle"'))
    upright = f'text-anchor="middle" transform="rotate(-90 8 {end / 2:g})"'
    drawn.append(_text(8, end / 2, "truth", 8, upright))
    svg = f'<svg viewBox="0 0 {left + end:g} {below + 4:g}">{"".join(drawn)}</svg>'
    told = ", and the number of pixels or voxels" if few else ""
    return Plot(f"Share of the truth in percent{told}", svg, "")


def _text(x: float, y: float, words: str, size: float, how: str) -> str:
    ink = "" if "fill=" in how else ' fill="currentColor"'
    return f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" {how}{ink}>{escape(words)}</text>'


def _short(count: int) -> str:
    """A number in few letters.

    >>> _short(950), _short(12_345), _short(3_400_000)
    ('950', '12k', '3.4M')
    """
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= unit:
            return f"{count / unit:.{0 if count >= 10 * unit else 1}f}{name}"
    return str(count)


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _write_sizes(table: Table, folder: Path) -> None:
    known = {label: of for label in table.labels if (of := sizes(table.rows_of(label))) is not None}
    if not known:
        return
    unit, stem = (
        ("ml", "volumes") if any(of.unit == "ml" for of in known.values()) else ("cm2", "areas")
    )
    rows = (
        (row.case, row.group, label, f"{found:.6g}", f"{true:.6g}", f"{found - true:.6g}")
        for label, of in known.items()
        for row, found, true in zip(of.rows, of.prediction, of.truth, strict=True)
    )
    names = [f"{name}_{unit}" for name in ("prediction", "truth", "difference")]
    _write(folder / f"{stem}.csv", ["case", "group", "label", *names], rows)


def _write_panels(look: Look, path: Path) -> None:
    """The panels of a case beside each other, with a white gap."""
    path = path.with_name(re.sub(r"[^\w.-]+", "_", path.name))
    path.parent.mkdir(exist_ok=True)
    gap = np.full((look.height, 6, 3), 255, np.uint8)
    parts = [part for picture in look.pictures for part in (gap, picture.pixels)][1:]
    bgr = cv2.cvtColor(np.hstack(parts), cv2.COLOR_RGB2BGR)
    path.write_bytes(cv2.imencode(".png", bgr)[1].tobytes())
