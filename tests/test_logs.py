"""Logs for TensorBoard, trackio and Weights & Biases: what arrives there, once, also of a run that is taken up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from playing import ROOT
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import azr_core as azr
from azr_core import logs, run
from azr_core.curves import ALL, curves
from azr_core.directory import RunDirectory
from azr_core.run import Request

PLUGIN = str(Path(__file__).with_name("played_plugin.py"))
SETTINGS: Mapping[str, Any] = {
    "steps": 4, "batch_size": 2, "references": 1, "probe_samples": 2, "checkpoint_every": 3, "trainer": {"name": "scripted"},
    "evaluation": {"every": 2, "light_tasks": 4},
}  # fmt: skip

Curves = dict[str, dict[int, float]]


class Crash(azr.Listener):
    """Breaks off at a step, after it is stored."""

    def __init__(self, at: int) -> None:
        self.at = at

    def step(self, report: azr.StepReport, total_steps: int, remaining_s: float | None) -> None:
        if report.step == self.at:
            raise ZeroDivisionError("the power is gone")


def play(runs: Path, *, resume: bool = False, listener: azr.Listener | None = None, **settings: Any) -> Path:
    request = Request((PLUGIN,), settings if resume else {**SETTINGS, **settings}, "one", runs, resume)
    return run.start(request, listener or azr.Listener())


def stored(folder: Path) -> Curves:
    """What the run's own record says."""
    store = RunDirectory(folder).open_store()
    found: defaultdict[str, dict[int, float]] = defaultdict(dict)
    for step, metrics in store.steps():
        for name, value in metrics.items():
            found[name][step] = value
    for curve in curves(store.evaluations()):
        name = f"accuracy/{curve.benchmark}/{curve.decoding}" + ("" if curve.kind == ALL else f"/{curve.kind}")
        for step, parts in curve.points:
            scores = [score for part in parts for score in part]
            found[name][step] = sum(scores) / len(scores)
    store.close()
    return dict(found)


def boarded(folder: Path) -> Curves:
    """What TensorBoard shows; no step twice."""
    events = EventAccumulator(str(folder / "logs/tensorboard"), size_guidance={"scalars": 0}).Reload()
    found = {}
    for name in events.Tags()["scalars"]:
        points = [(event.step, event.value) for event in events.Scalars(name)]
        assert len({step for step, _ in points}) == len(points)
        found[name] = dict(points)
    return found


def test_everything_that_is_stored_arrives_under_the_same_names(tmp_path: Path) -> None:
    folder = play(tmp_path, log="tensorboard")
    found, known = boarded(folder), stored(folder)
    assert found.keys() == known.keys() >= {"solve_rate/toys/doubling", "accuracy/toys/heldout/sampled", "train/updates"}
    for name, points in known.items():
        assert found[name] == pytest.approx(points, rel=1e-6), name
    assert sorted(found["accuracy/toys/heldout/sampled/toys/doubling"]) == [0, 2, 4]


def test_a_run_that_is_taken_up_continues_its_curves(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        play(tmp_path, log=["tensorboard"], listener=Crash(2))
    folder = play(tmp_path, resume=True, steps=5)
    found = boarded(folder)
    assert sorted(found["tokens/generated"]) == [1, 2, 3, 4, 5]
    assert found["tokens/generated"] == pytest.approx(stored(folder)["tokens/generated"])


def test_a_log_that_is_asked_for_later_has_the_whole_run(tmp_path: Path) -> None:
    play(tmp_path)
    folder = play(tmp_path, resume=True, steps=5, log=["tensorboard"])
    assert sorted(boarded(folder)["solve_rate/toys/doubling"]) == [1, 2, 3, 4, 5]


def test_a_dry_run_and_a_run_without_logs_write_none(tmp_path: Path) -> None:
    run.plan(Request((PLUGIN,), {**SETTINGS, "log": ["tensorboard"]}, "one", tmp_path, False))
    assert not (play(tmp_path) / "logs").exists()


def test_a_missing_package_is_told_with_its_command_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "find_spec", lambda name: None)
    with pytest.raises(azr.UsageError, match=r"pip install 'azr\[wandb\]'"):
        play(tmp_path, log="wandb")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_log_is_told_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(azr.ConfigError, match="'tensorboard', 'trackio' or 'wandb'"):
        play(tmp_path, log="tensorbored")


class Recorder(ModuleType):
    """Stands for wandb: keeps what it is told, and forgets steps before the last one, as it does."""

    def __init__(self, begun: int = 0) -> None:
        super().__init__("wandb")
        self.__spec__ = ModuleSpec("wandb", None)
        self.step, self.finished = begun, False
        self.told: Curves = {}
        self.reporting = ""

    def Settings(self, **settings: Any) -> dict[str, Any]:
        return settings

    def init(self, **arguments: Any) -> Recorder:
        self.arguments, self.reporting = arguments, os.environ["WANDB_ERROR_REPORTING"]
        return self

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        self.step = step
        for name, value in numbers.items():
            self.told.setdefault(name, {})[step] = value

    def finish(self) -> None:
        self.finished = True


def test_weights_and_biases_stays_offline_and_reports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = Recorder()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    folder = play(tmp_path, log="wandb")
    assert (wandb.arguments["mode"], wandb.reporting, wandb.finished) == ("offline", "false", True)
    assert Path(wandb.arguments["dir"]) == folder / "logs"
    assert wandb.told == stored(folder)
    assert "WANDB_ERROR_REPORTING" not in os.environ


def test_a_server_of_weights_and_biases_is_told_the_rest_of_a_run_that_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    first, second = Recorder(), Recorder(begun=5)
    monkeypatch.setitem(sys.modules, "wandb", first)
    play(tmp_path, log="wandb")
    monkeypatch.setitem(sys.modules, "wandb", second)
    play(tmp_path, resume=True, steps=6)
    assert first.arguments["id"] == second.arguments["id"] and second.arguments["resume"] == "allow"
    assert sorted(second.told["tokens/generated"]) == [5, 6]


READ = """
import json, sys
from trackio.sqlite_storage import SQLiteStorage
print(json.dumps(SQLiteStorage.get_logs("azr", "one")))
"""


def test_trackio_keeps_every_step_once_and_on_this_machine(tmp_path: Path) -> None:
    pytest.importorskip("trackio")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    away = {"TRACKIO_SPACE_ID": "nobody/nowhere", "TRACKIO_SERVER_URL": "http://127.0.0.1:9"}
    words = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={_toml(value)}")]
    command = [
        sys.executable,
        "-c",
        "from azr_core.cli import main; main()",
        "run",
        "--plugin",
        PLUGIN,
        "--name",
        "one",
        "--log",
        "trackio",
    ]
    for more in (words, ["--resume", "--steps", "5"]):
        played = subprocess.run([*command, *more], cwd=tmp_path, env=environment | away, capture_output=True, text=True, timeout=100)
        assert played.returncode == 0, played.stderr
    place = {"TRACKIO_DIR": str(tmp_path / "runs/one/logs/trackio")}
    read = subprocess.run([sys.executable, "-c", READ], env=environment | place, capture_output=True, text=True, timeout=100)
    steps = [row["step"] for row in json.loads(read.stdout) if "tokens/generated" in row]
    assert steps == [1, 2, 3, 4, 5]


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {_toml(item)}" for name, item in value.items()) + "}"
    return json.dumps(value)
