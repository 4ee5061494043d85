"""Task buffers: what is remembered and what is shown again."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence

from pydantic import Field

from azr_core.config import Options
from azr_core.interfaces import Buffer
from azr_core.types import Task, task_id


class BufferOptions(Options):
    """Options of the shipped buffers."""

    cap: int = Field(default=16384, ge=1, description="tasks kept an environment; the oldest leave first")


class UniformBuffer(Buffer):
    """Keeps the newest `cap` tasks of each environment and draws uniformly without replacement (the paper's)."""

    def __init__(self, options: BufferOptions | None = None) -> None:
        self.options = options or BufferOptions()
        self._tasks: dict[str, deque[Task]] = {}
        self._ids: set[str] = set()

    def add(self, environment: str, task: Task) -> bool:
        tasks = self._tasks.setdefault(environment, deque())
        identity = task_id(environment, task)
        if identity in self._ids:
            return False
        if len(tasks) == self.options.cap:
            self._ids.discard(task_id(environment, tasks.popleft()))
        tasks.append(task)
        self._ids.add(identity)
        return True

    def sample(self, environments: Sequence[str], k: int, rng: random.Random) -> list[Task]:
        tasks = self._union(environments)
        return rng.sample(tasks, min(k, len(tasks)))

    def count(self, environment: str) -> int:
        return len(self._tasks.get(environment, ()))

    def _union(self, environments: Sequence[str]) -> list[Task]:
        return [task for name in environments for task in self._tasks.get(name, ())]


class NewestFirstBuffer(UniformBuffer):
    """Hands out the newest tasks first, in random order among the newest k of each environment."""

    def sample(self, environments: Sequence[str], k: int, rng: random.Random) -> list[Task]:
        newest = [task for name in environments for task in list(self._tasks.get(name, ()))[-k:]] if k else []
        return rng.sample(newest, min(k, len(newest)))


BUFFERS: dict[str, type[UniformBuffer]] = {"uniform": UniformBuffer, "newest_first": NewestFirstBuffer}
