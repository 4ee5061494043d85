"""Commands that read what runs left behind; none loads a plugin."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from azr_core import report as reports
from azr_core import tables
from azr_core.curves import ALL
from azr_core.directory import RunDirectory, find, names
from azr_core.display import terminal
from azr_core.errors import AzrError, RunError
from azr_core.history import read
from azr_core.report import percent, points


def report(runs: Sequence[str], runs_dir: Path, *, as_json: bool) -> None:
    """Figures of runs: JSON alone, or tables here and files in each run's folder."""
    histories = [read(find(name, runs_dir).path) for name in runs]
    if as_json:
        figures = [reports.summary(history) for history in histories]
        print(json.dumps(figures if len(figures) > 1 else figures[0], indent=1))
        return
    console = terminal()
    for history in histories:
        console.print(f"[bold]{history.name}[/bold]: {history.last_step} steps")
        console.print(tables.accuracy(history))
        console.print(tables.health(history))
        _written(console, reports.write(history.directory))
    if len(histories) > 1:
        console.print(f"[bold]{len(histories)} runs together[/bold]")
        console.print(tables.seeds(histories))
        _written(console, reports.write_comparison(histories, runs_dir))


def episodes(run: str, runs_dir: Path, filters: Mapping[str, Any], limit: int) -> None:
    """The newest episodes that match, as text. Raises RunError where there is none."""
    store = find(run, runs_dir).open_store()
    try:
        rows = list(store.rows(**filters, limit=limit))
    finally:
        store.close()
    if not rows:
        raise RunError(f"{run}: no episode matches; loosen --environment, --role, --outcome or --step")
    console = terminal()
    for row in rows:
        console.print(tables.episode(row), soft_wrap=True)


def runs(runs_dir: Path) -> None:
    """The runs of a folder, oldest first."""
    rows = [_row(runs_dir / name) for name in names(runs_dir)]
    if not rows:
        print(f"no runs in {runs_dir}; start one with: azr run --plugin NAME")
        return
    terminal().print(tables.plain(("run", "steps", "seed", "plugins", "model", "held out"), rows))


def _written(console: Console, path: Path) -> None:
    console.print(f"written: {path}\n", markup=False, soft_wrap=True)


def _row(directory: Path) -> tuple[str, ...]:
    try:
        config = RunDirectory(directory).config()
        history = read(directory)
    except AzrError as error:
        return (directory.name, "-", "-", "-", "-", str(error))
    whole = [curve for curve in history.curves if curve.kind == ALL]
    gain = f" ({points(whole[0].gain)})" if whole and not whole[0].once else ""
    measured = f"{whole[0].benchmark} {whole[0].decoding} {percent(whole[0].end.mean)}{gain}" if whole else "not measured"
    model = Path(str(config["trainer"].get("model", "default"))).name
    return (
        directory.name,
        f"{history.last_step}/{config['steps']}",
        str(config["seed"]),
        ", ".join(Path(plugin).stem for plugin in config["plugins"]),
        model,
        measured,
    )
