"""Blind probes: what a solver would hit who guesses, and whether every unknown matters."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import product

from azr_plugins_math.conditions import Condition, Kind
from azr_plugins_math.nodes import Node

GRID = range(-3, 4)
GRID_POINTS, RANDOM_POINTS, REACH = 400, 200, 100
MOST_HITS = 0.05
VARIATIONS = 20

Kinds = Mapping[str, Kind]


def hit_rate(kinds: Kinds, conditions: Sequence[Condition], rng: random.Random) -> float:
    """The share of blind probes that meet all conditions: small integers, and random numbers in [-100, 100], of the declared kinds."""
    probes = [*_grid(kinds, rng), *({name: _drawn(kind, rng) for name, kind in kinds.items()} for _ in range(RANDOM_POINTS))]
    return sum(_met(conditions, probe) for probe in probes) / len(probes)


def idle(kinds: Kinds, conditions: Sequence[Condition], witness: Mapping[str, Node], rng: random.Random) -> list[str]:
    """Unknowns that may be anything: none of their other values breaks a condition that the witness meets."""
    found = []
    for name, kind in kinds.items():
        rest = [condition.filled({other: value for other, value in witness.items() if other != name}) for condition in conditions]
        if all(_met(rest, {name: value}) for value in _others(kind, rng)):
            found.append(name)
    return found


def _met(conditions: Sequence[Condition], values: Mapping[str, Fraction]) -> bool:
    return all(condition.holds(values, surely=False) for condition in conditions)


def _grid(kinds: Kinds, rng: random.Random) -> list[dict[str, Fraction]]:
    axes = [[Fraction(value) for value in GRID if kind.allows(Fraction(value))] for kind in kinds.values()]
    points = [dict(zip(kinds, point, strict=True)) for point in product(*axes)]
    return points if len(points) <= GRID_POINTS else rng.sample(points, GRID_POINTS)


def _drawn(kind: Kind, rng: random.Random) -> Fraction:
    """A random number of a kind; every second real one is an integer where there is one."""
    low, high = kind.bounds(REACH)
    if kind.integral or rng.random() < 0.5:
        value = Fraction(rng.randint(-(-low.numerator // low.denominator), max(high.numerator // high.denominator, 1)))
        if kind.allows(value):
            return value
    value = low + (high - low) * Fraction(rng.randint(1, 9_999), 10_000)
    return value


def _others(kind: Kind, rng: random.Random) -> Iterator[Fraction]:
    yield from (Fraction(value) for value in GRID if kind.allows(Fraction(value)))
    yield from (_drawn(kind, rng) for _ in range(VARIATIONS))
