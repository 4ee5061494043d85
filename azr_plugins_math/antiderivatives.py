"""Whether an expression is an antiderivative of another: by its derivative, and by having no jumps of its own.

A derivative alone does not tell: `atan(x) + abs(x)/x` and `-atan(1/x)` have the right one wherever they have one. So an answer must have a
value where the integrand has one, and its distance from the gold may change only across points where the integrand is singular.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

from azr_plugins_math.calculus import derivative
from azr_plugins_math.errors import MathError, Undefined
from azr_plugins_math.identities import DIGITS, agree, defined, digits_for, identical, points
from azr_plugins_math.nodes import Name, Node, Sum, names
from azr_plugins_math.numeric import Interpreter
from azr_plugins_math.questions import CONSTANT, Question

SPECIAL = tuple(Fraction(count, 2) for count in range(-8, 9))
_HALVINGS = 60


def check_antiderivative(question: Question, answer: Node, gold: Node) -> str:
    """Why an answer is no antiderivative of the question's expression; empty for one that is. Raises MathError."""
    found = _without_constant(answer)
    if not identical(question.tree, derivative(found, question.var), question.kinds, question.seed):
        return "its derivative is another function"
    kind = question.kinds[question.var]
    places = [point[question.var] for point in points(question.kinds, question.seed, question.tree)[:28]]
    places = sorted({*places, *(place for place in SPECIAL if kind.allows(place))})
    places = [place for place in places if defined(question.tree, {question.var: place})]
    holes = [place for place in places if not defined(found, {question.var: place}) and defined(gold, {question.var: place})]
    if holes:
        return f"no value at {holes[0]}, where the integrand has one"
    places = [place for place in places if defined(gold, {question.var: place})]
    return _jumps(_Distance(found, gold, question), places)


def _without_constant(answer: Node) -> Node:
    """The answer without `+ C`. Raises MathError for any other place of C."""
    if isinstance(answer, Sum) and answer.terms.count(Name(CONSTANT)) == 1:
        terms = tuple(term for term in answer.terms if term != Name(CONSTANT))
        answer = terms[0] if len(terms) == 1 else Sum(terms)
    if CONSTANT in names(answer):
        raise MathError(f"{CONSTANT} stands elsewhere than in `+ {CONSTANT}`")
    return answer


class _Distance:
    """Answer - gold along the variable."""

    def __init__(self, answer: Node, gold: Node, question: Question) -> None:
        self.parts = (answer, gold)
        self.integrand, self.var = question.tree, question.var
        self.digits = max(DIGITS, digits_for(answer, gold))
        self._known: dict[Fraction, tuple[Any, Any]] = {}

    def values(self, place: Fraction) -> tuple[Any, Any]:
        """Answer and gold at a place."""
        if place not in self._known:
            at = Interpreter({self.var: place}, self.digits)
            self._known[place] = at.value(self.parts[0]), at.value(self.parts[1])
        return self._known[place]

    def at(self, place: Fraction) -> Any:
        answer, gold = self.values(place)
        return Interpreter({}, self.digits).total([answer, -gold])

    def same(self, one: Fraction, two: Fraction) -> bool:
        """Whether the distance is the same at two places."""
        here, there = self.at(one), self.at(two)
        scale = max(map(abs, (*self.values(one), *self.values(two))))
        return bool(abs(here - there) <= scale * here.context.mpf(10) ** (-DIGITS // 2)) or agree(here, there, self.digits)

    def step(self, one: Fraction, two: Fraction) -> tuple[Fraction, Fraction]:
        """Two places next to each other between which it changes."""
        for _ in range(_HALVINGS):
            middle = (one + two) / 2
            try:
                same = self.same(one, middle)
            except Undefined:
                return middle, middle
            one, two = (middle, two) if same else (one, middle)
        return one, two

    def value(self, place: Fraction) -> Any:
        """The integrand."""
        return Interpreter({self.var: place}, self.digits).value(self.integrand)


def singular(curve: Callable[[Fraction], Any], place: Fraction) -> bool:
    """Whether a function has no value at a place that is known to 14 digits, or grows towards it, be it as slowly as a logarithm."""
    for side in (1, -1):
        sizes = [_size(curve, place + side * Fraction(1, 10**power)) for power in (3, 8, 13)]
        if None in sizes:
            return True
        if sizes[2] - sizes[1] > abs(sizes[1] - sizes[0]) / 2 and sizes[2] > sizes[1] * (1 + 1e-6):
            return True
    return False


def _size(curve: Callable[[Fraction], Any], place: Fraction) -> Any:
    try:
        return abs(curve(place))
    except Undefined:
        return None


def _jumps(distance: _Distance, places: list[Fraction]) -> str:
    for one, two in pairwise(places):
        if distance.same(one, two):
            continue
        left, right = distance.step(one, two)
        if not singular(distance.value, (left + right) / 2):
            return f"a jump near {float(left):.6g}, where the integrand has none"
    return ""
