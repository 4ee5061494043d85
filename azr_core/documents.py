"""Texts to warm a model up on: worked examples of procedural generators, in the run's own prompts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from azr_core.errors import PluginError
from azr_core.interfaces import Environment
from azr_core.prompts import Prompts
from azr_core.types import Demonstration, Document, Role, Task, chance

RECENT = 200  # earlier tasks of an environment that may be shown as references


def documents(environments: Sequence[Environment], prompts: Prompts, seed: int) -> Iterator[Document]:
    """An endless stream: each example once as a solution and once as a proposal. Raises PluginError without a generator.

    References are 0 to 6 earlier tasks of the environments the proposer would be shown.
    """
    taught = [environment for environment in environments if environment.demonstrations]
    if not taught:
        raise PluginError(f"none of {', '.join(environment.name for environment in environments)} has demonstrations to learn from")
    rng = chance(seed, 0, "documents")
    examples = {env.name: env.demonstrations(chance(seed, 0, f"demonstrations {env.name}")) for env in taught if env.demonstrations}
    recent: dict[str, deque[Task]] = {env.name: deque(maxlen=RECENT) for env in taught}
    while True:
        for environment in taught:
            example = next(examples[environment.name])
            yield Document(
                environment.name, Role.SOLVE, prompts.solve(environment, example.task), prompts.envelope.reply(example.thought, example.answer)
            )
            pool = [task for name in environment.references or (environment.name,) for task in recent.get(name, ())]
            count = rng.randint(0, 6) if environment.reference_count is None else environment.reference_count
            yield _proposal(environment, prompts, example, rng.sample(pool, min(count, len(pool))))
            recent[environment.name].append(example.task)


def _proposal(environment: Environment, prompts: Prompts, example: Demonstration, references: Sequence[Task]) -> Document:
    shown = example.references if example.references is not None else references
    return Document(environment.name, Role.PROPOSE, prompts.propose(environment, shown), prompts.envelope.reply("", example.proposal))
