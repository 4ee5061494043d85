"""A study on paper: the table in the terminal, a page, JSON, CSV and a picture."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from azr_core import report
from azr_core.comparison import Finding, Measure, Row, compare
from azr_core.directory import RunDirectory
from azr_core.errors import RunError
from azr_core.figures import GRID, INK
from azr_core.history import read
from azr_core.study import UNTRAINED, Study

NOTE = (
    "gain: points over the untrained model; per token: multiple of the reference's gain per generated token; "
    "[95 % intervals: bootstrap over seeds and tasks]"
)
_COLOURS = {"better": "#009E73", "worse": "#D55E00"}


def rows_of(study: Study, found: Mapping[str, Sequence[RunDirectory]]) -> list[Row]:
    """What the finished runs of each cell show. Raises RunError where there is nothing to compare with."""
    if not found[UNTRAINED]:
        raise RunError(f"{study.folder}: the untrained model was not measured yet; run the study first")
    untrained = read(found[UNTRAINED][0].path)
    cells = {name: [read(directory.path) for directory in found[name]] for name in study.names if name != UNTRAINED and found[name]}
    if not cells:
        raise RunError(f"{study.folder}: no cell has finished yet; run the study first")
    return compare(cells, untrained, study.reference)


def write(study: Study, rows: Sequence[Row], missing: Sequence[str]) -> Path:
    """Write study.json, study.csv, study.md and study.png into the study's folder, and return it. missing: cells not finished."""
    (study.folder / "study.json").write_text(
        json.dumps({"reference": study.reference, "unfinished": list(missing), "cells": as_json(rows)}, indent=1)
    )
    with (study.folder / "study.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        for line in lines(rows, study.reference):
            table.writerow(line)
    (study.folder / "study.md").write_text(markdown(rows, study.reference, missing))
    draw(rows, study.reference, study.folder / "study.png")
    return study.folder


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows as JSON values: fractions; an infinite ratio is null."""
    return [
        {
            "cell": row.name,
            "runs": row.runs,
            "steps": row.steps,
            "tokens_generated": row.tokens,
            "shares": dict(row.shares),
            "measures": [
                {"benchmark": measure.benchmark, "decoding": measure.decoding, "gain": finding.gain.numbers()}
                | {"efficiency": finding.efficiency.numbers() if finding.efficiency else None, "verdict": finding.verdict}
                for measure, finding in row.findings.items()
            ],
        }
        for row in rows
    ]


def lines(rows: Sequence[Row], reference: str) -> list[list[str]]:
    """The table as text, its head first."""
    measures = list(rows[0].findings)
    head = ["cell", "runs", "steps", "k tokens", "trained", "valid", "unique"]
    table = [head + [text for measure in measures for text in (str(measure), "per token")]]
    for row in rows:
        cells = [text for measure in measures for text in _texts(row.findings[measure], row.name == reference)]
        table.append([row.name, str(row.runs), f"{row.steps:.0f}", f"{row.tokens / 1000:.0f}", *_shares(row), *cells])
    return table


def table(rows: Sequence[Row], reference: str) -> Table:
    """The same for a terminal: one block a measure would not fit, so one line a cell and measure."""
    shown = Table(box=None, pad_edge=False)
    for name in ("measure", "cell"):
        shown.add_column(name, no_wrap=True)
    for name in ("runs", "k tokens", "trained", "valid", "unique", "gain", "per token", ""):
        shown.add_column(name, justify="right", no_wrap=True)
    for measure in rows[0].findings:
        for row in rows:
            finding = row.findings[measure]
            first = str(measure) if row is rows[0] else ""
            gain, ratio = _texts(finding, row.name == reference)
            cells = (first, row.name, str(row.runs), f"{row.tokens / 1000:.0f}", *_shares(row), gain, ratio, finding.verdict)
            shown.add_row(*cells, end_section=row is rows[-1])
    return shown


def markdown(rows: Sequence[Row], reference: str, missing: Sequence[str]) -> str:
    """A page with the table."""
    head, *body = lines(rows, reference)
    note = [f"Not finished: {', '.join(missing)}.", ""] if missing else []
    return "\n".join([*report.table(head, body), "", *note, NOTE + f"; reference: {reference}.", "", "![gains](study.png)", ""])


def draw(rows: Sequence[Row], reference: str, path: Path) -> None:
    """A dot with its interval for each cell, a panel a measure; a PNG."""
    from matplotlib.figure import Figure

    measures = list(rows[0].findings)
    figure = Figure(figsize=(1.6 + 3.4 * len(measures), 1.2 + 0.34 * len(rows)), layout="constrained")
    panels: list[Any] = list(figure.subplots(1, len(measures), sharey=True, squeeze=False)[0])
    for axes, measure in zip(panels, measures, strict=True):
        _draw_panel(axes, rows, measure)
    panels[0].set_yticks(range(len(rows)), [f"{row.name} *" if row.name == reference else row.name for row in rows], fontsize=9)
    panels[0].invert_yaxis()
    title = f"gain over the untrained model, points (95 %); * reference; green and orange: better or worse a token than {reference}"
    figure.suptitle(title, x=0.008, ha="left", fontsize=10.5, color=INK)
    figure.savefig(path, dpi=110, facecolor="white")


def _draw_panel(axes: Any, rows: Sequence[Row], measure: Measure) -> None:
    axes.axvline(0.0, color=INK, linewidth=0.8)
    for place, row in enumerate(rows):
        finding = row.findings[measure]
        colour = _COLOURS.get(finding.verdict, INK)
        low, high = finding.gain.low or 0.0, finding.gain.high or 0.0
        axes.plot([100 * low, 100 * high], [place, place], color=colour, linewidth=1.6)
        axes.plot([100 * finding.gain.mean], [place], "o", color=colour, markersize=5)
    axes.set_title(str(measure), loc="left", fontsize=10, color=INK)
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    axes.tick_params(labelsize=8.5, color=GRID)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _shares(row: Row) -> list[str]:
    return [f"{row.shares[name]:.0%}" if name in row.shares else "" for name in ("trained", "valid", "unique")]


def _texts(finding: Finding, is_reference: bool) -> tuple[str, str]:
    gain = finding.gain
    shown = f"{100 * gain.mean:+.1f} [{100 * (gain.low or 0):+.1f}, {100 * (gain.high or 0):+.1f}]"
    ratio = finding.efficiency
    if ratio is None:
        return shown, "1" if is_reference else ""
    return shown, f"{_multiple(ratio.mean)} [{_multiple(ratio.low)}, {_multiple(ratio.high)}]"


def _multiple(value: float | None) -> str:
    """A ratio; infinite where the reference gained nothing."""
    return "" if value is None else f"{value:.1f}" if math.isfinite(value) else "∞" if value > 0 else "-∞"
