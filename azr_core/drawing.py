"""The solver's batch: new tasks first, the rest from the buffer; what is missing is counted and said."""

from __future__ import annotations

import random
from collections import Counter, defaultdict, deque
from collections.abc import Collection

from azr_core.config import RunConfig
from azr_core.errors import PluginError
from azr_core.interfaces import Buffer, Environment
from azr_core.types import Task, TaskRecord, chance, task_id


class Drawing:
    """Draws tasks to solve (`pred_data_mix_strategy` in LeapLabTHU/Absolute-Zero-Reasoner, azr_ray_trainer.py, without its doublets).

    New are the tasks of `solve_window` steps, the last of them `solve_lag` steps ago; later ones are not drawn yet.
    counts: tasks from the buffer for lack of new ones (filled/NAME), and tasks that it lacked too (short/NAME).
    """

    def __init__(self, config: RunConfig, buffer: Buffer, held_out: Collection[str]) -> None:
        self.config = config
        self.buffer = buffer
        self.held_out = held_out
        self.counts: Counter[str] = Counter()
        self.notes: list[str] = []
        self._recent: defaultdict[str, deque[TaskRecord]] = defaultdict(deque)
        self._said = False

    def note(self, record: TaskRecord) -> None:
        """See a task that is remembered; tasks come in the order of their steps."""
        recent = self._recent[record.environment]
        recent.append(record)
        while recent[0].step <= record.step - self.config.solve_lag - self.config.solve_window:
            recent.popleft()

    def draw(self, environment: Environment, quota: int, step: int, solved: Collection[str]) -> list[Task]:
        """A step's tasks of an environment. solved: ids of those in the batch already, as trained probes; they are not drawn again."""
        need = quota - len(solved)
        if need <= 0:
            return []
        rng = chance(self.config.seed, step, f"draw {environment.name}")
        if self.config.tasks_from == "demonstrations":
            return self._demonstrated(environment, need, step)
        last = step - self.config.solve_lag
        recent = self._recent[environment.name]
        barred = {task_id(environment.name, one.task) for one in recent if one.step > last} | set(solved)
        new = [one.task for one in recent if last - self.config.solve_window < one.step <= last]
        new = [task for task in new if task_id(environment.name, task) not in barred]
        wanted = {"max_new": need, "half_new": need // 2, "uniform_total": 0}[self.config.solve_mix]
        new = new if len(new) <= wanted else rng.sample(new, wanted)
        old = self._old(environment.name, need - len(new), barred | {task_id(environment.name, task) for task in new}, rng)
        self._report(environment.name, step, min(wanted - len(new), len(old)), need - len(new) - len(old))
        return new + old

    def _old(self, name: str, count: int, barred: Collection[str], rng: random.Random) -> list[Task]:
        pool = self.buffer.sample([name], count + len(barred), rng) if count else []
        return [task for task in pool if task_id(name, task) not in barred][:count]

    def _demonstrated(self, environment: Environment, count: int, step: int) -> list[Task]:
        if environment.demonstrations is None:
            raise PluginError(f"{environment.name} has no demonstrations; tasks_from = 'demonstrations' needs them")
        examples = environment.demonstrations(chance(self.config.seed, step, f"demonstrations {environment.name}"))
        tasks: list[Task] = []
        while len(tasks) < count:
            task = next(examples).task
            if task.key() not in self.held_out:
                tasks.append(task)
        return tasks

    def _report(self, name: str, step: int, filled: int, short: int) -> None:
        self.counts[f"filled/{name}"] += filled
        self.counts[f"short/{name}"] += short
        if (filled or short) and not self._said:
            self._said = True
            lack = f", and {short} are missing, for it holds no more" if short else ""
            self.notes.append(f"step {step}, {name}: too few new tasks for a batch; {filled} come from the buffer{lack} (said once)")
