"""Unknowns and the conditions on them, which values meet or do not meet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from azr_plugins_math import syntax
from azr_plugins_math.comparison import Values, compare
from azr_plugins_math.errors import MathError, Undefined
from azr_plugins_math.nodes import Negation, Node, Number, number, substitute

_SIGN = re.compile(r"<=|>=|!=|==|[=<>]")
_RANGE = re.compile(r"\[\s*(-?\d{1,7}(?:/\d{1,7})?)\s*,\s*(-?\d{1,7}(?:/\d{1,7})?)\s*\]", re.ASCII)
_MEANING = {"=": (0,), "==": (0,), "!=": (-1, 1), "<": (-1,), ">": (1,), "<=": (-1, 0), ">=": (0, 1)}


@dataclass(frozen=True)
class Kind:
    """What an unknown may be. low, high: bounds; above_low: the lower one is left out."""

    integral: bool
    low: Fraction | None = None
    high: Fraction | None = None
    above_low: bool = False

    def holds(self, value: Node) -> bool:
        """Whether a value without symbols is of this kind; integers must be written as such. Raises Undefined."""
        if self.integral and not _is_integer(value):
            return False
        if self.low is not None and compare(value, number(self.low), {}) < (1 if self.above_low else 0):
            return False
        return self.high is None or compare(value, number(self.high), {}) <= 0

    def bounds(self, reach: int) -> tuple[Fraction, Fraction]:
        """The part of it that lies in [-reach, reach], or all of it where none does."""
        low, high = Fraction(-reach), Fraction(reach)
        if self.low is not None:
            low = max(low, self.low)
        if self.high is not None:
            high = min(high, self.high)
        return (low, high) if low <= high else (self.low or low, self.high or high)

    def allows(self, value: Fraction) -> bool:
        """Whether a rational number is of this kind."""
        if self.integral and value.denominator != 1:
            return False
        if self.low is not None and (value < self.low or (self.above_low and value == self.low)):
            return False
        return self.high is None or value <= self.high


_KINDS = {
    "real": Kind(False),
    "positive": Kind(False, Fraction(0), above_low=True),
    "integer": Kind(True),
    "positive_integer": Kind(True, Fraction(0), above_low=True),
}


def read_kind(text: str) -> Kind:
    """`integer`, `positive`, `[0, 10]`. Raises MathError."""
    if text in _KINDS:
        return _KINDS[text]
    match = _RANGE.fullmatch(text)
    try:
        low, high = map(Fraction, match.groups()) if match else (1, 0)
    except ZeroDivisionError:
        low, high = 1, 0
    if low >= high:
        raise MathError(f"{text[:40]!r} is no kind of number; known: {', '.join(_KINDS)} and [a,b]")
    return Kind(False, Fraction(low), Fraction(high))


@dataclass(frozen=True)
class Condition:
    """left sign right."""

    left: Node
    sign: str
    right: Node

    def filled(self, values: Mapping[str, Node]) -> Condition:
        """The condition with expressions in the place of unknowns."""
        return Condition(substitute(self.left, values), self.sign, substitute(self.right, values))

    def holds(self, values: Values, *, surely: bool = True) -> bool:
        """Whether the values meet it; where a side has no value they do not."""
        try:
            return compare(self.left, self.right, values, surely=surely) in _MEANING[self.sign]
        except Undefined:
            return False


def read_condition(text: str, symbols: Sequence[str]) -> Condition:
    """An equation or a comparison. Raises MathError."""
    signs = _SIGN.findall(text)
    if len(signs) != 1:
        raise MathError(f"{text[:40]!r} holds {len(signs)} of =, !=, <, <=, > and >=, one is needed")
    left, right = _SIGN.split(text)
    return Condition(syntax.parse(left, symbols), signs[0], syntax.parse(right, symbols))


def _is_integer(node: Node) -> bool:
    inner = node.operand if isinstance(node, Negation) else node
    return isinstance(inner, Number) and not inner.decimal and inner.value.denominator == 1
