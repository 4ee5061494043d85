"""azr's environments as a taskset of `verifiers` 0.4, which finds it through a module of your own that lies on the path:

    from azr_core.taskset import AzrTaskset
    __all__ = ["AzrTaskset"]

If that is sorted_numbers.py, `id = "sorted-numbers"` with `plugins = ["./sorting.py"]` is the taskset. Only this module needs verifiers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import cache
from threading import Lock

import verifiers.v1 as vf

from azr_core.errors import VerifierUnavailable
from azr_core.rewarding import RewardFunction, reward_function

__all__ = ["AzrConfig", "AzrTask", "AzrTaskset"]

_JUDGING = Lock()  # verifiers grades many rollouts at once, azr's gate takes one batch at a time


class AzrData(vf.TaskData):  # type: ignore[misc]
    """plugins: which judge. environment, task: as in the rows of `RewardFunction`."""

    plugins: tuple[str, ...]
    environment: str
    task: str


class AzrTask(vf.Task[AzrData]):  # type: ignore[misc]
    """A task; its reward is azr's verdict on the last reply."""

    @vf.reward(weight=1.0)  # type: ignore[untyped-decorator]
    async def verdict(self, trace: vf.Trace) -> float:
        """0..1. Raises VerifierUnavailable where no verdict could be had."""
        reward = await asyncio.to_thread(_judged, self.data, trace.last_reply or "")
        if reward is None:
            raise VerifierUnavailable(f"{self.data.environment}: azr's verifier broke while it judged; the model is not to blame")
        return reward


class AzrConfig(vf.TasksetConfig):  # type: ignore[misc]
    """plugins: names or paths. count: tasks of each environment. seed: of their worked examples; training and measuring take two."""

    plugins: list[str]
    count: int = 100
    seed: int = 0


class AzrTaskset(vf.Taskset[AzrTask, AzrConfig]):  # type: ignore[misc]
    """Tasks of plugins' environments, in the chat style."""

    def load(self) -> Iterator[AzrTask]:
        """Seeds first, then worked examples."""
        plugins = tuple(self.config.plugins)
        with _JUDGING:
            rows = _rewards(plugins).rows(self.config.count, self.config.seed)
        for row in rows:
            [message] = row["prompt"]
            shown = {"prompt": message["content"], "id": row["id"], "environment": row["environment"], "task": row["task"]}
            yield AzrTask(AzrData(plugins=plugins, **shown), self.config.task)


@cache
def _rewards(plugins: tuple[str, ...]) -> RewardFunction:
    return reward_function(*plugins)


def _judged(asked: AzrData, reply: str) -> float | None:
    with _JUDGING:
        return _rewards(asked.plugins)([asked.prompt], [reply], environment=[asked.environment], task=[asked.task])[0]
