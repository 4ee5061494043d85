"""Answers that a guess would try first: how many tasks may have one."""

from __future__ import annotations

import pytest
import toy_plugin

import azr_core as azr
from azr_core.admission import FEW
from azr_core.buffer import UniformBuffer
from azr_core.config import RunConfig
from azr_core.engine import Parts, SelfPlay
from azr_core.rewards import Learnability
from azr_core.types import Episode, Kind, Outcome, Reply, TaskRecord, Verdict
from azr_core.verification import Verification
from azr_plugins_math import environments as maths
from azr_plugins_math.options import Options

NAME = "toy/sorting"


class Guessed(toy_plugin.ToyVerifier):
    def common(self, task: toy_plugin.Sorting) -> bool:
        return 0 in task.numbers


def loop(verifier: toy_plugin.ToyVerifier | None = None, *, held: int = FEW, common: int = 0, **settings: object) -> SelfPlay:
    """A loop that remembers so many tasks, some of them with a common answer."""
    verifier = verifier or Guessed()
    environment = azr.Environment(NAME, toy_plugin.ToyProposer(), verifier, [], toy_plugin.Sorting)
    config = RunConfig.model_validate({"plugins": ("toy",)} | settings)
    engine = SelfPlay(config, Parts({NAME: environment}, UniformBuffer(), Learnability(), Verification()))
    numbers = [(0 if index < common else 1, 1000 + index) for index in range(held)]
    tasks = [verifier.admit(toy_plugin.Numbers(numbers=pair)) for pair in numbers]
    engine.restore([TaskRecord(NAME, task, 1) for task in tasks], [], [])
    return engine


def judged(engine: SelfPlay, firsts: str, *, seeds: bool = False) -> list[Outcome]:
    """What becomes of tasks that begin with these digits; 0 is common."""
    tasks = [toy_plugin.ToyVerifier().admit(toy_plugin.Numbers(numbers=(int(first), 50 + at))) for at, first in enumerate(firsts)]
    verdict = Verdict(Outcome.ADMITTED, 1.0)
    episodes = [Episode(NAME, Kind.PROPOSE, str(at), "", Reply(""), verdict, task=task) for at, task in enumerate(tasks)]
    engine.refuse(None, episodes, seeds=seeds)
    reasons = {episode.verdict.reason for episode in episodes if episode.verdict and episode.outcome is Outcome.INVALID}
    assert all("common" in reason for reason in reasons)
    return [episode.outcome for episode in episodes]


IN, OUT = Outcome.ADMITTED, Outcome.INVALID


def test_no_more_common_answers_are_admitted_than_the_share_allows() -> None:
    engine = loop(common=2)
    assert judged(engine, "01020") == [IN, IN, OUT, IN, OUT]  # 3 of 37 are less than a tenth, 4 of 38 more


def test_a_batch_counts_itself() -> None:
    assert judged(loop(common=3), "00") == [OUT, OUT]
    assert judged(loop(common=0), "0" * 6).count(IN) == 4


def test_a_few_tasks_are_no_share() -> None:
    assert judged(loop(held=FEW - 1, common=FEW - 1), "00") == [IN, IN]
    assert judged(loop(held=FEW, common=FEW), "01") == [OUT, IN]


def test_seeds_are_counted_and_not_refused() -> None:
    engine = loop(common=FEW)
    assert judged(engine, "00", seeds=True) == [IN, IN]
    assert engine.admission.common[NAME] == engine.admission.remembered[NAME] == FEW


@pytest.mark.parametrize(("cap", "outcome"), [(1.0, IN), (0.5, OUT), (0.0, OUT)])
def test_the_cap_is_a_setting_and_one_is_none(cap: float, outcome: Outcome) -> None:
    assert judged(loop(common=FEW, common_cap=cap), "0") == [outcome]


def test_a_verifier_that_says_nothing_has_no_common_answers() -> None:
    assert judged(loop(toy_plugin.ToyVerifier(), common=FEW), "00") == [IN, IN]


@pytest.mark.parametrize("kind", ["abduction", "deduction"])
def test_math_says_which_answers_a_guess_would_try(kind: str) -> None:
    environment = next(one for one in maths.make_environments(Options()) if one.name == f"math/{kind}")
    guesses = {"0": True, "x=2, y=-1": True, "x=2, y=3": False, "x^2": False}
    tasks = {answer: environment.task_type.model_construct(answer=answer) for answer in guesses}
    assert {answer: environment.verifier.common(task) for answer, task in tasks.items()} == guesses
