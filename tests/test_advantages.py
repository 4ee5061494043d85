"""Advantage estimators by hand-computed rows, against naive versions, and against the formulas of veRL and TRL."""

from __future__ import annotations

import importlib.util
import math
import random
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azr_core.advantages import ESTIMATORS, AdvantageOptions, Estimator, type_of
from azr_core.rewards import Learnability, LearnabilityOptions
from azr_core.types import Episode, Kind, Outcome, Reply, Role, Verdict


def episode(reward: float, group: str = "g", kind: Kind = Kind.SOLVE, environment: str = "toy/sort", tokens: int = 1) -> Episode:
    outcome = Outcome.ADMITTED if kind is Kind.PROPOSE else Outcome.SOLVED
    return Episode(environment, kind, group, "p", Reply("", token_ids=range(tokens)), Verdict(outcome), reward=reward)


def solves(*rewards: float, group: str = "g", environment: str = "toy/sort") -> list[Episode]:
    return [episode(reward, group, environment=environment) for reward in rewards]


def proposals(*rewards: float) -> list[Episode]:
    """One sample a prompt, so each has a group of its own."""
    return [episode(reward, f"p{index}", Kind.PROPOSE) for index, reward in enumerate(rewards)]


def estimator(**options: Any) -> Estimator:
    settings = AdvantageOptions.model_validate(options)
    return ESTIMATORS[settings.advantage](settings)


def estimated(episodes: Sequence[Episode], **options: Any) -> list[float]:
    return estimator(**options).estimate(episodes)


quick = settings(max_examples=30, deadline=None)


# --- golden rows


def test_trrpp_compares_a_reward_with_its_type() -> None:
    rows = [*solves(1, 1, -0.5, -0.5, group="a"), *proposals(0.5, 0.5, 0.5, -1)]
    # solves: mean 1/4, std 3/4. proposals: mean 1/8, variance (3 * (3/8)^2 + (9/8)^2) / 4 = 27/64, std .649519
    spread = math.sqrt(27 / 64)
    assert estimated(rows) == pytest.approx([1, 1, -1, -1] + [0.375 / spread] * 3 + [-1.125 / spread])


def test_trrpp_by_token_weighs_a_reply_by_its_length() -> None:
    rows = [episode(1, tokens=6), episode(1, tokens=1), episode(0, tokens=1), episode(0, tokens=2)]
    # 10 tokens, 7 of them with reward 1: mean .7; squares 7 * .3^2 + 3 * .7^2 = 2.1, over 10 - 1 tokens: 2.1 / 9 = .2333
    spread = math.sqrt(2.1 / 9)
    assert estimated(rows, whitening="token") == pytest.approx([0.3 / spread] * 2 + [-0.7 / spread] * 2)
    assert estimated(rows) == pytest.approx([1, 1, -1, -1])  # by reply: mean 1/2, std 1/2


def test_trrpp_with_a_group_baseline_centres_each_task_and_leaves_proposals() -> None:
    rows = [*solves(1, 1, group="a"), *solves(1, -1, group="b"), *proposals(1, 1, 0, 0)]
    # solves: mean 1/2, std sqrt(3)/2, scores 1/sqrt(3) three times and -sqrt(3); task b: mean (1/sqrt(3) - sqrt(3)) / 2 = -1/sqrt(3)
    third = 1 / math.sqrt(3)
    assert estimated(rows, baseline="group") == pytest.approx([0, 0, 2 * third, -2 * third, 1, 1, -1, -1])


def test_grpo_compares_a_reward_with_its_prompt_group() -> None:
    rows = [*solves(1, 0, 0, group="a"), *solves(1, 1, group="b"), *solves(3, 1, group="c")]
    # a: mean 1/3, sample variance (4/9 + 1/9 + 1/9) / 2 = 1/3. b: no spread. c: mean 2, sample variance (1 + 1) / 1 = 2
    a, c = math.sqrt(1 / 3) + 1e-4, math.sqrt(2) + 1e-4
    assert estimated(rows, advantage="grpo") == pytest.approx([2 / 3 / a, -1 / 3 / a, -1 / 3 / a, 0, 0, 1 / c, -1 / c])


def test_rloo_compares_a_reward_with_the_others_of_its_group() -> None:
    rows = [*solves(1, 0, 0.5, group="a"), *solves(0.1, 0.1, 0.1, group="b")]
    # 1 - (0 + .5) / 2 = .75; 0 - (1 + .5) / 2 = -.75; .5 - (1 + 0) / 2 = 0
    assert estimated(rows, advantage="rloo") == pytest.approx([0.75, -0.75, 0, 0, 0, 0])


def test_rae_compares_a_reward_with_the_average_before_it() -> None:
    rows = [*solves(1, 1), *proposals(0.5), *solves(-1), *solves(1, environment="toy/other")]
    # solves: baseline 0, then .5 * 0 + .5 * 1 = .5, then .5 * .5 + .5 * 1 = .75; the other types start at 0
    assert estimated(rows, advantage="rae", decay=0.5) == pytest.approx([1, 0.5, 0.5, -1.75, 1])


@pytest.mark.parametrize(("advantage", "scores"), [("grpo", [1, 1, -1, -1]), ("rloo", [2 / 3, 2 / 3, -2 / 3, -2 / 3])])
def test_samples_alone_with_their_prompt_are_compared_with_their_like(advantage: str, scores: list[float]) -> None:
    # mean 1/2; grpo: sample std sqrt(1/3); rloo: 1 - (1 + 0 + 0) / 3 = 2/3
    scale = 0.5 / (math.sqrt(1 / 3) + 1e-4) if advantage == "grpo" else 1
    expected = [scale * score for score in scores]
    assert estimated(proposals(1, 1, 0, 0), advantage=advantage) == pytest.approx(expected)
    lone = [episode(reward, f"t{index}") for index, reward in enumerate((1, 1, 0, 0))]  # one solve a task: probes = "measure"
    assert estimated(lone, advantage=advantage) == pytest.approx(expected)
    assert estimated([*lone, *solves(5, 6, group="a")], advantage=advantage)[:4] == pytest.approx(expected)
    assert estimated(solves(1), advantage=advantage) == [0.0]


# --- naive versions


def naive_trrpp(rows: Sequence[Episode]) -> list[float]:
    scores = []
    for row in rows:
        rewards = [other.reward for other in rows if type_of(other) == type_of(row)]
        spread = statistics.pstdev(rewards)
        scores.append((row.reward - statistics.mean(rewards)) / spread if spread > 1e-8 and len(rewards) >= 4 else 0.0)
    return scores


def naive_token(rows: Sequence[Episode]) -> list[float]:
    scores = []
    for row in rows:
        alike = [other for other in rows if type_of(other) == type_of(row)]
        tokens = [other.reward for other in alike for _ in other.reply.token_ids]
        spread = statistics.stdev(tokens) if len(alike) >= 4 else 0.0
        scores.append((row.reward - statistics.mean(tokens)) / spread if spread > 1e-8 else 0.0)
    return scores


def naive_group(rows: Sequence[Episode]) -> list[float]:
    scores = dict(zip(map(id, rows), naive_trrpp(rows), strict=True))
    centred = []
    for row in rows:
        task = [scores[id(other)] for other in rows if other.role is Role.SOLVE and other.group == row.group]
        centred.append(scores[id(row)] - (statistics.mean(task) if row.role is Role.SOLVE else 0.0))
    return centred


def peers(row: Episode, rows: Sequence[Episode]) -> list[Episode]:
    """The others that a row is compared with by its prompt."""

    def siblings(one: Episode) -> list[Episode]:
        return [other for other in rows if other is not one and (type_of(other), other.group) == (type_of(one), one.group)]

    return siblings(row) or [o for o in rows if o is not row and type_of(o) == type_of(row) and not siblings(o)]


def naive_grpo(rows: Sequence[Episode]) -> list[float]:
    scores = []
    for row in rows:
        rewards = [row.reward, *(other.reward for other in peers(row, rows))]
        flat = max(rewards) - min(rewards) < 1e-8
        scores.append(0.0 if flat else (row.reward - statistics.mean(rewards)) / (statistics.stdev(rewards) + 1e-4))
    return scores


def naive_rloo(rows: Sequence[Episode]) -> list[float]:
    others = [[other.reward for other in peers(row, rows)] for row in rows]
    return [row.reward - statistics.mean(rewards) if rewards else 0.0 for row, rewards in zip(rows, others, strict=True)]


def naive_rae(rows: Sequence[Episode]) -> list[float]:
    scores = []
    for index, row in enumerate(rows):
        baseline = 0.0
        for earlier in rows[:index]:
            if type_of(earlier) == type_of(row):
                baseline = 0.95 * baseline + 0.05 * earlier.reward
        scores.append(row.reward - baseline)
    return scores


NAIVE: list[tuple[dict[str, Any], Callable[[Sequence[Episode]], list[float]]]] = [
    ({"advantage": "trr++"}, naive_trrpp),
    ({"advantage": "trr++", "whitening": "token"}, naive_token),
    ({"advantage": "trr++", "baseline": "group"}, naive_group),
    ({"advantage": "grpo"}, naive_grpo),
    ({"advantage": "rloo"}, naive_rloo),
    ({"advantage": "rae"}, naive_rae),
]
ORDERLESS = [(options, naive) for options, naive in NAIVE if options["advantage"] != "rae"]


@st.composite
def batches(draw: st.DrawFn) -> list[Episode]:
    """Proposals and groups of solves of two environments, mixed."""
    rewards = st.one_of(st.sampled_from([1.0, -0.5, -1.0, 0.0, 0.125]), st.floats(-2, 2).map(lambda reward: round(reward, 3)))
    rows = [
        episode(draw(rewards), f"p{index}", Kind.PROPOSE, environment, draw(st.integers(1, 9)))
        for environment in ("toy/a", "toy/b")
        for index in range(draw(st.integers(0, 8)))
    ]
    rows += [
        episode(
            draw(rewards), f"{environment}{task}", draw(st.sampled_from([Kind.SOLVE, Kind.PROBE])), environment, draw(st.integers(1, 9))
        )
        for environment in ("toy/a", "toy/b")
        for task in range(draw(st.integers(0, 3)))
        for _ in range(draw(st.integers(1, 5)))
    ]
    return draw(st.permutations(rows))


@pytest.mark.parametrize(("options", "naive"), NAIVE)
@quick
@given(rows=batches())
def test_an_estimator_is_its_naive_version(
    options: dict[str, Any], naive: Callable[[Sequence[Episode]], list[float]], rows: list[Episode]
) -> None:
    assert estimated(rows, **options) == pytest.approx(naive(rows), abs=1e-9)


@pytest.mark.parametrize("options", [options for options, _ in ORDERLESS])
@quick
@given(rows=batches(), order=st.randoms(use_true_random=False))
def test_order_does_not_count(options: dict[str, Any], rows: list[Episode], order: random.Random) -> None:
    scores = dict(zip(map(id, rows), estimated(rows, **options), strict=True))
    shuffled = order.sample(rows, len(rows))
    assert estimated(shuffled, **options) == pytest.approx([scores[id(row)] for row in shuffled], abs=1e-9)


@quick
@given(rows=batches())
def test_rae_goes_by_the_order_within_a_type_only(rows: list[Episode]) -> None:
    scores = dict(zip(map(id, rows), estimated(rows, advantage="rae"), strict=True))
    sorted_ = sorted(rows, key=type_of)
    assert estimated(sorted_, advantage="rae") == [scores[id(row)] for row in sorted_]


def sums(rows: Sequence[Episode], scores: Sequence[float], key: Callable[[Episode], object]) -> list[float]:
    totals: dict[object, float] = {}
    for row, score in zip(rows, scores, strict=True):
        totals[key(row)] = totals.get(key(row), 0.0) + score
    return list(totals.values())


@quick
@given(rows=batches())
def test_advantages_sum_to_nothing_where_they_compare(rows: list[Episode]) -> None:
    nothing = pytest.approx(0.0, abs=1e-6)
    for options in ({"advantage": "trr++"}, {"advantage": "grpo"}, {"advantage": "rloo"}):
        assert sums(rows, estimated(rows, **options), type_of) == [nothing] * len({type_of(row) for row in rows})
    weighted = [score * len(row.reply.token_ids) for row, score in zip(rows, estimated(rows, whitening="token"), strict=True)]
    assert all(total == nothing for total in sums(rows, weighted, type_of))
    solved = [row for row in rows if row.role is Role.SOLVE]
    assert all(total == nothing for total in sums(solved, estimated(solved, baseline="group"), lambda row: row.group))


@pytest.mark.parametrize("options", [options for options, _ in ORDERLESS])
@quick
@given(reward=st.floats(-2, 2), count=st.integers(1, 12))
def test_no_spread_gives_exactly_no_advantage(options: dict[str, Any], reward: float, count: int) -> None:
    assert estimated([*solves(*[reward] * count), *proposals(*[reward] * count)], **options) == [0.0] * 2 * count


# --- what others compute


def test_token_whitening_is_verls() -> None:
    torch = pytest.importorskip("torch")
    rng = random.Random(0)
    rows = [episode(rng.choice([1.0, -0.5, -1.0]), tokens=rng.randint(1, 30)) for _ in range(64)]
    # verl/trainer/ppo/core_algos.py, compute_reinforce_plus_plus_outcome_advantage with gamma 1, and verl/utils/torch_functional.py,
    # masked_whiten: every token of a reply has the reply's reward as its return
    mask = torch.tensor([[float(index < len(row.reply.token_ids)) for index in range(30)] for row in rows], dtype=torch.float64)
    returns = torch.tensor([row.reward for row in rows], dtype=torch.float64)[:, None] * mask
    mean = (returns * mask).sum() / mask.sum()
    variance = ((returns - mean) ** 2 * mask).sum() / mask.sum() * mask.sum() / (mask.sum() - 1)
    whitened = (returns - mean) * torch.rsqrt(variance + 1e-8)
    assert estimated(rows, whitening="token") == pytest.approx(whitened[:, 0].tolist(), abs=1e-6)


def trl_source(module: str) -> str:
    """Source of a trainer of TRL. Its grouping is inside a method that needs a whole trainer: it is quoted, and held to be there."""
    found = importlib.util.find_spec("trl")
    if found is None or found.origin is None:
        pytest.skip("TRL is not installed")
    return (Path(found.origin).parent / "trainer" / module).read_text()


def trl_batch(seed: int) -> tuple[list[Episode], Any]:
    torch = pytest.importorskip("torch")
    rng = random.Random(seed)
    rows = [episode(rng.choice([1.0, -0.5, -1.0, 0.25]), f"t{task}") for task in range(32) for _ in range(8)]
    return rows, torch.tensor([row.reward for row in rows], dtype=torch.float64)


def test_grpo_is_trls() -> None:
    source = trl_source("grpo_trainer.py")
    rows, rewards = trl_batch(1)
    torch = pytest.importorskip("torch")
    # trl/trainer/grpo_trainer.py, _generate_and_score_completions
    for line in (
        "mean_grouped_rewards = torch.nanmean(rewards.view(-1, num_generations), dim=1)",
        "std_rewards = nanstd(rewards.view(-1, num_generations), dim=1)",
        "advantages = rewards - mean_grouped_rewards",
        "advantages = advantages / (std_rewards + 1e-4)",
    ):
        assert line in source
    mean = torch.nanmean(rewards.view(-1, 8), dim=1).repeat_interleave(8, dim=0)
    spread = rewards.view(-1, 8).std(dim=1).repeat_interleave(8, dim=0)  # nanstd: Bessel's correction, as std has
    assert estimated(rows, advantage="grpo") == pytest.approx(((rewards - mean) / (spread + 1e-4)).tolist())


def test_rloo_is_trls() -> None:
    source = trl_source("rloo_trainer.py")
    rows, rewards = trl_batch(2)
    # trl/trainer/rloo_trainer.py, _generate_and_score_completions
    for line in ("baselines = (grouped_sum - grouped_rewards) / (scorable_counts - 1)", "advantages = rewards - baselines"):
        assert line in source
    grouped = rewards.view(-1, 8)
    baselines = (grouped.sum(dim=1, keepdim=True) - grouped) / (8 - 1)
    assert estimated(rows, advantage="rloo") == pytest.approx((rewards - baselines.view(-1)).tolist(), abs=1e-12)


# --- what is remembered


@pytest.mark.parametrize("options", [options for options, _ in NAIVE])
@quick
@given(steps=st.lists(batches(), min_size=1, max_size=3), last=batches())
def test_a_resumed_run_estimates_as_one_that_went_on(options: dict[str, Any], steps: list[list[Episode]], last: list[Episode]) -> None:
    whole, resumed = Learnability(LearnabilityOptions(**options)), Learnability(LearnabilityOptions(**options))
    for step in steps:
        whole.advantages(step)
        # what the store gives back: rewards, but no tokens
        resumed.recall([Episode(row.environment, row.kind, row.group, "", Reply(""), row.verdict, reward=row.reward) for row in step])
    assert resumed.advantages(last) == whole.advantages(last)


@pytest.mark.parametrize("options", [options for options, _ in NAIVE])
@quick
@given(rows=batches())
def test_failed_and_untrained_episodes_get_nothing_and_change_nothing(options: dict[str, Any], rows: list[Episode]) -> None:
    failed = episode(7.0)
    failed.verdict = Verdict(Outcome.FAILED)
    measured = episode(7.0, kind=Kind.PROBE)
    measured.trained = False
    plain, mixed = Learnability(LearnabilityOptions(**options)), Learnability(LearnabilityOptions(**options))
    for _ in range(2):
        assert mixed.advantages([failed, *rows, measured]) == [0.0, *plain.advantages(rows), 0.0]


def test_small_groups_are_counted() -> None:
    shaper = Learnability()
    shaper.advantages([*solves(1, 0, 1), *proposals(1), *solves(1, 0, 1, 0, environment="toy/other")])
    assert shaper.metrics() == {"advantage/small_groups": 2.0}
    shaper.advantages(solves(1, 0, 1, 0))
    assert shaper.metrics() == {"advantage/small_groups": 0.0}


def test_a_small_group_is_measured_by_reply_against_the_past_whatever_the_whitening() -> None:
    shaper = Learnability(LearnabilityOptions(whitening="token"))
    shaper.advantages([episode(1, tokens=9), episode(1), episode(-0.5), episode(-0.5)])
    assert shaper.advantages(solves(1)) == pytest.approx([1.0])  # (1 - .25) / .75
