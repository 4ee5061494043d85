"""Exact values: expressions over fractions. Stable: `evaluate`, `root_of`.

Powers with a fractional exponent are principal values, `root` and `cbrt` real roots. What needs more than MAX_BITS bits is refused before
it is computed, so that evaluation ends soon whatever the expression.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

from azr_plugins_math.errors import Inexact, Undefined
from azr_plugins_math.nodes import Call, Constant, Name, Negation, Node, Number, Power, Product, Quotient, Sum

MAX_BITS = 20_000
MAX_FACTORIAL = 1_000
_ONE = Fraction(1)


def evaluate(node: Node, values: Mapping[str, Fraction] | None = None) -> Fraction:
    """The exact value. values: of the symbols. Raises Undefined, and of it Inexact where a number may exist that is no fraction."""
    values = values or {}
    match node:
        case Number(value, _):
            return value
        case Name(name):
            if name not in values:
                raise Undefined(f"{name} has no value")
            return values[name]
        case Constant(name):
            if name == "oo":
                raise Undefined("oo is no number")
            raise Inexact(f"{name} is no fraction")
        case Negation(operand):
            return -evaluate(operand, values)
        case Sum(terms):
            return sum((_bounded(evaluate(term, values)) for term in terms), Fraction(0))
        case Product(factors):
            # Every factor must have a value, also beside a zero.
            return _bounded(math.prod([_bounded(evaluate(factor, values)) for factor in factors], start=_ONE))
        case Quotient(top, bottom):
            return _divide(evaluate(top, values), evaluate(bottom, values))
        case Power(base, exponent):
            return power(evaluate(base, values), evaluate(exponent, values))
        case Call(function, arguments):
            return _bounded(_FUNCTIONS[function](*(_bounded(evaluate(argument, values)) for argument in arguments)))


def power(base: Fraction, exponent: Fraction) -> Fraction:
    """The principal value of base ^ exponent."""
    if base == 0 and exponent <= 0:
        raise Undefined("0 to a power that is not positive")
    if base in (0, 1):
        return base
    if exponent.denominator != 1:
        if base < 0:
            raise Undefined("a fractional power of a negative number is not real")
        base = root_of(base, exponent.denominator)
    if abs(exponent.numerator) * _bits(base) > MAX_BITS:
        raise Undefined("too large a power")
    return base**exponent.numerator


def root_of(value: Fraction, degree: int) -> Fraction:
    """The real root of a fraction, if it is a fraction; of a negative one for odd degrees. Raises Undefined."""
    if degree < 1:
        raise Undefined("a root of a degree that is not positive")
    if value < 0 and degree % 2 == 0:
        raise Undefined("an even root of a negative number")
    parts = [_integer_root(abs(part), degree) for part in (value.numerator, value.denominator)]
    return Fraction(parts[0] if value >= 0 else -parts[0], parts[1])


def _integer_root(value: int, degree: int) -> int:
    if value in (0, 1):
        return value
    if degree >= value.bit_length():
        raise Inexact("a root that is no fraction")
    low, high = 1, 1 << (value.bit_length() // degree + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**degree <= value else (low, middle - 1)
    if low**degree != value:
        raise Inexact("a root that is no fraction")
    return low


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _bounded(value: Fraction) -> Fraction:
    if _bits(value) > MAX_BITS:
        raise Undefined("too large a number")
    return value


def _divide(top: Fraction, bottom: Fraction) -> Fraction:
    if bottom == 0:
        raise Undefined("division by zero")
    return _bounded(top / bottom)


def whole(value: Fraction) -> int:
    """The integer that a fraction is. Raises Undefined."""
    if value.denominator != 1:
        raise Undefined("an integer is needed")
    return int(value)


def _factorial(value: Fraction) -> Fraction:
    count = whole(value)
    if not 0 <= count <= MAX_FACTORIAL:
        raise Undefined(f"a factorial of less than 0 or more than {MAX_FACTORIAL}")
    return Fraction(math.factorial(count))


def _binomial(above: Fraction, below: Fraction) -> Fraction:
    """The generalised coefficient: above may be any fraction."""
    count = whole(below)
    if count < 0:
        return Fraction(0)
    if above.denominator == 1 and 0 <= above < count:
        return Fraction(0)
    if above.denominator == 1 and 0 <= above - count < count:
        count = int(above - count)
    if count > MAX_FACTORIAL or abs(above) > 10**40:
        raise Undefined("too large a binomial coefficient")
    result = _ONE
    for step in range(count):
        result = _bounded(result * (above - step) / (step + 1))
    return result


def _modulo(value: Fraction, modulus: Fraction) -> Fraction:
    if modulus == 0:
        raise Undefined("a remainder by zero")
    return value % modulus


def _logarithm(value: Fraction, base: Fraction | None = None) -> Fraction:
    if value == 0 or base in (0, 1):
        raise Undefined("log 0, or a logarithm to the base 0 or 1")
    if value == 1:
        return Fraction(0)
    if base is None or base < 0 or value < 0:
        raise Inexact("a logarithm that is no fraction")
    exponent = _nearest_logarithm(value, base)
    if power(base, exponent) != value:
        raise Inexact("a logarithm that is no fraction")
    return exponent


def _nearest_logarithm(value: Fraction, base: Fraction) -> Fraction:
    def size(number: Fraction) -> float:
        return math.log2(number.numerator) - math.log2(number.denominator)

    if size(base) == 0:
        raise Inexact("a base too near to 1")
    return Fraction(size(value) / size(base)).limit_denominator(24)


def _at(point: int, result: int) -> Callable[[Fraction], Fraction]:
    """A function of which one value is a fraction."""

    def known(value: Fraction) -> Fraction:
        if value != point:
            raise Inexact("a value that is no fraction")
        return Fraction(result)

    return known


def _pole(value: Fraction) -> Fraction:
    if value == 0:
        raise Undefined("a pole at zero")
    raise Inexact("a value that is no fraction")


_FUNCTIONS: dict[str, Callable[..., Fraction]] = {
    **dict.fromkeys(("sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh"), _at(0, 0)),
    **dict.fromkeys(("cos", "sec", "cosh", "exp"), _at(0, 1)),
    **dict.fromkeys(("acos", "acosh"), _at(1, 0)),
    **dict.fromkeys(("csc", "cot"), _pole),
    "sqrt": lambda value: power(value, Fraction(1, 2)),
    "cbrt": lambda value: root_of(value, 3),
    "root": lambda value, degree: root_of(value, whole(degree)),
    "log": _logarithm,
    "abs": abs,
    "floor": lambda value: Fraction(math.floor(value)),
    "ceil": lambda value: Fraction(math.ceil(value)),
    "sign": lambda value: Fraction((value > 0) - (value < 0)),
    "factorial": _factorial,
    "binomial": _binomial,
    "mod": _modulo,
    "gcd": lambda *values: Fraction(math.gcd(*map(whole, values))),
    "lcm": lambda *values: Fraction(math.lcm(*map(whole, values))),
    "min": min,
    "max": max,
}
