"""The command `azr transfer`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from azr_core import options as given
from azr_core.options import HOW_LONG, WHAT, WHERE

Mixtures = Annotated[
    list[str] | None,
    typer.Option(
        "--mixture",
        metavar="'[SCHEDULE] [DOMAIN=SHARE,...]'",
        help="A mixture to train on, such as sequential, or 'mixed python=3,math=1'; repeatable. Default: mixed.",
        rich_help_panel=WHAT,
    ),
]
Controls = Annotated[
    bool, typer.Option("--controls/--no-controls", help="Train with a format-only and a random reward too.", rich_help_panel=WHAT)
]
Seeds = Annotated[int | None, typer.Option("--seeds", min=1, help="Runs a row; 3 if left out.", rich_help_panel=WHAT)]
Steps = Annotated[int | None, typer.Option("--steps", "-n", min=1, help="Steps a run, of as many prompts each.", rich_help_panel=HOW_LONG)]
Tokens = Annotated[int | None, typer.Option("--tokens", min=1, help="Generated tokens a run.", rich_help_panel=HOW_LONG)]
Hours = Annotated[
    float | None,
    typer.Option("--hours", help="Wall time of it all; a pilot finds a run's tokens.", rich_help_panel=HOW_LONG),
]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Runs at once; they share the cores.", rich_help_panel=HOW_LONG)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and what it could find, and stop.", rich_help_panel=HOW_LONG)]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FOLDER", help="Folder of its runs; else studies/transfer-…", rich_help_panel=WHERE),
]
Cells = Annotated[
    list[str] | None,
    typer.Option("--cells", metavar="PATTERN", help="Only runs named so, for one of several machines; repeatable.", rich_help_panel=WHERE),
]
OnlyReport = Annotated[bool, typer.Option("--report", help="Run nothing; report what is finished in --out.", rich_help_panel=WHERE)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only, as in matrix.json.")]


def transfer(
    *,
    plugin: given.PluginNames = None,
    model: given.Model = None,
    preset: given.Preset = None,
    config: given.ConfigFiles = None,
    assign: given.Assignments = None,
    mixture: Mixtures = None,
    controls: Controls = True,
    seeds: Seeds = None,
    steps: Steps = None,
    tokens: Tokens = None,
    hours: Hours = None,
    jobs: Jobs = 1,
    dry_run: DryRun = False,
    out: Out = None,
    cells: Cells = None,
    only_report: OnlyReport = False,
    as_json: AsJson = False,
) -> None:
    """[bold]Does learning one domain help another?[/bold] Train on each alone, on mixtures and on controls, and measure all on all.

    Every row has the same budget, every run is an ordinary one in the folder, and the same command goes on where it stopped. The result
    is a matrix of paired gains over the untrained model, with intervals over seeds and items: here, and as matrix.json, .csv, .md, .png.

    \b
    [dim]Examples[/dim]
    azr transfer --plugin python --plugin math --hours 2 --jobs 2
    azr transfer --plugin python --plugin ./sorting.py --steps 50 --mixture mixed --mixture sequential
    azr transfer --plugin python --plugin math --tokens 200000 --out /shared/study --cells 'python-*'
    azr transfer --report --out studies/transfer-python-math
    """
    from azr_core import crossing

    chosen = given.Chosen(preset, config or (), (("trainer.model", model),), assign or ())
    where = crossing.Where(out, jobs, tuple(cells or ()), dry_run=dry_run, only_report=only_report, as_json=as_json)
    asked = {"seeds": seeds, "steps": steps, "tokens": tokens, "hours": hours, "mixtures": tuple(mixture or ()) or None}
    crossing.cross(tuple(plugin or ()), chosen.settings(), asked | {"controls": None if controls else False}, where)
