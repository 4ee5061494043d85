"""Environments for other trainers: tasks as rows of a dataset, and a reward function that asks azr's gate."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from azr_core.config import RunConfig, merge, parse
from azr_core.errors import FormatError, UsageError, nearest
from azr_core.interfaces import Environment
from azr_core.plugins import Plugins, load
from azr_core.prompts import Prompts
from azr_core.types import Outcome, Reply, Role, Task, Verdict, task_id
from azr_core.verification import Verification

Row = dict[str, Any]
Completion = str | Sequence[Mapping[str, Any]]


def reward_function(*plugins: str, style: str = "chat", settings: Mapping[str, Any] | None = None) -> RewardFunction:
    """The reward function of some plugins' environments, for TRL's trainers. Raises UsageError.

    plugins: names or paths. style: what replies look like (chat, paper, compact). settings: as in a file of settings, nested.
    """
    names = [str(Path(plugin).resolve()) if plugin.endswith(".py") else plugin for plugin in plugins]
    config = parse(RunConfig, merge(settings or {}, {"plugins": names, "style": style}), "reward_function")
    return RewardFunction(config, load(names))


class RewardFunction:
    """Called as TRL calls it: the score of each completion, 0..1; None where a verdict could not be had and the model is not to blame.

    The columns `environment` and `task` of the dataset say what was asked; `rows` has them, and so have exported tasks. Replies that do not
    have the style's form earn 0. What contains hostile work is the plugins' own, as in a run.
    """

    def __init__(self, config: RunConfig, plugins: Plugins) -> None:
        self.__name__ = "azr"  # what TRL calls it in its logs
        self.environments: Mapping[str, Environment] = plugins.environments(config)
        self._prompts = Prompts(config.style)
        self._plugins = plugins
        self._verification = Verification(config, plugins)

    def __call__(
        self, prompts: Sequence[Any], completions: Sequence[Completion], *, environment: Sequence[str], task: Sequence[str], **others: Any
    ) -> list[float | None]:
        """Rewards in order. environment, task: what `rows` has under these names, repeated as the prompts are."""
        rewards: list[float | None] = [0.0] * len(completions)
        asked: defaultdict[str, list[tuple[int, tuple[Task, str]]]] = defaultdict(list)
        for at, (completion, name, written) in enumerate(zip(completions, environment, task, strict=True)):
            posed = read(self._named(name), written)
            with suppress(FormatError):
                asked[name].append((at, (posed, self._prompts.envelope.open(Reply(said(completion))))))
        for name, pairs in asked.items():
            verdicts = self._verification.grade(self.environments[name], [pair for _, pair in pairs])
            for (at, _), verdict in zip(pairs, verdicts, strict=True):
                rewards[at] = score(verdict)
        return rewards

    def rows(self, count: int, seed: int = 0) -> list[Row]:
        """Tasks for a dataset, so many of each environment or as many as there are: its seeds, then its worked examples."""
        return [
            row(self._prompts, name, self.environments[name], task) for name in self.environments for task in self._tasks(name, count, seed)
        ]

    def close(self) -> None:
        """End the processes that judge."""
        self._verification.close()
        self._plugins.close()

    def _tasks(self, name: str, count: int, seed: int) -> list[Task]:
        environment = self.environments[name]
        admitted = self._verification.admit(environment, environment.seeds[:count])
        found = {task_id(name, task): task for task in admitted if isinstance(task, Task)}
        rng = random.Random(seed)
        examples: Iterator[Any] = environment.demonstrations(rng) if environment.demonstrations else iter(())
        for example in islice(examples, 10 * count):
            if len(found) >= count:
                break
            found.setdefault(task_id(name, example.task), example.task)
        return list(found.values())[:count]

    def _named(self, name: str) -> Environment:
        if name not in self.environments:
            raise UsageError(f"the column environment holds {name!r}, which no plugin of the reward function brings; "
                             f"{nearest(name, self.environments)}")  # fmt: skip
        return self.environments[name]


def row(prompts: Prompts, name: str, environment: Environment, task: Task) -> Row:
    """A task as other tools take it. prompt: text, or in a style that chats the messages that a chat template takes."""
    message = prompts.message(environment, Role.SOLVE, task.question)
    return {
        "id": task_id(name, task),
        "environment": name,
        "prompt": [{"role": "user", "content": message}] if prompts.envelope.chats else message,
        "question": task.question,
        "answer": task.answer,
        "task": task.model_dump_json(),
    }


def read(environment: Environment, written: str) -> Task:
    """The task of a row. Raises UsageError."""
    try:
        return environment.task_type.model_validate_json(written)
    except ValidationError as error:
        fault = error.errors()[0]["msg"]
        raise UsageError(f"the column task holds no task of {environment.name} ({fault}); use the plugin version that made it") from None


def said(completion: Completion) -> str:
    """What a model said: text as it is, of messages the last one's."""
    return completion if isinstance(completion, str) else str(completion[-1].get("content") or "") if completion else ""


def score(verdict: Verdict) -> float | None:
    """The reward of a verdict."""
    if verdict.outcome is Outcome.FAILED:
        return None
    return 1.0 if verdict.outcome is Outcome.SOLVED else min(verdict.score, 1.0)
