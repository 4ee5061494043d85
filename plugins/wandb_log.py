"""Shows what was said in Weights & Biases: a table of some episodes of every step. For numbers alone `--log wandb` needs no plugin.

python -m pip install wandb
azr run --plugin python --plugin plugins/wandb_log.py --set plugins.wandb_log.episodes=8

Nothing leaves this machine unless WANDB_MODE=online is set; `wandb sync` sends the folder later.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field

import azr_core as azr

try:
    import wandb
except ImportError as error:
    raise azr.UsageError("plugins/wandb_log.py needs wandb: python -m pip install wandb") from error

COLUMNS = ("step", "environment", "kind", "outcome", "reward", "solve_rate", "prompt", "reply")


class Options(azr.Options):
    """`[plugins.wandb_log]`."""

    episodes: int = Field(default=8, ge=1, description="episodes of a step that are shown, drawn at random")
    project: str = Field(default="azr", description="project in Weights & Biases")
    folder: Path = Field(default=Path("wandb_episodes"), description="where its files are kept; relative to the working directory")


@cache
def started(project: str, folder: Path) -> Any:
    """The run in Weights & Biases, begun when the first step ends. wandb finishes it when the process does."""
    folder.mkdir(parents=True, exist_ok=True)
    return wandb.init(project=project, dir=str(folder), mode=os.environ.get("WANDB_MODE", "offline"))


@azr.hookimpl
def azr_step(report: azr.StepReport, config: azr.RunConfig) -> None:
    """A table of the step. Which episodes are drawn depends on the seed and the step alone."""
    options = azr.plugin_options(config, "wandb_log", Options)
    rng = azr.chance(config.seed, report.step, "wandb_log")
    chosen = rng.sample(list(report.episodes), min(options.episodes, len(report.episodes)))
    rows = [
        [report.step, one.environment, str(one.kind), str(one.outcome), one.reward, one.solve_rate, one.prompt, one.reply.text]
        for one in chosen
    ]
    started(options.project, options.folder).log({"episodes": wandb.Table(columns=list(COLUMNS), data=rows)}, step=report.step)
