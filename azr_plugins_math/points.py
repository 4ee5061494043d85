"""The points of an induction at which nobody is shown a value: drawn with a key, near, between and far outside those that are shown."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from fractions import Fraction

from azr_plugins_math.comparison import rational
from azr_plugins_math.errors import Undefined
from azr_plugins_math.nodes import Name, Negation, Node, Number, Power, Product, Quotient, Sum, names

NEAR, FAR = 4, 3
"""How many hidden points are drawn at most beside the visible ones, and far outside."""
LEAST_NEAR = 2
VALUE_DIGITS = 40
REACHES = (100_000, 1_000, 120, 30, 8)
"""How far outside points are tried, in turn, until the formula has a value that is short enough."""
POWER_REACH = 1_000
"""How far if the formula is no polynomial: an equal one may hold powers such as (-1)^n, of which the exponents are bounded."""
TRIES = 2

INTEGER, NONNEGATIVE = "integer", "nonnegative_integer"


def kind_of(node: Node, visible: Sequence[int]) -> str:
    """What the question says of the variable: a rule for n >= 0 need not be written in a way that holds below."""
    return INTEGER if min(visible) < 0 or _polynomial(node) else NONNEGATIVE


def hidden_points(node: Node, name: str, kind: str, visible: Sequence[int], rng: random.Random) -> dict[int, Fraction]:
    """Hidden points with the formula's values there. Empty if there are too few."""
    lowest = min(visible) - len(visible) if kind == INTEGER else 0
    near = [point for point in range(lowest, max(visible) + len(visible) + 1) if point not in visible]
    found: dict[int, Fraction] = {}
    for point in rng.sample(near, len(near)):
        if len(found) < NEAR and (value := value_at(node, name, point)) is not None:
            found[point] = value
    few = len(found) < LEAST_NEAR
    sides = (1, -1, 1) if kind == INTEGER else (1,) * FAR
    for side in sides:
        found |= _far(node, name, visible, side, rng)
    outside = [point for point in found if point > 2 * max(visible) + len(visible) or point < 2 * min(visible) - len(visible)]
    return {} if few or not outside else found


def value_at(node: Node, name: str, point: int) -> Fraction | None:
    """The value at a point, if it is a fraction of at most VALUE_DIGITS digits."""
    try:
        value = rational(node, {name: Fraction(point)})
    except Undefined:
        return None
    return value if max(abs(value.numerator), value.denominator) < 10**VALUE_DIGITS else None


def _far(node: Node, name: str, visible: Sequence[int], side: int, rng: random.Random) -> dict[int, Fraction]:
    span = max(visible) - min(visible) + 1
    edge = max(visible) if side > 0 else min(visible)
    reaches = REACHES if _polynomial(node) else [reach for reach in REACHES if reach <= POWER_REACH]
    for point in _candidates(edge, span, side, reaches, rng):
        if (value := value_at(node, name, point)) is not None:
            return {point: value}
    return {}


def _candidates(edge: int, span: int, side: int, reaches: Sequence[int], rng: random.Random) -> Iterator[int]:
    for reach in reaches:
        for _ in range(TRIES):
            yield edge + side * (span + abs(edge) + rng.randint(reach // 2, reach))


def _polynomial(node: Node) -> bool:
    """Whether an expression is a polynomial as it is written."""
    match node:
        case Number() | Name():
            return True
        case Negation(inner):
            return _polynomial(inner)
        case Sum(parts) | Product(parts):
            return all(map(_polynomial, parts))
        case Quotient(top, bottom):
            return _polynomial(top) and _polynomial(bottom) and not names(bottom)
        case Power(base, Number(exponent)):
            return _polynomial(base) and exponent.denominator == 1
    return False
