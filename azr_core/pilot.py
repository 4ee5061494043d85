"""How much a study can do in the hours it has: the untrained model is measured, and a few steps are played."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from azr_core import study
from azr_core.config import Evaluation
from azr_core.errors import ConfigError
from azr_core.history import History, read
from azr_core.matrix import Kind
from azr_core.progress import Listener
from azr_core.transfer import Layout, untrained

FILE = "budget.json"
FOLDER = "pilot"
STEPS = 6
LEAST_S = 60.0  # of playing a run; with less there is nothing to learn


def budget(plan: Layout, folder: Path, listener: Listener) -> dict[str, Any]:
    """The budget of a run as settings; one that a pilot found is kept in the folder. Raises ConfigError where the hours are too few."""
    asked = plan.asked
    if asked.hours is None:
        return {"steps": asked.steps} if asked.steps else {"tokens": asked.tokens}
    file = folder / FILE
    if not file.is_file():
        listener.note(f"measuring the untrained model, and a pilot of {STEPS} steps, to see what {asked.hours:g} h can pay for")
        first = plan.study(folder, {"tokens": 1})  # of whose cells only the untrained is played, and that has no budget
        study.play_cells(first, [next(first.cells())], asked.jobs, listener)
        measured = untrained(first)
        measuring = measured.seconds["evaluation_s"] if measured else 0.0
        file.write_text(json.dumps({"tokens": _affordable(plan, measuring, _played(plan, folder, listener))}))
    return dict(json.loads(file.read_text()))


def _played(plan: Layout, folder: Path, listener: Listener) -> Sequence[History]:
    """A few steps of the first mixture, in as many runs at once as the study will have."""
    quiet = Evaluation(start=False, final=False).model_dump(mode="json")
    pilot = plan.study(folder / FOLDER, {"steps": STEPS, "evaluation": quiet})
    name = next((name for name, kind in plan.rows.items() if kind is Kind.MIXTURE), plan.domains[0])
    one = next(cell for cell in pilot.cells() if cell.name == name)
    cells = [dataclasses.replace(one, seed=seed, settings={**one.settings, "seed": seed}) for seed in range(plan.asked.jobs)]
    study.play_cells(pilot, cells, plan.asked.jobs, listener)
    return [read(pilot.directory(cell).path) for cell in cells]


def _affordable(plan: Layout, measuring: float, played: Sequence[History]) -> int:
    """Generated tokens a run. measuring: seconds of the measurement at its end."""
    rate = sum(run.total("tokens/generated") for run in played) / sum(run.total("seconds/step") for run in played)
    starting = max(run.wall_s - run.total("seconds/step") for run in played)
    runs, hours = len(plan.mixtures) * plan.asked.seeds, plan.asked.hours or 0.0
    rounds = -(-runs // plan.asked.jobs)
    seconds = 3600 * hours / rounds - measuring - starting
    if seconds < LEAST_S:
        least = rounds * (measuring + starting + LEAST_S) / 3600
        raise ConfigError(
            f"--hours {hours:g} is too short for {runs} runs, each of which is measured for {measuring:.0f} s; ask for {least + 0.05:.1f}"
        )
    return max(1, int(seconds * rate))
