"""Static bounds: what an expression may cost, decided without evaluating it. Stable: `Bounds`, `check`, `height`.

Everything is linear in the tree. Magnitudes are bounds on |log10| of every subexpression for symbols of at most 10^reach.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from azr_plugins_math.errors import MathError
from azr_plugins_math.exact import MAX_FACTORIAL
from azr_plugins_math.nodes import (
    Call,
    Constant,
    Name,
    Negation,
    Node,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
    children,
    depth,
    literal,
    size,
    walk,
)

MAX_EXPONENT = 10_000
REACH = math.log10(6)
"""Of symbols, where nothing else is said."""
MAX_HEIGHT = 3_000
"""|log10| of the largest and of the smallest magnitude."""
_GROWING = ("exp", "sinh", "cosh", "tanh")


@dataclass(frozen=True)
class Bounds:
    """What is accepted. literal: the largest number written. nested_powers: whether (x^2)^3 and 2^3^2 are."""

    nodes: int = 300
    depth: int = 40
    literal: int | None = None
    nested_powers: bool = True
    reach: float = REACH


ANSWER = Bounds()
TASK = Bounds(nodes=40, depth=9, literal=10**6, nested_powers=False)


def check(node: Node, bounds: Bounds = ANSWER) -> None:
    """Raises MathError with the bound that the expression is over."""
    if (found := size(node)) > bounds.nodes:
        raise MathError(f"{found} nodes, at most {bounds.nodes}")
    if (found := depth(node)) > bounds.depth:
        raise MathError(f"nested {found} deep, at most {bounds.depth}")
    for part in walk(node):
        if bounds.literal is not None and isinstance(part, Number) and part.value > bounds.literal:
            raise MathError(f"a number above {bounds.literal}")
        if not bounds.nested_powers and isinstance(part, Power) and _nested(part):
            raise MathError("a power of a power, or a power in an exponent")
    height(node, bounds.reach)


def _nested(power: Power) -> bool:
    base: Node = power.base
    while isinstance(base, Negation):
        base = base.operand
    return isinstance(base, Power) or any(isinstance(part, Power) for part in walk(power.exponent))


def height(node: Node, reach: float = REACH) -> float:
    """Bound on |log10| of the magnitudes that occur. Raises MathError above MAX_HEIGHT, or for an exponent above MAX_EXPONENT."""
    heights = [height(child, reach) for child in children(node)]
    found = max([_own(node, heights, reach), *heights])
    if not found <= MAX_HEIGHT:
        raise MathError(f"a magnitude beyond 10^{MAX_HEIGHT}")
    return found


def _own(node: Node, heights: list[float], reach: float) -> float:
    match node:
        case Number(value, _):
            return _digits(value.numerator) + _digits(value.denominator) if value else 0.0
        case Name():
            return reach
        case Constant():
            return 0.5
        case Negation():
            return heights[0]
        case Sum():
            return max(heights) + math.log10(len(heights))
        case Product() | Quotient():
            return sum(heights)
        case Power():
            return _power(heights, node, reach)
        case Call(function, arguments):
            return _call(function, [_growth(arguments[0], heights[0], reach)] if function in _GROWING else heights)


def _power(heights: list[float], node: Power, reach: float) -> float:
    """A base with a known height to an exponent of which the size is known. A base near 1 counts as one digit."""
    exponent = _size(node.exponent, heights[1])
    if exponent > MAX_EXPONENT:
        raise MathError(f"an exponent above {MAX_EXPONENT}")
    return exponent * max(heights[0], 0.1)


def _size(node: Node, digits: float) -> float:
    """Bound on a magnitude itself: exact for a literal, else from its digits."""
    value = literal(node)
    return float(abs(value)) if value is not None else float(10 ** min(digits, 6.0))


def _growth(node: Node, digits: float, reach: float) -> float:
    """log10 of what an argument can be at most: a logarithm may be as small as any number, but is never large, as in exp(x*log(x))."""
    found = 0.0
    for part in node.factors if isinstance(node, Product) else (node,):
        match part:
            case Name() | Number():
                found += height(part, reach)
            case Call("log", (Name() | Number() as inner,)):
                found += math.log10(math.log(10) * height(inner, reach) + math.pi + 1)
            case _:
                return digits
    return found


def _call(function: str, heights: list[float]) -> float:
    digits = max(heights)
    size = float(10 ** min(digits, 6.0))
    if function in _GROWING:
        return size * math.log10(math.e) + (function != "exp")
    if function == "factorial":
        if size > 3 * MAX_FACTORIAL:
            raise MathError(f"a factorial of more than about {MAX_FACTORIAL}")
        return float(math.lgamma(size + 1) / math.log(10))
    if function in ("sqrt", "cbrt", "root", "abs", "floor", "ceil", "sign", "max", "min", "mod", "gcd"):
        return digits
    if function in ("binomial", "lcm"):
        return sum(heights) + min(size, 1_000.0) * 0.31
    return digits + 1  # a value of a trigonometric function or a logarithm may be this small or large next to a pole or a zero


def _digits(value: int) -> float:
    return math.log10(value) if value > 1 else 0.0
