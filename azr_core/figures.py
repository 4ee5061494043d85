"""The pictures of a run and of several: matplotlib, imported only when something is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from azr_core.curves import ALL, Curve
from azr_core.history import History
from azr_core.series import duration, environments, short_names, smoothed, under

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito: told apart by all eyes
INK, GRID = "#222222", "#dddddd"
COLUMNS = 4
LABEL_GAP = 0.075  # of an axes' height, between two labels

Label = tuple[float, str, str]  # height in the axes' units, text, colour


def draw_run(history: History, path: Path) -> None:
    """Held-out accuracy above, what happened in self-play below; a PNG."""
    panels = _panels(history.shown)
    rows = -(-len(panels) // COLUMNS)
    names = environments(history.metrics) or sorted({curve.kind for curve in history.curves} - {ALL})
    colours = {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}
    colours |= {ALL: INK} if any(curve.kind == ALL for curve in history.shown) else {}
    title = f"{history.name}: {history.last_step} self-play steps in {duration(history.wall_s)}"
    figure = blank(3.3 * (rows + 1) + 0.9, title)
    grid = figure.subplots(rows + 1, COLUMNS, squeeze=False)
    top = _ceiling(history.curves)
    for index, axes in enumerate(grid[:-1].flat):
        if index < len(panels):
            _draw_accuracy(axes, panels[index], colours, top)
            axes.set_xlim(-0.05 * max(1, history.last_step), 1.05 * max(1, history.last_step))
        else:
            axes.set_axis_off()
    _draw_play(grid[-1], history, colours)
    legend(figure, colours)
    figure.savefig(path, dpi=110, facecolor="white")


def draw_comparison(histories: Sequence[History], path: Path) -> None:
    """All kinds of each benchmark together, one line a run; a PNG."""
    shown = [(history, [curve for curve in history.curves if curve.kind == ALL]) for history in histories]
    keys = list(dict.fromkeys((curve.benchmark, curve.decoding) for _, curves in shown for curve in curves)) or [("held out", "none")]
    colours = {history.name: COLOURS[index % len(COLOURS)] for index, history in enumerate(histories)}
    rows = -(-len(keys) // COLUMNS)
    figure = blank(3.3 * rows + 0.9, "held-out accuracy, all kinds together")
    axes_of = figure.subplots(rows, COLUMNS, squeeze=False).flat
    top = _ceiling([curve for _, curves in shown for curve in curves])
    for key in keys:
        axes = next(axes_of)
        lines = {history.name: curve for history, curves in shown for curve in curves if (curve.benchmark, curve.decoding) == key}
        dress(axes, f"{key[0]}, {key[1]}: accuracy, %", (0.0, top), _draw_lines(axes, lines, colours))
    for axes in axes_of:
        axes.set_axis_off()
    legend(figure, colours)
    figure.savefig(path, dpi=110, facecolor="white")


def blank(height: float, title: str) -> Any:
    """A figure without axes, of this height in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15.0, height), layout="constrained")
    figure.suptitle(title, x=0.008, ha="left", fontsize=14, fontweight="bold", color=INK)
    return figure


def _panels(curves: Sequence[Curve]) -> list[list[Curve]]:
    """Curves by benchmark and decoding, in their order."""
    panels: dict[tuple[str, str], list[Curve]] = {}
    for curve in curves:
        panels.setdefault((curve.benchmark, curve.decoding), []).append(curve)
    return list(panels.values())


def _ceiling(curves: Sequence[Curve]) -> float:
    levels = [level.high if level.high is not None else level.mean for curve in curves for _, level in curve.levels]
    return 100 * min(1.0, 1.12 * max(levels, default=1.0))


def _draw_accuracy(axes: Any, curves: Sequence[Curve], colours: Mapping[str, str], top: float) -> None:
    labels = _draw_lines(axes, {curve.kind: curve for curve in curves}, colours)
    dress(axes, f"{curves[0].benchmark}, {curves[0].decoding}: accuracy, %", (0.0, top), labels)


def _draw_lines(axes: Any, curves: Mapping[str, Curve], colours: Mapping[str, str]) -> list[Label]:
    """Accuracy along a run, full measurements with their interval; returns what to write at the end of each line, lowest first."""
    labels: list[Label] = []
    for name, curve in curves.items():
        colour = colours.get(name, INK)
        steps = [step for step, _ in curve.levels]
        levels = [100 * level.mean for _, level in curve.levels]
        whole = [index for index, (_, parts) in enumerate(curve.points) if sum(map(len, parts)) == curve.n]
        axes.plot(steps, levels, color=colour, linewidth=2.4 if name == ALL else 1.6, alpha=0.9, marker=".", markersize=4)
        halves = [100 * (curve.levels[index][1].half_width or 0.0) for index in whole]
        marks = {"fmt": "o", "markersize": 5, "elinewidth": 1.1, "capsize": 2.5}
        axes.errorbar([steps[index] for index in whole], [levels[index] for index in whole], yerr=halves, color=colour, **marks)
        gain = f" ({100 * curve.gain.mean:+.1f})" if not curve.once else ""
        labels.append((levels[-1], f"{levels[-1]:.0f} %{gain}", colour))
    return sorted(labels)


def dress(axes: Any, title: str, limits: tuple[float, float] | None = None, labels: Sequence[Label] = ()) -> None:
    """Title, limits and quiet axes; labels stand right of the axes, pushed apart where they would overlap."""
    axes.set_title(title, loc="left", fontsize=10.5, color=INK)
    axes.set_xlabel("step", fontsize=9, color=INK)
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    axes.tick_params(labelsize=8.5, color=GRID)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    if limits:
        axes.set_ylim(*limits)
    low, high = axes.get_ylim()
    heights = _apart([(level - low) / (high - low) for level, _, _ in labels])
    for height, (_, text, colour) in zip(heights, labels, strict=True):
        axes.text(1.02, height, text, color=colour, fontsize=8.5, va="center", transform=axes.transAxes)


def _apart(heights: Sequence[float]) -> list[float]:
    """Ascending heights with at least LABEL_GAP between them, moved as little as a few rounds of pushing allow."""
    moved = list(heights)
    for _ in range(20):
        for index in range(1, len(moved)):
            overlap = LABEL_GAP - (moved[index] - moved[index - 1])
            if overlap > 0:
                moved[index - 1] -= overlap / 2
                moved[index] += overlap / 2
    return moved


def _draw_play(row: Sequence[Any], history: History, colours: Mapping[str, str]) -> None:
    """Self-play itself: solve rate, rewards by role, health of the proposals, length of the replies."""
    _draw_metric(row[0], history, "solve_rate", colours, scale=100.0)
    dress(row[0], "self-play: solved, %", (0.0, 100.0))
    _draw_metric(row[1], history, "reward/solve", colours)
    _draw_metric(row[1], history, "reward/propose", colours, style=":")
    dress(row[1], "reward: solver (line), proposer (dots)")
    _draw_metric(row[2], history, "valid", colours, scale=100.0)
    unique = [(step, 100 * metrics["skeletons/unique"]) for step, metrics in history.steps if "skeletons/unique" in metrics]
    draw_series(row[2], unique, INK, "--")
    dress(row[2], "valid (line), unique skeletons (dashes), %", (0.0, 104.0))
    _draw_metric(row[3], history, "reply_tokens/solve", colours)
    dress(row[3], "length of a solution, tokens")
    row[3].set_ylim(bottom=0.0)


def _draw_metric(axes: Any, history: History, prefix: str, colours: Mapping[str, str], *, scale: float = 1.0, style: str = "-") -> None:
    names = sorted({name for metrics in history.metrics for name in under(metrics, prefix)})
    for name in names:
        key = f"{prefix}/{name}"
        series = [(step, scale * metrics[key]) for step, metrics in history.steps if key in metrics]
        draw_series(axes, series, colours.get(name, INK), style)


def draw_series(axes: Any, series: Sequence[tuple[int, float]], colour: str, style: str) -> None:
    """A smoothed line, and faintly what it is the mean of."""
    if not series:
        return
    steps, values = [step for step, _ in series], [value for _, value in series]
    axes.plot(steps, smoothed(values, len(values) // 20), color=colour, linestyle=style, linewidth=1.7)
    if style == "-":
        axes.plot(steps, values, color=colour, linewidth=0.7, alpha=0.22)


def legend(figure: Any, colours: Mapping[str, str], styles: Mapping[str, str] | None = None) -> None:
    """Who has which colour, and what has which style of line, above the axes."""
    from matplotlib.lines import Line2D

    names = short_names(list(colours))
    lines = [Line2D([], [], color=colour, linewidth=2.4, label=names[name]) for name, colour in colours.items()]
    lines += [Line2D([], [], color=INK, linestyle=style, linewidth=1.7, label=name) for name, style in (styles or {}).items()]
    figure.legend(handles=lines, loc="outside upper right", ncols=len(lines), frameon=False, fontsize=10)
