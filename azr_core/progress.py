"""What a run tells whoever watches it: the terminal, a log, a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from azr_core.types import Evaluation, StepReport

if TYPE_CHECKING:
    from azr_core.health import Alarm


class Listener:
    """Hears of a run's progress. Every method does nothing unless overridden."""

    def plan(self, lines: Mapping[str, str]) -> None:
        """The plan, before any work: label to text."""

    def phase(self, title: str, done: int, total: int) -> None:
        """Progress of a piece of work other than a step (evaluation, seeds, loading)."""

    def step(self, report: StepReport, total_steps: int, remaining_s: float | None) -> None:
        """A step is stored. remaining_s: estimate of the time to the end."""

    def evaluated(self, evaluations: Sequence[Evaluation]) -> None:
        """Held-out accuracy was measured."""

    def alarm(self, alarm: Alarm) -> None:
        """An alarm started, or is over where it has an end. A run that is taken up tells those that last."""

    def note(self, text: str) -> None:
        """Something worth a line: a warning, a filled batch, a checkpoint."""

    def finished(self, run: Path, stopped: bool) -> None:
        """The run ended; stopped: before its last step, so it can be resumed."""


class Audience(Listener):
    """Several listeners, told one after another."""

    def __init__(self, *listeners: Listener) -> None:
        self.listeners = listeners

    def plan(self, lines: Mapping[str, str]) -> None:
        for one in self.listeners:
            one.plan(lines)

    def phase(self, title: str, done: int, total: int) -> None:
        for one in self.listeners:
            one.phase(title, done, total)

    def step(self, report: StepReport, total_steps: int, remaining_s: float | None) -> None:
        for one in self.listeners:
            one.step(report, total_steps, remaining_s)

    def evaluated(self, evaluations: Sequence[Evaluation]) -> None:
        for one in self.listeners:
            one.evaluated(evaluations)

    def alarm(self, alarm: Alarm) -> None:
        for one in self.listeners:
            one.alarm(alarm)

    def note(self, text: str) -> None:
        for one in self.listeners:
            one.note(text)

    def finished(self, run: Path, stopped: bool) -> None:
        for one in self.listeners:
            one.finished(run, stopped)
