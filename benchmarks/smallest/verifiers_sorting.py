"""plugins/sorting.py for verifiers 0.4: its solver's half. There is no proposer, and so neither a gate nor seeds."""

import random
from collections.abc import Iterator

import verifiers.v1 as vf

SOLVE = "Task: sort these numbers from the smallest to the largest. The answer is the numbers alone, with spaces between them."


class SortingData(vf.TaskData):
    answer: str


class SortingTask(vf.Task[SortingData]):
    @vf.reward(weight=1.0)
    async def ordered(self, trace: vf.Trace) -> float:
        return float((trace.last_reply or "").split() == self.data.answer.split())


class SortingConfig(vf.TasksetConfig):
    num_tasks: int = 200
    seed: int = 0  # training and measuring take two of them


class SortingTaskset(vf.Taskset[SortingTask, SortingConfig]):
    def load(self) -> Iterator[SortingTask]:
        rng = random.Random(self.config.seed)
        for _ in range(self.config.num_tasks):
            numbers = [rng.randint(-99, 99) for _ in range(rng.randint(2, 8))]
            question, answer = (" ".join(map(str, order)) for order in (numbers, sorted(numbers)))
            yield SortingTask(SortingData(prompt=f"{SOLVE}\n\n{question}", answer=answer), self.config.task)
