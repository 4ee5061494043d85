"""A run's numbers in the viewers people have: TensorBoard, trackio, Weights & Biases. Files in the run's folder, made from its record.

Whenever a run is begun or taken up, they are written anew from what is stored, so that no step is there twice and none is missing.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from azr_core.curves import ALL, curves
from azr_core.directory import RunDirectory
from azr_core.errors import UsageError
from azr_core.progress import Listener
from azr_core.store import RunStore
from azr_core.types import Evaluation, StepReport

PROJECT = "azr"
REMOTE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "TRACKIO_BUCKET_ID", "TRACKIO_DATASET_ID")  # would have trackio send what it is told

Numbers = Mapping[str, float]


class Log(ABC):
    """One viewer's files. folder: empty, its own. run: what is known of the run: `name`, `id` (nobody else's) and `config`."""

    def __init__(self, folder: Path, run: Mapping[str, Any]) -> None:
        self.folder, self.run = folder, run
        self.open()

    @abstractmethod
    def open(self) -> None:
        """Begin the files. The package is imported here, where it is asked for."""

    @abstractmethod
    def write(self, step: int, numbers: Numbers) -> None:
        """Numbers of a step, by name; steps come in order, one may come again with further names."""

    @abstractmethod
    def close(self) -> None:
        """Have all of it on the disk."""


class TensorBoard(Log):
    """Event files: `tensorboard --logdir RUNS`."""

    def open(self) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self.writer: Any = EventFileWriter(str(self.folder))

    def write(self, step: int, numbers: Numbers) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in numbers.items()]
        self.writer.add_event(Event(step=step, wall_time=time.time(), summary=Summary(value=values)))
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()


class Trackio(Log):
    """A database for `trackio show`. What would have it sent away is not looked at; `trackio sync` sends it."""

    def open(self) -> None:
        with _quiet(), _environment({"TRACKIO_DIR": str(self.folder), **dict.fromkeys(REMOTE)}):
            import trackio
            from trackio import utils

            if Path(utils.TRACKIO_DIR) != self.folder:
                raise UsageError("trackio was begun in another folder by this process; play one run a process, or leave --log trackio out")
            self.trackio: Any = trackio
            self.writer = trackio.init(
                PROJECT, self.run["name"], config=self.run["config"], embed=False, auto_log_gpu=False, auto_log_cpu=False
            )

    def write(self, step: int, numbers: Numbers) -> None:
        self.writer.log(dict(numbers), step=step)

    def close(self) -> None:
        with _quiet():
            self.trackio.finish()


class Wandb(Log):
    """A run for `wandb sync`, offline unless WANDB_MODE says otherwise. A server that has some of its steps keeps them as they are."""

    def open(self) -> None:
        with _environment({"WANDB_ERROR_REPORTING": os.environ.get("WANDB_ERROR_REPORTING", "false")}):
            import wandb

            mode: Any = os.environ.get("WANDB_MODE", "offline")
            settings = wandb.Settings(
                console="off", silent=True, disable_git=True, disable_code=True, x_disable_stats=True, x_disable_meta=True
            )
            self.writer: Any = wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                name=self.run["name"],
                id=self.run["id"],
                config=self.run["config"],
                dir=str(self.folder.parent),  # it makes its own, of this name
                mode=mode,
                resume="allow" if mode == "online" else None,
                settings=settings,
            )

    def write(self, step: int, numbers: Numbers) -> None:
        if step >= self.writer.step:
            self.writer.log(dict(numbers), step=step)

    def close(self) -> None:
        self.writer.finish()


LOGS: Mapping[str, type[Log]] = {"tensorboard": TensorBoard, "trackio": Trackio, "wandb": Wandb}


class Logs(Listener):
    """All logs that a run was told to keep. Raises UsageError where a package is missing."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.logs: list[Log] = []
        for name in names:
            if find_spec(name) is None:
                raise UsageError(f"--log {name} needs the package {name}, which is not installed; pip install 'azr[{name}]'")

    @contextlib.contextmanager
    def kept(self, run: RunDirectory, store: RunStore) -> Iterator[None]:
        """While entered, what is heard is written too; it begins with what is stored."""
        try:
            for name in self.names:
                self.logs.append(self._begun(name, run, store))
            self._repeat(store)
            yield
        finally:
            while self.logs:
                self.logs.pop().close()

    def step(self, report: StepReport, total_steps: int, remaining_s: float | None) -> None:
        self._write(report.step, report.metrics)

    def evaluated(self, evaluations: Sequence[Evaluation]) -> None:
        """Accuracies, of all kinds together and of each."""
        for curve in curves(evaluations):
            kind = "" if curve.kind == ALL else f"/{curve.kind}"
            for step, level in curve.levels:
                self._write(step, {f"accuracy/{curve.benchmark}/{curve.decoding}{kind}": level.mean})

    def _begun(self, name: str, run: RunDirectory, store: RunStore) -> Log:
        if (identity := store.get_note("log")) is None:
            store.set_note("log", identity := uuid.uuid4().hex)
        folder = run.path.resolve() / "logs" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return LOGS[name](folder, {"name": run.path.name, "id": identity, "config": run.config()})

    def _repeat(self, store: RunStore) -> None:
        evaluations = store.evaluations()
        metrics = dict(store.steps())
        for step in sorted({*metrics, *(one.step for one in evaluations)}):
            self._write(step, metrics.get(step, {}))
            self.evaluated([one for one in evaluations if one.step == step])

    def _write(self, step: int, numbers: Numbers) -> None:
        for log in self.logs if numbers else ():
            log.write(step, numbers)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What a package tells its user at the terminal is not for the one of azr."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


@contextlib.contextmanager
def _environment(changes: Mapping[str, str | None]) -> Iterator[None]:
    """Variables as a package is to find them while it begins; None: not there."""
    before = {name: os.environ.get(name) for name in changes}
    _put(changes)
    try:
        yield
    finally:
        _put(before)


def _put(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
