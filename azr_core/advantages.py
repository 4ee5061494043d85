"""Advantage estimators: what a step's rewards are compared with, one class a rule.

An estimator sees the episodes that were judged and are learned from: failed ones and probes that only measure are left
out before, get advantage 0 and touch no baseline. A type is a role in an environment, a prompt group the samples of one
prompt. What an estimator remembers, it learns in `observe`, from rewards alone, so a resumed run remembers the same.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Literal

from pydantic import Field

from azr_core.config import Options
from azr_core.types import Episode, Role

SMALL_GROUP = 4  # a baseline of fewer samples is noise
FLAT = 1e-8  # a spread below this is none
TRL_EPSILON = 1e-4  # added to the spread, as TRL's GRPOTrainer does

Rewards = Sequence[float]


class AdvantageOptions(Options):
    """How rewards become advantages. Defaults are those of arXiv 2505.03335, Eq. 8."""

    advantage: Literal["trr++", "grpo", "rloo", "rae"] = Field(
        default="trr++",
        description="estimator: trr++ (arXiv 2505.03335, Eq. 8), grpo (arXiv 2402.03300), rloo (arXiv 2402.14740), rae (arXiv 2506.24119)",
    )
    whitening: Literal["sequence", "token"] = Field(
        default="sequence",
        description="trr++: mean and spread over replies (Eq. 8) or over their tokens (released code: veRL masked_whiten)",
    )
    baseline: Literal["type", "group"] = Field(default="type", description="trr++: a solve is compared with its type (Eq. 8) or its task")
    decay: float = Field(
        default=0.95, ge=0, lt=1, description="rae: share of the old baseline that stays (SPIRAL, role_baseline_ema_gamma)"
    )


class Estimator(ABC):
    """Turns rewards into advantages. small_groups: groups of the last estimate that were too small for a baseline of their own."""

    def __init__(self, options: AdvantageOptions) -> None:
        self.options = options
        self.small_groups = 0

    @abstractmethod
    def estimate(self, episodes: Sequence[Episode]) -> list[float]:
        """Advantage of each episode of a step, in order. Remembers nothing of them."""

    def observe(self, episodes: Sequence[Episode]) -> None:  # noqa: B027 - an estimator without memory has nothing to observe
        """Remember a step's rewards."""


class TaskRelative(Estimator):
    """TRR++ (Eq. 8): (reward - mean) / std within role and environment; 0 where there is no spread.

    `whitening = "token"` weighs a reply by its tokens, so long replies move mean and spread more, and corrects the variance by
    tokens / (tokens - 1): veRL's compute_reinforce_plus_plus_outcome_advantage at gamma 1, which the released code calls for each
    type alone. A type with fewer than four rewards in this step is measured against all rewards so far, by reply (0 until there
    are four). `baseline = "group"` then takes the task's mean from its solves: our default, not the paper's.
    """

    def __init__(self, options: AdvantageOptions) -> None:
        super().__init__(options)
        self.history = RunningMoments()

    def estimate(self, episodes: Sequence[Episode]) -> list[float]:
        types: dict[Hashable, list[Episode]] = defaultdict(list)
        for episode in episodes:
            types[type_of(episode)].append(episode)
        small = {key for key, members in types.items() if len(members) < SMALL_GROUP}
        self.small_groups = len(small)
        moments = {key: self.history.get(key) if key in small else self._moments(members) for key, members in types.items()}
        scores = []
        for episode in episodes:
            mean, spread = moments[type_of(episode)] or (episode.reward, 0.0)
            scores.append((episode.reward - mean) / spread if spread > FLAT else 0.0)
        return self._centred(episodes, scores) if self.options.baseline == "group" else scores

    def observe(self, episodes: Sequence[Episode]) -> None:
        self.history.observe(episodes)

    def _moments(self, members: Sequence[Episode]) -> tuple[float, float]:
        by_token = self.options.whitening == "token"
        weights = [max(1, len(episode.reply.token_ids)) if by_token else 1 for episode in members]
        total = sum(weights)
        mean = sum(weight * episode.reward for weight, episode in zip(weights, members, strict=True)) / total
        squares = sum(weight * (episode.reward - mean) ** 2 for weight, episode in zip(weights, members, strict=True))
        return mean, math.sqrt(squares / (total - by_token))

    def _centred(self, episodes: Sequence[Episode], scores: Sequence[float]) -> list[float]:
        """Scores minus their task's mean; a proposal has no task to be compared within, and stays."""
        tasks: dict[str, list[float]] = defaultdict(list)
        for episode, score in zip(episodes, scores, strict=True):
            if episode.role is Role.SOLVE:
                tasks[episode.group].append(score)
        means = {group: sum(values) / len(values) for group, values in tasks.items()}
        return [
            score - (means[episode.group] if episode.role is Role.SOLVE else 0.0) for episode, score in zip(episodes, scores, strict=True)
        ]


class GroupRelative(Estimator):
    """GRPO (arXiv 2402.03300, Eq. 3): (reward - mean) / std within the prompt group; 0 where there is no spread.

    As TRL computes it (trl/trainer/grpo_trainer.py, `scale_rewards="group"`): the spread of a sample (n - 1), plus 1e-4. A
    sample that is alone with its prompt, as every proposal is, is compared with the others of its type that are.
    """

    def estimate(self, episodes: Sequence[Episode]) -> list[float]:
        return within(prompt_groups(episodes), [episode.reward for episode in episodes], _standardised)


class LeaveOneOut(Estimator):
    """RLOO (arXiv 2402.14740): reward minus the mean of the others of the prompt group, unscaled; 0 where there is no spread.

    As TRL computes it (trl/trainer/rloo_trainer.py, `normalize_advantages=False`). A sample that is alone with its prompt, as
    every proposal is, is compared with the others of its type that are.
    """

    def estimate(self, episodes: Sequence[Episode]) -> list[float]:
        return within(prompt_groups(episodes), [episode.reward for episode in episodes], _left_out)


class RoleConditioned(Estimator):
    """RAE (SPIRAL, arXiv 2506.24119): reward minus a moving average of the type's rewards, unscaled.

    As in spiral-rl/spiral, train_spiral.py: the average starts at 0, and an episode is compared with it before it moves it. So
    order counts within a type, proposals need no group, and a type whose rewards are all alike fades to 0 over many episodes.
    """

    def __init__(self, options: AdvantageOptions) -> None:
        super().__init__(options)
        self.baselines: defaultdict[Hashable, float] = defaultdict(float)

    def estimate(self, episodes: Sequence[Episode]) -> list[float]:
        return self._walked(self.baselines.copy(), episodes)

    def observe(self, episodes: Sequence[Episode]) -> None:
        self._walked(self.baselines, episodes)

    def _walked(self, baselines: defaultdict[Hashable, float], episodes: Sequence[Episode]) -> list[float]:
        scores = []
        for episode in episodes:
            baseline = baselines[type_of(episode)]
            scores.append(episode.reward - baseline)
            baselines[type_of(episode)] = self.options.decay * baseline + (1.0 - self.options.decay) * episode.reward
        return scores


ESTIMATORS: dict[str, type[Estimator]] = {
    "trr++": TaskRelative,
    "grpo": GroupRelative,
    "rloo": LeaveOneOut,
    "rae": RoleConditioned,
}


class RunningMoments:
    """Mean and spread of all rewards so far, by type: Welford's method."""

    def __init__(self) -> None:
        self._state: dict[Hashable, tuple[int, float, float]] = {}

    def observe(self, episodes: Sequence[Episode]) -> None:
        """Add the rewards of a step."""
        for episode in episodes:
            count, mean, squares = self._state.get(type_of(episode), (0, 0.0, 0.0))
            count += 1
            delta = episode.reward - mean
            mean += delta / count
            self._state[type_of(episode)] = (count, mean, squares + delta * (episode.reward - mean))

    def get(self, key: Hashable) -> tuple[float, float] | None:
        """(mean, standard deviation), or None where fewer than four rewards were seen."""
        count, mean, squares = self._state.get(key, (0, 0.0, 0.0))
        return (mean, math.sqrt(squares / count)) if count >= SMALL_GROUP else None


def type_of(episode: Episode) -> tuple[Role, str]:
    """The task type of TRR++: role and environment."""
    return (episode.role, episode.environment)


def prompt_groups(episodes: Sequence[Episode]) -> list[Hashable]:
    """The group of each episode: its prompt, or its type where it is alone with its prompt."""
    sizes = Counter((type_of(episode), episode.group) for episode in episodes)
    return [(type_of(episode), episode.group) if sizes[type_of(episode), episode.group] > 1 else type_of(episode) for episode in episodes]


def within(groups: Sequence[Hashable], rewards: Rewards, compare: Callable[[Rewards], list[float]]) -> list[float]:
    """Each group's rewards compared among themselves, put back in order; a group without spread gets 0."""
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    scores = [0.0] * len(rewards)
    for indices in members.values():
        mine = [rewards[index] for index in indices]
        if max(mine) - min(mine) > FLAT:
            for index, score in zip(indices, compare(mine), strict=True):
                scores[index] = score
    return scores


def _standardised(rewards: Rewards) -> list[float]:
    mean = sum(rewards) / len(rewards)
    spread = math.sqrt(sum((reward - mean) ** 2 for reward in rewards) / (len(rewards) - 1))
    return [(reward - mean) / (spread + TRL_EPSILON) for reward in rewards]


def _left_out(rewards: Rewards) -> list[float]:
    total = sum(rewards)
    return [reward - (total - reward) / (len(rewards) - 1) for reward in rewards]
