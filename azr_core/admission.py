"""Which tasks enter: what is turned down although the verifier admitted it, and what is not worth remembering."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from azr_core.config import RunConfig
from azr_core.interfaces import Environment
from azr_core.types import Benchmark, Episode, Outcome, Task, TaskRecord, Verdict, task_id

HELD_OUT = "the task is in a benchmark"
FEW = 36  # tasks of an environment, from which on a share of them means something


class Admission:
    """Knows the tasks and skeletons that were seen, and what is held out."""

    def __init__(self, config: RunConfig, environments: Mapping[str, Environment], benchmarks: Sequence[Benchmark]) -> None:
        self.config = config
        self.environments = environments
        self.held_out = {task.key() for benchmark in benchmarks for tasks in benchmark.tasks.values() for task in tasks}
        self.seen: set[str] = set()
        self.skeletons: Counter[str] = Counter()
        self.remembered: Counter[str] = Counter()  # tasks by environment
        self.common: Counter[str] = Counter()  # of them, those with an answer that a guess would try first

    def refuse(self, episodes: Sequence[Episode], barred: Callable[[Environment, Task], str], *, seeds: bool = False) -> None:
        """Turn down admitted tasks that are known or nearly so, held out, cannot be asked, or reward a guess.

        barred: why a task cannot be asked, or nothing. seeds: they were chosen by somebody, so they may reward a guess; they are counted.
        """
        batch: set[str] = set()
        shapes: Counter[str] = Counter()
        guessed: Counter[str] = Counter()
        for episode in episodes:
            task, identity = episode.task, episode.task_id
            if episode.outcome is not Outcome.ADMITTED or task is None or identity is None:
                continue
            skeleton = self.skeleton(episode.environment, task)
            alike = self.skeletons[skeleton] + shapes[skeleton]
            if identity in self.seen or identity in batch:
                episode.verdict = Verdict(Outcome.DUPLICATE, reason="the task is known")
            elif task.key() in self.held_out:
                episode.verdict = Verdict(Outcome.INVALID, reason=HELD_OUT)
            elif why := barred(self.environments[episode.environment], task):
                episode.verdict = Verdict(Outcome.INVALID, reason=why)
            elif skeleton and 0 < self.config.skeleton_cap <= alike:
                episode.verdict = Verdict(Outcome.DUPLICATE, reason=f"{alike} tasks of its skeleton are known")
            elif not seeds and self._guessable(episode.environment, task, guessed):
                share = f"{self.common[episode.environment]} of {self.remembered[episode.environment]} tasks"
                episode.verdict = Verdict(Outcome.INVALID, reason=f"its answer is a common one, as are those of {share}")
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
        self.remembered[record.environment] += 1
        self.common[record.environment] += self.environments[record.environment].verifier.common(record.task)
        if record.skeleton:
            self.skeletons[record.skeleton] += 1

    def _guessable(self, name: str, task: Task, guessed: Counter[str]) -> bool:
        """Whether one more common answer is too many among an environment's tasks. guessed: those of this batch, counted here."""
        if self.config.common_cap == 1.0 or not self.environments[name].verifier.common(task):
            return False
        held, more = self.remembered[name], guessed[name] + 1
        if held >= FEW and self.common[name] + more > self.config.common_cap * (held + more):
            return True
        guessed[name] = more
        return False
