"""The command `azr export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from azr_core import options as given

To = Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder of the model; new, or empty.")]
Step = Annotated[int | None, typer.Option("--step", min=1, help="Checkpoint of this step; the newest if left out.")]
Licence = Annotated[str | None, typer.Option("--license", metavar="ID", help="Licence, such as apache-2.0; the base model's if left out.")]
Push = Annotated[
    str | None, typer.Option("--push", metavar="OWNER/NAME", help="Upload it to the hub too; a new repository there is private.")
]


def export(
    run: given.RunName,
    *,
    to: To,
    step: Step = None,
    licence: Licence = None,
    push: Push = None,
    runs_dir: given.RunsDir = given.RUNS,
) -> None:
    """[bold]Give a model away[/bold]: a folder that transformers, the hub and azr load, with a card made from the run.

    The folder appears whole or not at all. Nothing leaves this machine without --push.

    \b
    [dim]Examples[/dim]
    azr export python-001 --to models/mine
    azr export python-001 --step 100 --to models/mine-100 --license apache-2.0
    azr export python-001 --to models/mine --push ME/mine
    """
    from azr_core import hub
    from azr_core.card import UNKNOWN
    from azr_core.display import plan_table, terminal
    from azr_core.export import Wanted
    from azr_core.export import export as write

    api = hub.connect(push) if push else None
    made = write(Wanted(run, runs_dir, step, licence, push), to)
    told = {"written": str(made.folder), "step": str(made.step), "licence": made.licence or UNKNOWN}
    if api and push:
        told["pushed"] = hub.push(api, made.folder, push, f"{run}, step {made.step}, by azr export")
    terminal().print(plan_table(told), soft_wrap=True)
