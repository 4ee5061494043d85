"""The functions of the white list over mpmath's numbers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from azr_plugins_math import exact
from azr_plugins_math.errors import Undefined
from azr_plugins_math.nodes import Call, number

if TYPE_CHECKING:
    from azr_plugins_math.numeric import Interpreter


def _sine(at: Interpreter, angle: Any) -> Any:
    return at.clean(at.context.sin(angle), max(1, abs(angle)))


def _cosine(at: Interpreter, angle: Any) -> Any:
    return at.clean(at.context.cos(angle), max(1, abs(angle)))


def _root(at: Interpreter, number: Any, degree: Any) -> Any:
    """The real root."""
    count = at.whole(degree)
    if count < 1 or (at.real(number) < 0 and count % 2 == 0):
        raise Undefined("no real root")
    return at.context.root(number, count) if number >= 0 else -at.context.root(-number, count)


def _logarithm(at: Interpreter, number: Any, base: Any = None) -> Any:
    found = at.clean(at.context.log(at.nonzero(number)), 1)
    return found if base is None else found / at.nonzero(_logarithm(at, base))


def _floor(at: Interpreter, number: Any) -> Any:
    """The largest integer not above, where a number within rounding of an integer is that integer."""
    try:
        return at.context.mpf(at.whole(number))
    except Undefined:
        return at.context.floor(at.real(number))


def _modulo(at: Interpreter, number: Any, modulus: Any) -> Any:
    return at.total([number, -modulus * _floor(at, number / at.nonzero(at.real(modulus)))])


def _sign(at: Interpreter, number: Any) -> Any:
    return at.context.sign(at.real(number))


def _area_tangent(at: Interpreter, number: Any) -> Any:
    if number in (1, -1):
        raise Undefined("a pole")
    return at.context.atanh(number)


def _extreme(choose: Callable[..., Any]) -> Callable[..., Any]:
    return lambda at, *values: choose(map(at.real, values))


def _of_integers(function: str) -> Callable[..., Any]:
    """A function that exact arithmetic computes."""

    def compute(at: Interpreter, *values: Any) -> Any:
        trees = tuple(number(Fraction(at.whole(value))) for value in values)
        return at.fraction(exact.evaluate(Call(function, trees)))

    return compute


def _binomial(at: Interpreter, above: Any, below: Any) -> Any:
    try:
        return _of_integers("binomial")(at, above, below)
    except Undefined:
        count = at.whole(below)
    if not 0 <= count <= exact.MAX_FACTORIAL:
        raise Undefined("no binomial coefficient")
    return at.context.fprod((above - step) / (step + 1) for step in range(count))


def _plain(name: str) -> Callable[..., Any]:
    return lambda at, number: getattr(at.context, name)(number)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: _plain(name) for name in ("sqrt", "exp", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh")},
    **{name: _of_integers(name) for name in ("factorial", "gcd", "lcm")},
    "sin": _sine,
    "cos": _cosine,
    "tan": lambda at, angle: _sine(at, angle) / at.nonzero(_cosine(at, angle)),
    "sec": lambda at, angle: 1 / at.nonzero(_cosine(at, angle)),
    "csc": lambda at, angle: 1 / at.nonzero(_sine(at, angle)),
    "cot": lambda at, angle: _cosine(at, angle) / at.nonzero(_sine(at, angle)),
    "atanh": _area_tangent,
    "cbrt": lambda at, number: _root(at, number, at.context.mpf(3)),
    "root": _root,
    "log": _logarithm,
    "abs": lambda at, number: abs(number),
    "floor": _floor,
    "ceil": lambda at, number: -_floor(at, -number),
    "sign": _sign,
    "mod": _modulo,
    "binomial": _binomial,
    "min": _extreme(min),
    "max": _extreme(max),
}
