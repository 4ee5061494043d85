"""The command `azr`: what a person can ask for. Everything heavy is imported inside the verb that needs it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from azr_core import cli_eval, cli_export, cli_plugins, cli_seed, cli_serve, cli_study, cli_transfer
from azr_core import options as given
from azr_core.errors import ConfigError
from azr_core.failures import failures_told
from azr_core.ranks import place
from azr_core.types import Outcome, Role

if TYPE_CHECKING:
    from azr_core.run import Request

app = typer.Typer(
    name="azr", no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False, add_completion=False,
    help="One model proposes tasks, a verifier decides, the model solves them, and learns from both.\n\n"
    "Start here: [bold]azr run --plugin python[/bold]",
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip
app.add_typer(cli_plugins.app, name="plugins")


@app.command()
def run(
    *,
    plugin: given.PluginNames = None,
    model: given.Model = None,
    endpoint: given.Endpoint = None,
    preset: given.Preset = None,
    config: given.ConfigFiles = None,
    assign: given.Assignments = None,
    seed: given.Seed = None,
    steps: given.Steps = None,
    minutes: given.Minutes = None,
    verify_on: given.VerifyOn = None,
    unsandboxed: given.Unsandboxed = False,
    name: given.Name = None,
    runs_dir: given.RunsDir = given.RUNS,
    resume: given.Resume = False,
    log: given.Log = None,
    dry_run: given.DryRun = False,
) -> None:
    """[bold]Play and learn[/bold]: propose, verify, solve, update, and measure on held-out tasks.

    Shows the plan, then progress, then what was gained, with a picture. Ctrl-C stops after the step.

    \b
    [dim]Examples[/dim]
    azr run --plugin python
    azr run --plugin python --minutes 5 --seed 1
    azr run --plugin ./sorting.py --set batch_size=8
    azr run --resume --name python-001
    """
    from azr_core import session

    where = (("verify_on", verify_on), ("accept_unsandboxed", unsandboxed or None), ("log", log or None))
    flags = (*given.played_by(model, endpoint), ("seed", seed), ("steps", steps), ("minutes", minutes), *where)
    request = _request(plugin, given.Chosen(preset, config or (), flags, assign or ()), name, runs_dir, resume)
    (session.show_plan if dry_run else session.play)(request)


app.command("eval")(cli_eval.evaluate)


@app.command()
def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Names of runs, or their folders.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only: one object, or a list for several runs.")] = False,
    runs_dir: given.RunsDir = given.RUNS,
) -> None:
    """[bold]What a run gained[/bold]: tables here; a page, JSON and a picture in its folder report/.

    Several runs are compared: mean over them, and one picture.

    \b
    [dim]Examples[/dim]
    azr report python-001
    azr report python-001 python-002 python-003
    azr report python-001 --json
    """
    from azr_core import reading

    reading.report(runs, runs_dir, as_json=as_json)


@app.command()
def show(
    run: given.RunName,
    *,
    environment: Annotated[str | None, typer.Option("--environment", "-e", metavar="DOMAIN/KIND", help="Only of this environment.")] = None,
    role: Annotated[Role | None, typer.Option("--role", "-r", help="Only of this role.")] = None,
    outcome: Annotated[Outcome | None, typer.Option("--outcome", "-o", help="Only with this outcome.")] = None,
    step: Annotated[int | None, typer.Option("--step", help="Only of this step.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-l", min=1, help="The newest so many.")] = 10,
    runs_dir: given.RunsDir = given.RUNS,
) -> None:
    """[bold]Read episodes[/bold]: prompt, reply, verdict and its reason, oldest first.

    \b
    [dim]Examples[/dim]
    azr show python-001 --role propose --outcome admitted
    azr show python-001 --outcome malformed --limit 3
    """
    from azr_core import reading

    filters = {"environment": environment, "role": role, "outcome": outcome, "step": step}
    reading.episodes(run, runs_dir, filters, limit)


@app.command("runs")
def list_runs(*, runs_dir: given.RunsDir = given.RUNS) -> None:
    """[bold]List runs[/bold], oldest first."""
    from azr_core import reading

    reading.runs(runs_dir)


@app.command("config")
def show_config(
    *,
    show: Annotated[bool, typer.Option("--show", help="Print every setting of a run as TOML, with what it means.")] = False,
    plugin: given.PluginNames = None,
    model: given.Model = None,
    preset: given.Preset = None,
    config: given.ConfigFiles = None,
    assign: given.Assignments = None,
) -> None:
    """[bold]See the settings[/bold] a run would have: defaults, model's file, preset, files and flags together.

    \b
    [dim]Examples[/dim]
    azr config --show --plugin python
    azr config --show --plugin python > mine.toml
    """
    from azr_core.run import resolve
    from azr_core.toml import toml

    if not show:
        raise ConfigError("say what to do with the settings: azr config --show --plugin NAME")
    settled, plugins = resolve(_request(plugin, given.Chosen(preset, config or (), (("trainer.model", model),), assign or ())))
    plugins.close()
    typer.echo(toml(settled), nl=False)


@app.command()
def warmup(
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the model is written; one begun there is gone on with.")],
    *,
    minutes: Annotated[float, typer.Option("--minutes", min=0.0, help="Wall time to spend, that of earlier parts included.")] = 30.0,
    plugin: given.PluginNames = None,
    model: given.Model = None,
    preset: given.Preset = None,
    config: given.ConfigFiles = None,
    assign: given.Assignments = None,
    seed: given.Seed = None,
) -> None:
    """[bold]Teach a small model[/bold] a plugin's tasks from the plugin's own worked examples, before self-play.

    Ctrl-C saves, and the same command goes on; so does one with more minutes. Working files lie beside the folder, in FOLDER.work.

    \b
    [dim]Example[/dim]
    azr warmup --plugin ./sorting.py --out models/sorting --minutes 10
    """
    from azr_core import session

    chosen = given.Chosen(preset, config or (), (("trainer.model", model), ("seed", seed)), assign or ())
    session.teach(_request(plugin, chosen), out, minutes)


app.command("seed")(cli_seed.seed)
app.command("serve")(cli_serve.serve)
app.add_typer(cli_export.app, name="export")
app.command("study")(cli_study.study)
app.command("transfer")(cli_transfer.transfer)


@app.command()
def doctor(
    *,
    plugin: given.PluginNames = None,
    runs_dir: given.RunsDir = given.RUNS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only: one object.")] = False,
) -> None:
    """[bold]What works here[/bold]: machine, packages, devices, models, plugins, and the sandbox's self-test, one by one.

    What is missing or broken comes with what to do about it. Exit code 0 if all that is needed works, else 1. JSON: `sound`, and `checks`,
    a list of `section`, `about` (environments), `name`, `held` (false: broken), `observed`, `mend` (empty: nothing to do).

    \b
    [dim]Examples[/dim]
    azr doctor
    azr doctor --plugin ./sorting.py --json
    """
    from azr_core.doctor import tell

    if not tell(plugin or (), runs_dir, as_json=as_json):
        raise typer.Exit(1)


def _request(
    plugin: Sequence[str] | None, chosen: given.Chosen, name: str | None = None, runs_dir: Path = given.RUNS, resume: bool = False
) -> Request:
    from azr_core.run import Request

    return Request(tuple(plugin or ()), chosen.settings(), name, runs_dir, resume)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point. Exit codes: 0, 1 for a bug, 2 for something the user can mend, 130 for Ctrl-C twice."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a character still shows the rest
    with failures_told():
        words = sys.argv[1:] if arguments is None else arguments
        if place().count > 1 and words and words[0] != "run":
            raise ConfigError(f"azr {words[0]} works in one process; only azr run may be started by a launcher")
        sys.exit(app(arguments, prog_name="azr", standalone_mode=False) or 0)
