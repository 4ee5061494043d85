"""Appends the metrics of every step to a file, one JSON object a line.

azr run --plugin python --plugin plugins/step_log.py --set plugins.step_log.file=mine.jsonl
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import Field

import azr_core as azr


class Options(azr.Options):
    """`[plugins.step_log]`."""

    file: Path = Field(default=Path("steps.jsonl"), description="file that grows by a line a step; relative to the working directory")


@azr.hookimpl
def azr_step(report: azr.StepReport, config: azr.RunConfig) -> None:
    """One line. A step that a resumed run plays again is there again; the last line of a step counts."""
    file = azr.plugin_options(config, "step_log", Options).file
    line = json.dumps({"step": report.step, "episodes": len(report.episodes)} | dict(report.metrics))
    try:
        with file.open("a") as stream:
            stream.write(f"{line}\n")
    except OSError as error:
        raise azr.RunError(f"[plugins.step_log]: cannot write {file}: {error.strerror}; choose another file") from error
