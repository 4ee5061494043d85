"""How many prompts each environment gets in a step: by shares that are kept, in turns, one after another, or by progress.

A schedule is asked before every step and sees the metrics of every step that was stored, and nothing else. So a resumed run, which shows
it the stored steps again, is asked the same as one that was never interrupted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from azr_core.config import RunConfig
from azr_core.series import under
from azr_core.shares import domain, split, spread

SPENT = {"tasks": "tasks/played", "tokens": "tokens/generated"}  # metrics by unit
KEPT = 0.9  # of what is known of an environment's costs, in every step that plays it
FAST, SLOW = 0.3, 0.03  # weights of a step's solve rate in the two averages whose difference is progress
FLOOR = 0.3  # of the prompts go by the shares alone


class Schedule:
    """`mixed`: every step plays all environments by their shares. What the others have in common too.

    shares: by environment, 0 for one that is held out. domains: those that are played, in order.
    """

    said = ""

    def __init__(self, config: RunConfig, shares: Mapping[str, float], domains: Sequence[str]) -> None:
        self.config = config
        self.unit = config.schedule.unit
        self.shares = dict(shares)
        self.domains = tuple(domains)
        self.prompts = config.batch_size * len(shares)
        self.asked: defaultdict[str, float] = defaultdict(float)  # prompts by environment, older ones counting less
        self.used: defaultdict[str, float] = defaultdict(float)  # and their tokens

    def quotas(self) -> dict[str, int]:
        """The next step's prompts by environment: the same number in every step, but for rounding."""
        weights = self.weights()
        if self.unit == "tokens":
            weights = {name: weight / self._cost(name) for name, weight in weights.items()}
        return split(weights, self.prompts)

    def weights(self) -> Mapping[str, float]:
        """Shares of the next step, in the schedule's unit; they need not add up to anything."""
        return self.shares

    def see(self, metrics: Mapping[str, float]) -> None:
        """Take in a stored step; steps come in order."""
        tokens = under(metrics, SPENT["tokens"])
        for name, quota in under(metrics, "quota").items():
            self.asked[name] = KEPT * self.asked[name] + quota
            self.used[name] = KEPT * self.used[name] + tokens.get(name, 0.0)

    def describe(self) -> str:
        """The next step's prompts in words, and what the later ones will differ by."""
        quotas = self.quotas()
        prompts = [f"{name} {quotas[name] or ('later' if share else 'held out')}" for name, share in self.shares.items()]
        scaled = "so many that shares are of tokens" if self.unit == "tokens" else ""
        return "; ".join(filter(None, (", ".join(prompts), self.said, scaled)))

    def _cost(self, name: str) -> float:
        """Tokens that a prompt of an environment has cost, with all that came of it; the mean of the others where nothing is known."""
        costs = {known: max(1.0, self.used[known] / asked) for known, asked in self.asked.items() if asked}
        return costs.get(name) or (sum(costs.values()) / len(costs) if costs else 1.0)

    def _only(self, chosen: str) -> dict[str, float]:
        """The shares inside one domain."""
        return {name: share if domain(name) == chosen else 0.0 for name, share in self.shares.items()}

    def _part(self, chosen: str) -> float:
        """A domain's fraction of everything."""
        return sum(self._only(chosen).values()) / sum(self.shares.values())


class Alternating(Schedule):
    """Every step plays one domain: the one that has had the least for its share, in the schedule's unit."""

    def __init__(self, config: RunConfig, shares: Mapping[str, float], domains: Sequence[str]) -> None:
        super().__init__(config, shares, domains)
        self.spent = dict.fromkeys(domains, 0.0)
        self.said = f"one domain a step, in shares of {self.unit}"

    def weights(self) -> Mapping[str, float]:
        return self._only(min(self.domains, key=lambda one: self.spent[one] / self._part(one)))

    def see(self, metrics: Mapping[str, float]) -> None:
        super().see(metrics)
        for name, amount in under(metrics, SPENT[self.unit]).items():
            self.spent[domain(name)] += amount


class Sequential(Schedule):
    """One domain after another, each until it has had its share of the run's budget; the last one goes on to the end.

    The budget is the run's `tokens` or `tasks`, whichever is the schedule's unit, and where that is not set its `steps`. A run that is
    taken up with a larger one gives every domain its share of the whole, so it first goes back to those that lack some.
    """

    def __init__(self, config: RunConfig, shares: Mapping[str, float], domains: Sequence[str]) -> None:
        super().__init__(config, shares, domains)
        limit = config.tokens if self.unit == "tokens" else config.tasks
        self.counted = SPENT[self.unit] if limit else ""
        self.budget = limit or config.steps
        self.spent = dict.fromkeys(domains, 0.0)
        parts = ", ".join(f"{one} {self._part(one):.0%}" for one in domains)
        sooner = "; if minutes end the run sooner, the last domains lack them" if config.minutes else ""
        self.said = f"one domain after another: {parts} of {self.budget:,} {self.unit if limit else 'steps'}{sooner}"

    def weights(self) -> Mapping[str, float]:
        unfinished = (one for one in self.domains if self.spent[one] < self._part(one) * self.budget - 1e-9)
        return self._only(next(unfinished, self.domains[-1]))

    def see(self, metrics: Mapping[str, float]) -> None:
        super().see(metrics)
        amounts = under(metrics, self.counted) if self.counted else {}
        for name, amount in amounts.items():
            self.spent[domain(name)] += amount
        for one in () if self.counted else {domain(name) for name in under(metrics, "quota")}:
            self.spent[one] += 1.0


class Adaptive(Schedule):
    """Shares follow learning progress: the absolute difference of a fast and a slow moving average of the solve rate.

    After Matiisen et al., Teacher-Student Curriculum Learning (arXiv 1707.00183): what improves fastest is practised more, and so is what
    gets worse. Their subtasks are given. Here the tasks are made by the model that solves them, so a solve rate moves when the proposer
    moves too, and an environment whose proposals turn easier or harder looks like one that is learned or forgotten. With few solves a
    step, noise looks like progress as well. A part of the prompts (FLOOR) therefore goes by the user's shares alone, and environments
    that change alike keep these shares.
    """

    said = "shares follow learning progress from here on"

    def __init__(self, config: RunConfig, shares: Mapping[str, float], domains: Sequence[str]) -> None:
        super().__init__(config, shares, domains)
        self.fast: dict[str, float] = {}
        self.slow: dict[str, float] = {}

    def weights(self) -> Mapping[str, float]:
        progress = {name: share * abs(self.fast.get(name, 0.0) - self.slow.get(name, 0.0)) for name, share in self.shares.items()}
        total, all_shares = sum(progress.values()), sum(self.shares.values())
        if not total:
            return self.shares
        return {name: FLOOR * share / all_shares + (1 - FLOOR) * progress[name] / total for name, share in self.shares.items()}

    def see(self, metrics: Mapping[str, float]) -> None:
        super().see(metrics)
        for name, rate in under(metrics, "solve_rate").items():
            self.fast[name] = rate + (1 - FAST) * (self.fast.get(name, rate) - rate)
            self.slow[name] = rate + (1 - SLOW) * (self.slow.get(name, rate) - rate)


SCHEDULES: Mapping[str, type[Schedule]] = {"mixed": Schedule, "alternating": Alternating, "sequential": Sequential, "adaptive": Adaptive}


def make_schedule(config: RunConfig, environments: Sequence[str], plugged: Sequence[str] = ()) -> Schedule:
    """The schedule that the configuration names. plugged: domains in the order of their plugins. Raises ConfigError.

    Domains come in the order in which `[environments]` names them, then in that of their plugins.
    """
    shares = spread(config.environments, environments)
    played = {domain(name) for name, share in shares.items() if share}
    named = dict.fromkeys(map(domain, (*config.environments, *plugged, *environments)))
    domains = [one for one in named if one in played]
    name = config.schedule.name
    if len(domains) > 1 or name in ("mixed", "adaptive"):
        return SCHEDULES[name](config, shares, domains)
    schedule = Schedule(config, shares, domains)
    schedule.said = f"{name} with one domain plays as mixed"
    return schedule
