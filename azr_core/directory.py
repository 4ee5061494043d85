"""The run directory: where a run lives on disk, how it is made, and under which conditions it is taken up again."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from azr_core import checkpoint
from azr_core.config import RESUMABLE, RunConfig
from azr_core.differences import differences
from azr_core.errors import RunError, nearest
from azr_core.store import RunStore

# What a start that failed may have left in a folder that is no run yet.
OURS = frozenset({"checkpoints", "plugins.json", "run.db", "run.db-shm", "run.db-wal", "run.log", ".config.json", ".lock"})


WHEREABOUTS = frozenset({"url", "concurrency", "retries", "timeout"})
"""Options of a part that may differ when a run resumes: the model is the same, only reached otherwise."""


class RunDirectory:
    """`runs/NAME/`: config.json, plugins.json, run.db, checkpoints/, report/, run.log."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def log(self) -> Path:
        """Tracebacks and the output of workers."""
        return self.path / "run.log"

    @property
    def checkpoints(self) -> Path:
        """Folder of the sealed checkpoints."""
        return self.path / "checkpoints"

    def open_store(self) -> RunStore:
        """The run's database."""
        return RunStore(self.path / "run.db")

    def config(self) -> dict[str, Any]:
        """The resolved configuration the run was started with. Raises RunError."""
        try:
            settings: dict[str, Any] = json.loads((self.path / "config.json").read_text())
        except (OSError, ValueError) as error:
            raise RunError(f"{self.path} is no run directory ({error})") from None
        return settings

    def reserve(self) -> None:
        """Make the folder. Raises RunError where it holds a run or anything else, or cannot be made."""
        if (self.path / "config.json").exists():
            raise RunError(f"the run {self.path.name} exists in {self.path.parent}; go on with --resume, or choose another --name")
        foreign = sorted({path.name for path in self.path.glob("*")} - OURS) if self.path.is_dir() else []
        if foreign:
            raise RunError(f"{self.path} holds {foreign[0]} and is no run; choose another --name or --runs-dir")
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"cannot make {self.path}: {error.strerror}; choose another --runs-dir") from error

    def release(self) -> None:
        """Remove the folder if nothing came of it: no run was recorded and no traceback is in its log."""
        if not (self.path / "config.json").exists() and not self.log.exists():
            shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from playing this run. Raises RunError while one does."""
        with (self.path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(f"{self.path.name} is being played by another process; wait for it or stop it") from None
            yield

    def busy(self) -> bool:
        """Whether another process plays this run now."""
        if not (self.path / ".lock").exists():
            return False
        try:
            with self.held():
                return False
        except RunError:
            return True

    def record(self, config: RunConfig, plugins: Sequence[Mapping[str, str]]) -> None:
        """Write down what is run; from here on the folder is a run. Raises RunError on a full disk."""
        try:
            (self.path / "plugins.json").write_text(json.dumps(list(plugins), indent=1))
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self._write(config)

    def take_up(self, config: RunConfig) -> None:
        """Accept a resume with this configuration. Raises RunError that lists what differs and may not."""
        found = differences(fixed(self.config()), fixed(json.loads(config.model_dump_json())))
        changed = [f"{name} was {before!r}, is {after!r}" for name, before, after in found]
        if changed:
            raise RunError(f"--resume continues {self.path.name} as it was; start a new run to change this: {'; '.join(changed)}")
        self._write(config)

    def identity(self) -> str:
        """What its checkpoints are sealed with: a hash of the settings that may not change."""
        return hashlib.sha256(json.dumps(fixed(self.config()), sort_keys=True).encode()).hexdigest()[:32]

    def rewind(self, store: RunStore) -> int:
        """Drop what lies after the last whole checkpoint; returns its step, 0 where there is none."""
        stored = {step for step, _ in store.steps()}
        usable = [step for step in checkpoint.sealed(self.checkpoints) if step in stored]
        last = usable[-1] if usable else 0
        store.truncate(last if usable else -1)
        checkpoint.drop(self.checkpoints, last)
        return last

    def _write(self, config: RunConfig) -> None:
        """Replace config.json as a whole: a kill or a full disk leaves the old one."""
        partial = self.path / ".config.json"
        try:
            partial.write_text(config.model_dump_json(indent=1))
            partial.replace(self.path / "config.json")
        except OSError as error:
            raise _unwritable(self.path, error) from error


def fixed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of a run's settings as JSON those that a resume must leave alone; where a model is asked and how patiently is not among them."""
    kept = {name: setting for name, setting in settings.items() if name not in RESUMABLE}
    players = {role: _staying(part) for role, part in settings.get("players", {}).items()}
    return kept | {"trainer": _staying(settings.get("trainer", {})), **({"players": players} if players else {})}


def _staying(part: Mapping[str, Any]) -> dict[str, Any]:
    return {name: option for name, option in part.items() if name not in WHEREABOUTS}


def _unwritable(path: Path, error: OSError) -> RunError:
    return RunError(f"cannot write {path}: {error.strerror}; free some space or choose another --runs-dir")


def find(run: str, runs_dir: Path) -> RunDirectory:
    """A run by name or folder. Raises RunError with the nearest name."""
    for path in (runs_dir / run, Path(run)):
        if (path / "config.json").is_file():
            return RunDirectory(path)
    raise RunError(f"no run {run!r} in {runs_dir}; {nearest(run, names(runs_dir))}")


def names(runs_dir: Path) -> list[str]:
    """Names of the runs in a folder, oldest first."""
    made = {path.parent.name: path.stat().st_mtime for path in runs_dir.glob("*/config.json")}
    return sorted(made, key=made.__getitem__)


def fresh_name(runs_dir: Path, plugins: Sequence[str]) -> str:
    """The next free name such as `python-001`."""
    stem = "-".join(Path(plugin).stem for plugin in plugins) or "run"
    number = 1
    while (runs_dir / f"{stem}-{number:03d}").exists():
        number += 1
    return f"{stem}-{number:03d}"
