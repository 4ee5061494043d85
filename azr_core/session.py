"""Commands that load a model, at a terminal: the display while it works, and what is said at the end."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from azr_core import report, run, study, study_report, tables
from azr_core.curves import curves
from azr_core.directory import RunDirectory, fresh_name, names
from azr_core.display import PlainDisplay, choose, plan_table, terminal
from azr_core.failures import crashes_logged
from azr_core.history import read
from azr_core.ranks import place
from azr_core.run import Request
from azr_core.runner import SPENDING
from azr_core.series import duration
from azr_core.types import Evaluation


def show_plan(request: Request) -> None:
    """What a run would do."""
    if place().rank:
        return run.follow(request)
    terminal().print(plan_table(run.plan(request)))


def play(request: Request) -> None:
    """Play a run to its end, write its report, and say what was gained. On ranks above 0: work for rank 0, in silence."""
    if place().rank:
        return run.follow(request)
    console = terminal()
    request = _named(request)
    display = choose(console)
    folder = request.runs_dir / str(request.name)
    if request.resume and (folder / "run.db").is_file():
        display.recall(_measured(folder))
    with crashes_logged(folder / "run.log"), display:
        directory = run.start(request, display)
    written = report.write(directory)
    history = read(directory)
    console.print()
    console.print(tables.accuracy(history))
    console.print(tables.health(history))
    lines = {
        "played": f"{history.last_step} steps in {duration(history.wall_s)}",
        "picture": str(written / "curves.png"),
        "health": str(written / "health.png"),
        "report": str(written / "report.md"),
        "episodes": f"azr show {_again(request, directory)}",
        **({"logs": str(directory / "logs")} if (directory / "logs").is_dir() else {}),
    }
    if display.stopped:
        limit = history.config.get("minutes")
        more = f" --minutes {2 * limit:g}" if limit and history.wall_s >= 60 * limit else ""
        budgets = {name: (history.config.get(name) or 0, history.total(metric)) for name, metric in SPENDING.items()}
        more += "".join(f" --set {name}={2 * budget}" for name, (budget, spent) in budgets.items() if 0 < budget <= spent)
        lines |= {"go on": f"azr run --resume --name {_again(request, directory)}{more}"}
    console.print(plan_table(lines), soft_wrap=True)


def measure(request: Request, benchmarks: Sequence[str] | None, *, as_json: bool) -> None:
    """Accuracy of one model on the benchmarks."""
    console = terminal(stderr=as_json)
    with choose(console) as display:
        measured = curves(run.evaluate_model(request, display, benchmarks))
    if as_json:
        figures = [
            {"name": c.benchmark, "kind": c.kind, "decoding": c.decoding, "n": c.n, "accuracy": c.end.mean, "ci95": [c.end.low, c.end.high]}
            for c in measured
        ]
        print(json.dumps(figures, indent=1))
    else:
        console.print(tables.levels((c.benchmark, c.kind, c.decoding, c.end, c.n) for c in measured))


def compare(file: Path, where: tuple[Path | None, int | None], *, jobs: int, as_json: bool) -> None:
    """Run a study's unfinished cells, then say what it found; with no jobs only the latter."""
    asked = study.read_study(file, *where)
    console = terminal(stderr=as_json)
    if jobs:
        with choose(console) as display:
            study.play(asked, jobs, display)
    found = study.histories(asked)
    rows = study_report.rows_of(asked, found)
    written = study_report.write(asked, rows, study.unfinished(found, asked))
    if as_json:
        print(json.dumps(study_report.as_json(rows), indent=1))
    else:
        console.print(study_report.table(rows, asked.reference), soft_wrap=True)
        console.print(f"{study_report.NOTE}; reference: {asked.reference}", style="dim", markup=False)
        console.print(plan_table({"written": str(written / "study.md"), "picture": str(written / "study.png")}), soft_wrap=True)


def teach(request: Request, out: Path, minutes: float) -> None:
    """Warm a model up from demonstrations; plain lines, since its listener hears of phases only."""
    console = terminal()
    with PlainDisplay(console) as display:
        run.warmup(request, out, minutes, display)
    plugins = " ".join(f"--plugin {shlex.quote(plugin)}" for plugin in request.plugins)
    console.print(plan_table({"written": str(out), "play it": f"azr run {plugins} --model {shlex.quote(str(out))}"}), soft_wrap=True)


def seed(request: Request, out: Path, tasks: int | None) -> None:
    """Grow seeds, and say how many there are."""
    console = terminal()
    with choose(console) as display:
        grown = run.grow_seeds(request, out, tasks, display)
    plugins = " ".join(f"--plugin {shlex.quote(plugin)}" for plugin in request.plugins)
    lines = {name: f"{count} seeds" for name, count in grown.items()}
    console.print(plan_table({**lines, "start from them": f"azr run {plugins} --set seeds={shlex.quote(str(out))}"}), soft_wrap=True)


def _measured(folder: Path) -> list[Evaluation]:
    store = RunDirectory(folder).open_store()
    try:
        return store.evaluations()
    finally:
        store.close()


def _named(request: Request) -> Request:
    """The request with its run's name settled, so that a crash at any moment knows its log."""
    if request.name:
        return request
    made = names(request.runs_dir)
    plugins = request.plugins or tuple(request.settings.get("plugins", ()))
    name = (made[-1] if made else None) if request.resume else fresh_name(request.runs_dir, plugins)
    return dataclasses.replace(request, name=name)


def _again(request: Request, directory: Path) -> str:
    """The run's name as later commands need it."""
    folder = "" if request.runs_dir == Path("runs") else f" --runs-dir {shlex.quote(str(request.runs_dir))}"
    return f"{shlex.quote(directory.name)}{folder}"
