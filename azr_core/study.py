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
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from azr_core.config import Options, merge, parse, read_toml
from azr_core.directory import RunDirectory
from azr_core.errors import ConfigError, RunError
from azr_core.options import preset_file
from azr_core.progress import Listener

UNTRAINED = "untrained"


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
        start = {"steps": 0, "evaluation": {"start": True}}
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


def play(study: Study, jobs: int, listener: Listener) -> None:
    """Run what is not finished, several cells at once. Raises RunError that names the cells that failed, after the others."""
    study.folder.mkdir(parents=True, exist_ok=True)
    cells = list(study.cells())
    waiting = [cell for cell in cells if not finished(study.directory(cell))]
    done, failed = len(cells) - len(waiting), []
    listener.phase("cells", done, len(cells))
    pool = ThreadPoolExecutor(max_workers=jobs)
    try:
        futures = {pool.submit(_run, study, cell): cell.run for cell in waiting}
        for future in as_completed(futures):
            done += future.result()
            failed += [] if future.result() else [futures[future]]
            said = "finished" if future.result() else f"failed; see {study.folder / (futures[future] + '.log')}"
            listener.note(f"{futures[future]}: {said}")
            listener.phase("cells", done, len(cells))
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C reaches the cells too: they stop after their step, and no other begins
    if failed:
        raise RunError(f"{len(failed)} of {len(cells)} cells did not finish ({', '.join(failed[:3])}); the same command runs them again")


def _run(study: Study, cell: Cell) -> bool:
    """One cell in a process of its own: an `azr run`, taken up where it stopped."""
    file = study.folder / f"{cell.run}.json"
    file.write_text(json.dumps(cell.settings, indent=1))
    begun = (study.directory(cell).path / "run.db").is_file()
    command = [sys.executable, "-c", "from azr_core.cli import main; main()", "run", "--config", str(file)]
    command += ["--name", cell.run, "--runs-dir", str(study.folder), *(["--resume"] if begun else [])]
    with (study.folder / f"{cell.run}.log").open("ab") as log:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ, check=False)
    return ended.returncode == 0 and finished(study.directory(cell))


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
