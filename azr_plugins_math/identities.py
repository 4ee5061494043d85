"""Whether two expressions are equal: as numbers, or at points of a domain that nobody can foresee.

What is compared has 60 digits, of which 40 must agree, and two more for every digit that a magnitude in it may have, of which one must
agree and one may cancel. So neither 10^-50 nor exp(-100), neither a fraction of two
20-digit numbers nor (x/1000)^20 can hide below the tolerance.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from azr_plugins_math import exact
from azr_plugins_math.conditions import Kind
from azr_plugins_math.errors import MathError, Undefined
from azr_plugins_math.guard import MAX_HEIGHT, REACH, height
from azr_plugins_math.nodes import Node, Number, Power, children, functions, names, walk
from azr_plugins_math.numeric import Interpreter

DIGITS, AGREEING = 60, 40
POINTS, WIDE_POINTS, ENOUGH = 28, 6, 8
NEAR = round(10**REACH)
"""Most points of an unbounded domain lie in [-NEAR, NEAR]."""
_WIDE_HEIGHT, _SPARE_HEIGHT = 400, 1.5
ENTIRE = frozenset(("sin", "cos", "tan", "sec", "csc", "cot", "exp", "sinh", "cosh", "tanh"))
"""Functions that are one formula everywhere; others have steps or branches."""

Point = dict[str, Fraction]


def digits_for(*trees: Node, reach: float = REACH) -> int:
    """Digits that a comparison of these needs. Raises MathError beyond the bounds of the guard."""
    return DIGITS + 2 * math.ceil(max(height(tree, reach) for tree in trees))


def agree(one: Any, two: Any, digits: int) -> bool:
    """Whether two values that were computed with so many digits are equal in 40, and in half of those beyond 60."""
    agreeing = AGREEING + (digits - DIGITS) // 2
    return bool(abs(one - two) <= one.context.mpf(10) ** -agreeing * max(abs(one), abs(two)))


def same_number(one: Node, two: Node) -> bool:
    """Whether two trees without symbols have the same value. Raises Undefined where one has none."""
    try:
        return exact.evaluate(one) == exact.evaluate(two)
    except Undefined:
        digits = digits_for(one, two)
        at = Interpreter({}, digits)
        return agree(at.value(one), at.value(two), digits)


def identical(question: Node, answer: Node, kinds: Mapping[str, Kind], seed: str) -> bool:
    """Whether the answer has the question's value wherever the question has one. Raises MathError where too few points tell."""
    told, drawn = 0, points(kinds, seed, question, answer)
    for point in drawn:
        reach = max((math.log10(abs(value)) for value in point.values() if value), default=0.0)
        if reach > REACH and _height(question, reach) > _WIDE_HEIGHT:
            _check_near(question, answer)
            continue
        digits = digits_for(question, answer, reach=max(reach, REACH))
        at = Interpreter(point, digits)
        try:
            expected = at.value(question)
        except Undefined:
            continue
        if not agree(expected, at.value(answer), digits):
            return False
        told += 1
    if told < min(ENOUGH, len(drawn)):
        raise MathError(f"only {told} points of the domain tell")
    return True


def _check_near(question: Node, answer: Node) -> None:
    """Raises MathError for steps and branches that may lie where the question is too large to be looked at."""
    if _branched(answer) and max(_numbers(answer)) > max(_numbers(question)) + _SPARE_HEIGHT:
        raise MathError("steps or branches at numbers far beyond those of the question")


def _numbers(node: Node) -> list[float]:
    """Heights of the largest subtrees without symbols, and 0."""
    return [0.0, *([height(node)] if not names(node) else [found for child in children(node) for found in _numbers(child)])]


def _height(node: Node, reach: float) -> float:
    try:
        return height(node, reach)
    except MathError:
        return MAX_HEIGHT


def _branched(node: Node) -> bool:
    powers = (part.exponent for part in walk(node) if isinstance(part, Power))
    return bool(functions(node) - ENTIRE) or any(not isinstance(power, Number) or power.value.denominator != 1 for power in powers)


def points(kinds: Mapping[str, Kind], seed: str, *trees: Node) -> list[Point]:
    """Points of the domain: most near zero, the last beyond every number that the trees hold. kinds: of all symbols of the trees."""
    rng = random.Random(hashlib.sha256(seed.encode()).digest())
    near = [{name: _drawn(kind, rng, NEAR) for name, kind in sorted(kinds.items())} for _ in range(POINTS)]
    if not kinds or any(kind.low is not None and kind.high is not None for kind in kinds.values()):
        return near[: POINTS if kinds else 1]
    top = 1 + max(sum(_numbers(tree)) for tree in trees)
    reaches = [10 ** min(top * (step + 1) / WIDE_POINTS, 100.0) * NEAR for step in range(WIDE_POINTS)]
    return near + [{name: _drawn(kind, rng, int(reach), far=True) for name, kind in sorted(kinds.items())} for reach in reaches * 2]


def _drawn(kind: Kind, rng: random.Random, reach: int, far: bool = False) -> Fraction:
    """A number of a kind; a far one is at least half as large as reach."""
    low, high = kind.bounds(5 * reach if kind.integral else reach)
    if far:
        low, high = rng.choice([(max(low, high / 2), high), (low, min(high, low / 2))] if low < 0 else [(max(low, high / 2), high)])
    if kind.integral:
        return Fraction(rng.randint(math.ceil(low), math.floor(high)) or 1)
    steps = rng.randint(1_000, 10_000)
    return low + (high - low) * Fraction(rng.randint(1, steps - 1), steps)


def defined(tree: Node, at: Point) -> bool:
    """Whether a tree has a value at a point."""
    try:
        Interpreter(at, DIGITS).value(tree)
    except Undefined:
        return False
    return True


def kinds_of(domain: Mapping[str, Kind], *trees: Node, usual: Kind) -> dict[str, Kind]:
    """The kind of every symbol of the trees."""
    return {name: domain.get(name, usual) for name in sorted(frozenset().union(*map(names, trees)))}
