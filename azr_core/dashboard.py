"""What the terminal shows of a run: its state so far, and how that looks."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.box import ROUNDED
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from azr_core.curves import ALL, Curve, curves
from azr_core.health import Alarm
from azr_core.series import duration, environments, mean, short_names, sparkline, under
from azr_core.types import Evaluation, StepReport

RECENT = 10  # steps that the shown numbers are averaged over
SPARK = 16  # characters
TIMES = {"generate": "cyan", "verify": "yellow", "train": "magenta", "other": "bright_black"}


@dataclass
class Phase:
    """A piece of work other than a step. started: monotonic seconds."""

    title: str
    done: int
    total: int
    started: float


@dataclass
class Board:
    """The state of a run as its listener knows it. remaining_s: to the end, None before the first step."""

    step: int = 0
    total: int = 0
    remaining_s: float | None = None
    phase: Phase | None = None
    recent: deque[Mapping[str, float]] = field(default_factory=lambda: deque(maxlen=RECENT))
    rates: dict[str, list[float]] = field(default_factory=dict)
    evaluations: list[Evaluation] = field(default_factory=list)
    alarms: dict[str, Alarm] = field(default_factory=dict)
    notes: deque[str] = field(default_factory=lambda: deque(maxlen=3))
    started: float = field(default_factory=time.monotonic)

    def add_step(self, report: StepReport, total: int, remaining_s: float | None) -> None:
        """Take in a stored step."""
        self.step, self.total, self.remaining_s, self.phase = report.step, total, remaining_s, None
        self.recent.append(dict(report.metrics))
        for name, rate in under(report.metrics, "solve_rate").items():
            self.rates.setdefault(name, []).append(rate)

    def add_alarm(self, alarm: Alarm) -> None:
        """Take in an alarm; one that is over becomes a note."""
        if alarm.end is None:
            self.alarms[alarm.rule.name] = alarm
        else:
            self.alarms.pop(alarm.rule.name, None)
            self.notes.append(alarm.sentence)

    def add_phase(self, title: str, done: int, total: int) -> None:
        """Take in progress of other work; it disappears when it is done."""
        started = self.phase.started if self.phase else time.monotonic()
        self.phase = Phase(title, done, total, started) if done < total else None

    def recently(self, metric: str) -> float | None:
        """Mean of a metric over the recent steps that have it."""
        return mean(metrics[metric] for metrics in self.recent if metric in metrics)

    def rate(self, amount: str, seconds: str) -> float | None:
        """Recent amount a second, None where no time was spent."""
        spent = self.recently(seconds)
        return (self.recently(amount) or 0.0) / spent if spent else None


def render(board: Board, width: int | None = None) -> RenderableType:
    """The whole display, as wide as the terminal or so many characters."""
    parts: list[RenderableType] = [_progress(board)]
    if board.alarms:
        parts += [_alarms(list(board.alarms.values())), ""]
    if board.recent:
        parts += [_environments(board), "", _speed(board)]
    if board.evaluations:
        parts += ["", _accuracy(curves(board.evaluations), board.evaluations[-1].step)]
    if board.notes:
        parts += ["", *(Text(f"· {note}", style="dim", overflow="ellipsis", no_wrap=True) for note in board.notes)]
    elapsed = duration(time.monotonic() - board.started)
    hint = "Ctrl-C stops after the step"
    subtitle = f"[dim]{elapsed} · {hint}[/]"
    return Panel(Group(*parts), title="[bold]azr[/] self-play", subtitle=subtitle, box=ROUNDED, padding=(0, 1), width=width)


def _progress(board: Board) -> RenderableType:
    bar = Table.grid(padding=(0, 2), expand=True)
    bar.add_column(no_wrap=True)
    bar.add_column(ratio=1)
    bar.add_column(no_wrap=True, justify="right")
    if board.phase:
        done, total = board.phase.done, board.phase.total
        spent = duration(time.monotonic() - board.phase.started)
        track = ProgressBar(max(1, total), done, complete_style="yellow")
        bar.add_row(Text(board.phase.title, style="bold"), track, f"{done} of {total}, {spent}")
    if board.total:
        left = "" if board.remaining_s is None else f", {duration(board.remaining_s)} left"
        pace = f"{board.recently('seconds/step') or 0.0:.1f} s a step{left}"
        track = ProgressBar(board.total, board.step, complete_style="green")
        bar.add_row(Text(f"step {board.step} of {board.total}", style="bold"), track, pace)
    elif not board.phase:
        bar.add_row(Text("starting", style="bold"), ProgressBar(1, 0), "")
    return bar


def _environments(board: Board) -> RenderableType:
    table = Table(box=None, padding=(0, 1, 0, 0), expand=True, header_style="dim", show_edge=False)
    table.add_column("environment", style="bold", no_wrap=True)
    for head in ("valid", "dup.", "solved"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("so far", style="green", no_wrap=True, min_width=SPARK)
    for head in ("reward\npropose", "\nsolve", "buffer"):
        table.add_column(head, justify="right", no_wrap=True)
    names = environments(board.recent)
    for name, short in short_names(names).items():
        known = _share(board.recently(f"duplicates/{name}"), board.recently(f"proposed/{name}"))
        solved = board.recently(f"solve_rate/{name}")
        rewards = (board.recently(f"reward/{role}/{name}") for role in ("propose", "solve"))
        table.add_row(
            short, percent(board.recently(f"valid/{name}")), percent(known), percent(solved), sparkline(board.rates.get(name, []), SPARK),
            *("-" if reward is None else f"{reward:+.2f}" for reward in rewards),
            f"{board.recent[-1].get(f'buffer/{name}', 0.0):,.0f}",
        )  # fmt: skip
    return table


def _speed(board: Board) -> RenderableType:
    spent = {name: board.recently(f"seconds/{name}") or 0.0 for name in TIMES}
    whole = sum(spent.values()) or 1.0
    times = Text("time  ", style="dim")
    for name, colour in TIMES.items():
        times.append("█" * round(14 * spent[name] / whole), style=colour)
    for name, colour in TIMES.items():
        times.append(f" {name} ", style=colour)
        times.append(f"{100 * spent[name] / whole:.0f} %")
    pace = Text("pace  ", style="dim")
    rates = {"sampled": board.rate("tokens/generated", "seconds/generate"), "trained": board.rate("tokens/trained", "seconds/train")}
    words = [f"{rate:,.0f} tokens/s {what}" for what, rate in rates.items() if rate]
    unique = board.recently("skeletons/unique")
    words += [] if unique is None else [f"unique skeletons {100 * unique:.0f} %"]
    pace.append(", ".join(words), style="default")
    return Group(times, pace)


def _accuracy(measured: list[Curve], step: int) -> RenderableType:
    """Held-out accuracy: a row a kind, a column a benchmark and decoding, with the gain since the start."""
    table = Table(box=None, padding=(0, 1, 0, 0), expand=True, header_style="dim", show_edge=False)
    table.add_column(f"held out\nstep {step}", style="bold", no_wrap=True)
    columns = list(dict.fromkeys((curve.benchmark, curve.decoding) for curve in measured))
    for benchmark, decoding in columns:
        table.add_column(f"{benchmark.rpartition('/')[2]}\n{decoding}", justify="right", no_wrap=True)
    cells = {(curve.kind, curve.benchmark, curve.decoding): curve for curve in measured}
    kinds = sorted({curve.kind for curve in measured} - {ALL})
    names = short_names(kinds) | ({ALL: ALL} if len(kinds) > 1 else {})
    for kind, short in names.items():
        row = [cells.get((kind, *column)) for column in columns]
        table.add_row(short, *(_level(curve) if curve else Text("-") for curve in row))
    return table


def _level(curve: Curve) -> Text:
    text = Text(percent(curve.levels[-1][1].mean))
    if not curve.once:
        gain = curve.gain
        sure = gain.low is not None and gain.high is not None and not gain.low <= 0.0 <= gain.high
        colour = ("green" if gain.mean > 0 else "red") if sure else "dim"
        text.append(f" {100 * gain.mean:+.1f}", style=colour)
    return text


def _alarms(lasting: list[Alarm]) -> RenderableType:
    """The newest alarm, and what else is wrong in a line: the display must not outgrow the terminal."""
    *older, newest = lasting
    told = Text.assemble((f"! {newest.finding}: ", "bold red"), newest.rule.advice)
    also = Text(f"! also: {', '.join(alarm.rule.what for alarm in older)}", style="red", overflow="ellipsis", no_wrap=True)
    return Group(told, also) if older else told


def percent(fraction: float | None) -> str:
    """A fraction for a narrow column."""
    return "-" if fraction is None else f"{100 * fraction:.0f} %"


def _share(part: float | None, whole: float | None) -> float | None:
    """Part of whole, None where either is unknown or there is no whole."""
    return None if part is None or not whole else part / whole
