"""The command `azr study`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def study(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The study: plugins, settings, cells; see configs/studies/.")],
    *,
    out: Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="Where its runs are kept; studies/FILE if left out.")] = None,
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, help="Runs a cell, instead of the file's number.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Cells at once; give each a core: trainer.threads = 1.")] = 1,
    only_report: Annotated[bool, typer.Option("--report", help="Run nothing; report what is finished.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only: the cells with their gains, as fractions.")] = False,
) -> None:
    """[bold]Compare settings[/bold] over several seeds on equal budgets: gains over the untrained model, with intervals.

    Each cell is an ordinary run in the folder. Whatever ends a study, the same command goes on where it stopped.

    \b
    [dim]Examples[/dim]
    azr study configs/studies/algorithm.toml --jobs 2
    azr study configs/studies/algorithm.toml --report
    """
    from azr_core import session

    session.compare(file, (out, seeds), jobs=0 if only_report else jobs, as_json=as_json)
