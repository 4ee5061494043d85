"""The options that commands share, and how they become settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from azr_core.config import assignment, merge, read_toml
from azr_core.errors import ConfigError, nearest

WHAT, HOW_LONG, WHERE = "What is played", "How long", "Where it is kept"

PluginNames = Annotated[
    list[str] | None,
    typer.Option("--plugin", "-p", metavar="NAME|FILE.py", help="Plugin to play, installed or a file; repeatable.", rich_help_panel=WHAT),
]
ConfigFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="TOML file of settings, yours or one azr ships; repeatable, later ones win.",
        rich_help_panel=WHAT,
    ),
]
Preset = Annotated[str | None, typer.Option("--preset", metavar="NAME", help="Settings that azr ships.", rich_help_panel=WHAT)]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="NAME=VALUE", help="One setting, such as batch_size=8; repeatable.", rich_help_panel=WHAT),
]
Model = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="FOLDER|ID", help="Model to train, short for --set trainer.model=…", rich_help_panel=WHAT),
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        metavar="URL",
        help="OpenAI-compatible server whose --model plays and does not learn, short for --set trainer.name=endpoint with trainer.url=…",
        rich_help_panel=WHAT,
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of every random stream.", rich_help_panel=WHAT)]
Unsandboxed = Annotated[
    bool,
    typer.Option(
        "--i-accept-unsandboxed-execution",
        help="Run model-written programs even where nothing contains them (dangerous).",
        rich_help_panel=WHAT,
    ),
]
Steps = Annotated[int | None, typer.Option("--steps", "-n", min=0, help="Self-play steps.", rich_help_panel=HOW_LONG)]
Minutes = Annotated[float | None, typer.Option("--minutes", help="Stop after this much wall time.", rich_help_panel=HOW_LONG)]
VerifyOn = Annotated[
    str | None,
    typer.Option("--verify-on", metavar="ray://HOST:PORT|local", help="Ray cluster that verifies; local starts Ray here (azr[ray])."),
]
Name = Annotated[str | None, typer.Option("--name", help="Name of the run; made from the plugin if left out.", rich_help_panel=WHERE)]
RunsDir = Annotated[Path, typer.Option("--runs-dir", metavar="FOLDER", help="Folder that holds the runs.", rich_help_panel=WHERE)]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run of that name, else with the newest.", rich_help_panel=WHERE)]
Log = Annotated[
    list[str] | None,
    typer.Option(
        "--log",
        metavar="tensorboard|trackio|wandb",
        help="Write the numbers for it too, in the run's folder; repeatable.",
        rich_help_panel=WHERE,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Load everything, show the plan, and stop.", rich_help_panel=HOW_LONG)]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="Name of a run, or its folder.")]

RUNS = Path("runs")


@dataclass(frozen=True)
class Chosen:
    """What the user set, before it is merged: a preset below files below flags below single settings."""

    preset: str | None = None
    files: Sequence[Path] = ()
    flags: tuple[tuple[str, Any], ...] = ()
    assignments: Sequence[str] = ()

    def settings(self) -> dict[str, Any]:
        """All of it as nested settings. Raises ConfigError."""
        preset = [preset_file(self.preset)] if self.preset else []
        named = [assignment(text) for text in self.assignments]
        return merge(*(read_toml(file) for file in [*preset, *map(_found, self.files)]), *(_nested(*flag) for flag in self.flags), *named)


def played_by(model: str | None, endpoint: str | None) -> tuple[tuple[str, Any], ...]:
    """Flags that say whose model it is."""
    return ("trainer.name", "endpoint" if endpoint else None), ("trainer.url", endpoint), ("trainer.model", model)


def _nested(name: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    outer, _, inner = name.partition(".")
    return {outer: {inner: value} if inner else value}


def preset_file(name: str) -> Path:
    """File of a preset. Raises ConfigError with the nearest name."""
    files = {file.stem: file for folder in _config_folders() for file in sorted(folder.glob("*.toml"))}
    if name not in files:
        raise ConfigError(f"no preset {name!r}; {nearest(name, files)}")
    return files[name]


def _found(file: Path) -> Path:
    """A file of settings: where the user says, else in the shipped configs/, such as models/qwen2.5-7b.toml."""
    shipped = [folder.parent / file for folder in _config_folders()]
    return next((one for one in (file, *shipped) if one.is_file()), file)


def _config_folders() -> list[Path]:
    """configs/presets/ inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    return [folder for folder in (package / "configs/presets", package.parent / "configs/presets") if folder.is_dir()][:1]
