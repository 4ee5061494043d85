"""A reward of several parts: a first rule, and terms that add to what its proposals earn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from pydantic import Field

from azr_core.config import Options, Part, parse
from azr_core.interfaces import RewardShaper
from azr_core.rewards import Learnability
from azr_core.types import Episode, Outcome

# The rules of the released code: Absolute-Zero-Reasoner, rewards/reward_managers.py, `_combine_rewards`.
COMBINATIONS: dict[str, Callable[[float, Sequence[float]], float]] = {
    "sum": lambda first, terms: first + sum(terms),
    "multiply": lambda first, terms: first * math.prod(terms),
    "sum_multiply": lambda first, terms: first + math.prod(terms),
    "multiply_sum": lambda first, terms: first * sum(terms),
}


class TermOptions(Options):
    """What a reward with terms says beside the options of its first part."""

    terms: tuple[Part, ...] = Field(default=(), description="parts that add to the proposer's reward; `measure` is made for it")
    combine: Literal["sum", "multiply", "sum_multiply", "multiply_sum"] = Field(
        default="sum",
        description="with the first part f and terms t, u: f + t + u, f t u, f + t u, f (t + u) (released code: intrinsic_combine_method)",
    )


class WithTerms(RewardShaper):
    """The first part decides rewards and advantages; terms change only what an admitted proposal earns, if it earns more than 0.

    As in the released code: no term can lift a task that is worth nothing, and a term that cannot speak of a task is left out.
    """

    def __init__(self, first: RewardShaper, terms: Sequence[RewardShaper], combine: str = "sum") -> None:
        self.first = first
        self.terms = tuple(terms)
        self.combine = COMBINATIONS[combine]

    def reward(self, episode: Episode) -> float:
        first = self.first.reward(episode)
        if episode.outcome is not Outcome.ADMITTED or first <= 0:
            return first
        terms = [worth for term in self.terms if (worth := _worth(term, episode)) is not None]
        return self.combine(first, terms) if terms else first

    def advantages(self, episodes: Sequence[Episode]) -> list[float]:
        return self.first.advantages(episodes)

    def recall(self, episodes: Sequence[Episode]) -> None:
        self.first.recall(episodes)

    def metrics(self) -> Mapping[str, float]:
        return self.first.metrics()


def assemble(part: Part, find: Callable[[Part], RewardShaper]) -> RewardShaper:
    """The shaper of a `reward` setting; `find` gives the shaper of one part. Raises ConfigError."""
    settings = {"name": part.name, **part.options}
    mine = parse(TermOptions, {key: settings.pop(key) for key in TermOptions.model_fields if key in settings}, "[reward]")
    first = find(Part.model_validate(settings))
    return WithTerms(first, [find(term) for term in mine.terms], mine.combine) if mine.terms else first


def _worth(term: RewardShaper, episode: Episode) -> float | None:
    """What a term gives: a rule of the core its worth, a plugin's shaper its reward."""
    return term.worth(episode) if isinstance(term, Learnability) else term.reward(episode)
