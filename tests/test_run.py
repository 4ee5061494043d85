"""A whole run: killed, stopped, out of space, damaged, and taken up again."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import azr_core as azr
from azr_core import checkpoint, run
from azr_core.directory import RunDirectory
from azr_core.run import Request

PLUGIN = str(Path(__file__).with_name("resumed_plugin.py"))
ROOT = Path(__file__).parents[1]
STEPS = 12
SETTINGS: Mapping[str, Any] = {
    "steps": STEPS, "batch_size": 4, "references": 2, "probe_samples": 4, "checkpoint_every": 3, "trainer": {"name": "seeded"},
    "evaluation": {"every": 4, "light_tasks": 5},
}  # fmt: skip
COMMAND = (sys.executable, "-c", "from azr_core.cli import main; main()", "run", "--name", "one")
EPISODE = "step, environment, kind, prompt_group, prompt, reply, outcome, reward, advantage, solve_rate, task, parents, trained"


@dataclass(frozen=True)
class Played:
    """What a run left behind; times are left out."""

    tasks: list[tuple[Any, ...]]
    episodes: list[tuple[Any, ...]]
    evaluations: list[azr.Evaluation]
    steps: list[int]


def played(folder: Path, up_to: int | None = None) -> Played:
    store = RunDirectory(folder).open_store()
    try:
        bound = (1 << 62) if up_to is None else up_to
        tasks = "SELECT number, id, environment, step, task, parents, skeleton FROM tasks WHERE step <= ? ORDER BY number"
        return Played(
            [tuple(row) for row in store._db.select(tasks, (bound,))],
            [tuple(row) for row in store._db.select(f"SELECT {EPISODE} FROM episodes WHERE step <= ? ORDER BY number", (bound,))],
            [evaluation for evaluation in store.evaluations() if evaluation.step <= bound],
            [step for step, _ in store.steps() if step <= bound],
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


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The usual settings as a TOML file."""
    path = tmp_path_factory.mktemp("settings") / "run.toml"
    inner = "\n".join(f"[{name}]\n" + "\n".join(f"{k} = {json.dumps(v)}" for k, v in table.items()) for name, table in tables().items())
    path.write_text("\n".join(f"{k} = {json.dumps(v)}" for k, v in SETTINGS.items() if not isinstance(v, dict)) + "\n" + inner)
    return path


def tables() -> dict[str, dict[str, Any]]:
    return {name: value for name, value in SETTINGS.items() if isinstance(value, dict)}


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The run that nothing interrupted."""
    return played(play(tmp_path_factory.mktemp("whole")))


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


def test_the_same_seed_gives_the_same_tasks_rewards_and_measurements(whole: Played, tmp_path: Path) -> None:
    again = played(play(tmp_path))
    assert again == whole and whole.steps == list(range(1, STEPS + 1))
    other = played(play(tmp_path, name="two", seed=1))
    assert other.tasks != whole.tasks and other.episodes != whole.episodes


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_run_killed_at_random_moments_loses_nothing_and_doubles_nothing(seed: int, whole: Played, file: Path, tmp_path: Path) -> None:
    rng = random.Random(seed)
    folder = tmp_path / "runs" / "one"
    words = ["--plugin", PLUGIN, "--config", str(file)]
    for _ in range(3):
        kill(tmp_path / "runs", words, rng.randint(0, STEPS), rng.uniform(0.0, 0.03))
        if not (folder / "config.json").is_file():
            continue
        sealed = checkpoint.sealed(folder / "checkpoints")
        if sealed:
            assert played(folder, sealed[-1]) == before(whole, sealed[-1])
        words = ["--resume"]
    last = begin(tmp_path / "runs", *words)
    _, error = last.communicate(timeout=60)
    assert last.returncode == 0, error
    assert played(folder) == whole


def kill(runs: Path, words: list[str], step: int, delay: float) -> None:
    """Start the command and kill it some time after the line of a step, if it gets that far."""
    child = begin(runs, *words)
    assert child.stdout
    for line in child.stdout:
        if line.startswith(f"step {max(1, step)}/") or (step == 0 and "toys/heldout" in line):
            time.sleep(delay)
            break
    child.kill()
    child.communicate(timeout=60)


def before(whole: Played, step: int) -> Played:
    """What must lie in the store up to a step."""
    return Played(
        [row for row in whole.tasks if row[3] <= step],
        [row for row in whole.episodes if row[0] <= step],
        [evaluation for evaluation in whole.evaluations if evaluation.step <= step and (evaluation.step < step or step % 4 == 0)],
        [number for number in whole.steps if number <= step],
    )
