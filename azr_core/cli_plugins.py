"""The commands `azr plugins`: what is installed, and whether it does what it should."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from azr_core import options as given

app = typer.Typer(no_args_is_help=True, help="What is installed, and whether it does what it should.")


@app.command("list")
def list_plugins() -> None:
    """[bold]List installed plugins[/bold] from their metadata; none is imported."""
    from azr_core.loading import installed

    for plugin in installed():
        typer.echo(f"{plugin.name:<12} {plugin.module:<32} {plugin.distribution} {plugin.version}")


@app.command("check")
def check(
    plugin: Annotated[str, typer.Argument(metavar="NAME|FILE.py", help="Plugin to check, installed or a file.")],
    *,
    cases: Annotated[
        Path | None, typer.Option("--cases", metavar="FILE.jsonl", help="Recorded cases to grade, one JSON object a line.")
    ] = None,
    config: given.ConfigFiles = None,
    assign: given.Assignments = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only: one object.")] = False,
) -> None:
    """[bold]Check a plugin[/bold]: does it decide as recorded cases say, or, without cases, is anything wrong with its environments?

    Exit code 0 if all is well, 1 if something differs or was found, 2 if the file or the plugin is broken.

    \b
    [dim]Examples[/dim]
    azr plugins check ./sorting.py
    azr plugins check python --cases cases.jsonl
    azr plugins check python --cases cases.jsonl --set plugins.python.match=strict --json
    """
    from azr_core import checking
    from azr_core.run import Request

    request = Request((plugin,), given.Chosen(files=config or (), assignments=assign or ()).settings())
    well = checking.check_cases(request, cases, as_json=as_json) if cases else checking.check_environments(request, as_json=as_json)
    if not well:
        raise typer.Exit(1)
