"""Reward rules, one class each. Every rule is told as its difference from the paper's, `learnability`.

A rule decides what an admitted proposal is worth, or what a solver's answer earns; the table of outcomes around it, the
novelty discount and the advantages are shared. `measure` and any other rule may be a term that is added to a first one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from azr_core.advantages import ESTIMATORS, AdvantageOptions
from azr_core.errors import ConfigError, nearest
from azr_core.interfaces import RewardShaper
from azr_core.types import Episode, Outcome, Role, chance

PATIENCE = 64  # rewarded proposals without a measure before its name is taken for a mistake


class LearnabilityOptions(AdvantageOptions):
    """Options that all rules share. Defaults are the paper's."""

    format_penalty: float = Field(default=-1.0, description="reward of a malformed reply or an invalid proposal (Eq. 6)")
    wrong: float = Field(default=-0.5, description="reward of a well-formed wrong answer (Eq. 6)")
    zero_reward: float = Field(
        default=0.0,
        description="proposer's reward for a task that is worth nothing, such as one everybody solves (Eq. 4; released code: -0.5)",
    )
    duplicate: float = Field(default=0.0, description="proposer's reward for a task that is already known")
    novelty: float = Field(default=0.0, ge=0, description="a task's worth is divided by (1 + times the skeleton was seen) to this power")
    proposer_weight: float = Field(default=1.0, ge=0, description="factor on the proposer's advantages")


class Learnability(RewardShaper):
    """Learnability reward (Eq. 4) with the composite format reward (Eq. 6) and task-relative advantages (TRR++, Eq. 8).

    Differences from the paper, all off by default: a novelty discount, a proposer weight, other advantages.
    Episodes whose outcome is `failed` get reward and advantage 0 and touch no baseline; probes that only measure touch none either.
    """

    settings: ClassVar[type[LearnabilityOptions]] = LearnabilityOptions
    options: LearnabilityOptions

    def __init__(self, options: LearnabilityOptions | None = None) -> None:
        self.options = options or self.settings()
        self.estimator = ESTIMATORS[self.options.advantage](self.options)

    def curve(self, rate: float) -> float:
        """What a task of this solve rate is worth; 0 earns `zero_reward`. Here 1 - s for 0 < s < 1 (Eq. 4; released code: `one_minus`)."""
        return 1.0 - rate if rate > 0 else 0.0

    def worth(self, episode: Episode) -> float | None:
        """What an admitted proposal is worth before the discount; None where nothing can be said."""
        return None if episode.solve_rate is None else self.curve(episode.solve_rate)

    def answered(self, episode: Episode) -> float:
        """What a solver's reply earns."""
        if episode.outcome is Outcome.SOLVED:
            return 1.0
        return self.options.format_penalty if episode.outcome is Outcome.MALFORMED else self.options.wrong

    def reward(self, episode: Episode) -> float:
        if episode.outcome is Outcome.FAILED:
            return 0.0
        return self._proposed(episode) if episode.role is Role.PROPOSE else self.answered(episode)

    def _proposed(self, episode: Episode) -> float:
        if episode.outcome is Outcome.DUPLICATE:
            return self.options.duplicate
        if episode.outcome is not Outcome.ADMITTED:
            return self.options.format_penalty
        worth = self.worth(episode)
        if worth is None or worth <= 0:
            return self.options.zero_reward
        discount: float = (1.0 + episode.measures.get("seen", 0.0)) ** self.options.novelty
        return worth / discount

    def advantages(self, episodes: Sequence[Episode]) -> list[float]:
        heard = [index for index, episode in enumerate(episodes) if _counts(episode)]
        judged = [episodes[index] for index in heard]
        scores = self.estimator.estimate(judged)
        self.estimator.observe(judged)
        advantages = [0.0] * len(episodes)
        for index, score in zip(heard, scores, strict=True):
            advantages[index] = score * (self.options.proposer_weight if episodes[index].role is Role.PROPOSE else 1.0)
        return advantages

    def recall(self, episodes: Sequence[Episode]) -> None:
        self.estimator.observe([episode for episode in episodes if _counts(episode)])

    def metrics(self) -> Mapping[str, float]:
        return {"advantage/small_groups": float(self.estimator.small_groups)}


class Inverse(Learnability):
    """1 - s for s < 1, so that a task nobody solves earns the most: `inverse` of the released code.

    Source: Absolute-Zero-Reasoner, rewards/reward_managers.py, `generation_accuracy_convertion`. Beside it `one_minus`, which is
    Eq. 4, also gives 0 to a task nobody solves.
    """

    def curve(self, rate: float) -> float:
        return 1.0 - rate


class Balanced(Learnability):
    """4 s (1 - s): the greatest where half of the solves succeed, and flat around it (the shape of the library verifiers)."""

    def curve(self, rate: float) -> float:
        return 4.0 * rate * (1.0 - rate)


class Uncertainty(Learnability):
    """1 - 2 |s - 1/2|: the greatest where half of the solves succeed, and peaked there (R-Zero, arXiv 2508.05004).

    R-Zero's s is agreement with the majority's answer, ours is verified.
    """

    def curve(self, rate: float) -> float:
        return 1.0 - 2.0 * abs(rate - 0.5)


class Variance(Learnability):
    """s (1 - s): the variance of one solve, at most 1/4, on which SPICE's challenger is rewarded (arXiv 2510.24684).

    SPICE passes it through a bell around 1/4; here it is taken as it is.
    """

    def curve(self, rate: float) -> float:
        return rate * (1.0 - rate)


class ConstantOptions(LearnabilityOptions):
    """Options of `constant`."""

    value: float = Field(default=1.0, gt=0, description="what every admitted proposal is worth")


class Constant(Learnability):
    """A control: every admitted proposal is worth the same, however often it is solved (no learnability reward)."""

    settings = ConstantOptions
    options: ConstantOptions

    def worth(self, episode: Episode) -> float:
        return self.options.value


class MeasureOptions(LearnabilityOptions):
    """Options of `measure`."""

    of: str = Field(description="name of the measure, such as complexity or edit_distance: whatever the environment's verifier gives")
    weight: float = Field(default=1.0, description="factor on the measure (released code: coef)")
    max: float = Field(default=1.0, description="cap of the weighted measure (released code: max)")


class Measure(Learnability):
    """min(weight * measure, max) of an admitted proposal: the paper's intrinsic rewards, as a term or alone.

    An environment that does not give the measure says nothing. Raises ConfigError where no environment gives it.
    """

    settings = MeasureOptions
    options: MeasureOptions

    def __init__(self, options: LearnabilityOptions | None = None) -> None:
        super().__init__(options)
        self.misses: float = 0

    def worth(self, episode: Episode) -> float | None:
        value = episode.measures.get(self.options.of)
        if value is not None:
            self.misses = -math.inf  # the name is right
            return min(self.options.weight * value, self.options.max)
        self.misses += 1
        if self.misses >= PATIENCE:
            raise ConfigError(f"[reward]: no task has a measure {self.options.of!r}; {nearest(self.options.of, episode.measures)}")
        return None


class FormatOnly(Learnability):
    """A control: a solver earns 1 for any well-formed answer, right or wrong (the format reward of arXiv 2506.10947)."""

    def answered(self, episode: Episode) -> float:
        return self.options.format_penalty if episode.outcome is Outcome.MALFORMED else 1.0


class RandomOptions(LearnabilityOptions):
    """Options of `random`."""

    probability: float = Field(default=0.5, ge=0, le=1, description="how likely a solver's reply earns 1 instead of `wrong`")
    seed: int = Field(default=0, description="another seed draws other rewards")


class RandomAnswer(Learnability):
    """A control: a solver earns 1 or `wrong` by chance, whatever it answers (the random reward of arXiv 2506.10947).

    The draw hangs on task and reply alone, so a run can be repeated and the same reply to a task earns the same.
    """

    settings = RandomOptions
    options: RandomOptions

    def answered(self, episode: Episode) -> float:
        draw = chance(self.options.seed, 0, f"reward {episode.task_id} {episode.reply.text}").random()
        return 1.0 if draw < self.options.probability else self.options.wrong


RULES: dict[str, type[Learnability]] = {
    "learnability": Learnability,
    "inverse": Inverse,
    "balanced": Balanced,
    "uncertainty": Uncertainty,
    "variance": Variance,
    "constant": Constant,
    "measure": Measure,
    "format_only": FormatOnly,
    "random": RandomAnswer,
}


def _counts(episode: Episode) -> bool:
    """Whether an episode moves baselines: it was judged, and it is learned from."""
    return episode.trained and episode.outcome is not Outcome.FAILED
