"""Which tasks enter: what is turned down although the verifier admitted it, and what is not worth remembering."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from azr_core.config import RunConfig
from azr_core.interfaces import Environment
from azr_core.prompts import Prompts
from azr_core.types import Benchmark, Episode, Outcome, Task, TaskRecord, Verdict, task_id


class Admission:
    """Knows the tasks and skeletons that were seen, and what is held out."""

    def __init__(self, config: RunConfig, environments: Mapping[str, Environment], benchmarks: Sequence[Benchmark]) -> None:
        self.config = config
        self.environments = environments
        self.envelope = Prompts(config.style).envelope
        self.held_out = {task.key() for benchmark in benchmarks for tasks in benchmark.tasks.values() for task in tasks}
        self.seen: set[str] = set()
        self.skeletons: Counter[str] = Counter()

    def refuse(self, episodes: Sequence[Episode], fits: Callable[[Environment, Task], bool]) -> None:
        """Turn down admitted tasks that are known or nearly so, held out, break out of their prompt, or do not fit it."""
        batch: set[str] = set()
        shapes: Counter[str] = Counter()
        for episode in episodes:
            task, identity = episode.task, episode.task_id
            if episode.outcome is not Outcome.ADMITTED or task is None or identity is None:
                continue
            skeleton = self.skeleton(episode.environment, task)
            alike = self.skeletons[skeleton] + shapes[skeleton]
            if identity in self.seen or identity in batch:
                episode.verdict = Verdict(Outcome.DUPLICATE, reason="the task is known")
            elif task.key() in self.held_out:
                episode.verdict = Verdict(Outcome.INVALID, reason="the task is in a benchmark")
            elif self.envelope.forged(task.question) or self.envelope.forged(task.answer):
                episode.verdict = Verdict(Outcome.INVALID, reason="the task holds a marker of the prompt style")
            elif not fits(self.environments[episode.environment], task):
                episode.verdict = Verdict(Outcome.INVALID, reason="the task is too long to be asked")
            elif skeleton and 0 < self.config.skeleton_cap <= alike:
                episode.verdict = Verdict(Outcome.DUPLICATE, reason=f"{alike} tasks of its skeleton are known")
            else:
                shapes[skeleton] += 1
            batch.add(identity)

    def keeps(self, rate: float | None) -> bool:
        """Whether a task of this solve rate is remembered; one that was not measured, such as a seed, is."""
        return rate is None or {"all": True, "below_one": rate < 1.0, "between": 0.0 < rate < 1.0}[self.config.admit_rates]

    def skeleton(self, name: str, task: Task) -> str:
        """The skeleton of a task among those of all environments; empty where it has none."""
        skeleton = self.environments[name].verifier.skeleton(task)
        return f"{name}:{skeleton}" if skeleton else ""

    def note(self, record: TaskRecord) -> None:
        """See a task that is remembered."""
        self.seen.add(task_id(record.environment, record.task))
        if record.skeleton:
            self.skeletons[record.skeleton] += 1
