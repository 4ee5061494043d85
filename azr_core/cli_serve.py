"""The command `azr serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from azr_core import options as given
from azr_core.cli_eval import Target

LISTEN = "Where it listens"

Host = Annotated[str, typer.Option("--host", help="Address to listen on; any but this machine's own needs a key.", rich_help_panel=LISTEN)]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 is any free one.", rich_help_panel=LISTEN)]
Key = Annotated[
    str | None,
    typer.Option("--api-key", envvar="AZR_API_KEY", help="What clients must send; better in AZR_API_KEY.", rich_help_panel=LISTEN),
]
Name = Annotated[str | None, typer.Option("--name", help="What clients call the model; its folder's name if left out.")]
Engine = Annotated[str, typer.Option("--engine", metavar="auto|built-in|vllm", help="Who samples; auto is vLLM where it is installed.")]


def serve(
    target: Target = None,
    *,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    key: Key = None,
    name: Name = None,
    engine: Engine = "auto",
    plugin: given.PluginNames = None,
    model: given.Model = None,
    assign: given.Assignments = None,
    runs_dir: given.RunsDir = given.RUNS,
) -> None:
    """[bold]Serve a model[/bold] to tools that speak OpenAI's protocol, such as lm-eval and evalplus (docs/serving.md).

    Without a name the embedded model. Ctrl-C ends it.

    \b
    [dim]Examples[/dim]
    azr serve
    azr serve python-001 --port 8001
    azr serve FOLDER --name mine --engine built-in
    """
    from azr_core import hosting, measuring

    request = measuring.request_of(target, plugin or (), given.Chosen(None, (), (("trainer.model", model),), assign or ()), runs_dir)
    hosting.serve(request, hosting.Place(host, port, key or None), name, hosting.chosen(engine))
