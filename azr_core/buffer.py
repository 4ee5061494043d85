"""Task buffers: what is remembered, what leaves a full buffer, and what is shown again."""

from __future__ import annotations

import heapq
import random
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from itertools import islice

from pydantic import Field

from azr_core.config import Options
from azr_core.interfaces import Buffer
from azr_core.types import Task, TaskRecord, TaskSolves, chance, task_id


class Eviction(StrEnum):
    """Which task leaves a full buffer. The newcomer always enters."""

    OLDEST = "oldest"
    LEAST_USEFUL = "least_useful"
    RANDOM = "random"


class BufferOptions(Options):
    """Options of the shipped buffers."""

    cap: int = Field(default=16384, ge=1, description="tasks kept an environment (arXiv 2505.03335, Table 3)")
    eviction: Eviction = Field(
        default=Eviction.OLDEST,
        description="what leaves a full buffer: the oldest; least_useful: first what was solved always or never, then the oldest; random",
    )


class BoundedBuffer(Buffer):
    """Holds at most `cap` different tasks of each environment, and knows of each when it came and how its solves went."""

    def __init__(self, options: BufferOptions | None = None) -> None:
        self.options = options or BufferOptions()
        self._held: dict[str, OrderedDict[str, TaskRecord]] = {}
        self._homes: dict[str, str] = {}  # environment by task id
        self._pools: dict[tuple[str, ...], list[TaskRecord]] = {}  # what was drawn from since the last change

    def add(self, environment: str, task: Task) -> bool:
        return self.remember(TaskRecord(environment, task, 0))

    def remember(self, record: TaskRecord) -> bool:
        identity = task_id(record.environment, record.task)
        if identity in self._homes:
            return False
        held = self._held.setdefault(record.environment, OrderedDict())
        if len(held) == self.options.cap:
            leaving = self._leaving(held, identity)
            del held[leaving], self._homes[leaving]
        held[identity] = record
        self._homes[identity] = record.environment
        self._pools.clear()
        return True

    def recount(self, solves: TaskSolves) -> None:
        if solves.task not in self._homes:
            return
        held = self._held[self._homes[solves.task]]
        record = held[solves.task]
        held[solves.task] = replace(record, attempts=record.attempts + solves.attempts, solved=record.solved + solves.solved)
        self._pools.clear()

    def sample(self, environments: Sequence[str], k: int, rng: random.Random) -> list[Task]:
        return [record.task for record in self.choose(self._pool(environments), k, rng)]

    def count(self, environment: str) -> int:
        return len(self._held.get(environment, ()))

    @abstractmethod
    def choose(self, records: Sequence[TaskRecord], k: int, rng: random.Random) -> list[TaskRecord]:
        """Up to k different records. records: by environment, oldest first."""

    def _pool(self, environments: Sequence[str]) -> list[TaskRecord]:
        names = tuple(dict.fromkeys(environments))
        if names not in self._pools:
            self._pools[names] = [record for name in names for record in self._held.get(name, {}).values()]
        return self._pools[names]

    def _leaving(self, held: OrderedDict[str, TaskRecord], newcomer: str) -> str:
        oldest = next(iter(held))
        match self.options.eviction:
            case Eviction.OLDEST:
                return oldest
            case Eviction.LEAST_USEFUL:
                return next((identity for identity, record in held.items() if teaches_nothing(record)), oldest)
            case Eviction.RANDOM:  # by the newcomer's name, so that a resumed run forgets the same
                return next(islice(held, chance(0, 0, f"evict for {newcomer}").randrange(len(held)), None))


class UniformBuffer(BoundedBuffer):
    """Draws uniformly without replacement (the paper's; `uniform` in the released code)."""

    def choose(self, records: Sequence[TaskRecord], k: int, rng: random.Random) -> list[TaskRecord]:
        return rng.sample(records, min(k, len(records)))


class StepBuffer(BoundedBuffer):
    """Draws newer tasks more often: without replacement, with weight 1 + the step in which a task came.

    `gen_data_probabilities_strategy = "step"` of LeapLabTHU/Absolute-Zero-Reasoner, azr_ray_trainer.py, which draws with replacement.
    """

    def choose(self, records: Sequence[TaskRecord], k: int, rng: random.Random) -> list[TaskRecord]:
        # The first k arrivals of clocks that run at the speed of the weights: Efraimidis and Spirakis 2006.
        arrivals = [(rng.expovariate(1.0 + record.step), number) for number, record in enumerate(records)]
        return [records[number] for _, number in heapq.nsmallest(k, arrivals)]


class NewestFirstBuffer(BoundedBuffer):
    """Hands out the newest tasks: of each environment its newest k, of those any k in random order."""

    def choose(self, records: Sequence[TaskRecord], k: int, rng: random.Random) -> list[TaskRecord]:
        by_environment: dict[str, list[TaskRecord]] = {}
        for record in records:
            by_environment.setdefault(record.environment, []).append(record)
        newest = [record for own in by_environment.values() for record in own[-k:]] if k else []
        return rng.sample(newest, min(k, len(newest)))


def teaches_nothing(record: TaskRecord) -> bool:
    """Whether all solves of a task so far solved it, or none did. A task that was never tried may teach something."""
    return record.attempts > 0 and record.solved in (0, record.attempts)


BUFFERS: dict[str, type[BoundedBuffer]] = {"uniform": UniformBuffer, "step": StepBuffer, "newest_first": NewestFirstBuffer}
