"""Second routes to a gold: quadrature, direct sums, two-sided approach, scans for roots. They know nothing of SymPy's algebra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import sympy

from azr_plugins_math import exact
from azr_plugins_math.antiderivatives import SPECIAL, singular
from azr_plugins_math.conditions import Kind
from azr_plugins_math.errors import MathError, Undefined
from azr_plugins_math.identities import DIGITS, defined, points, same_number
from azr_plugins_math.nodes import Constant, Negation, Node, Sum, number, substitute, walk
from azr_plugins_math.numeric import Interpreter
from azr_plugins_math.questions import Question

MOST_TERMS = 10_000
_QUADRATURE_DIGITS, _CLOSE, _QUICK_DEGREE = 50, 1e-10, 3
_SAMPLES, _HALVINGS, _DEPTH = 200, 60, 30
_SCAN_REACH, _SCAN_STEPS = 40, 16


class _Curve:
    """The question's expression along its variable, at any number."""

    def __init__(self, question: Question, tree: Node | None = None, digits: int = _QUADRATURE_DIGITS) -> None:
        self.tree, self.var, self.digits = tree or question.tree, question.var, digits
        self.context = Interpreter({}, digits).context

    def __call__(self, place: Any) -> Any:
        """The value. Raises Undefined."""
        return Interpreter({self.var: place}, self.digits).value(self.tree)

    def integral(self, low: Any, high: Any) -> Any:
        return self.context.quad(self, [low, high], maxdegree=5)

    def quick_integral(self, low: Any, high: Any) -> Any:
        """The integral where the curve is smooth, for a tenth of the work; elsewhere it is some other number."""
        return self.context.quad(self, [low, high], method="gauss-legendre", maxdegree=_QUICK_DEGREE)

    def careful_integral(self, low: Any, high: Any, depth: int = 0) -> Any:
        """The integral, halved where it is not exact at once: at kinks."""
        middle = (low + high) / 2
        whole, parts = self.integral(low, high), [self.integral(low, middle), self.integral(middle, high)]
        if depth >= _DEPTH or abs(whole - sum(parts)) <= _CLOSE / 100 * max(map(abs, [whole, *parts])):
            return sum(parts)
        return self.careful_integral(low, middle, depth + 1) + self.careful_integral(middle, high, depth + 1)

    def real(self, place: Any) -> Any:
        """The value if there is a real one, else None."""
        try:
            return Interpreter({}, self.digits).real(self(place))
        except Undefined:
            return None


def has_value(question: Question, point: Node) -> bool:
    """Whether the expression has a real value at a point."""
    try:
        at = Interpreter({}, DIGITS)
        at.real(at.value(substitute(question.tree, {question.var: point})))
    except Undefined:
        return False
    return True


def check_continuity(question: Question, found: Node) -> None:
    """An antiderivative jumps nowhere but where the integrand is singular. Raises MathError."""
    curve, whole = _Curve(question), _Curve(question, found)
    kind = question.kinds[question.var]
    drawn = {point[question.var] for point in points(question.kinds, question.seed, question.tree)[:28]}
    places = sorted(drawn | {place for place in SPECIAL if kind.allows(place)})
    for one, two in pairwise(places):
        ends = [defined(question.tree, {question.var: place}) for place in (one, two)]
        if all(ends) and _jumps(curve, whole, one, two):
            raise MathError("the antiderivative jumps where the integrand does not")


def _jumps(curve: _Curve, whole: _Curve, one: Fraction, two: Fraction) -> bool:
    """Whether rise and area part ways between two places, and do so at a point where the integrand is not singular."""
    if _near(_gap(curve.quick_integral, whole, one, two)):
        return False
    first = gap = _gap(curve.integral, whole, one, two)
    if _near(gap):
        return False
    for _ in range(_HALVINGS):
        middle = (one + two) / 2
        left, right = _gap(curve.integral, whole, one, middle), _gap(curve.integral, whole, middle, two)
        if left is None or (right is not None and left > right):
            two, gap = middle, left
        else:
            one, gap = middle, right
    if gap is not None and first is not None and gap < first / 1_000:
        return False  # quadrature was inexact: what differs shrinks with the interval
    return not singular(curve, (one + two) / 2)


def _gap(area: Callable[[Any, Any], Any], whole: _Curve, one: Fraction, two: Fraction) -> Any:
    """How far rise and area are apart; None where either has no value."""
    at = Interpreter({}, _QUADRATURE_DIGITS)
    try:
        return abs(whole(two) - whole(one) - area(at.fraction(one), at.fraction(two)))
    except Undefined:
        return None


def _near(gap: Any) -> bool:
    return gap is not None and bool(gap <= _CLOSE)


def check_proper(question: Question, lower: Node, upper: Node) -> None:
    """Bounds are different numbers, and the integrand is real all the way. Raises MathError."""
    curve = _Curve(question)
    low, high = _ends(lower, upper)
    if low == high:
        raise MathError("the bounds are equal")
    for step in range(_SAMPLES + 1):
        if curve.real(low + (high - low) * step / _SAMPLES) is None:
            raise MathError("improper: the integrand has no real value somewhere between the bounds")
    if not (has_value(question, lower) and has_value(question, upper)):
        raise MathError("improper: the integrand has no real value at a bound")


def _ends(lower: Node, upper: Node) -> tuple[Any, Any]:
    at = Interpreter({}, _QUADRATURE_DIGITS)
    return at.real(at.value(lower)), at.real(at.value(upper))


def check_quadrature(question: Question, lower: Node, upper: Node, found: Node) -> None:
    """Quadrature gives the same value. Raises MathError."""
    low, high = _ends(lower, upper)
    curve = _Curve(question)
    cuts = [low + (high - low) * step / 8 for step in range(9)]
    expected = Interpreter({}, _QUADRATURE_DIGITS).value(found)
    for area in (curve.quick_integral, curve.careful_integral):
        pieces = [area(one, two) for one, two in pairwise(cuts)]
        if abs(sum(pieces) - expected) <= _CLOSE * max(map(abs, [*pieces, expected])):
            return
    raise MathError("quadrature gives another value")


def check_approach(question: Question, point: Node, found: Node) -> None:
    """The values come near the limit on both sides, or grow without bound towards an infinity. Raises MathError."""
    for side in _sides(point):
        values = []
        for power in (2, 8, 32, 128):
            curve = _Curve(question, digits=DIGITS + 6 * power)
            values.append(curve(side(curve, power)))
        context = values[-1].context
        if Constant("oo") in walk(found):
            sign = -1 if isinstance(found, Negation) else 1
            grows = all(not hasattr(value, "_mpc_") for value in values) and all(sign * a < sign * b for a, b in pairwise(values))
            if not grows or sign * values[-1] < 100:
                raise MathError("the values do not grow without bound")
            continue
        expected = Interpreter({}, DIGITS).value(found)
        gaps = [abs(value - context.mpf(expected)) for value in values]
        if gaps[-1] > 0.02 * max(1, abs(expected)) or (gaps[-1] >= gaps[0] and gaps[-1] > 1e-20):
            raise MathError("the values do not come near the limit")


def _sides(point: Node) -> list[Any]:
    """Places near a point, as functions of a curve and a power of ten."""
    if Constant("oo") in walk(point):
        sign = -1 if isinstance(point, Negation) else 1
        return [lambda curve, power: sign * curve.context.mpf(10) ** (power if power < 100 else 100)]
    return [
        lambda curve, power, sign=sign: Interpreter({}, curve.digits).value(point) + sign * curve.context.mpf(10) ** -power
        for sign in (1, -1)
    ]


def _range(lower: Node, upper: Node) -> range:
    first, last = exact.whole(exact.evaluate(lower)), exact.whole(exact.evaluate(upper))
    if not 0 < last - first < MOST_TERMS:
        raise MathError(f"a sum of fewer than 2 or more than {MOST_TERMS} terms")
    return range(first, last + 1)


def direct_sum(question: Question, lower: Node, upper: Node) -> Fraction:
    """The sum of rational terms, one by one. Raises Inexact where one is not rational."""
    total = Fraction(0)
    for index in _range(lower, upper):
        total += exact.evaluate(question.tree, {question.var: Fraction(index)})
        if max(total.numerator.bit_length(), total.denominator.bit_length()) > exact.MAX_BITS:
            raise MathError("too large a sum")
    return total


def written_sum(question: Question, lower: Node, upper: Node) -> Node:
    """The sum with all its terms written out."""
    return Sum(tuple(substitute(question.tree, {question.var: number(index)}) for index in _range(lower, upper)))


def check_partial_sums(question: Question, lower: Node, found: Node) -> None:
    """A formula for a sum up to n is right for a few n. Raises MathError."""
    name = question.upper.strip()
    first = exact.whole(exact.evaluate(lower))
    for last in [*range(max(first, 1) + 1, max(first, 1) + 10), max(first, 1) + 37]:
        whole = written_sum(question, number(first), number(last))
        if not same_number(substitute(whole, {name: number(last)}), substitute(found, {name: number(last)})):
            raise MathError("direct summation gives another value")


def region(kind: Kind) -> Any:
    """The set in which roots are looked for."""
    low = sympy.Rational(str(kind.low)) if kind.low is not None else -sympy.oo
    high = sympy.Rational(str(kind.high)) if kind.high is not None else sympy.oo
    return sympy.Interval(low, high, left_open=kind.above_low)


def check_no_other_roots(question: Question, kind: Kind, roots: Sequence[Node]) -> None:
    """A scan for changes of sign finds no root that is not known. Raises MathError."""
    curve = _Curve(question)
    scanned = Interpreter({}, _QUADRATURE_DIGITS)
    known = [scanned.value(root) for root in roots]
    low, high = kind.bounds(_SCAN_REACH)
    places = [
        low + (high - low) * step / (2 * _SCAN_REACH * _SCAN_STEPS) + Fraction(1, 997) for step in range(2 * _SCAN_REACH * _SCAN_STEPS)
    ]
    values = [(place, curve.real(place)) for place in places]
    for (one, before), (two, after) in pairwise(values):
        if before is None or after is None or before * after >= 0:
            continue
        if any(scanned.fraction(one) <= root <= scanned.fraction(two) for root in known) or kind.integral:
            continue
        if not _is_pole(curve, one, two):
            raise MathError(f"another root lies near {float(one):.6g}")


def _is_pole(curve: _Curve, one: Fraction, two: Fraction) -> bool:
    """Whether a change of sign is no root: the value grows or is missing there."""
    first = curve.real(one)
    for _ in range(60):
        middle = (one + two) / 2
        value = curve.real(middle)
        if value is None:
            return True
        one, two = (middle, two) if value * first > 0 else (one, middle)
    return bool(abs(curve.real(one) or 1) > 1e-3)
