"""The commands `azr plugins`: what is installed, whether it does what it should, and a new one to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from azr_core import options as given

app = typer.Typer(no_args_is_help=True, help="What is installed, whether it does what it should, and a new one.")


@app.command("list")
def list_plugins() -> None:
    """[bold]List installed plugins[/bold] from their metadata; none is imported."""
    from azr_core.loading import installed

    for plugin in installed():
        typer.echo(f"{plugin.name:<12} {plugin.module:<32} {plugin.distribution} {plugin.version}")


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the plugin is called: small letters, digits and _.")],
    *,
    package: Annotated[bool, typer.Option("--package", help="A package that pip installs, with a test, instead of one file.")] = False,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder in which it is written.")] = Path(),
) -> None:
    """[bold]Begin a plugin[/bold] that runs as it is: NAME.py, or with --package a folder NAME. Nothing that exists is overwritten.

    \b
    [dim]Examples[/dim]
    azr plugins new word_games
    azr plugins new word_games --package --to ~/plugins
    """
    from azr_core.scaffold import write_file, write_package

    draft = (write_package if package else write_file)(name, to.expanduser())
    for line in (*(f"wrote {file}" for file in draft.files), "", "next:", *(f"  {command}" for command in draft.commands)):
        typer.echo(line)


@app.command("check")
def check(
    plugins: Annotated[list[str], typer.Argument(metavar="NAME|FILE.py...", help="Plugins to check, installed or files.")],
    *,
    cases: Annotated[
        Path | None, typer.Option("--cases", metavar="FILE.jsonl", help="Recorded cases to grade, one JSON object a line.")
    ] = None,
    beside: Annotated[
        list[str] | None, typer.Option("--with", metavar="NAME|FILE.py", help="Plugin to load before it, such as the one it changes.")
    ] = None,
    config: given.ConfigFiles = None,
    assign: given.Assignments = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only: one object, or a list for several plugins.")] = False,
) -> None:
    """[bold]Check a plugin[/bold]: does it keep the law, and can its verifier be gamed? With cases: does it decide as they say?

    Each plugin is loaded and attacked in a process of its own. What is tried, and why: docs/verifier-security.md.
    Exit code 0 if all is well, 1 if something differs or was found, 2 if the file or the plugin is broken.

    \b
    [dim]Examples[/dim]
    azr plugins check ./sorting.py
    azr plugins check plugins/exact_text.py --with python
    azr plugins check python --cases cases.jsonl
    azr plugins check python --cases cases.jsonl --set plugins.python.match=strict --json
    """
    from azr_core import checking
    from azr_core.errors import UsageError
    from azr_core.run import Request

    settings = given.Chosen(files=config or (), assignments=assign or ()).settings()
    if cases and len(plugins) > 1:
        raise UsageError("--cases grades the cases of one plugin; name one")
    if cases:
        code = int(not checking.check_cases(Request((*(beside or ()), *plugins), settings), cases, as_json=as_json))
    else:
        code = checking.check_plugins([Request((plugin,), settings) for plugin in plugins], beside or (), as_json=as_json)
    if code:
        raise typer.Exit(code)
