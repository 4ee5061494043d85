"""Numeric values: expressions over mpmath's numbers. Stable: `value`.

Values are complex where a principal value is (log and powers of negative numbers); `root` and `cbrt` are real roots. A sum, a sine or a
logarithm that cancels down to its rounding error is zero, so that dividing by it is undefined.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from threading import get_ident
from typing import Any

from mpmath import MPContext

from azr_plugins_math import exact
from azr_plugins_math.errors import Undefined
from azr_plugins_math.functions import FUNCTIONS
from azr_plugins_math.nodes import Call, Constant, Name, Negation, Node, Number, Power, Product, Quotient, Sum

SPARE_DIGITS = 15
"""Digits at the end of a value that rounding may have touched."""


def value(node: Node, values: Mapping[str, Fraction] | None = None, digits: int = 60) -> Any:
    """The value, mpf or mpc, good to about digits - SPARE_DIGITS digits. Raises Undefined."""
    return Interpreter(values or {}, digits).value(node)


@lru_cache(maxsize=64)
def _context(digits: int, _thread: int) -> Any:
    """mpmath with a precision of its own; it costs more to make than most values, and no two threads may share it."""
    context = MPContext()
    context.dps = digits
    return context


class Interpreter:
    """Evaluates trees at one point. Subtrees that a tree shares are evaluated once."""

    def __init__(self, values: Mapping[str, Fraction | Any], digits: int) -> None:
        self.context = _context(digits, get_ident())
        self.tiny = self.context.mpf(10) ** (SPARE_DIGITS - digits)
        self.values = {name: self.fraction(number) if isinstance(number, Fraction) else number for name, number in values.items()}
        self._known: dict[int, Any] = {}

    def value(self, node: Node) -> Any:
        """The value. Raises Undefined."""
        self._known.clear()
        try:
            return self._value(node)
        except (ZeroDivisionError, ValueError, OverflowError) as error:
            raise error if isinstance(error, Undefined) else Undefined(str(error) or type(error).__name__) from None

    def _value(self, node: Node) -> Any:
        known = self._known.get(id(node))
        if known is None:
            known = self._known[id(node)] = self._computed(node)
        return known

    def fraction(self, number: Fraction) -> Any:
        """A fraction as a number of this precision."""
        return self.context.mpf(number.numerator) / number.denominator

    def _computed(self, node: Node) -> Any:
        match node:
            case Number(number, _):
                return self.fraction(number)
            case Name(name):
                if name not in self.values:
                    raise Undefined(f"{name} has no value")
                return self.values[name]
            case Constant(name):
                if name == "oo":
                    raise Undefined("oo is no number")
                return +(self.context.pi if name == "pi" else self.context.e)
            case Negation(operand):
                return -self._value(operand)
            case Sum(terms):
                return self.total([self._value(term) for term in terms])
            case Product(factors):
                return self.clean(self.context.fprod(self._value(factor) for factor in factors))
            case Quotient(top, bottom):
                return self.clean(self._value(top) / self.nonzero(self._value(bottom)))
            case Power(base, exponent):
                return self.clean(self._power(self._value(base), exponent))
            case Call(function, arguments):
                return self.clean(FUNCTIONS[function](self, *(self._value(argument) for argument in arguments)))

    def _power(self, base: Any, exponent: Node) -> Any:
        degree = self._value(exponent)
        if base == 0:
            if self.real(degree) <= 0:
                raise Undefined("0 to a power that is not positive")
            return base
        try:
            written = exact.evaluate(exponent)
        except Undefined:
            return base**degree
        return base ** (int(written) if written.denominator == 1 else degree)

    def total(self, parts: list[Any]) -> Any:
        """The sum, which is zero where nothing but rounding is left of its parts."""
        return self.clean(sum(parts), max(map(abs, parts)))

    def clean(self, result: Any, scale: Any = 0) -> Any:
        """Without real and imaginary parts that are nothing but rounding errors of a number as large as scale."""
        if self.context.isnan(result) or self.context.isinf(result):
            raise Undefined("no finite value")
        if scale and abs(result) <= self.tiny * scale:
            return self.context.mpf(0)
        if not hasattr(result, "_mpc_"):
            return result
        least = self.tiny * abs(result)
        real, imaginary = (part if abs(part) > least else self.context.mpf(0) for part in (result.real, result.imag))
        return self.context.mpc(real, imaginary) if imaginary else real

    def nonzero(self, number: Any) -> Any:
        """The number, if it is not zero. Raises Undefined."""
        if number == 0:
            raise Undefined("division by zero")
        return number

    def real(self, number: Any) -> Any:
        """The number, if it is real. Raises Undefined."""
        if hasattr(number, "_mpc_"):
            raise Undefined("a value that is not real")
        return number

    def whole(self, number: Any) -> int:
        """The integer that a number is, up to rounding. Raises Undefined."""
        nearest = self.context.nint(self.real(number))
        if abs(nearest - number) > self.tiny * max(1, abs(number)):
            raise Undefined("an integer is needed")
        return int(nearest)
