"""Runs with a seeded trainer, for tests of runs: how they are played here or elsewhere, and what they left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import azr_core as azr
from azr_core import run
from azr_core.directory import RunDirectory
from azr_core.run import Request

PLUGIN = str(Path(__file__).with_name("resumed_plugin.py"))
ROOT = Path(__file__).parents[1]
STEPS = 12
SETTINGS: Mapping[str, Any] = {
    "steps": STEPS, "batch_size": 4, "references": 2, "probe_samples": 4, "checkpoint_every": 3, "trainer": {"name": "seeded"},
    "evaluation": {"every": 4, "light_tasks": 5},
}  # fmt: skip
# The same settings for the command.
WORDS = (
    *("--plugin", PLUGIN, "--steps", str(STEPS), "--set", "batch_size=4", "--set", "references=2", "--set", "probe_samples=4"),
    *("--set", "checkpoint_every=3", "--set", "trainer.name=seeded", "--set", "evaluation.every=4", "--set", "evaluation.light_tasks=5"),
)
COMMAND = (sys.executable, "-c", "from azr_core.cli import main; main()", "run", "--name", "one")
EPISODE = "step, environment, kind, prompt_group, prompt, reply, outcome, reward, advantage, solve_rate, task, parents, trained"


@dataclass(frozen=True)
class Played:
    """What a run left behind; times are left out."""

    tasks: list[tuple[Any, ...]]
    episodes: list[tuple[Any, ...]]
    evaluations: list[azr.Evaluation]
    steps: list[int]


def played(folder: Path, up_to: int = 1 << 62) -> Played:
    """Everything up to a step; its own measurement, which comes last, is left out."""
    store = RunDirectory(folder).open_store()
    try:
        tasks = "SELECT number, id, environment, step, task, parents, skeleton FROM tasks WHERE step <= ? ORDER BY number"
        return Played(
            [tuple(row) for row in store._db.select(tasks, (up_to,))],
            [tuple(row) for row in store._db.select(f"SELECT {EPISODE} FROM episodes WHERE step <= ? ORDER BY number", (up_to,))],
            [evaluation for evaluation in store.evaluations() if evaluation.step < up_to],
            [step for step, _ in store.steps() if step <= up_to],
        )
    finally:
        store.close()


def play(runs: Path, *, resume: bool = False, name: str = "one", listener: azr.Listener | None = None, **settings: Any) -> Path:
    """Play in this process; settings replace the usual ones of a new run, or are all that is said on resume."""
    asked = settings if resume else {**SETTINGS, **settings}
    request = Request(() if resume else (PLUGIN,), asked, name, runs, resume)
    return run.start(request, listener or azr.Listener())


def begin(runs: Path, *words: str, limit: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    """Start the command in another process; its plain lines come through the pipe."""
    runs.parent.mkdir(exist_ok=True, parents=True)
    return subprocess.Popen(
        [*COMMAND, "--runs-dir", str(runs), *words],
        cwd=runs.parent, env=os.environ | {"PYTHONPATH": str(ROOT)}, preexec_fn=limit,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def before(whole: Played, step: int) -> Played:
    """What must lie in the store up to a step, its own measurement left out."""
    return Played(
        [row for row in whole.tasks if row[3] <= step],
        [row for row in whole.episodes if row[0] <= step],
        [evaluation for evaluation in whole.evaluations if evaluation.step < step],
        [number for number in whole.steps if number <= step],
    )


@cache
def uninterrupted() -> Played:
    """The run that nothing interrupted."""
    with tempfile.TemporaryDirectory() as folder:
        return played(play(Path(folder)))


class Stop(azr.Listener):
    """Interrupts its own process, as a person would, when a step is done."""

    def __init__(self, step: int) -> None:
        self.at = step
        self.steps: list[int] = []
        self.notes: list[str] = []
        self.ended: bool | None = None

    def step(self, report: azr.StepReport, total_steps: int, remaining_s: float | None) -> None:
        self.steps.append(report.step)
        if report.step == self.at:
            os.kill(os.getpid(), signal.SIGINT)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def finished(self, run: Path, stopped: bool) -> None:
        self.ended = stopped
