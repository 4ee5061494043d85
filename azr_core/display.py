"""Listeners for people: a live display in a terminal, plain lines anywhere else."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from azr_core.curves import ALL, curves
from azr_core.dashboard import Board, render
from azr_core.health import Alarm
from azr_core.progress import Listener
from azr_core.series import duration, mean, under
from azr_core.types import Evaluation, StepReport

QUIET = 10.0  # seconds between plain lines of one phase
WIDE = 160  # characters of a line that goes to a file


class Display(Listener):
    """A listener that may own the terminal while entered. stopped: the run ended before its last step."""

    stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give the terminal back."""

    def recall(self, evaluations: Sequence[Evaluation]) -> None:
        """Know earlier measurements of a resumed run, without showing them again."""

    def finished(self, run: Path, stopped: bool) -> None:
        self.stopped = stopped


class LiveDisplay(Display):
    """Redraws one panel in place, twice a second."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.board = Board()
        self._live: Live | None = None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def plan(self, lines: Mapping[str, str]) -> None:
        self.__exit__(None, None, None)
        self.console.print(plan_table(lines))

    def phase(self, title: str, done: int, total: int) -> None:
        self.board.add_phase(title, done, total)
        self._draw()

    def step(self, report: StepReport, total_steps: int, remaining_s: float | None) -> None:
        self.board.add_step(report, total_steps, remaining_s)
        self._draw()

    def evaluated(self, evaluations: Sequence[Evaluation]) -> None:
        self.board.evaluations += evaluations
        self._draw()

    def recall(self, evaluations: Sequence[Evaluation]) -> None:
        self.board.evaluations += evaluations

    def alarm(self, alarm: Alarm) -> None:
        self.board.add_alarm(alarm)
        self._draw()

    def note(self, text: str) -> None:
        self.board.notes.append(text)
        self._draw()

    def finished(self, run: Path, stopped: bool) -> None:
        super().finished(run, stopped)
        self.__exit__(None, None, None)

    def _draw(self) -> None:
        if self._live is None:
            self._live = Live(console=self.console, get_renderable=self._picture, refresh_per_second=2, vertical_overflow="crop")
            self._live.start()
        self._live.refresh()

    def _picture(self) -> RenderableType:
        # The terminal echoes Ctrl-C as ^C behind the last line; without room it would wrap and spoil the next redraw.
        return render(self.board, self.console.width - 3)


class PlainDisplay(Display):
    """One line for everything worth one: no colours, nothing redrawn."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._evaluations: list[Evaluation] = []
        self._title = ""
        self._said = 0.0

    def plan(self, lines: Mapping[str, str]) -> None:
        for label, text in lines.items():
            self._say(f"{label}: {text}")

    def phase(self, title: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done < total and (title != self._title or now - self._said >= QUIET):
            self._title, self._said = title, now
            self._say(f"{title}: {done} of {total}")

    def step(self, report: StepReport, total_steps: int, remaining_s: float | None) -> None:
        self._title = ""
        metrics = report.metrics
        words = [f"step {report.step}/{total_steps}"]
        for label, prefix, form in (("solved", "solve_rate", "{:.0%}"), ("valid", "valid", "{:.0%}")):
            words += _labelled(label, mean(under(metrics, prefix).values()), form)
        for role in ("propose", "solve"):
            words += _labelled(f"reward {role}", mean(under(metrics, f"reward/{role}").values()), "{:+.2f}")
        words += _labelled("duplicates", sum(under(metrics, "duplicates").values()) or None, "{:.0f}")
        words += _labelled("unique skeletons", metrics.get("skeletons/unique"), "{:.0%}")
        words += _labelled("failed", metrics.get("failed") or None, "{:.0f}")
        words.append(f"{metrics.get('seconds/step', 0.0):.1f} s")
        words += [] if remaining_s is None else [f"{duration(remaining_s)} left"]
        self._say("  ".join(words))

    def evaluated(self, evaluations: Sequence[Evaluation]) -> None:
        self._evaluations += evaluations
        fresh = {(one.benchmark, one.decoding) for one in evaluations}
        for curve in curves(self._evaluations):
            if (curve.benchmark, curve.decoding) in fresh and curve.kind != ALL:
                step, level = curve.levels[-1]
                gain = f" ({100 * curve.gain.mean:+.1f} points)" if not curve.once else ""
                self._say(f"held out, step {step}: {curve.benchmark} {curve.decoding} {curve.kind} {100 * level.mean:.1f} %{gain}")

    def recall(self, evaluations: Sequence[Evaluation]) -> None:
        self._evaluations += evaluations

    def alarm(self, alarm: Alarm) -> None:
        self._say(f"{'warning: ' if alarm.end is None else ''}{alarm.sentence}")

    def note(self, text: str) -> None:
        self._say(text)

    def _say(self, line: str) -> None:
        print(line, file=self.console.file, flush=True)


def terminal(*, stderr: bool = False) -> Console:
    """The console; where nobody watches it is wide enough that tables do not fold."""
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=WIDE)


def choose(console: Console) -> Display:
    """The live display in a terminal that a person watches, plain lines elsewhere."""
    return LiveDisplay(console) if console.is_interactive and not os.environ.get("CI") else PlainDisplay(console)


def plan_table(lines: Mapping[str, str]) -> Table:
    """The plan, label beside text."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="cyan", justify="right", no_wrap=True)
    table.add_column()
    for label, text in lines.items():
        table.add_row(label, Text(text))
    return table


def _labelled(label: str, value: float | None, form: str) -> list[str]:
    return [] if value is None else [f"{label} {form.format(value)}"]
