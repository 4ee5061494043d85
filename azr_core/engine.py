"""The self-play loop: one model proposes tasks, a verifier decides, the model solves, both roles are rewarded."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from azr_core.admission import Admission
from azr_core.config import RunConfig
from azr_core.drawing import Drawing
from azr_core.errors import PluginError
from azr_core.interfaces import Buffer, Environment, Policy, RewardShaper
from azr_core.prompts import Prompts
from azr_core.rounds import Round, Rounds
from azr_core.schedule import make_schedule
from azr_core.types import Benchmark, Episode, Kind, Outcome, Reply, Role, Sampling, Task, TaskRecord, TaskSolves, Verdict, chance, task_id
from azr_core.verification import Verification


@dataclass(frozen=True)
class Parts:
    """What a loop is put together from."""

    environments: Mapping[str, Environment]
    buffer: Buffer
    shaper: RewardShaper
    verification: Verification
    benchmarks: Sequence[Benchmark] = ()
    domains: Sequence[str] = ()  # in the order of their plugins
    players: Mapping[Role, Policy] = field(default_factory=dict)  # in the place of the policy that learns


class SelfPlay:
    """Plays steps. It knows no domain and no device, and keeps nothing that the store cannot give back."""

    def __init__(self, config: RunConfig, parts: Parts) -> None:
        self.config = config
        self.environments = parts.environments
        self.buffer = parts.buffer
        self.shaper = parts.shaper
        self.verification = parts.verification
        self.players = parts.players
        self.prompts = Prompts(config.style)
        self.rounds = Rounds(parts.verification, parts.environments, self.prompts.envelope)
        self.clock = self.rounds.clock
        self.schedule = make_schedule(config, list(parts.environments), parts.domains)
        self.quotas = self.schedule.quotas()  # of this step
        self.admission = Admission(config, parts.environments, parts.benchmarks)
        self.drawing = Drawing(config, parts.buffer, self.admission.held_out)
        self.records: list[TaskRecord] = []
        self.dropped: Counter[str] = Counter()
        self.probed: dict[str, TaskSolves] = {}  # this step's, by task id
        self.number = 0
        self.played: list[Episode] = []  # of this step, so far
        self.unsettled: Round | None = None  # this step's solves that are judged during the update
        self.late: list[Episode] = []  # solves of the step before, judged too late for its update

    def step(self, policy: Policy, number: int) -> list[Episode]:
        """Play one batch: propose, measure, remember, solve, reward. What is learned from it, and late solves of the step before."""
        self.number = number
        self.quotas = self.schedule.quotas()
        proposals, probes = self.measure(policy, self.propose(policy))
        self.remember(proposals)
        solutions = self.solve(policy, self.draw())
        self.played = self.shaper.shape(proposals + probes + solutions)
        return self.played + self.late

    def settle(self) -> list[Episode]:
        """All episodes of the step, when its update is over: where solves are late, this waits for them and rewards them."""
        self.late = []
        if self.unsettled:
            solutions, self.unsettled = self.shaper.shape(self._heard(self.unsettled)), None
            self.late = [episode for episode in solutions if episode.trained]
            self.played += solutions
        return self.played

    def drop(self) -> None:
        """Let go of what is being judged: the run breaks off."""
        if self.unsettled:
            self.unsettled.drop()

    def propose(self, policy: Policy, quotas: Mapping[str, int] | None = None) -> list[Episode]:
        """Ask for tasks, read what comes back, and let the verifiers decide."""
        if self.config.tasks_from == "demonstrations":
            return []
        sampling = self._sampling("propose", self.config.propose_tokens, self.config.temperature)
        proposer = self.players.get(Role.PROPOSE, policy)
        for name in quotas or self.quotas:
            self.environments[name].proposer.begin(self.number)
        asked = [
            self._ask(proposer, self.environments[name], index, sampling)
            for name, quota in (quotas or self.quotas).items()
            for index in range(quota)
        ]
        episodes = self.rounds.proposals(proposer, asked, sampling).judged()
        with self.clock("verify"):
            self.refuse(policy, episodes)
            for episode, (_, shown) in zip(episodes, asked, strict=True):
                if episode.outcome is Outcome.ADMITTED and episode.task:
                    episode.measures |= self.environments[episode.environment].verifier.measures(episode.task, shown)
        return episodes

    def refuse(self, policy: Policy | None, episodes: Sequence[Episode], *, seeds: bool = False) -> None:
        """Turn down what the verifier admits and the loop does not; whether it can be asked is for a policy to say."""
        sampling = self._sampling("solve", self.config.solve_tokens, self.config.temperature)
        solver = self.players.get(Role.SOLVE, policy) if policy else None
        self.admission.refuse(episodes, lambda environment, task: self.prompts.barred(environment, task, solver, sampling), seeds=seeds)

    def measure(self, policy: Policy, proposals: list[Episode]) -> tuple[list[Episode], list[Episode]]:
        """Estimate the solve rate of each admitted task by n solves. Failed probes do not count."""
        admitted = [episode for episode in proposals if episode.outcome is Outcome.ADMITTED]
        tasks = [(self.environments[episode.environment], episode.task) for episode in admitted if episode.task]
        sampling = self._sampling("probe", self.config.solve_tokens, self.config.probe_temperature)
        self.probed.clear()
        probes = self._heard(self._answer(policy, tasks, Kind.PROBE, sampling, self.config.probe_samples))
        rates = {probe.task_id: probe.solve_rate for probe in probes}
        for episode in admitted:
            episode.solve_rate = rates.get(episode.task_id)
            if episode.solve_rate is None:
                episode.verdict = Verdict(Outcome.FAILED, reason="no probe of the task could be judged")
        return proposals, probes

    def remember(self, proposals: Sequence[Episode]) -> None:
        """Put admitted tasks into the buffer, unless their solve rate bars them, and count how often each skeleton was seen."""
        for episode in proposals:
            if episode.outcome is not Outcome.ADMITTED or not episode.task:
                continue
            skeleton = self.admission.skeleton(episode.environment, episode.task)
            if skeleton:
                episode.measures["seen"] = float(self.admission.skeletons[skeleton])
            if self.admission.keeps(episode.solve_rate):
                self._keep(TaskRecord(episode.environment, episode.task, self.number, episode.parents, skeleton, episode.measures))
            else:
                self.dropped[episode.environment] += 1

    def draw(self) -> list[tuple[Environment, Task]]:
        """The solver's batch. Where probes are trained on, they are part of it, and only what is missing is drawn."""
        solved: defaultdict[str, set[str]] = defaultdict(set)
        for probe in self.probed.values() if self.config.probes == "train" else ():
            solved[probe.environment].add(probe.task)
        return [
            (self.environments[name], task)
            for name, quota in self.quotas.items()
            for task in self.drawing.draw(self.environments[name], quota, self.number, solved[name])
        ]

    def solve(self, policy: Policy, tasks: Sequence[tuple[Environment, Task]]) -> list[Episode]:
        """Solve a batch: groups of n where probes are trained on too, else one sample each. None yet where they are late."""
        n = self.config.probe_samples if self.config.probes == "train" else 1
        sampling = self._sampling("solve", self.config.solve_tokens, self.config.temperature)
        asked = self._answer(policy, tasks, Kind.SOLVE, sampling, n)
        if self.config.late_solves:
            self.unsettled = asked
            return []
        return self._heard(asked)

    def restore(self, records: Iterable[TaskRecord], solves: Iterable[TaskSolves], rewarded: Iterable[Sequence[Episode]]) -> None:
        """Take up a stored run: what befell its tasks in the order in which it did, its rewards step by step."""
        streams: tuple[Iterable[TaskRecord | TaskSolves], ...] = (records, solves)
        for event in heapq.merge(*streams, key=_moment):
            if isinstance(event, TaskSolves):
                self._hear(event)
            else:
                self._keep(event)
        self.probed.clear()
        self.records.clear()
        for episodes in rewarded:
            self.shaper.recall(episodes)

    def take_records(self) -> list[TaskRecord]:
        """Tasks remembered since the last call, for the store."""
        records, self.records = self.records, []
        return records

    def take_counts(self) -> dict[str, float]:
        """By environment, since the last call: tasks not remembered (dropped), drawn for lack of new ones (filled), and missing (short)."""
        counts = self.drawing.counts + Counter({f"dropped/{name}": count for name, count in self.dropped.items()})
        self.drawing.counts.clear()
        self.dropped.clear()
        names = [name for name, quota in self.quotas.items() if quota]
        return {key: float(counts[key]) for name in names for key in (f"dropped/{name}", f"filled/{name}", f"short/{name}")}

    def take_notes(self) -> list[str]:
        """What is worth a line, since the last call."""
        notes, self.drawing.notes = self.drawing.notes, []
        return notes

    def _ask(self, policy: Policy, environment: Environment, index: int, sampling: Sampling) -> tuple[Episode, list[Task]]:
        sources = environment.references or (environment.name,)
        count = self.config.references if environment.reference_count is None else environment.reference_count
        shown = self.buffer.sample(sources, count, chance(self.config.seed, self.number, f"references {environment.name}", index))
        prompt = self.prompts.propose(environment, shown, policy)
        while not policy.fits(prompt, sampling):
            if len(shown) <= (environment.reference_count or 0):
                raise PluginError(f"{environment.name}: its prompt does not fit prompt_tokens or the model's context; raise prompt_tokens")
            shown = shown[:-1]
            prompt = self.prompts.propose(environment, shown, policy)
        parents = tuple(identity for task in shown for name in sources if (identity := task_id(name, task)) in self.admission.seen)
        group = f"{self.number}/{environment.name}/{index}"
        return Episode(environment.name, Kind.PROPOSE, group, prompt, Reply(""), parents=parents), shown

    def _answer(self, policy: Policy, tasks: Sequence[tuple[Environment, Task]], kind: Kind, sampling: Sampling, n: int) -> Round:
        solver = self.players.get(Role.SOLVE, policy)
        blanks = [
            Episode(env.name, kind, f"{self.number}/{task_id(env.name, task)}", self.prompts.solve(env, task, solver), Reply(""), task=task)
            for env, task in tasks
        ]
        for blank in blanks:
            blank.trained = kind is Kind.SOLVE or self.config.probes == "train"
        return self.rounds.answers(solver, blanks, sampling, n, formless=kind is Kind.PROBE and self.config.probe_format == "ignored")

    def _heard(self, answers: Round) -> list[Episode]:
        """Wait for verdicts, and count what was solved."""
        answered = answers.judged()
        groups: defaultdict[str, list[Episode]] = defaultdict(list)
        for episode in answered:
            groups[episode.group].append(episode)
        for group in groups.values():
            scores = [episode.outcome is Outcome.SOLVED for episode in group if episode.outcome is not Outcome.FAILED]
            for episode in group:
                episode.solve_rate = sum(scores) / len(scores) if scores else None
            if scores and (identity := group[0].task_id):
                self._hear(TaskSolves(self.number, group[0].kind, group[0].environment, identity, len(scores), sum(scores)))
        return answered

    def _hear(self, solves: TaskSolves) -> None:
        if solves.kind is Kind.PROBE:
            self.probed[solves.task] = solves
        self.buffer.recount(solves)

    def _keep(self, record: TaskRecord) -> None:
        probed = self.probed.get(task_id(record.environment, record.task))
        record = replace(record, attempts=probed.attempts if probed else 0, solved=probed.solved if probed else 0)
        for part in (self.admission, self.drawing):
            part.note(record)
        self.buffer.remember(record)
        self.records.append(record)

    def _sampling(self, purpose: str, max_tokens: int, temperature: float) -> Sampling:
        seed = chance(self.config.seed, self.number, f"sample {purpose}").getrandbits(62)
        return Sampling(temperature, max_tokens, self.config.top_p, self.prompts.envelope.stop, seed)


def _moment(event: TaskRecord | TaskSolves) -> tuple[int, int]:
    """Within a step a task is probed, then remembered, then solved."""
    if isinstance(event, TaskRecord):
        return (event.step, 1)
    return (event.step, 0 if event.kind is Kind.PROBE else 2)
