"""What a run directory holds, read back without loading a plugin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from azr_core.curves import ALL, Curve, curves
from azr_core.directory import RunDirectory
from azr_core.errors import RunError
from azr_core.health import Alarm, alarms
from azr_core.lineage import located

ACTIVITIES = ("generate", "verify", "train")


@dataclass(frozen=True)
class History:
    """One run. steps: (number, metrics). seconds: wall clock over all resumes, and of evaluation by activity.

    base: the model it started from, as `lineage.located` names it; empty where a run of an older version did not say.
    """

    directory: Path
    config: Mapping[str, Any]
    steps: Sequence[tuple[int, Mapping[str, float]]]
    curves: Sequence[Curve]
    seconds: Mapping[str, float]
    base: str = ""

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

    @property
    def wall_s(self) -> float:
        """Wall seconds; of a run that was killed at least what its steps took."""
        known = self.total("seconds/step") + self.seconds["evaluation_s"]
        return max(self.seconds["wall_s"], known)

    @property
    def time_share(self) -> dict[str, float]:
        """Fractions of the wall clock; evaluation's sampling is generate, its grading verify."""
        spent = {name: self.total(f"seconds/{name}") + self.seconds.get(f"evaluation_{name}_s", 0.0) for name in ACTIVITIES}
        spent["other"] = max(0.0, self.wall_s - sum(spent.values()))
        whole = sum(spent.values()) or 1.0
        return {name: seconds / whole for name, seconds in spent.items()}

    @cached_property
    def alarms(self) -> list[Alarm]:
        """What was or is wrong with the run, told from its stored steps by its settings' thresholds."""
        return alarms(self.steps, self.config.get("health"))

    @property
    def shown(self) -> list[Curve]:
        """The curves without an `all` that only repeats a benchmark's one kind."""
        kinds = {(curve.benchmark, curve.kind) for curve in self.curves if curve.kind != ALL}
        many = {benchmark for benchmark, _ in kinds if sum(name == benchmark for name, _ in kinds) > 1}
        return [curve for curve in self.curves if curve.kind != ALL or curve.benchmark in many]

    def until(self, step: int) -> History:
        """The run as it stood after a step; its seconds are still those of all of it."""
        curves = [curve.until(step) for curve in self.curves if curve.points[0][0] <= step]
        return replace(self, steps=[one for one in self.steps if one[0] <= step], curves=curves)

    def total(self, metric: str) -> float:
        """Sum of a metric over the steps."""
        return sum(metrics.get(metric, 0.0) for metrics in self.metrics)


def read(directory: Path) -> History:
    """Read a run. Raises RunError where the folder is no run, or one that has not started."""
    run = RunDirectory(directory)
    config = run.config()
    if not (directory / "run.db").is_file():
        raise RunError(f"{directory} holds no run.db yet; wait for its first step, or start it again with `azr run`")
    store = run.open_store()
    try:
        notes = ("wall_s", "evaluation_s", *(f"evaluation_{name}_s" for name in ACTIVITIES))
        seconds = {note: float(store.get_note(note) or 0.0) for note in notes}
        base = store.get_note("base") or located(str(config.get("trainer", {}).get("model", "")))
        return History(directory.resolve(), config, list(store.steps()), curves(store.evaluations()), seconds, base)
    finally:
        store.close()
