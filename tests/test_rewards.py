"""Rewards and advantages by hand-computed rows."""

from __future__ import annotations

import math

import pytest

from azr_core.rewards import Learnability, LearnabilityOptions
from azr_core.types import Episode, Kind, Outcome, Reply, Verdict


def proposal(outcome: Outcome, rate: float | None = None, seen: float = 0.0, environment: str = "toy/sort") -> Episode:
    return Episode(environment, Kind.PROPOSE, "g", "p", Reply(""), Verdict(outcome), solve_rate=rate, measures={"seen": seen})


def solution(outcome: Outcome, group: str = "g", environment: str = "toy/sort") -> Episode:
    return Episode(environment, Kind.SOLVE, group, "p", Reply(""), Verdict(outcome))


@pytest.mark.parametrize(
    ("episode", "reward"),
    [
        (proposal(Outcome.ADMITTED, 0.25), 0.75),  # 1 - 1/4
        (proposal(Outcome.ADMITTED, 0.875), 0.125),  # 1 - 7/8
        (proposal(Outcome.ADMITTED, 0.0), 0.0),
        (proposal(Outcome.ADMITTED, 1.0), 0.0),
        (proposal(Outcome.INVALID), -1.0),
        (proposal(Outcome.MALFORMED), -1.0),
        (proposal(Outcome.DUPLICATE), 0.0),
        (proposal(Outcome.FAILED), 0.0),
        (solution(Outcome.SOLVED), 1.0),
        (solution(Outcome.WRONG), -0.5),
        (solution(Outcome.TIMEOUT), -0.5),
        (solution(Outcome.MALFORMED), -1.0),
        (solution(Outcome.FAILED), 0.0),
    ],
)
def test_rewards_are_those_of_the_paper(episode: Episode, reward: float) -> None:
    assert Learnability().reward(episode) == pytest.approx(reward)


def test_zero_reward_of_the_released_code_is_an_option() -> None:
    shaper = Learnability(LearnabilityOptions(zero_reward=-0.5))
    assert shaper.reward(proposal(Outcome.ADMITTED, 1.0)) == -0.5
    assert shaper.reward(proposal(Outcome.ADMITTED, 0.5)) == 0.5


def test_novelty_divides_by_one_plus_times_seen() -> None:
    shaper = Learnability(LearnabilityOptions(novelty=1.0))
    assert shaper.reward(proposal(Outcome.ADMITTED, 0.5, seen=0)) == 0.5
    assert shaper.reward(proposal(Outcome.ADMITTED, 0.5, seen=4)) == pytest.approx(0.1)  # 0.5 / 5
    root = Learnability(LearnabilityOptions(novelty=0.5))
    assert root.reward(proposal(Outcome.ADMITTED, 0.5, seen=3)) == pytest.approx(0.25)  # 0.5 / sqrt(4)


def test_advantages_are_relative_to_role_and_environment() -> None:
    solved, wrong = Outcome.SOLVED, Outcome.WRONG
    episodes = [solution(solved), solution(solved), solution(wrong), solution(wrong)]
    episodes += [proposal(Outcome.ADMITTED, 0.5) for _ in range(3)] + [proposal(Outcome.INVALID)]
    shaped = Learnability().shape(episodes)
    # solver: rewards 1 1 -.5 -.5, mean .25, std .75; proposer: .5 .5 .5 -1, mean .125, std sqrt(.421875)
    assert [e.advantage for e in shaped[:4]] == pytest.approx([1, 1, -1, -1])
    spread = math.sqrt((3 * 0.375**2 + 1.125**2) / 4)
    assert [e.advantage for e in shaped[4:]] == pytest.approx([0.375 / spread] * 3 + [-1.125 / spread])


def test_no_spread_gives_no_advantage() -> None:
    assert [e.advantage for e in Learnability().shape([solution(Outcome.SOLVED) for _ in range(5)])] == [0.0] * 5


def test_failed_episodes_touch_no_baseline() -> None:
    judged = [solution(Outcome.SOLVED)] * 2 + [solution(Outcome.WRONG)] * 2
    with_failed = Learnability().shape([*[solution(e.outcome) for e in judged], solution(Outcome.FAILED)])
    assert [e.advantage for e in with_failed] == pytest.approx([1, 1, -1, -1, 0])


def test_a_small_group_is_measured_against_all_rewards_so_far() -> None:
    shaper = Learnability()
    shaper.shape([solution(Outcome.SOLVED), solution(Outcome.SOLVED), solution(Outcome.WRONG), solution(Outcome.WRONG)])
    small = shaper.shape([solution(Outcome.SOLVED)])
    assert small[0].advantage == pytest.approx(1.0)  # (1 - .25) / .75
    assert Learnability().shape([solution(Outcome.SOLVED)])[0].advantage == 0.0


def test_recall_continues_the_running_baseline() -> None:
    seen = [solution(o) for o in (Outcome.SOLVED, Outcome.SOLVED, Outcome.WRONG, Outcome.WRONG)]
    first, resumed = Learnability(), Learnability()
    resumed.recall(first.shape(seen))
    assert resumed.shape([solution(Outcome.WRONG)])[0].advantage == first.shape([solution(Outcome.WRONG)])[0].advantage


def test_group_baseline_centres_each_task() -> None:
    shaper = Learnability(LearnabilityOptions(baseline="group"))
    episodes = [solution(o, "a") for o in (Outcome.SOLVED, Outcome.SOLVED)] + [solution(o, "b") for o in (Outcome.SOLVED, Outcome.WRONG)]
    shaped = shaper.shape(episodes)
    assert [e.advantage for e in shaped[:2]] == [0.0, 0.0]
    assert shaped[2].advantage == pytest.approx(-shaped[3].advantage)


def test_the_proposer_weight_scales_only_proposals() -> None:
    def batch() -> list[Episode]:
        return [proposal(Outcome.ADMITTED, r) for r in (0.25, 0.5, 0.75, 0.0)] + [
            solution(o) for o in (Outcome.SOLVED, Outcome.WRONG, Outcome.WRONG, Outcome.WRONG)
        ]

    plain, weighted = Learnability().shape(batch()), Learnability(LearnabilityOptions(proposer_weight=0.3)).shape(batch())
    assert [e.advantage for e in weighted[:4]] == pytest.approx([0.3 * e.advantage for e in plain[:4]])
    assert [e.advantage for e in weighted[4:]] == [e.advantage for e in plain[4:]]
