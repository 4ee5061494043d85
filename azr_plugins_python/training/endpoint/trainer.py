"""A trainer that learns nothing: it plays a model behind a server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import azr_core as azr
from azr_plugins_python.training.endpoint.options import EndpointOptions
from azr_plugins_python.training.endpoint.policy import EndpointPolicy
from azr_plugins_python.training.endpoint.server import Server

PLAYED = "endpoint.json"


class EndpointTrainer(azr.Trainer):
    """A run with it collects tasks and solve rates. Its checkpoints hold only the model's name, which must stay the same."""

    policy: EndpointPolicy

    def __init__(self, options: EndpointOptions, config: azr.RunConfig) -> None:
        self.options = options
        self.server = Server(options)
        self._check(config)
        end = "<|end|>" if config.style is azr.Style.COMPACT else ""
        self.policy = EndpointPolicy(self.server, end=end, prompt_tokens=config.prompt_tokens)

    def _check(self, config: azr.RunConfig) -> None:
        context, reply = self.server.context, max(config.propose_tokens, config.solve_tokens)
        if config.steps and context is not None and reply >= context:
            raise azr.ConfigError(
                f"the endpoint's model holds {context} tokens and a reply may take {reply}; set propose_tokens and solve_tokens lower"
            )

    def fit(self, play: azr.Play, after: azr.After, first: int, last: int) -> None:
        for step in range(first, last + 1):
            play(self.policy, step)
            if after(step, {"seconds/train": 0.0, "tokens/trained": 0.0}):
                return

    def save(self, directory: Path) -> None:
        (directory / PLAYED).write_text(json.dumps({"model": self.server.model}))

    def load(self, directory: Path) -> None:
        try:
            played = json.loads((directory / PLAYED).read_text())["model"]
        except (OSError, ValueError, KeyError, TypeError):
            raise azr.RunError(f"{directory} holds no {PLAYED}; resume from a folder that a run with an endpoint has written") from None
        if played != self.server.model:
            raise azr.RunError(f"the run was played by {played!r}, the endpoint serves {self.server.model!r}; serve the former again")

    def describe(self) -> Mapping[str, str]:
        return {
            "model": self.server.model,
            "endpoint": f"{self.options.url}, {self.options.api}, {self.options.concurrency} requests at a time; nothing is learned",
        }
