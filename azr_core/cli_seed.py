"""The command `azr seed`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from azr_core import options as given


def seed(
    out: Annotated[Path, typer.Option("--out", metavar="FILE.jsonl", help="Where the seeds are written; a file begun is gone on with.")],
    *,
    tasks: Annotated[int | None, typer.Option("--tasks", min=1, help="Seeds of each set; left out: four times batch_size [4B].")] = None,
    plugin: given.PluginNames = None,
    model: given.Model = None,
    endpoint: given.Endpoint = None,
    preset: given.Preset = None,
    config: given.ConfigFiles = None,
    assign: given.Assignments = None,
    seed: given.Seed = None,
    unsandboxed: given.Unsandboxed = False,
) -> None:
    """[bold]Grow seeds[/bold]: the model proposes tasks to begin with, from the first seed of each environment on, and learns nothing.

    What passes the gate is written, one JSON object a line; environments that share a form share their seeds. Ctrl-C stops after the round,
    and the same command goes on. A run starts from the file with --set seeds=FILE.

    \b
    [dim]Examples[/dim]
    azr seed --plugin python --model FOLDER --out seeds.jsonl --tasks 256
    azr run --plugin python --model FOLDER --set seeds=seeds.jsonl
    """
    from azr_core import session
    from azr_core.run import Request

    flags = (*given.played_by(model, endpoint), ("seed", seed), ("accept_unsandboxed", unsandboxed or None))
    chosen = given.Chosen(preset, config or (), flags, assign or ())
    session.seed(Request(tuple(plugin or ()), chosen.settings()), out, tasks)
