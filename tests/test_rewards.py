"""Rewards and advantages by hand-computed rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import azr_core as azr
from azr_core.defaults import azr_reward_shaper
from azr_core.rewards import PATIENCE, RULES, Learnability, LearnabilityOptions
from azr_core.terms import COMBINATIONS, assemble
from azr_core.types import Episode, Kind, Outcome, Reply, Task, Verdict


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


def shaper(name: str, **options: Any) -> azr.RewardShaper:
    """The shaper that a run with `[reward] name = ...` has, terms included."""

    def find(part: azr.Part) -> azr.RewardShaper:
        found = azr_reward_shaper(part)
        assert found is not None
        return found

    return assemble(azr.Part.model_validate({"name": name} | options), find)


def measured(rate: float, **measures: float) -> Episode:
    episode = proposal(Outcome.ADMITTED, rate)
    episode.measures.update(measures)
    return episode


@pytest.mark.parametrize(
    ("rule", "rewards"),
    [  # of tasks that 0, 1/4, 1/2, 3/4 and all of the solves solve; -0.5 is zero_reward
        ("learnability", [-0.5, 0.75, 0.5, 0.25, -0.5]),  # 1 - s inside, nothing at the ends
        ("inverse", [1.0, 0.75, 0.5, 0.25, -0.5]),  # 1 - s: unsolved earns the most
        ("balanced", [-0.5, 0.75, 1.0, 0.75, -0.5]),  # 4 * 1/4 * 3/4 = 3/4, 4 * 1/2 * 1/2 = 1
        ("uncertainty", [-0.5, 0.5, 1.0, 0.5, -0.5]),  # 1 - 2 * 1/4 = 1/2
        ("variance", [-0.5, 0.1875, 0.25, 0.1875, -0.5]),  # 1/4 * 3/4 = 3/16
        ("constant", [1.0, 1.0, 1.0, 1.0, 1.0]),
        ("format_only", [-0.5, 0.75, 0.5, 0.25, -0.5]),  # changes the solver only
        ("random", [-0.5, 0.75, 0.5, 0.25, -0.5]),
    ],
)
def test_a_rule_rewards_proposals_by_their_solve_rate(rule: str, rewards: Sequence[float]) -> None:
    rule_ = shaper(rule, zero_reward=-0.5)
    assert [rule_.reward(proposal(Outcome.ADMITTED, rate)) for rate in (0.0, 0.25, 0.5, 0.75, 1.0)] == pytest.approx(rewards)


@pytest.mark.parametrize("rule", sorted(RULES.keys() - {"measure"}))
def test_every_rule_keeps_the_table_of_outcomes_for_proposals(rule: str) -> None:
    kept = shaper(rule, format_penalty=-2.0, duplicate=-0.25, novelty=1.0)
    assert [kept.reward(proposal(outcome)) for outcome in (Outcome.INVALID, Outcome.MALFORMED)] == [-2.0, -2.0]
    assert kept.reward(proposal(Outcome.DUPLICATE)) == -0.25
    assert kept.reward(proposal(Outcome.FAILED)) == 0.0
    once, often = (kept.reward(proposal(Outcome.ADMITTED, 0.5, seen=seen)) for seen in (0, 3))
    assert often == pytest.approx(once / 4)


def test_constant_pays_its_value_for_any_valid_proposal() -> None:
    assert shaper("constant", value=0.3).reward(proposal(Outcome.ADMITTED, None)) == 0.3


def test_format_only_pays_a_solver_for_any_answer_of_the_right_form() -> None:
    control = shaper("format_only")
    outcomes = (Outcome.SOLVED, Outcome.WRONG, Outcome.TIMEOUT, Outcome.MALFORMED, Outcome.FAILED)
    assert [control.reward(solution(outcome)) for outcome in outcomes] == [1.0, 1.0, 1.0, -1.0, 0.0]


def random_rewards(count: int, outcome: Outcome, **options: Any) -> list[float]:
    control = shaper("random", **options)
    tasks = [Task(question=str(index % 10), answer="") for index in range(count)]
    replies = [Episode("toy/sort", Kind.SOLVE, "g", "p", Reply(str(i)), Verdict(outcome), task) for i, task in enumerate(tasks)]
    return [control.reward(reply) for reply in replies]


def test_random_pays_by_task_and_reply_and_not_by_outcome() -> None:
    solved, wrong = random_rewards(400, Outcome.SOLVED), random_rewards(400, Outcome.WRONG)
    assert solved == wrong == random_rewards(400, Outcome.MALFORMED)
    assert set(solved) == {1.0, -0.5}
    assert abs(solved.count(1.0) - 200) < 50  # five standard deviations of a fair coin
    assert random_rewards(400, Outcome.SOLVED, seed=1) != solved
    assert set(random_rewards(400, Outcome.SOLVED, probability=1.0)) == {1.0}
    assert set(random_rewards(400, Outcome.FAILED)) == {0.0}


def test_a_measure_alone_is_weighted_and_capped() -> None:
    alone = shaper("measure", of="complexity", weight=0.3, max=0.5)
    assert alone.reward(measured(0.0, complexity=1.0)) == pytest.approx(0.3)  # 0.3 * 1
    assert alone.reward(measured(1.0, complexity=2.0)) == pytest.approx(0.5)  # 0.6 is over the cap
    assert alone.reward(measured(0.5)) == 0.0  # the environment has no such measure
    assert alone.reward(solution(Outcome.WRONG)) == -0.5


TERMS = [
    {"name": "measure", "of": "complexity", "weight": 0.3, "max": 0.5},
    {"name": "measure", "of": "distance", "weight": 2.0, "max": 0.4},
]


@pytest.mark.parametrize(
    ("combine", "reward"),
    [  # f = 1 - 1/4 = 0.75; t = 0.3 * 1 = 0.3; u = min(2 * 0.5, 0.4) = 0.4
        ("sum", 1.45),  # 0.75 + 0.3 + 0.4
        ("multiply", 0.09),  # 0.75 * 0.3 * 0.4
        ("sum_multiply", 0.87),  # 0.75 + 0.3 * 0.4
        ("multiply_sum", 0.525),  # 0.75 * (0.3 + 0.4)
    ],
)
def test_terms_combine_as_in_the_released_code(combine: str, reward: float) -> None:
    whole = shaper("learnability", terms=TERMS, combine=combine)
    assert whole.reward(measured(0.25, complexity=1.0, distance=0.5)) == pytest.approx(reward)


@pytest.mark.parametrize("combine", sorted(COMBINATIONS))
def test_no_term_lifts_a_task_that_is_worth_nothing_or_touches_anything_else(combine: str) -> None:
    kept = {"zero_reward": -0.5, "duplicate": 0.25}
    plain, whole = shaper("learnability", **kept), shaper("learnability", terms=TERMS, combine=combine, **kept)
    others = [proposal(Outcome.ADMITTED, rate) for rate in (0.0, 1.0)]
    others += [proposal(outcome) for outcome in (Outcome.INVALID, Outcome.DUPLICATE, Outcome.FAILED)] + [solution(Outcome.SOLVED)]
    for episode in others:
        episode.measures.update(complexity=1.0, distance=0.5)
    assert [whole.reward(episode) for episode in others] == [plain.reward(episode) for episode in others]


@pytest.mark.parametrize(("combine", "reward"), [("sum", 1.05), ("multiply", 0.225), ("sum_multiply", 1.05), ("multiply_sum", 0.225)])
def test_a_measure_that_a_task_lacks_is_left_out(combine: str, reward: float) -> None:
    whole = shaper("learnability", terms=TERMS, combine=combine)
    assert whole.reward(measured(0.25, complexity=1.0)) == pytest.approx(reward)  # 0.75 and 0.3
    assert whole.reward(measured(0.25)) == 0.75


def test_advantages_come_from_the_combined_reward_and_the_first_parts_options() -> None:
    whole = shaper("learnability", terms=TERMS[:1], proposer_weight=2.0)
    shaped = whole.shape([measured(0.5, complexity=c) for c in (0.0, 0.0, 1.0, 1.0)])
    assert [e.reward for e in shaped] == pytest.approx([0.5, 0.5, 0.8, 0.8])
    assert [e.advantage for e in shaped] == pytest.approx([-2.0, -2.0, 2.0, 2.0])  # (r - 0.65) / 0.15, twice


def test_a_measure_that_no_task_has_is_an_error_with_the_nearest_name() -> None:
    whole = shaper("learnability", terms=[{"name": "measure", "of": "complexty"}])
    for _ in range(PATIENCE - 1):
        assert whole.reward(measured(0.5, complexity=1.0)) == 0.5
    with pytest.raises(azr.ConfigError, match=r"\[reward\]: no task has a measure 'complexty'; did you mean 'complexity'\?"):
        whole.reward(measured(0.5, complexity=1.0))


def test_a_measure_that_some_task_had_may_be_missing_for_ever() -> None:
    alone = shaper("measure", of="complexity")
    alone.reward(measured(0.5, complexity=1.0))
    assert {alone.reward(measured(0.5)) for _ in range(2 * PATIENCE)} == {0.0}


def resolved(*layers: dict[str, Any]) -> azr.RunConfig:
    default = {"plugins": ["toy"], "reward": azr.RunConfig.model_fields["reward"].default.model_dump()}
    return azr.parse(azr.RunConfig, azr.merge(default, *layers), "configuration")


def test_a_list_of_parts_is_its_first_part_with_the_others_as_terms() -> None:
    as_list = resolved({"reward": [{"name": "inverse", "combine": "multiply"}, *TERMS]})
    as_table = resolved({"reward": {"name": "inverse", "combine": "multiply", "terms": TERMS}})
    assert as_list == as_table
    assert "novelty" not in as_list.reward.options  # a list takes the place of the defaults
    assert azr.RunConfig.model_validate(as_list.model_dump()) == as_list


def test_one_setting_of_a_table_can_be_set_alone_with_or_without_terms() -> None:
    assert resolved({"reward": {"novelty": 0.0}}).reward.options == {"novelty": 0.0, "proposer_weight": 0.3, "baseline": "group"}
    both = resolved({"reward": {"terms": TERMS}}, {"reward": {"novelty": 0.0}}).reward.options
    assert both["terms"] == TERMS and both["novelty"] == 0.0 and both["baseline"] == "group"


@pytest.mark.parametrize("reward", [[], [{"of": "complexity"}], "learnability", [[]], {"novelty": 1.0}])
def test_a_reward_without_a_name_says_how_to_write_it(reward: Any) -> None:
    with pytest.raises(azr.ConfigError, match=r"setting 'reward' = .*write one table with a name, or a list of them"):
        resolved({"reward": [{"name": "learnability"}]}, {"reward": reward})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"combine": "product"}, r"\[reward\]: setting 'combine' = 'product': Input should be 'sum', 'multiply'"),
        ({"terms": [{"of": "complexity"}]}, r"\[reward\]: setting 'terms.0.name' is missing"),
        ({"terms": [{"name": "measure"}]}, r"\[reward\]: setting 'of' is missing"),
        ({"terms": [{"name": "measure", "of": "x", "wieght": 1}]}, r"\[reward\]: unknown setting 'wieght'; did you mean 'weight'"),
        ({"advantage": "gprpo"}, r"\[reward\]: setting 'advantage' = 'gprpo': Input should be 'trr\+\+', 'grpo', 'rloo' or 'rae'"),
    ],
)
def test_a_wrong_part_of_a_reward_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(azr.ConfigError, match=message):
        shaper("learnability", **options)


FLAT = """
import azr_core as azr

class Flat(azr.RewardShaper):
    def reward(self, episode): return 0.125
    def advantages(self, episodes): return [0.5 for _ in episodes]

@azr.hookimpl
def azr_reward_shaper(part): return Flat() if part.name == "flat" else None
"""


def test_a_plugins_shaper_may_be_the_first_part_or_a_term(tmp_path: Path) -> None:
    (tmp_path / "flat.py").write_text(FLAT)
    plugins = azr.load([str(tmp_path / "flat.py")])
    episodes = [measured(0.5, complexity=1.0), measured(0.0)]
    first = plugins.shaper(resolved({"reward": [{"name": "flat"}, TERMS[0]]})).shape(episodes)
    assert [(e.reward, e.advantage) for e in first] == [(0.425, 0.5), (0.125, 0.5)]  # 0.125 + 0.3, and no such measure
    term = plugins.shaper(resolved({"reward": [{"name": "learnability"}, {"name": "flat"}]})).shape(episodes)
    assert [e.reward for e in term] == [0.625, 0.0]  # 0.5 + 0.125, and worth nothing


STEEP = """
import azr_core as azr

class Steep(azr.Learnability):
    def curve(self, rate): return (1 - rate) ** 2

@azr.hookimpl
def azr_reward_shaper(part): return Steep(azr.parse(azr.LearnabilityOptions, part.options, "[reward]")) if part.name == "steep" else None
"""


def test_a_plugins_rule_may_be_a_curve_and_have_all_the_rest(tmp_path: Path) -> None:
    (tmp_path / "steep.py").write_text(STEEP)
    plugins = azr.load([str(tmp_path / "steep.py")])
    steep = plugins.shaper(resolved({"reward": {"name": "steep", "wrong": -0.25, "advantage": "rloo"}}))
    shaped = steep.shape([proposal(Outcome.ADMITTED, 0.5), proposal(Outcome.INVALID), solution(Outcome.WRONG)])
    assert [e.reward for e in shaped] == [0.25, -1.0, -0.25]  # (1 - 1/2)^2
    assert [e.advantage for e in shaped] == [1.25, -1.25, 0.0]
    assert plugins.shaper(resolved({"reward": [{"name": "learnability"}, {"name": "steep"}]})).reward(shaped[0]) == 0.75


def test_an_unknown_rule_is_answered_with_the_nearest() -> None:
    plugins = azr.load([])
    for reward in ({"name": "invrse"}, [{"name": "learnability"}, {"name": "invrse"}]):
        with pytest.raises(azr.PluginError, match=r"no loaded plugin has a reward shaper named 'invrse' .* did you mean 'inverse'"):
            plugins.shaper(resolved({"reward": reward}))


def test_probes_that_only_measure_touch_no_baseline() -> None:
    solved, wrong = Outcome.SOLVED, Outcome.WRONG
    probes = [solution(solved) for _ in range(8)]
    for probe in probes:
        probe.trained = False
    shaped = Learnability().shape([*probes, solution(solved), solution(solved), solution(wrong), solution(wrong)])
    assert [e.advantage for e in shaped] == pytest.approx([0] * 8 + [1, 1, -1, -1])  # mean .25, std .75 of the last four
