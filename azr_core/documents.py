"""Texts to warm a model up on: worked examples of procedural generators, in the run's own prompts."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from azr_core.errors import PluginError
from azr_core.interfaces import Environment
from azr_core.prompts import Prompts
from azr_core.types import Demonstration, Document, Role, Task, chance

RECENT = 200  # earlier tasks of an environment that may be shown as references
PROPOSE = 0.2  # proposals to an example: writing a task is learned from fewer texts than solving it
REFERENCES = (0.2, 0.25, 0.2, 0.15, 0.08, 0.06, 0.06)  # how often 0, 1, ... 6 of them are shown; prompts stay short


def documents(environments: Sequence[Environment], prompts: Prompts, seed: int) -> Iterator[Document]:
    """An endless stream: each example as a solution, some as a proposal too. Raises PluginError without a generator.

    References are the example's own, or earlier tasks of the environments the proposer would be shown.
    """
    taught = {env.name: env.demonstrations(chance(seed, 0, f"demonstrations {env.name}")) for env in environments if env.demonstrations}
    if not taught:
        raise PluginError(f"none of {', '.join(environment.name for environment in environments)} has demonstrations to learn from")
    rng = chance(seed, 0, "documents")
    recent: dict[str, deque[Task]] = {name: deque(maxlen=RECENT) for name in taught}
    while True:
        for environment in environments:
            if environment.name not in taught:
                continue
            example = next(taught[environment.name], None)
            if example is None:
                raise PluginError(f"{environment.name}: its demonstrations came to an end; they must be endless")
            yield _solution(environment, prompts, example)
            references = _references(environment, example, recent, rng)
            if references is not None and rng.random() < PROPOSE:
                yield _proposal(environment, prompts, example, references)
            recent[environment.name].append(example.task)


def _solution(environment: Environment, prompts: Prompts, example: Demonstration) -> Document:
    reply = prompts.envelope.reply(example.thought, example.answer)
    return Document(environment.name, Role.SOLVE, prompts.solve(environment, example.task), reply)


def _proposal(environment: Environment, prompts: Prompts, example: Demonstration, references: Sequence[Task]) -> Document:
    reply = prompts.envelope.reply("", example.proposal)
    return Document(environment.name, Role.PROPOSE, prompts.propose(environment, references), reply)


def _references(
    environment: Environment, example: Demonstration, recent: Mapping[str, Sequence[Task]], rng: random.Random
) -> Sequence[Task] | None:
    """What the proposer is shown; None while there are too few earlier tasks for an exact number."""
    if example.references is not None:
        return example.references
    pool = [task for name in environment.references or (environment.name,) for task in recent.get(name, ())]
    exact = environment.reference_count
    if exact is not None:
        return rng.sample(pool, exact) if exact <= len(pool) else None
    return rng.sample(pool, min(len(pool), rng.choices(range(len(REFERENCES)), REFERENCES)[0]))
