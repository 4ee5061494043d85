"""The commands `azr export`: the model of a run, or its tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from azr_core import options as given


class Exports(TyperGroup):
    """Without a word for what is exported it is the model: `azr export RUN --to DIR`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        asks = {*self.commands, *ctx.help_option_names}
        return super().parse_args(ctx, args if not args or args[0] in asks else ["model", *args])


app = typer.Typer(cls=Exports, no_args_is_help=True, help="Give a run's model away, or its tasks.")


To = Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder of the model; new, or empty.")]
Step = Annotated[int | None, typer.Option("--step", min=1, help="Checkpoint of this step; the newest if left out.")]
Licence = Annotated[str | None, typer.Option("--license", metavar="ID", help="Licence, such as apache-2.0; the base model's if left out.")]
Push = Annotated[
    str | None, typer.Option("--push", metavar="OWNER/NAME", help="Upload it to the hub too; a new repository there is private.")
]


@app.command("model")
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

    The folder appears whole or not at all. Nothing leaves this machine without --push. `azr export RUN` is short for it.

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


@app.command("tasks")
def export_tasks(
    run: given.RunName,
    *,
    form: Annotated[str, typer.Option("--format", metavar="jsonl|parquet|hf|verl|lm-eval", help="Who reads them.")] = "jsonl",
    to: Annotated[Path, typer.Option("--to", metavar="PATH", help="File, or for hf and lm-eval folder, that does not exist yet.")],
    runs_dir: given.RunsDir = given.RUNS,
) -> None:
    """[bold]Give the tasks of a run away[/bold]: prompts in the run's style, answers, parents, and how often each was solved.

    hf is a dataset folder, verl a parquet file for its trainers, lm-eval a folder for `lm_eval --include_path`. What they hold:
    docs/outward.md.

    \b
    [dim]Examples[/dim]
    azr export tasks python-001 --to tasks.jsonl
    azr export tasks python-001 --format hf --to datasets/python-001
    azr export tasks python-001 --format lm-eval --to evals/python-001
    """
    from azr_core.display import plan_table, terminal
    from azr_core.outward import export_tasks as write

    count = write(run, runs_dir, form, to)
    terminal().print(plan_table({"written": str(to), "tasks": str(count), "format": form}), soft_wrap=True)
