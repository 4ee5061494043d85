"""Tables that the commands print."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from azr_core.curves import ALL, Curve
from azr_core.history import History
from azr_core.report import change, percent, points
from azr_core.series import short_names
from azr_core.statistics import Estimate, estimate


def accuracy(history: History) -> RenderableType:
    """Held-out accuracy of a run: benchmark, kind, decoding, start, end, and the gain with its interval."""
    if not history.curves:
        return Text("held-out accuracy was not measured", style="dim")
    table = _table("benchmark", "kind", "decoding")
    _numbers(table, "tasks", "start", "end", "gain, points")
    kinds = short_names(sorted({curve.kind for curve in history.curves}))
    for curve in history.shown:
        style = "bold" if curve.kind == ALL else ""
        end, gain = change(curve)
        cells = (curve.benchmark, kinds[curve.kind], curve.decoding, str(curve.n), percent(curve.start.mean), end)
        table.add_row(*cells, Text(gain, style=_colour(curve)), style=style, end_section=curve.kind == ALL)
    return Group(table, Text("gains are paired by task, ± half the 95 % interval; grey ones cannot be told from chance", style="dim"))


def seeds(histories: Sequence[History]) -> RenderableType:
    """Several runs beside each other: mean accuracy at the start and the end, mean, least and greatest gain."""
    curves: defaultdict[tuple[str, str, str], list[Curve]] = defaultdict(list)
    for history in histories:
        for curve in (curve for curve in history.shown if not curve.once):
            curves[curve.benchmark, curve.kind, curve.decoding].append(curve)
    table = _table("benchmark", "kind", "decoding")
    _numbers(table, "runs", "start", "end", "mean gain", "least", "greatest")
    kinds = short_names(sorted({kind for _, kind, _ in curves}))
    for (benchmark, kind, decoding), group in curves.items():
        gains = [curve.gain.mean for curve in group]
        start, end = (sum(values) / len(group) for values in ([c.start.mean for c in group], [c.end.mean for c in group]))
        ends = (f"{100 * min(gains):+.1f}", f"{100 * max(gains):+.1f}")
        style = "bold" if kind == ALL else ""
        table.add_row(
            benchmark, kinds[kind], decoding, str(len(group)), percent(start), percent(end), points(estimate(gains)), *ends, style=style
        )
    return Group(table, Text("points; mean over the runs ± half its 95 % interval (few runs: take it as rough)", style="dim"))


def levels(rows: Iterable[tuple[str, str, str, Estimate, int]]) -> RenderableType:
    """Accuracy of one model: (benchmark, kind, decoding, accuracy, tasks)."""
    table = _table("benchmark", "kind", "decoding")
    _numbers(table, "tasks", "accuracy", "±")
    for benchmark, kind, decoding, level, count in rows:
        half = "-" if level.half_width is None else f"{100 * level.half_width:.1f}"
        table.add_row(benchmark, kind, decoding, str(count), percent(level.mean), half, style="bold" if kind == ALL else "")
    return table


def plain(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> RenderableType:
    """Any rows of text."""
    table = _table(*heads)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def episode(row: Mapping[str, Any]) -> RenderableType:
    """One episode as text: what was asked, what came back, what was decided and why."""
    head = f"step {row['step']}  {row['environment']}  {row['kind']}  {row['outcome']}"
    parts: list[RenderableType] = [Text(head, style="bold cyan")]
    for label in ("prompt", "reply"):
        parts += [Text(f"{label} ({row[f'{label}_tokens']} tokens)", style="dim"), Text(visible(row[label]))]
    verdict = f"{row['outcome']}, score {row['score'] or 0.0:g}" + (f": {visible(row['reason'])}" if row["reason"] else "")
    numbers = [f"{name.replace('_', ' ')} {row[name]:.3g}" for name in ("solve_rate", "reward", "advantage") if row[name] is not None]
    numbers += ["" if row["trained"] else "not trained on", f"task {row['task'][:12]}" if row["task"] else ""]
    parts += [Text("verdict", style="dim"), Text(verdict), Text("  ".join(number for number in numbers if number), style="dim"), Text("")]
    return Group(*parts)


def visible(text: str) -> str:
    """Text of a model with control characters written out, so that it cannot move the cursor or retitle the terminal."""
    return "".join(char if char in "\n\t" or char.isprintable() else repr(char)[1:-1] for char in text)


def _colour(curve: Curve) -> str:
    gain = curve.gain
    if gain.low is None or gain.high is None or gain.low <= 0.0 <= gain.high:
        return "bright_black"
    return "green" if gain.mean > 0 else "red"


def _table(*heads: str) -> Table:
    table = Table(box=SIMPLE_HEAD, header_style="dim", pad_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


def _numbers(table: Table, *heads: str) -> None:
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
