"""The command `azr eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from azr_core import options as given

PUBLIC = "Public benchmarks"

Target = Annotated[str | None, typer.Argument(metavar="[MODEL_OR_RUN]", help="A model, or a run, which means its newest checkpoint.")]
Benchmarks = Annotated[list[str] | None, typer.Option("--benchmark", "-b", help="Benchmark to measure; repeatable.")]
Folder = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Folder of their files; else they are downloaded.", rich_help_panel=PUBLIC)
]
Samples = Annotated[int, typer.Option("--samples", min=1, help="Replies to each question.", rich_help_panel=PUBLIC)]
Temperature = Annotated[float, typer.Option("--temperature", min=0.0, help="0 is greedy.", rich_help_panel=PUBLIC)]
PassAt = Annotated[str, typer.Option("--k", metavar="K,...", help="pass@k to tell, such as 1,10.", rich_help_panel=PUBLIC)]
MaxTokens = Annotated[
    int | None, typer.Option("--max-tokens", min=1, help="Longest reply, tokens; else the benchmark's own.", rich_help_panel=PUBLIC)
]
Limit = Annotated[int | None, typer.Option("--limit", "-l", min=1, help="Only the first so many questions.", rich_help_panel=PUBLIC)]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE.json", help="Result file; else one in results/.", rich_help_panel=PUBLIC)]
SelfTest = Annotated[bool, typer.Option("--self-test", help="Score the benchmarks' own golds, not a model.", rich_help_panel=PUBLIC)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON: accuracies as fractions.")]


def evaluate(
    target: Target = None,
    *,
    plugin: given.PluginNames = None,
    model: given.Model = None,
    endpoint: given.Endpoint = None,
    preset: given.Preset = None,
    config: given.ConfigFiles = None,
    assign: given.Assignments = None,
    seed: given.Seed = None,
    verify_on: given.VerifyOn = None,
    unsandboxed: given.Unsandboxed = False,
    runs_dir: given.RunsDir = given.RUNS,
    benchmark: Benchmarks = None,
    data: Folder = None,
    samples: Samples = 1,
    temperature: Temperature = 0.0,
    k: PassAt = "1",
    max_tokens: MaxTokens = None,
    limit: Limit = None,
    out: Out = None,
    self_test: SelfTest = False,
    as_json: AsJson = False,
) -> None:
    """[bold]Measure a model[/bold], without training: on its plugins' held-out benchmarks, or on public ones by name (docs/benchmarks.md).

    \b
    [dim]Examples[/dim]
    azr eval --plugin python
    azr eval python-001 --json
    azr eval FOLDER --benchmark mbpp+ --samples 10 --temperature 0.8 --k 1,10 --data DIR
    azr eval --self-test --data DIR
    """
    from azr_core import measuring

    flags = (*given.played_by(model, endpoint), ("seed", seed), ("verify_on", verify_on), ("accept_unsandboxed", unsandboxed or None))
    request = measuring.request_of(target, plugin or (), given.Chosen(preset, config or (), flags, assign or ()), runs_dir)
    wanted = measuring.Wanted(tuple(benchmark or ()), data, temperature, samples, k, max_tokens, limit, out, as_json)
    if not (measuring.check if self_test else measuring.evaluate)(request, wanted):
        raise typer.Exit(1)
