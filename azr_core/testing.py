"""Fakes and checks for plugin authors: a scripted policy, a scripted trainer, `check_environment`, and `check`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from azr_core.interfaces import After, Environment, Play, Policy, Trainer
from azr_core.proctor import Proctor, Report
from azr_core.subject import Subject
from azr_core.trials import examine
from azr_core.types import Reply, Sampling, Task
from azr_core.verification import Verification


class ScriptedPolicy(Policy):
    """A policy that replies from a queue, or with a function of the prompt. prompts: every prompt it was asked, in order.

    One token a word, so that counts are not zero; log-probabilities are 0 nats.
    """

    def __init__(self, replies: Sequence[str] | Callable[[str], str]) -> None:
        self._answer = replies if callable(replies) else self._next
        self._queue = [] if callable(replies) else list(replies)
        self.prompts: list[str] = []

    def sample(self, prompts: Sequence[str], sampling: Sampling, n: int = 1) -> list[list[Reply]]:
        """n replies for each prompt."""
        self.prompts += prompts
        return [[_reply(prompt, self._answer(prompt)) for _ in range(n)] for prompt in prompts]

    def _next(self, prompt: str) -> str:
        if not self._queue:
            raise AssertionError(f"the script has no reply left for {prompt[-80:]!r}")
        return self._queue.pop(0)


def _reply(prompt: str, text: str) -> Reply:
    count = max(1, len(text.split()))
    return Reply(text, range(len(prompt.split())), range(count), (0.0,) * count)


class ScriptedTrainer(Trainer):
    """A trainer that learns nothing and counts its updates."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.updates = 0

    def fit(self, play: Play, after: After, first: int, last: int) -> None:
        """Play each step, count it, report it."""
        for step in range(first, last + 1):
            episodes = play(self.policy, step)
            self.updates += 1
            tokens = sum(len(episode.reply.token_ids) for episode in episodes if episode.trained)
            if after(step, {"seconds/train": 0.0, "tokens/trained": float(tokens), "train/updates": float(self.updates)}):
                return

    def save(self, directory: Path) -> None:
        """Write the counter."""
        (directory / "scripted.json").write_text(json.dumps({"updates": self.updates}))

    def load(self, directory: Path) -> None:
        """Read the counter."""
        self.updates = json.loads((directory / "scripted.json").read_text())["updates"]


def check_environment(environment: Environment, references: Sequence[Task] = ()) -> list[str]:
    """What is wrong with an environment, one sentence each; empty if nothing was found. Warnings are left out.

    Runs every trial of `azr plugins check` here, in this process, so a verifier that hangs is not stopped: for that use `check`.
    references: tasks to show, where the environment is shown those of others.
    """
    with tempfile.TemporaryDirectory() as scratch, closing(Verification()) as verification:
        subject = Subject(environment, verification, Path(scratch, "canary"), shown=references)
        return [str(finding) for _, findings in examine(subject) for finding in findings if finding.grave]


def check(plugin: str, *beside: str, settings: Mapping[str, Any] | None = None) -> Report:
    """What `azr plugins check` finds out about a plugin, by name or path, in a process of its own. beside: plugins to load before it."""
    return Proctor(plugin, (*beside, plugin), settings or {}).check()
