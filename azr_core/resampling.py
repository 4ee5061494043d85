"""Bootstrap over seeds and items: how sure the mean gain of several runs is."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from operator import itemgetter

ROUNDS = 1_000


def bootstrap(gains: Mapping[str, Sequence[Sequence[float]]], seed: int = 0) -> dict[str, list[float]]:
    """ROUNDS mean gains of each cell. gains: by cell, its runs' gains item by item.

    Each round draws the items anew, the same for every cell, and each cell's runs: so means of two cells in one round are paired. With the
    same cells and seed every call draws the same runs, whatever the items, so means over two sets of items are paired by run too.
    """
    items, runs_of = random.Random(f"{seed} items"), random.Random(f"{seed} runs")
    size = len(next(iter(gains.values()))[0])
    drawn: dict[str, list[float]] = {name: [] for name in gains}
    for _ in range(ROUNDS):
        pick = itemgetter(*items.choices(range(size), k=size)) if size > 1 else tuple
        for name, runs in gains.items():
            drawn[name].append(sum(mean(pick(run)) for run in runs_of.choices(runs, k=len(runs))) / len(runs))
    return drawn


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The middle 95 % of drawn values. Raises IndexError where there are none."""
    ordered = sorted(values)
    return ordered[round(0.025 * (len(ordered) - 1))], ordered[round(0.975 * (len(ordered) - 1))]


def spread(values: Sequence[float]) -> float:
    """Standard deviation of drawn values: the standard error of what they are draws of."""
    middle = mean(values)
    return float((sum((value - middle) ** 2 for value in values) / len(values)) ** 0.5)


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean. Raises ZeroDivisionError where there are none."""
    return sum(values) / len(values)
