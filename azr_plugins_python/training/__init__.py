"""The trainer `trl`: learns with TRL's GRPOTrainer and samples with a batched decoder. Torch is imported when a run asks for it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import azr_core as azr


@azr.hookimpl
def azr_trainer(part: azr.Part, config: azr.RunConfig) -> azr.Trainer | None:
    """`trl`."""
    if part.name != "trl":
        return None
    from azr_plugins_python.training.options import TrainerOptions

    options = azr.parse(TrainerOptions, part.options, "[trainer]")
    from azr_plugins_python.training.trainer import TrlTrainer

    return TrlTrainer(options, config)


@azr.hookimpl
def azr_export(checkpoint: Path, folder: Path) -> Path | None:
    """The base with a checkpoint's adapters merged into it."""
    if not (checkpoint / "adapter_config.json").is_file():
        return None
    from azr_plugins_python.training.learner import merge

    merge(checkpoint, folder)
    return folder


@azr.hookimpl
def azr_checks(config: azr.RunConfig) -> list[azr.Check]:
    """Devices and models."""
    from azr_plugins_python.training.machine import survey
    from azr_plugins_python.training.options import TrainerOptions

    return survey(azr.parse(TrainerOptions, config.trainer.options if config.trainer.name == "trl" else {}, "[trainer]"))


@azr.hookimpl
def azr_defaults(settings: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What the chosen model asks for in the `azr.toml` beside it: sizes, learning rate, prompt style; else the style that suits it."""
    from azr_plugins_python.training.options import EMBEDDED
    from azr_plugins_python.training.sources import located
    from azr_plugins_python.training.styles import manner

    trainer = settings.get("trainer", {})
    if not isinstance(trainer, Mapping) or trainer.get("name", "trl") != "trl":
        return None
    name, offline = str(trainer.get("model", EMBEDDED)), trainer.get("offline", True) is not False
    path = located(name, "azr.toml", offline=offline)
    try:
        asked = tomllib.loads(path.read_text()) if path else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise azr.ConfigError(f"{path}: not TOML: {error}; mend it or move it away") from None
    if "style" in settings or "style" in asked:
        return asked or None
    return {"style": manner(name, offline=offline).style.value} | asked
