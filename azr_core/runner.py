"""One run from its first step to its last: plays, stores, measures, and can be taken up again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from azr_core import checkpoint, late, players
from azr_core.config import RunConfig
from azr_core.directory import RunDirectory
from azr_core.engine import Parts, SelfPlay
from azr_core.evaluate import Evaluator
from azr_core.interfaces import Policy, Trainer
from azr_core.interrupt import Interrupt
from azr_core.lineage import located
from azr_core.metrics import VALID, step_metrics
from azr_core.plugins import Plugins
from azr_core.progress import Listener
from azr_core.seeding import seed
from azr_core.store import RunStore
from azr_core.types import Evaluation, StepReport
from azr_core.verification import Verification
from azr_core.vitals import Vitals

SPENDING = {"tokens": "tokens/generated", "tasks": "tasks/played"}  # metric by the limit on its sum
REHEARSAL = 32  # replies an environment before a run, to see that the model can propose at all


class Runner:
    """One run from its first step to its last, in its directory."""

    def __init__(self, config: RunConfig, plugins: Plugins, directory: RunDirectory, listener: Listener) -> None:
        self.config = config
        self.plugins = plugins
        self.directory = directory
        self.listener = listener
        self.store: RunStore = directory.open_store()
        self.benchmarks = plugins.benchmarks(config)
        self.verification = Verification(config, plugins, directory.log, listener.note)
        environments = plugins.environments(config)
        self.verification.start(environments.values())  # before torch is imported, so that the workers are small
        parts = (environments, plugins.buffer(config), plugins.shaper(config), self.verification, self.benchmarks, plugins.domains)
        self.players = players.hire(config, plugins)
        self.engine = SelfPlay(config, Parts(*parts, {role: player.policy for role, player in self.players.items()}))
        self.safety = self.verification.describe(environments.values())
        self.trainer: Trainer = plugins.trainer(config)
        self.evaluator = Evaluator(config, self.benchmarks, self.verification, listener)
        self.interrupt = Interrupt(lambda: listener.note("stopping after this step; press Ctrl-C again to stop at once"))
        self.vitals = Vitals(config.health, self.store, listener)
        self.keeping = checkpoint.Keeping(config.keep_checkpoints, config.keep_every_hours)
        self.recent: deque[float] = deque(maxlen=20)
        self.rehearsal: dict[str, str] = {}
        self.first = 1
        self.limits: dict[str, int] = {name: limit for name in SPENDING if (limit := getattr(config, name))}
        self.spent = dict.fromkeys(SPENDING, 0.0)
        self.before = float(self.store.get_note("wall_s") or 0.0)
        self.started = self.step_started = self.checkpointed = time.monotonic()

    def prepare(self) -> None:
        """Take up what the directory holds, or admit the seeds and try the model out. Call it once, before the rest."""
        self.first = self._begin() + 1
        self.vitals.take_up()

    def play_all(self) -> bool:
        """Play from where the directory stands to the last step; true if stopped before it."""
        with self.interrupt:
            self.store.set_note("complete", False)
            self.store.set_note("base", located(self.trainer.describe().get("model", "")))
            asked = self.config.evaluation
            if asked.final and (asked.start or not self.config.steps) and not self.store.evaluations():
                self._measured(self.evaluator.full(self.trainer.policy, self.first - 1))
            elif self.first > 1:
                self._watch(self.first - 1)  # the run may have been stopped between this step and its measurement
            self.step_started = time.monotonic()
            if self.first <= self.config.steps and not self._budget_is_spent():
                self.trainer.fit(self.engine.step, self._after, self.first, self.config.steps)
            last = self.store.last_step()
            measured = {evaluation.step for evaluation in self.store.evaluations()}
            if self.config.evaluation.final and last not in measured and not self.interrupt.asked:
                self._measured(self.evaluator.full(self.trainer.policy, last))
            self.store.set_note("complete", not self.interrupt.asked)
        self._note_times()
        return self.store.last_step() < self.config.steps

    def close(self) -> None:
        """Release processes and files."""
        self.engine.drop()
        self.verification.close()
        self.store.close()

    def describe(self) -> dict[str, str]:
        """The plan: label to text."""
        config = self.config
        limits = [f"{limit:,} {name}" for name, limit in self.limits.items()]
        limit = ", ".join(["", *([f"at most {config.minutes:g} min"] if config.minutes else []), *limits])
        held_out = ", ".join(f"{benchmark.name} ({sum(map(len, benchmark.tasks.values()))})" for benchmark in self.benchmarks)
        return {
            "run": str(self.directory.path),
            **self.trainer.describe(),
            **players.told(self.players),
            "prompts a step": self.engine.schedule.describe(),
            "solves a task": f"{config.probe_samples}, {'trained on' if config.probes == 'train' else 'for the solve rate only'}"
            + ("" if config.probe_temperature else "; greedy, so they all agree and no proposal can earn"),
            "steps": f"{config.steps}{limit}, seed {config.seed}",
            **self.rehearsal,
            "held out": held_out or "nothing: no plugin brings a benchmark",
            **self.safety,
        }

    def _begin(self) -> int:
        last = self.directory.rewind(self.store)
        for _, metrics in self.store.steps():
            self._count(metrics)
        types = {name: environment.task_type for name, environment in self.engine.environments.items()}
        self.engine.restore(self.store.tasks(types), self.store.solves(), self.store.rewarded())
        if last:
            checkpoint.read(self.directory.checkpoints, last, self._load, self.directory.identity())
            self.listener.note(f"taken up after step {last}")
            return last
        self._seed()
        if self.config.tasks_from == "proposer":
            self._rehearse(self.trainer.policy)
        return 0

    def _seed(self) -> None:
        self.listener.phase("admitting seeds", 0, 1)
        notes = seed(self.engine, self.trainer.policy, self.config.seeds)
        self.listener.phase("admitting seeds", 1, 1)
        if self.config.seeds:
            self.rehearsal["seeds"] = "; ".join(notes)
            return
        for note in notes:
            self.listener.note(note)

    def _rehearse(self, policy: Policy) -> None:
        self.listener.phase("asking for a few tasks", 0, 1)
        quotas = {name: REHEARSAL for name, share in self.engine.schedule.shares.items() if share}
        episodes = self.engine.propose(policy, quotas)
        self.listener.phase("asking for a few tasks", 1, 1)
        seconds = self.engine.clock.take()["generate"]
        valid = dict.fromkeys(quotas, 0)
        for episode in episodes:
            valid[episode.environment] += episode.outcome in VALID
        shares = ", ".join(f"{name} {count / REHEARSAL:.0%}" for name, count in valid.items())
        self.rehearsal |= {"valid proposals": f"{shares} of {REHEARSAL} each", "expected time": self._expected(len(episodes), seconds)}
        for name, count in valid.items():
            if not count:
                self.listener.note(f"{name}: no valid proposal; choose a stronger --model, or teach this one with azr warmup")

    def _expected(self, replies: int, seconds: float) -> str:
        """A guess from the rehearsal: solving takes as long a reply as proposing, training as long as sampling."""
        asked = sum(self.engine.quotas.values())
        guess = 2 * seconds / replies * asked * (1 + self.config.probe_samples) * self.config.steps / 60
        limit = self.config.minutes
        return f"at most {limit:g} min" if limit is not None and guess > limit else f"about {max(1, round(guess))} min"

    def _save(self, folder: Path) -> None:
        self.trainer.save(folder)
        late.save(folder, self.engine.late)

    def _load(self, folder: Path) -> None:
        self.trainer.load(folder)
        self.engine.late = late.load(folder)

    def _after(self, step: int, trained: Mapping[str, float]) -> bool:
        learned_late = len(self.engine.late)
        episodes = self.engine.settle()
        records = self.engine.take_records()
        skeletons = [record.skeleton for record in records if record.skeleton and record.step == step]
        metrics = step_metrics(episodes, self.engine.quotas, self.engine.buffer, skeletons) | self.engine.take_counts()
        metrics |= dict(trained) | dict(self.engine.shaper.metrics())
        metrics |= self.vitals.signs(skeletons)
        spent = self.engine.clock.take()
        metrics |= {f"seconds/{activity}": spent.get(activity, 0.0) for activity in ("generate", "verify", "verify_hidden")}
        if self.config.late_solves:
            metrics["late/learned"], metrics["late/waiting"] = float(learned_late), float(len(self.engine.late))
        metrics["seconds/step"] = time.monotonic() - self.step_started
        self.recent.append(metrics["seconds/step"])
        self._count(metrics)
        known = sum(metrics.get(f"seconds/{activity}", 0.0) for activity in ("generate", "verify", "train"))
        metrics["seconds/other"] = max(0.0, metrics["seconds/step"] - known)
        self._note_times()
        for note in self.engine.take_notes():
            self.listener.note(note)
        self.store.commit(step, episodes, records, metrics)
        report = StepReport(step, episodes, metrics)
        self.plugins.step(report, self.config)
        self.listener.step(report, self.config.steps, self._remaining(step))
        self.vitals.see(step, metrics)
        stop = self.interrupt.asked or self._time_is_up() or self._budget_is_spent()
        last = stop or step == self.config.steps
        if last or self._checkpoint_is_due(step):
            checkpoint.write(self.directory.checkpoints, step, self._save, self.keeping, self.directory.identity())
            self.checkpointed = time.monotonic()
        if last and self.engine.late:
            self.listener.note(f"{len(self.engine.late)} late solves are judged and not learned from; --resume begins with them")
        if not last:
            self._watch(step)
        self.step_started = time.monotonic()
        return stop

    def _watch(self, step: int) -> None:
        """Measure lightly where a step is due and was not measured."""
        every = self.config.evaluation.every
        due = every and step % every == 0 and step < self.config.steps
        if due and all(evaluation.step != step for evaluation in self.store.evaluations()):
            self._measured(self.evaluator.light(self.trainer.policy, step))

    def _measured(self, evaluations: Sequence[Evaluation]) -> None:
        self.store.add_evaluations(evaluations)
        self.vitals.measured()
        spent = self.evaluator.clock.take()
        for activity, seconds in spent.items():
            note = f"evaluation_{activity}_s"
            self.store.set_note(note, float(self.store.get_note(note) or 0.0) + seconds)
        self.store.set_note("evaluation_s", float(self.store.get_note("evaluation_s") or 0.0) + sum(spent.values()))
        self.listener.evaluated(evaluations)

    def _checkpoint_is_due(self, step: int) -> bool:
        minutes = self.config.checkpoint_minutes
        overdue = minutes is not None and time.monotonic() - self.checkpointed >= 60 * minutes
        return overdue or step % self.config.checkpoint_every == 0

    def _wall(self) -> float:
        return self.before + time.monotonic() - self.started

    def _note_times(self) -> None:
        self.store.set_note("wall_s", self._wall())

    def _time_is_up(self) -> bool:
        return self.config.minutes is not None and self._wall() >= 60 * self.config.minutes

    def _count(self, metrics: Mapping[str, float]) -> None:
        """Take in what a stored step spent, on the limits and on the shares."""
        for name, metric in SPENDING.items():
            self.spent[name] += metrics.get(metric, 0.0)
        self.engine.schedule.see(metrics)

    def _budget_is_spent(self) -> bool:
        return any(self.spent[name] >= limit for name, limit in self.limits.items())

    def _remaining(self, step: int) -> float | None:
        by_steps = (self.config.steps - step) * sum(self.recent) / len(self.recent)
        for name, limit in self.limits.items():
            by_steps = min(by_steps, (self._wall() / max(1.0, self.spent[name])) * max(0.0, limit - self.spent[name]))
        return by_steps if self.config.minutes is None else min(by_steps, max(0.0, 60 * self.config.minutes - self._wall()))
