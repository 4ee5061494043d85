"""The loop: what a step does with good, bad, known and held-out proposals."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import toy_plugin

import azr_core as azr
from azr_core.buffer import BufferOptions, NewestFirstBuffer, UniformBuffer
from azr_core.config import RunConfig
from azr_core.engine import Parts, SelfPlay
from azr_core.errors import ConfigError, PluginError
from azr_core.rewards import Learnability, LearnabilityOptions
from azr_core.seeding import seed
from azr_core.shares import split, spread
from azr_core.store import RunStore
from azr_core.testing import ScriptedPolicy
from azr_core.types import Benchmark, Episode, Kind, Outcome, Sampling, Task
from azr_core.verification import Verification

NAME = "toy/sorting"


def loop(benchmarks: Sequence[Benchmark] = (), **settings: object) -> SelfPlay:
    base: dict[str, object] = {"plugins": ("toy",), "batch_size": 4, "references": 2, "probe_samples": 4, "style": "compact"}
    config = RunConfig.model_validate(base | settings)
    environments = {environment.name: environment for environment in toy_plugin.azr_environments()}
    shaper = Learnability(LearnabilityOptions(novelty=1.0))
    engine = SelfPlay(config, Parts(environments, UniformBuffer(), shaper, Verification(), benchmarks))
    seed(engine)
    return engine


def player(proposals: Sequence[str], right: Callable[[int], bool] = lambda index: index % 2 == 0) -> ScriptedPolicy:
    """Proposes these texts in turn and solves every task rightly where `right(count)` says so."""
    texts, counter = itertools.cycle(proposals), itertools.count()

    def reply(prompt: str) -> str:
        if prompt.startswith("<|propose|>"):
            return f"<|answer|>{next(texts)}<|end|>"
        words = prompt.removeprefix("<|solve|>Sort ").removesuffix("<|go|>").split()
        answer = " ".join(sorted(words, key=int)) if right(next(counter)) else "0"
        return f"<|think|>easy<|answer|>{answer}<|end|>"

    return ScriptedPolicy(reply)


def outcomes(episodes: Sequence[Episode], kind: Kind = Kind.PROPOSE) -> list[Outcome]:
    return [episode.outcome for episode in episodes if episode.kind is kind]


def test_a_step_proposes_measures_remembers_solves_and_rewards() -> None:
    engine = loop()
    episodes = engine.step(player(["4 3", "6 5 1", "9 8", "7 2"]), 1)
    assert outcomes(episodes) == [Outcome.ADMITTED] * 4
    probes = [episode for episode in episodes if episode.kind is Kind.PROBE]
    assert len(probes) == 16 and all(episode.solve_rate == 0.5 and episode.trained for episode in probes)
    assert [episode.reward for episode in episodes[:4]] == [0.5] * 4
    assert engine.buffer.count(NAME) == 2 + 4
    assert [record.step for record in engine.take_records()] == [0, 0, 1, 1, 1, 1]


def test_bad_proposals_become_verdicts_and_are_neither_probed_nor_remembered() -> None:
    engine = loop()
    episodes = engine.step(player(["x", "4", "2 1", "5 4"]), 1)
    assert outcomes(episodes) == [Outcome.MALFORMED, Outcome.INVALID, Outcome.DUPLICATE, Outcome.ADMITTED]
    assert [episode.reward for episode in episodes[:4]] == [-1.0, -1.0, 0.0, 0.5]
    assert sum(episode.kind is Kind.PROBE for episode in episodes) == 4
    assert engine.buffer.count(NAME) == 3


def test_the_same_task_twice_in_a_batch_counts_once() -> None:
    assert outcomes(loop().step(player(["5 4"]), 1)) == [Outcome.ADMITTED] + [Outcome.DUPLICATE] * 3


def test_a_task_of_a_benchmark_is_refused() -> None:
    environment = toy_plugin.azr_environments()[0]
    held_out = environment.verifier.admit(toy_plugin.Numbers(numbers=(5, 4)))
    benchmark = Benchmark("held", {NAME: [held_out]}, {NAME: environment})
    episodes = loop([benchmark]).step(player(["5 4", "6 4"]), 1)
    assert outcomes(episodes)[0] is Outcome.INVALID and "benchmark" in (episodes[0].verdict.reason if episodes[0].verdict else "")


def test_a_task_must_pass_its_own_grader() -> None:
    class Broken(toy_plugin.ToyVerifier):
        def grade(self, task: Task, answer: str) -> float:
            return 0.0

    environment = azr.Environment(NAME, toy_plugin.ToyProposer(), Broken(), [toy_plugin.Numbers(numbers=(2, 1))], toy_plugin.Sorting)
    engine = SelfPlay(RunConfig(plugins=("toy",)), Parts({NAME: environment}, UniformBuffer(), Learnability(), Verification()))
    with pytest.raises(PluginError, match="0 of 1 seeds admitted"):
        seed(engine)


def test_a_missing_solver_batch_is_filled_from_the_buffer() -> None:
    episodes = loop().step(player(["x"]), 1)
    solves = [episode for episode in episodes if episode.kind is Kind.SOLVE]
    assert len({episode.group for episode in solves}) == 2  # both seeds: all there is
    assert len(solves) == 2 * 4


def test_measured_probes_are_not_trained_on_and_newest_tasks_are_solved() -> None:
    engine = loop(probes="measure")
    episodes = engine.step(player(["4 3", "6 5", "9 8", "7 2"]), 1)
    assert not any(episode.trained for episode in episodes if episode.kind is Kind.PROBE)
    proposed = {episode.task_id for episode in episodes if episode.kind is Kind.PROPOSE}
    assert {episode.task_id for episode in episodes if episode.kind is Kind.SOLVE} == proposed


def test_references_are_dropped_until_the_prompt_fits() -> None:
    class Narrow(ScriptedPolicy):
        def fits(self, prompt: str, sampling: Sampling) -> bool:
            return prompt.count("Sort") <= 1

    policy = Narrow(player(["5 4"])._answer)
    loop().step(policy, 1)
    assert all(prompt.count("Sort") <= 1 for prompt in policy.prompts)


def test_a_prompt_that_never_fits_names_the_environment() -> None:
    class Blind(ScriptedPolicy):
        def fits(self, prompt: str, sampling: Sampling) -> bool:
            return False

    with pytest.raises(PluginError, match="toy/sorting"):
        loop().step(Blind([]), 1)


def test_the_same_seed_plays_the_same_step() -> None:
    def played(seed: int) -> list[str]:
        policy = player(["4 3", "6 5 1"])
        loop(seed=seed).step(policy, 3)
        return policy.prompts

    assert played(0) == played(0)
    assert any(played(0) != played(seed) for seed in (1, 2, 3))


def test_novelty_counts_survive_a_restart(tmp_path: Path) -> None:
    whole = loop()
    store = RunStore(tmp_path / "run.db")
    for step in (1, 2):
        store.commit(step, whole.step(player([f"{step}5 4", f"{step}6 5"]), step), whole.take_records(), {})
    fresh = loop()
    again = SelfPlay(whole.config, Parts(whole.environments, UniformBuffer(), Learnability(), Verification()))
    again.restore(store.tasks({NAME: toy_plugin.Sorting}), store.solves(), store.rewarded())
    assert again.admission.seen == whole.admission.seen and again.admission.skeletons == whole.admission.skeletons
    assert again.admission.seen > fresh.admission.seen
    assert again.buffer.count(NAME) == whole.buffer.count(NAME)


def test_demonstrations_can_take_the_proposers_place() -> None:
    episodes = loop(tasks_from="demonstrations").step(player([]), 1)
    assert {episode.kind for episode in episodes} == {Kind.SOLVE}
    assert len(episodes) == 4 * 4


def test_shares_split_the_prompts_and_zero_holds_out() -> None:
    names = ["a/x", "a/y", "b/z"]

    def quotas(shares: dict[str, float], environments: list[str], batch_size: int) -> dict[str, int]:
        return split(spread(shares, environments), batch_size * len(environments))

    assert quotas({}, names, 8) == {"a/x": 8, "a/y": 8, "b/z": 8}
    assert quotas({"a": 1.0, "b": 0.0}, names, 8) == {"a/x": 12, "a/y": 12, "b/z": 0}
    assert quotas({"a": 1.0, "a/x": 0.01, "b": 1.0}, names, 8)["a/x"] == 4  # 24 * .01 / 2.01 is under the least
    with pytest.raises(ConfigError, match="did you mean 'a/x'"):
        quotas({"a/xx": 1.0}, names, 8)


def test_a_full_buffer_keeps_the_newest() -> None:
    buffer = UniformBuffer(BufferOptions(cap=2))
    tasks = [Task(question=str(index), answer="") for index in range(3)]
    assert [buffer.add("e/e", task) for task in [*tasks, tasks[2]]] == [True, True, True, False]
    assert buffer.sample(["e/e"], 5, random.Random(0)) != [] and buffer.count("e/e") == 2
    assert tasks[0] not in buffer.sample(["e/e"], 5, random.Random(0))


def test_newest_first_hands_out_the_newest() -> None:
    buffer = NewestFirstBuffer()
    for index in range(10):
        buffer.add("e/e", Task(question=str(index), answer=""))
    assert {task.question for task in buffer.sample(["e/e"], 3, random.Random(0))} == {"7", "8", "9"}
