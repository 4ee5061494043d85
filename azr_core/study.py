"""A study: the same budget for several settings and seeds, each cell an ordinary run, so that it resumes where it stopped.

A TOML file names the cells:

    plugins = ["python"]
    [settings]                      # of every cell
    tokens = 100000
    [[cell]]
    name = "paper"
    preset = "paper"
    [[cell]]
    name = "no references"
    settings = { references = 0 }

Besides them a cell `untrained` plays no step; gains are against it, on the same tasks.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatch
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

from pydantic import Field

from azr_core.config import Options, merge, parse, read_toml
from azr_core.differences import differences
from azr_core.directory import RunDirectory
from azr_core.errors import ConfigError, RunError, nearest
from azr_core.interrupt import Children
from azr_core.options import preset_file
from azr_core.progress import Listener

UNTRAINED = "untrained"


class Ending(StrEnum):
    """How it went with one cell."""

    FINISHED = "finished"
    FAILED = "failed"
    ELSEWHERE = "another process plays it; left to that"


class CellOptions(Options):
    """One row of a study."""

    name: str = Field(min_length=1, pattern=r"^[\w .,+=-]+$", description="what the tables call it")
    preset: str | None = Field(default=None, description="preset below the settings")
    settings: dict[str, Any] = Field(default_factory=dict, description="settings of this cell, over those of all")


class StudyOptions(Options):
    """A study's file."""

    plugins: tuple[str, ...] = Field(min_length=1, description="plugins of every cell")
    seeds: int = Field(default=3, ge=1, description="runs a cell")
    first_seed: int = Field(default=0, ge=0, description="their seeds: this one and those after it")
    settings: dict[str, Any] = Field(default_factory=dict, description="settings of every cell")
    reference: str = Field(default="", description="the cell that others are compared with; empty: the first")
    cell: tuple[CellOptions, ...] = Field(min_length=1, description="the cells")


@dataclass(frozen=True)
class Cell:
    """One run of a study. settings: complete but for defaults of the model and the plugins."""

    name: str
    seed: int
    settings: Mapping[str, Any]

    @property
    def run(self) -> str:
        """The name of its run."""
        return f"{self.name.replace(' ', '-').replace(',', '')}-{self.seed}"


@dataclass(frozen=True)
class Study:
    """What is to be run, in a folder."""

    options: StudyOptions
    folder: Path

    @property
    def names(self) -> list[str]:
        """The cells in the file's order, the untrained one first."""
        return [UNTRAINED, *(cell.name for cell in self.options.cell)]

    @property
    def reference(self) -> str:
        """The cell that others are compared with."""
        return self.options.reference or self.options.cell[0].name

    def cells(self) -> Iterator[Cell]:
        """Every run, seed by seed, so that an early end has as many seeds of each."""
        shared = {**self.options.settings, "plugins": list(self.options.plugins)}
        start = {"steps": 0, "minutes": None, "tokens": None, "tasks": None, "evaluation": {"start": True}}
        yield Cell(UNTRAINED, 0, merge(shared, start))
        for seed in range(self.options.first_seed, self.options.first_seed + self.options.seeds):
            for cell in self.options.cell:
                preset = read_toml(preset_file(cell.preset)) if cell.preset else {}
                own = {"seed": seed, "evaluation": {"start": False}}
                yield Cell(cell.name, seed, merge(preset, shared, cell.settings, own))

    def directory(self, cell: Cell) -> RunDirectory:
        """Where a cell's run is kept."""
        return RunDirectory(self.folder / cell.run)


def read_study(path: Path, out: Path | None = None, seeds: int | None = None) -> Study:
    """The study in a file. Raises ConfigError that names what is wrong."""
    settings = read_toml(path)
    if "plugin_options" in settings:
        raise ConfigError(f"{path}: write plugins as a list; options of a plugin belong under [settings.plugin_options.NAME]")
    options = parse(StudyOptions, settings | ({"seeds": seeds} if seeds else {}), str(path))
    names = [UNTRAINED, *(cell.name for cell in options.cell)]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"{path}: two cells are named {min(doubled)!r}; {UNTRAINED!r} is always there")
    if options.reference and options.reference not in names:
        raise ConfigError(f"{path}: reference = {options.reference!r} is no cell")
    return Study(options, out or Path("studies") / path.stem)


def finished(directory: RunDirectory) -> bool:
    """Whether a run came to its end, its last measurement included."""
    if not (directory.path / "run.db").is_file():
        return False
    store = directory.open_store()
    try:
        return bool(store.get_note("complete"))
    finally:
        store.close()


def play(study: Study, jobs: int, listener: Listener, only: Sequence[str] = ()) -> None:
    """Run what is not finished, several cells at once. only: patterns of the runs that this machine shall play; empty: all.

    Raises RunError where the folder holds other settings, or that names the cells that failed, after the others.
    """
    claim(study)
    play_cells(study, _chosen(list(study.cells()), only), jobs, listener)


def play_cells(study: Study, cells: Sequence[Cell], jobs: int, listener: Listener) -> None:
    """Run those that are not finished. Raises RunError that names the ones that failed, after the others."""
    study.folder.mkdir(parents=True, exist_ok=True)
    waiting = [cell for cell in cells if not finished(study.directory(cell))]
    done, failed = len(cells) - len(waiting), []
    listener.phase("cells", done, len(cells))
    pool = ThreadPoolExecutor(max_workers=jobs)
    with Children() as children:
        try:
            futures = {pool.submit(_run, study, cell, jobs, children): cell.run for cell in waiting}
            for future in as_completed(futures):
                name, ended = futures[future], future.result()
                done += ended is Ending.FINISHED
                failed += [name] if ended is Ending.FAILED else []
                listener.note(f"{name}: {ended}{f'; see {study.folder / name}.log' if ended is Ending.FAILED else ''}")
                listener.phase("cells", done, len(cells))
        finally:
            pool.shutdown(cancel_futures=True)  # a signal reaches the cells too: they stop after their step, and no other begins
    if failed:
        raise RunError(f"{len(failed)} of {len(cells)} cells did not finish ({', '.join(failed[:3])}); the same command runs them again")


def claim(study: Study) -> None:
    """Make the folder, or see that what it holds was begun with the same settings. Raises RunError that lists what differs."""
    study.folder.mkdir(parents=True, exist_ok=True)
    for cell in study.cells():
        file = study.folder / f"{cell.run}.json"
        try:
            before = json.loads(file.read_text())
        except FileNotFoundError:
            continue
        except ValueError:
            raise RunError(f"{file} is no JSON; delete it, and the same command writes it again") from None
        changed = [f"{name} was {old!r}, is {new!r}" for name, old, new in differences(before, json.loads(json.dumps(cell.settings)))]
        if changed:
            mend = "choose another --out, or delete the folder"
            raise RunError(f"{study.folder} was begun with other settings ({cell.run}: {'; '.join(changed)}); {mend}")


def _chosen(cells: list[Cell], only: Sequence[str]) -> list[Cell]:
    for pattern in only:
        if not any(fnmatch(cell.run, pattern) for cell in cells):
            raise ConfigError(f"no run of the study is like {pattern!r}; {nearest(pattern, [cell.run for cell in cells])}")
    return [cell for cell in cells if not only or any(fnmatch(cell.run, pattern) for pattern in only)]


def _run(study: Study, cell: Cell, jobs: int, children: Children) -> Ending:
    """One cell in a process of its own: an `azr run`, taken up where it stopped."""
    directory = study.directory(cell)
    if directory.busy():
        return Ending.ELSEWHERE
    file = study.folder / f"{cell.run}.json"
    file.write_text(json.dumps(cell.settings, indent=1))
    begun = (directory.path / "run.db").is_file()
    command = [sys.executable, "-c", "from azr_core.cli import main; main()", "run", "--config", str(file)]
    command += ["--name", cell.run, "--runs-dir", str(study.folder), *(["--resume"] if begun else [])]
    threads = str(max(1, (os.cpu_count() or 1) // jobs))  # of the libraries that heed it, or the cells would fight for the cores
    with (study.folder / f"{cell.run}.log").open("ab") as log:
        code = children.run(command, stdin=DEVNULL, stdout=log, stderr=log, env={"OMP_NUM_THREADS": threads, **os.environ})
    return Ending.FINISHED if code == 0 and finished(directory) else Ending.FAILED


def histories(study: Study) -> dict[str, list[RunDirectory]]:
    """The finished runs of each cell."""
    found: dict[str, list[RunDirectory]] = {name: [] for name in study.names}
    for cell in study.cells():
        if finished(study.directory(cell)):
            found[cell.name].append(study.directory(cell))
    return found


def unfinished(found: Mapping[str, Sequence[RunDirectory]], study: Study) -> list[str]:
    """Cells with fewer runs than seeds."""
    return [name for name in study.names if len(found[name]) < (1 if name == UNTRAINED else study.options.seeds)]
