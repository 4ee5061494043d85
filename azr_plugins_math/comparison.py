"""Comparison of two expressions at one point: exactly where both are rational, else by their digits.

Digits never prove that two numbers are equal. What agrees in 45 digits is computed again with three times as many digits as the largest or
smallest magnitude in the expressions has, and at most MOST_DIGITS, which is more than any has: `sqrt(2)` and `sqrt(2) + 10^-2999` differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from threading import get_ident
from typing import Any

from azr_plugins_math import exact, guard, numeric
from azr_plugins_math.errors import Inexact, MathError, Undefined
from azr_plugins_math.nodes import Negation, Node, Sum, number, substitute, walk

DIGITS, SURE_DIGITS, MOST_DIGITS = 60, 200, guard.MAX_HEIGHT + 200

Values = Mapping[str, Fraction]


def compare(left: Node, right: Node, values: Values, *, surely: bool = True) -> int:
    """-1, 0 or 1 as left is less than, equal to or more than right. surely: equal digits are looked at again.

    Raises Undefined where one has no real value, or holds a part that has none.
    """
    try:
        one, two = exact.evaluate(left, values), exact.evaluate(right, values)
    except Inexact:
        return _sign(closed(Sum((left, Negation(right))), values), surely)
    return (one > two) - (one < two)


def rational(node: Node, values: Values) -> Fraction:
    """The value of an expression: any that is found exactly, else an integer that its digits show. Raises Undefined."""
    try:
        return exact.evaluate(node, values)
    except Inexact:
        whole = closed(node, values)
    found = _value(whole, DIGITS)
    nearest = int(found.context.nint(found))
    if _sign(Sum((whole, Negation(number(nearest)))), surely=True) != 0:
        raise Undefined("its value is not rational")
    return Fraction(nearest)


def closed(node: Node, values: Values) -> Node:
    """The expression with its symbols replaced by numbers, if its size allows to compute digits. Raises Undefined."""
    whole = substitute(node, {name: number(value) for name, value in values.items()})
    try:
        guard.check(whole)
    except MathError as refusal:
        raise Undefined(str(refusal)) from None
    return whole


def _sign(difference: Node, surely: bool) -> int:
    """Sign of a closed expression."""
    sure = min(MOST_DIGITS, SURE_DIGITS + 3 * math.ceil(guard.height(difference)))
    for digits in (DIGITS, sure) if surely else (DIGITS,):
        found = _value(difference, digits)
        if found:
            return 1 if found > 0 else -1
    if surely:
        for part in walk(difference):
            _value(part, DIGITS)
    return 0


def _value(node: Node, digits: int) -> Any:
    """The digits of a real value. Raises Undefined."""
    found = _interpreter(digits, get_ident()).value(node)
    if found.imag:
        raise Undefined("a value that is not real")
    return found.real


@lru_cache(maxsize=16)
def _interpreter(digits: int, _thread: int) -> numeric.Interpreter:
    """It keeps the context of mpmath, which costs more to make than most values, and which no two threads may share."""
    return numeric.Interpreter({}, digits)
