"""Rewards and advantages of the paper: learnability for the proposer, correctness for the solver, TRR++ for both."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Literal

from pydantic import Field

from azr_core.config import Options
from azr_core.interfaces import RewardShaper
from azr_core.types import Episode, Outcome, Role

SMALL_GROUP = 4  # a baseline of fewer samples is noise


class LearnabilityOptions(Options):
    """Options of the `learnability` shaper. Defaults are the paper's."""

    format_penalty: float = Field(default=-1.0, description="reward of a malformed reply or an invalid proposal (Eq. 6)")
    wrong: float = Field(default=-0.5, description="reward of a well-formed wrong answer (Eq. 6)")
    zero_reward: float = Field(default=0.0, description="proposer's reward where everybody or nobody solves (Eq. 4; released code: -0.5)")
    duplicate: float = Field(default=0.0, description="proposer's reward for a task that is already known")
    novelty: float = Field(default=0.0, ge=0, description="learnability is divided by (1 + times the skeleton was seen) to this power")
    proposer_weight: float = Field(default=1.0, ge=0, description="factor on the proposer's advantages")
    baseline: Literal["type", "group"] = Field(default="type", description="solver baseline: mean of the type (TRR++) or of the task")


class Learnability(RewardShaper):
    """Learnability reward (Eq. 4) with the composite format reward (Eq. 6) and task-relative advantages (TRR++, Eq. 8).

    Differences from the paper, all off by default: a novelty discount, a proposer weight, a baseline per task.
    Episodes whose outcome is `failed` get reward and advantage 0 and touch no baseline.
    """

    def __init__(self, options: LearnabilityOptions | None = None) -> None:
        self.options = options or LearnabilityOptions()
        self.history = RunningMoments()

    def reward(self, episode: Episode) -> float:
        if episode.outcome is Outcome.FAILED:
            return 0.0
        return self._propose(episode) if episode.role is Role.PROPOSE else self._solve(episode)

    def _solve(self, episode: Episode) -> float:
        if episode.outcome is Outcome.SOLVED:
            return 1.0
        return self.options.format_penalty if episode.outcome is Outcome.MALFORMED else self.options.wrong

    def _propose(self, episode: Episode) -> float:
        if episode.outcome is Outcome.DUPLICATE:
            return self.options.duplicate
        if episode.outcome is not Outcome.ADMITTED:
            return self.options.format_penalty
        rate = episode.solve_rate
        if rate is None or rate in (0.0, 1.0):
            return self.options.zero_reward
        discount: float = (1.0 + episode.measures.get("seen", 0.0)) ** self.options.novelty
        return (1.0 - rate) / discount

    def advantages(self, episodes: Sequence[Episode]) -> list[float]:
        judged = [episode for episode in episodes if episode.outcome is not Outcome.FAILED]
        scores = task_relative(judged, self.history)
        if self.options.baseline == "group":
            scores = centred_by(judged, scores, lambda episode: episode.group if episode.role is Role.SOLVE else None)
        self.history.observe(judged)
        weighted = {
            id(episode): score * (self.options.proposer_weight if episode.role is Role.PROPOSE else 1.0)
            for episode, score in zip(judged, scores, strict=True)
        }
        return [weighted.get(id(episode), 0.0) for episode in episodes]

    def recall(self, episodes: Sequence[Episode]) -> None:
        self.history.observe([episode for episode in episodes if episode.outcome is not Outcome.FAILED])


class RunningMoments:
    """Mean and spread of all rewards so far, by (role, environment): Welford's method."""

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


def task_relative(episodes: Sequence[Episode], history: RunningMoments) -> list[float]:
    """TRR++ (Eq. 8): (reward - mean) / std within role and environment; 0 where there is no spread.

    A type with fewer than four rewards in this step is measured against all rewards so far (0 until there are four).
    """
    types: dict[Hashable, list[float]] = defaultdict(list)
    for episode in episodes:
        types[type_of(episode)].append(episode.reward)
    moments = {key: _moments(rewards) if len(rewards) >= SMALL_GROUP else history.get(key) for key, rewards in types.items()}
    scores = []
    for episode in episodes:
        mean, spread = moments[type_of(episode)] or (episode.reward, 0.0)
        scores.append((episode.reward - mean) / spread if spread > 1e-8 else 0.0)
    return scores


def centred_by(episodes: Sequence[Episode], scores: Sequence[float], group: Callable[[Episode], Hashable | None]) -> list[float]:
    """Scores minus the mean of their group; scores whose group is None stay."""
    groups: dict[Hashable, list[float]] = defaultdict(list)
    for episode, score in zip(episodes, scores, strict=True):
        groups[group(episode)].append(score)
    means = {key: sum(values) / len(values) for key, values in groups.items() if key is not None}
    return [score - means.get(group(episode), 0.0) for episode, score in zip(episodes, scores, strict=True)]


def _moments(rewards: Sequence[float]) -> tuple[float, float]:
    mean = sum(rewards) / len(rewards)
    return mean, math.sqrt(sum((reward - mean) ** 2 for reward in rewards) / len(rewards))
