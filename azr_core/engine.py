"""The self-play loop: one model proposes tasks, a verifier decides, the model solves, both roles are rewarded."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from azr_core.clock import Clock
from azr_core.config import RunConfig
from azr_core.errors import PluginError
from azr_core.interfaces import Buffer, Environment, Policy, RewardShaper
from azr_core.judging import judge_answers, judge_proposals
from azr_core.prompts import Prompts
from azr_core.shares import quotas
from azr_core.types import Benchmark, Episode, Kind, Outcome, Reply, Sampling, Task, TaskRecord, Verdict, chance, task_id
from azr_core.verification import Verification


@dataclass(frozen=True)
class Parts:
    """What a loop is put together from."""

    environments: Mapping[str, Environment]
    buffer: Buffer
    shaper: RewardShaper
    verification: Verification
    benchmarks: Sequence[Benchmark] = ()


class SelfPlay:
    """Plays steps. It knows no domain and no device, and keeps nothing that the store cannot give back."""

    def __init__(self, config: RunConfig, parts: Parts) -> None:
        self.config = config
        self.environments = parts.environments
        self.buffer = parts.buffer
        self.shaper = parts.shaper
        self.verification = parts.verification
        self.prompts = Prompts(config.style)
        self.quotas = quotas(config.environments, list(parts.environments), config.batch_size)
        self.held_out = {task.key() for benchmark in parts.benchmarks for tasks in benchmark.tasks.values() for task in tasks}
        self.clock = Clock()
        self.seen: set[str] = set()
        self.skeletons: Counter[str] = Counter()
        self.records: list[TaskRecord] = []
        self.number = 0

    def step(self, policy: Policy, number: int) -> list[Episode]:
        """Play one batch: propose, measure, remember, solve, reward."""
        self.number = number
        proposals, probes = self.measure(policy, self.propose(policy))
        self.remember(proposals)
        solutions = self.solve(policy, self.draw(proposals))
        return self.shaper.shape(proposals + probes + solutions)

    def propose(self, policy: Policy, quotas: Mapping[str, int] | None = None) -> list[Episode]:
        """Ask for tasks, read what comes back, and let the verifiers decide."""
        if self.config.tasks_from == "demonstrations":
            return []
        sampling = self._sampling("propose", self.config.propose_tokens, self.config.temperature)
        asked = [
            self._ask(policy, self.environments[name], index, sampling)
            for name, quota in (quotas or self.quotas).items()
            for index in range(quota)
        ]
        episodes = self._sample(policy, [episode for episode, _ in asked], sampling)
        with self.clock("verify"):
            references = [shown for _, shown in asked]
            judge_proposals(self.verification, self.environments, self.prompts.envelope, episodes, references)
            self._refuse(policy, episodes)
            for episode, shown in zip(episodes, references, strict=True):
                if episode.outcome is Outcome.ADMITTED and episode.task:
                    episode.measures |= self.environments[episode.environment].verifier.measures(episode.task, shown)
        return episodes

    def measure(self, policy: Policy, proposals: list[Episode]) -> tuple[list[Episode], list[Episode]]:
        """Estimate the solve rate of each admitted task by n solves. Failed probes do not count."""
        admitted = [episode for episode in proposals if episode.outcome is Outcome.ADMITTED]
        tasks = [(self.environments[episode.environment], episode.task) for episode in admitted if episode.task]
        sampling = self._sampling("probe", self.config.solve_tokens, self.config.probe_temperature)
        probes = self._answer(policy, tasks, Kind.PROBE, sampling, self.config.probe_samples)
        for probe in probes:
            probe.trained = self.config.probes == "train"
        rates = {probe.task_id: probe.solve_rate for probe in probes}
        for episode in admitted:
            episode.solve_rate = rates.get(episode.task_id)
            if episode.solve_rate is None:
                episode.verdict = Verdict(Outcome.FAILED, reason="no probe of the task could be judged")
        return proposals, probes

    def remember(self, proposals: Sequence[Episode]) -> None:
        """Put admitted tasks into the buffer and count how often each skeleton was seen."""
        for episode in proposals:
            if episode.outcome is not Outcome.ADMITTED or not episode.task:
                continue
            skeleton = self._skeleton(episode.environment, episode.task)
            if skeleton:
                episode.measures["seen"] = float(self.skeletons[skeleton])
            self._keep(TaskRecord(episode.environment, episode.task, self.number, episode.parents, skeleton, episode.measures))

    def draw(self, proposals: Sequence[Episode]) -> list[tuple[Environment, Task]]:
        """The solver's batch: this step's tasks first, the rest from the buffer.

        Where probes are trained on, they are the solver's batch, and only what is missing of it is drawn.
        """
        drawn: list[tuple[Environment, Task]] = []
        fresh: defaultdict[str, list[Task]] = defaultdict(list)
        for episode in proposals:
            if episode.outcome is Outcome.ADMITTED and episode.task:
                fresh[episode.environment].append(episode.task)
        for name, quota in self.quotas.items():
            rng = chance(self.config.seed, self.number, f"draw {name}")
            environment, new = self.environments[name], fresh[name][:quota]
            if self.config.tasks_from == "demonstrations":
                drawn += [(environment, task) for task in self._demonstrated(environment, quota)]
                continue
            known = {task_id(name, task) for task in new}
            pool = self.buffer.sample([name], quota + len(new), rng)
            old = [task for task in pool if task_id(name, task) not in known][: quota - len(new)]
            drawn += [(environment, task) for task in (old if self.config.probes == "train" else new + old)]
        return drawn

    def solve(self, policy: Policy, tasks: Sequence[tuple[Environment, Task]]) -> list[Episode]:
        """Solve a batch: groups of n where probes are trained on too, else one sample each."""
        n = self.config.probe_samples if self.config.probes == "train" else 1
        sampling = self._sampling("solve", self.config.solve_tokens, self.config.temperature)
        return self._answer(policy, tasks, Kind.SOLVE, sampling, n)

    def seed(self) -> list[str]:
        """Admit the environments' seeds through the same gate as any proposal; the sentences name what was refused."""
        notes = []
        for name, quota in self.quotas.items():
            environment = self.environments[name]
            admitted = 0
            for admission in self.verification.admit(environment, environment.seeds):
                if isinstance(admission, Verdict):
                    notes.append(f"{name}: a seed was refused: {admission.reason}")
                elif task_id(name, admission) not in self.seen:
                    admitted += 1
                    self._keep(TaskRecord(name, admission, 0, (), self._skeleton(name, admission)))
            if quota and not admitted:
                refused = "; ".join(notes[:2])
                raise PluginError(f"{name}: none of its {len(environment.seeds)} seeds is admitted by its own verifier; {refused}")
        return notes

    def restore(self, records: Iterable[TaskRecord], rewarded: Iterable[Sequence[Episode]]) -> None:
        """Take up a stored run: its tasks in the order they came, its rewards step by step."""
        for record in records:
            self._keep(record)
        self.records.clear()
        for episodes in rewarded:
            self.shaper.recall(episodes)

    def take_records(self) -> list[TaskRecord]:
        """Tasks remembered since the last call, for the store."""
        records, self.records = self.records, []
        return records

    def _ask(self, policy: Policy, environment: Environment, index: int, sampling: Sampling) -> tuple[Episode, list[Task]]:
        sources = environment.references or (environment.name,)
        count = self.config.references if environment.reference_count is None else environment.reference_count
        rng = chance(self.config.seed, self.number, f"references {environment.name}", index)
        shown = self.buffer.sample(sources, count, rng)
        prompt = self.prompts.propose(environment, shown)
        while not policy.fits(prompt, sampling):
            if len(shown) <= (environment.reference_count or 0):
                raise PluginError(f"{environment.name}: its prompt does not fit prompt_tokens or the model's context; raise prompt_tokens")
            shown = shown[:-1]
            prompt = self.prompts.propose(environment, shown)
        parents = tuple(identity for task in shown for name in sources if (identity := task_id(name, task)) in self.seen)
        group = f"{self.number}/{environment.name}/{index}"
        return Episode(environment.name, Kind.PROPOSE, group, prompt, Reply(""), parents=parents), shown

    def _answer(self, policy: Policy, tasks: Sequence[tuple[Environment, Task]], kind: Kind, sampling: Sampling, n: int) -> list[Episode]:
        episodes = [
            Episode(env.name, kind, f"{self.number}/{task_id(env.name, task)}", self.prompts.solve(env, task), Reply(""), task=task)
            for env, task in tasks
        ]
        answered = self._sample(policy, episodes, sampling, n)
        with self.clock("verify"):
            judge_answers(self.verification, self.environments, self.prompts.envelope, answered)
        groups: defaultdict[str, list[Episode]] = defaultdict(list)
        for episode in answered:
            groups[episode.group].append(episode)
        for group in groups.values():
            scores = [episode.outcome is Outcome.SOLVED for episode in group if episode.outcome is not Outcome.FAILED]
            for episode in group:
                episode.solve_rate = sum(scores) / len(scores) if scores else None
        return answered

    def _sample(self, policy: Policy, episodes: list[Episode], sampling: Sampling, n: int = 1) -> list[Episode]:
        if not episodes:
            return []
        with self.clock("generate"):
            replies = policy.sample([episode.prompt for episode in episodes], sampling, n)
        return [
            Episode(blank.environment, blank.kind, blank.group, blank.prompt, reply, task=blank.task, parents=blank.parents)
            for blank, group in zip(episodes, replies, strict=True)
            for reply in group
        ]

    def _refuse(self, policy: Policy, episodes: Sequence[Episode]) -> None:
        """Turn down admitted tasks that are known, held out, break out of their prompt, or do not fit."""
        sampling = self._sampling("solve", self.config.solve_tokens, self.config.temperature)
        batch: set[str] = set()
        for episode in episodes:
            task, identity = episode.task, episode.task_id
            if episode.outcome is not Outcome.ADMITTED or task is None or identity is None:
                continue
            if identity in self.seen or identity in batch:
                episode.verdict = Verdict(Outcome.DUPLICATE, reason="the task is known")
            elif task.key() in self.held_out:
                episode.verdict = Verdict(Outcome.INVALID, reason="the task is in a benchmark")
            elif self.prompts.envelope.forged(task.question) or self.prompts.envelope.forged(task.answer):
                episode.verdict = Verdict(Outcome.INVALID, reason="the task holds a marker of the prompt style")
            elif not policy.fits(self.prompts.solve(self.environments[episode.environment], task), sampling):
                episode.verdict = Verdict(Outcome.INVALID, reason="the task is too long to be asked")
            batch.add(identity)

    def _demonstrated(self, environment: Environment, count: int) -> list[Task]:
        if environment.demonstrations is None:
            raise PluginError(f"{environment.name} has no demonstrations; tasks_from = 'demonstrations' needs them")
        examples = environment.demonstrations(chance(self.config.seed, self.number, f"demonstrations {environment.name}"))
        tasks: list[Task] = []
        while len(tasks) < count:
            task = next(examples).task
            if task.key() not in self.held_out:
                tasks.append(task)
        return tasks

    def _keep(self, record: TaskRecord) -> None:
        self.buffer.add(record.environment, record.task)
        self.seen.add(task_id(record.environment, record.task))
        if record.skeleton:
            self.skeletons[record.skeleton] += 1
        self.records.append(record)

    def _skeleton(self, name: str, task: Task) -> str:
        skeleton = self.environments[name].verifier.skeleton(task)
        return f"{name}:{skeleton}" if skeleton else ""

    def _sampling(self, purpose: str, max_tokens: int, temperature: float) -> Sampling:
        seed = chance(self.config.seed, self.number, f"sample {purpose}").getrandbits(62)
        return Sampling(temperature, max_tokens, self.config.top_p, self.prompts.envelope.stop, seed)
