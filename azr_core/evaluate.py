"""Held-out accuracy: benchmarks solved by the policy, graded by the verifiers they were shipped with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from azr_core.clock import Clock
from azr_core.config import RunConfig
from azr_core.errors import ConfigError, nearest
from azr_core.interfaces import Policy
from azr_core.judging import judge_answers
from azr_core.progress import Listener
from azr_core.prompts import Prompts
from azr_core.types import Benchmark, Episode, Evaluation, Kind, Outcome, Sampling, chance, task_id
from azr_core.verification import Verification


@dataclass(frozen=True)
class Decoding:
    """How a benchmark is sampled: `sampled`, `sampled_t0.3`, `greedy`."""

    name: str
    temperature: float
    samples: int


def decoding_name(temperature: float) -> str:
    """What a decoding is called in results."""
    if temperature == 0.0:
        return "greedy"
    return "sampled" if temperature == 1.0 else f"sampled_t{temperature:g}"


def chosen(benchmarks: Sequence[Benchmark], names: Sequence[str]) -> list[Benchmark]:
    """The benchmarks of these names, in their order; all if none is named. Raises ConfigError for a name that no plugin brings."""
    known = {benchmark.name: benchmark for benchmark in benchmarks}
    for name in names:
        if name not in known:
            raise ConfigError(f"no benchmark {name!r}; {nearest(name, known)}")
    return [known[name] for name in names or known]


class Evaluator:
    """Measures a policy on benchmarks. Its random streams are its own, so measuring never shifts a run."""

    def __init__(self, config: RunConfig, benchmarks: Sequence[Benchmark], verification: Verification, listener: Listener) -> None:
        self.config = config
        self.benchmarks = chosen(benchmarks, config.evaluation.benchmarks)
        self.verification = verification
        self.listener = listener
        self.prompts = Prompts(config.style)
        self.clock = Clock()

    def light(self, policy: Policy, step: int) -> list[Evaluation]:
        """Every benchmark, a few tasks a type, one pass at the first temperature."""
        limit = self.config.evaluation.light_tasks or None
        return self._measure(policy, step, self.benchmarks, self._decodings()[:1], limit)

    def full(self, policy: Policy, step: int) -> list[Evaluation]:
        """Every task of every benchmark, at every temperature, and greedy."""
        return self._measure(policy, step, self.benchmarks, self._decodings(), None)

    def _decodings(self) -> list[Decoding]:
        asked = self.config.evaluation
        sampled = [Decoding(decoding_name(t), t, asked.samples) for t in asked.temperatures]
        return [*sampled, Decoding("greedy", 0.0, 1)] if asked.greedy else sampled

    def _measure(
        self, policy: Policy, step: int, benchmarks: Sequence[Benchmark], decodings: Sequence[Decoding], limit: int | None
    ) -> list[Evaluation]:
        work = [(benchmark, decoding) for benchmark in benchmarks for decoding in decodings]
        measured: list[Evaluation] = []
        for done, (benchmark, decoding) in enumerate(work):
            self.listener.phase(f"measuring {benchmark.name}, {decoding.name}", done, len(work))
            episodes = self._answer(policy, benchmark, decoding, limit)
            for kind in benchmark.tasks:
                mine = [episode for episode in episodes if episode.environment == kind]
                measured.append(_evaluation(step, benchmark.name, decoding, mine))
        if work:
            self.listener.phase("measured", len(work), len(work))
        return measured

    def _answer(self, policy: Policy, benchmark: Benchmark, decoding: Decoding, limit: int | None) -> list[Episode]:
        seed = chance(0, 0, f"evaluate {benchmark.name} {decoding.name}").getrandbits(62)
        sampling = Sampling(decoding.temperature, self.config.solve_tokens, stop=self.prompts.envelope.stop, seed=seed)
        items = [(name, task) for name, tasks in benchmark.tasks.items() for task in list(tasks)[:limit]]
        prompts = [self.prompts.solve(benchmark.environments[name], task, policy) for name, task in items]
        with self.clock("generate"):
            replies = policy.sample(prompts, sampling, decoding.samples)
        episodes = [
            Episode(name, Kind.SOLVE, task_id(name, task), prompt, reply, task=task)
            for (name, task), prompt, group in zip(items, prompts, replies, strict=True)
            for reply in group
        ]
        with self.clock("verify"):
            judge_answers(self.verification, benchmark.environments, self.prompts.envelope, episodes)
        return episodes


def _evaluation(step: int, benchmark: str, decoding: Decoding, episodes: Sequence[Episode]) -> Evaluation:
    solved = [float(episode.outcome is Outcome.SOLVED) for episode in episodes]
    n = decoding.samples
    scores = tuple(sum(solved[start : start + n]) / n for start in range(0, len(solved), n))
    tokens = sum(len(episode.reply.token_ids) for episode in episodes) / max(1, len(episodes))
    return Evaluation(step, benchmark, episodes[0].environment, decoding.name, scores, tokens)
