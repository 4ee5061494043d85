"""What a run directory holds, read back without loading a plugin."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azr_core.curves import Curve, curves
from azr_core.errors import RunError, nearest
from azr_core.store import RunStore

@dataclass(frozen=True)
class History:
    """One run. steps: (number, metrics). wall_s, evaluation_s: seconds so far, over all resumes."""

    directory: Path
    config: Mapping[str, Any]
    steps: Sequence[tuple[int, Mapping[str, float]]]
    curves: Sequence[Curve]
    wall_s: float
    evaluation_s: float

    @property
    def name(self) -> str:
        """The run's name: its folder."""
        return self.directory.name

    @property
    def metrics(self) -> list[Mapping[str, float]]:
        """The metrics of every step."""
        return [metrics for _, metrics in self.steps]

    @property
    def last_step(self) -> int:
        """Number of the last stored step, 0 before the first."""
        return self.steps[-1][0] if self.steps else 0

    def total(self, metric: str) -> float:
        """Sum of a metric over the steps."""
        return sum(metrics.get(metric, 0.0) for metrics in self.metrics)


def read(directory: Path) -> History:
    """Read a run. Raises RunError where the folder is no run."""
    config = settings(directory)
    store = RunStore(directory / "run.db")
    try:
        steps, evaluations = store.steps(), store.evaluations()
        wall, evaluating = store.get_note("wall_s"), store.get_note("evaluation_s")
    finally:
        store.close()
    seconds = sum(metrics.get("seconds/step", 0.0) for _, metrics in steps)
    return History(directory, config, steps, curves(evaluations), float(wall or seconds), float(evaluating or 0.0))


def settings(directory: Path) -> dict[str, Any]:
    """The configuration a run was started with. Raises RunError where the folder is no run."""
    try:
        found = json.loads((directory / "config.json").read_text())
    except FileNotFoundError:
        raise RunError(f"{directory} is no run: it has no config.json; `azr runs` lists the runs") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{directory}/config.json cannot be read: {error}; restore it or delete the folder") from None
    if not (directory / "run.db").is_file():
        raise RunError(f"{directory} holds no run.db yet; wait for the run to start, or start it again with `azr run`")
    return dict(found)


def locate(run: str, runs_dir: Path) -> Path:
    """The folder of a run given as a name under runs_dir or as a folder. Raises RunError with the nearest name."""
    named = runs_dir / run
    if (named / "config.json").is_file():
        return named
    if (Path(run) / "config.json").is_file():
        return Path(run).resolve()
    known = [folder.name for folder in run_folders(runs_dir)]
    mend = nearest(run, known) if known else "start one with `azr run --plugin NAME`, or give --runs-dir"
    raise RunError(f"no run {run!r} under {runs_dir}; {mend}")


def run_folders(runs_dir: Path) -> list[Path]:
    """Folders of the runs under runs_dir, oldest first."""
    if not runs_dir.is_dir():
        return []
    found = [folder for folder in runs_dir.iterdir() if (folder / "config.json").is_file()]
    return sorted(found, key=lambda folder: ((folder / "config.json").stat().st_mtime, folder.name))

