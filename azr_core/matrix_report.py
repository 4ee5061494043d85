"""The transfer matrix on paper: tables in the terminal, a page, JSON, CSV and a heat map."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from azr_core import report
from azr_core.figures import GRID, INK
from azr_core.matrix import Column, Entry, Matrix, Row
from azr_core.overlap import Overlap
from azr_core.statistics import Estimate

NOTE = (
    "points gained over the untrained model, on the same items; [95 % intervals: bootstrap over seeds and items]; "
    "▼ forgotten: the loss is told from none"
)
LOST = " ▼"


@dataclass(frozen=True)
class Findings:
    """All that is reported. budget: of a cell, in words. foreseen: gains that the study would find, told before it was trained.

    unfinished: rows with fewer runs than seeds. refused: proposals turned down since they are held-out items.
    """

    matrix: Matrix
    budget: str
    foreseen: Mapping[Column, float]
    overlaps: Sequence[Overlap]
    refused: int
    unfinished: Sequence[str]


def write(findings: Findings, folder: Path) -> Path:
    """Write matrix.json, matrix.csv, matrix.md and matrix.png into the study's folder, and return the page."""
    (folder / "matrix.json").write_text(json.dumps(as_json(findings), indent=1))
    with (folder / "matrix.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["trained on", "kind", "benchmark", "domain", "measure", "gain", "low", "high", "detectable", "runs"])
        for row in findings.matrix.rows:
            for column, entry in row.entries.items():
                gain = entry.gain
                where = (column.benchmark, column.domain, column.measure)
                table.writerow([row.name, row.kind, *where, gain.mean, gain.low, gain.high, entry.detectable, row.runs])
    (folder / "matrix.md").write_text(markdown(findings))
    draw(findings.matrix, folder / "matrix.png")
    return folder / "matrix.md"


def as_json(findings: Findings) -> dict[str, Any]:
    """Everything as JSON values; gains and levels are fractions."""
    matrix = findings.matrix
    return {
        "budget": findings.budget,
        "unfinished": list(findings.unfinished),
        "untrained": [_place(column) | {"accuracy": level.numbers()} for column, level in matrix.levels.items()],
        "detectable_beforehand": [_place(column) | {"gain": gain} for column, gain in findings.foreseen.items()],
        "rows": [_row_json(row) for row in matrix.rows],
        "overlaps": [asdict(overlap) for overlap in findings.overlaps],
        "refused_held_out": findings.refused,
    }


def tables(findings: Findings) -> Iterator[Table]:
    """For a terminal: one table a measure, rows trained on, columns measured on; then what the rows cost, and the indices."""
    for measure in findings.matrix.measures:
        yield _table(f"{measure}: trained on (rows), measured on (columns)", _measure_lines(findings.matrix, measure))
    yield _table("what it cost, and how much of the gain at home arrives elsewhere", _cost_lines(findings.matrix))


def closing(findings: Findings) -> list[str]:
    """Sentences under the tables: what could be found, what overlaps, what is missing."""
    largest: dict[str, float] = {}
    for row in findings.matrix.rows:
        for column, entry in row.entries.items():
            largest[column.measure] = max(largest.get(column.measure, 0.0), entry.detectable)
    found = ", ".join(f"{measure} {100 * gain:.1f}" for measure, gain in largest.items())
    shared = [
        f"{one.benchmark}: {one.equal} of {one.tasks} tasks are one of its {one.items} items, {one.alike} of {one.forms} forms were met"
        for one in findings.overlaps
    ]
    said = [
        NOTE,
        f"a gain that four of five such studies would find, in points: {found}",
        f"held-out items in the buffers: {'; '.join(shared)}; {findings.refused} proposals were refused for being one",
    ]
    if findings.unfinished:
        said.append(f"not finished: {', '.join(findings.unfinished)}; the same command goes on")
    return said


def markdown(findings: Findings) -> str:
    """A page with all tables."""
    matrix = findings.matrix
    parts = [f"Budget of a cell: {findings.budget}. Rows: trained on; columns: measured on.", "![gains](matrix.png)"]
    parts += [f"**{measure}**\n\n{_page(_measure_lines(matrix, measure))}" for measure in matrix.measures]
    parts += [f"**Cost, and transferability index**\n\n{_page(_cost_lines(matrix))}"]
    versus = list(_versus_lines(matrix))
    if len(versus) > 1:
        parts += [f"**Gain less that of a control, {matrix.measures[0]}**\n\n{_page(versus)}"]
    return "\n\n".join([*parts, *(sentence[0].upper() + sentence[1:] + "." for sentence in closing(findings))]) + "\n"


def draw(matrix: Matrix, path: Path) -> None:
    """A heat map: a panel a measure, each gain with its interval; coloured where it is told from none. A PNG."""
    from matplotlib.figure import Figure

    panels = {measure: [column for column in matrix.levels if column.measure == measure] for measure in matrix.measures}
    widest = max(len(columns) for columns in panels.values())
    figure = Figure(figsize=(2.2 + 1.45 * widest * len(panels), 1.9 + 0.55 * len(matrix.rows)), layout="constrained")
    axes: list[Any] = list(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0])
    top = max([100 * abs(entry.gain.mean) for row in matrix.rows for entry in row.entries.values()] or [1.0]) or 1.0
    for one, (measure, columns) in zip(axes, panels.items(), strict=True):
        _draw_panel(one, matrix.rows, columns, top)
        one.set_title(measure, loc="left", fontsize=10, color=INK)
    axes[0].set_yticks(range(len(matrix.rows)), [row.name for row in matrix.rows], fontsize=9)
    title = "gain over the untrained model, points [95 %]; rows: trained on, columns: measured on; white: not told from none"
    figure.suptitle(title, x=0.008, ha="left", fontsize=10.5, color=INK)
    figure.savefig(path, dpi=120, facecolor="white")


def _draw_panel(axes: Any, rows: Sequence[Row], columns: Sequence[Column], top: float) -> None:
    gains = [[row.entries[column].gain for column in columns] for row in rows]
    shades = [[100 * gain.mean if gain.told else math.nan for gain in line] for line in gains]
    axes.imshow(shades, cmap="PuOr_r", vmin=-1.8 * top, vmax=1.8 * top, aspect="auto")
    for y, line in enumerate(gains):
        for x, gain in enumerate(line):
            text = _points(gain).replace(" ", "\n", 1)
            axes.text(x, y, text, ha="center", va="center", fontsize=8, color=INK if gain.told else "#777777")
    axes.set_xticks(range(len(columns)), [column.title.replace("/", "/\n") for column in columns], fontsize=8.5)
    axes.set_xticks([x + 0.5 for x in range(len(columns) - 1)], minor=True)
    axes.set_yticks([y + 0.5 for y in range(len(rows) - 1)], minor=True)
    axes.grid(which="minor", color=GRID, linewidth=0.8)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_color(GRID)


def _measure_lines(matrix: Matrix, measure: str) -> list[list[str]]:
    columns = [column for column in matrix.levels if column.measure == measure]
    levels = [f"{100 * matrix.levels[column].mean:.1f} %" for column in columns]
    rows = [[row.name, *(_text(row.entries[column]) for column in columns)] for row in matrix.rows]
    return [["trained on", *(column.title for column in columns)], ["nothing: level", *levels], *rows]


def _cost_lines(matrix: Matrix) -> list[list[str]]:
    keys = list(dict.fromkeys((domain, measure) for row in matrix.rows for domain, measure in row.indices))
    head = ["trained on", "runs", "steps", "k tokens", "minutes", *(f"index to {domain}, {measure}" for domain, measure in keys)]
    lines = [head]
    for row in matrix.rows:
        indices = [_index(row.indices[key]) if key in row.indices else "" for key in keys]
        lines.append([row.name, str(row.runs), f"{row.steps:.0f}", f"{row.tokens / 1000:.0f}", f"{row.minutes:.1f}", *indices])
    return lines


def _versus_lines(matrix: Matrix) -> Iterator[list[str]]:
    columns = [column for column in matrix.levels if column.measure == matrix.measures[0]]
    yield ["trained on", "less", *(column.title for column in columns)]
    for row in matrix.rows:
        for control in dict.fromkeys(name for entry in row.entries.values() for name in entry.versus):
            yield [row.name, control, *(_points(row.entries[column].versus[control]) for column in columns)]


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "trained_on": row.name,
        "kind": row.kind,
        "domains": list(row.domains),
        "runs": row.runs,
        "steps": row.steps,
        "tokens_generated": row.tokens,
        "minutes": row.minutes,
        "entries": [
            _place(column)
            | {"gain": entry.gain.numbers(), "forgotten": entry.forgotten, "detectable": entry.detectable}
            | {"versus": {name: value.numbers() for name, value in entry.versus.items()}}
            for column, entry in row.entries.items()
        ],
        "transferability": [
            {"domain": domain, "measure": measure, "index": index.numbers()} for (domain, measure), index in row.indices.items()
        ],
    }


def _place(column: Column) -> dict[str, str]:
    return {"benchmark": column.benchmark, "domain": column.domain, "measure": column.measure}


def _text(entry: Entry) -> str:
    return _points(entry.gain) + (LOST if entry.forgotten else "")


def _points(gain: Estimate) -> str:
    return f"{100 * gain.mean:+.1f} [{100 * (gain.low or 0):.1f}, {100 * (gain.high or 0):.1f}]"


def _index(index: Estimate) -> str:
    return f"{index.mean:.2f} [{index.low or 0:.2f}, {index.high or 0:.2f}]"


def _table(title: str, lines: Sequence[Sequence[str]]) -> Table:
    head, *body = lines
    shown = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(head):
        shown.add_column(name, justify="right" if index else "left")
    for line in body:
        shown.add_row(*line)
    return shown


def _page(lines: Sequence[Sequence[str]]) -> str:
    head, *body = lines
    return "\n".join(report.table(head, body))
