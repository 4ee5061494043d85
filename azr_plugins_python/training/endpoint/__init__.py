"""The trainer `endpoint`: a frozen model behind any OpenAI-compatible server plays or is measured. Nothing is learned; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import azr_core as azr
from azr_plugins_python.training.endpoint.options import EndpointOptions


@azr.hookimpl
def azr_trainer(part: azr.Part, config: azr.RunConfig) -> azr.Trainer | None:
    """`endpoint`."""
    if part.name != "endpoint":
        return None
    options = azr.parse(EndpointOptions, part.options, "the part endpoint")
    if find_spec("openai") is None:
        raise azr.UsageError("an endpoint is asked through the package openai, which is not installed; pip install 'azr[endpoint]'")
    from azr_plugins_python.training.endpoint.trainer import EndpointTrainer

    return EndpointTrainer(options, config)


@azr.hookimpl
def azr_defaults(settings: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Checkpoints cost nothing here, so a server that dies takes only the step at hand with it. Chat has a style of its own."""
    trainer = settings.get("trainer")
    if not isinstance(trainer, Mapping) or trainer.get("name") != "endpoint":
        return None
    style = {"style": azr.Style.CHAT.value} if trainer.get("api") == "chat" else {}
    return {"checkpoint_every": 1, **style}
