"""Ways to write an expression shorter: SymPy's, each with a limit of its own, and leaving out terms. Imported in workers only."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import combinations
from typing import Any

import sympy

from azr_plugins_math.errors import MathError
from azr_plugins_math.identities import DIGITS, same_number
from azr_plugins_math.nodes import Node, Product, Sum, children, number, rebuild, size
from azr_plugins_math.numeric import Interpreter
from azr_plugins_math.translation import from_sympy
from azr_plugins_math.writing import text

STRATEGY_S = 0.6
"""CPU seconds that one way may take."""
_LARGEST_DENOMINATOR = 10**12
_MOST_TERMS = 8

_WAYS: tuple[Callable[[Any], Any], ...] = (
    lambda expression: expression,
    sympy.cancel,
    sympy.factor,
    sympy.expand,
    sympy.radsimp,
    sympy.sqrtdenest,
    sympy.trigsimp,
    sympy.logcombine,
    sympy.powsimp,
    sympy.simplify,
)


class _TooLong(BaseException):
    """A way took too long. Not an Exception, so that nothing inside SymPy catches it."""


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    except _TooLong:
        pass
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def written(expression: Any) -> list[Node]:
    """The expression in every way that the language has, the shortest first."""
    found: set[Node] = set()
    for way in _WAYS:
        with _within(STRATEGY_S):
            try:
                found.add(from_sympy(way(expression)))
            except (MathError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
                continue  # SymPy has no such form of it
    return sorted(found, key=lambda tree: (size(tree), text(tree)))


def closed_form(expression: Any) -> Node:
    """A number in its shortest way, as a literal if it is rational. Raises MathError where there is none, or where it is not real."""
    trees = written(expression)
    if not trees:
        raise MathError("the result is outside the language")
    return shortest_number(trees, trees[0])


def shortest_number(trees: list[Node], same_as: Node) -> Node:
    """The first of the trees whose value is that of another, as a literal if it is rational."""
    at = Interpreter({}, 2 * DIGITS)
    value = at.real(at.value(same_as))
    near = Fraction(str(at.context.nstr(value, DIGITS, min_fixed=-DIGITS, max_fixed=DIGITS))).limit_denominator(_LARGEST_DENOMINATOR)
    if same_number(same_as, number(near)):
        return number(near)
    for tree in trees:
        if same_number(same_as, tree):
            return tree
    raise MathError("no form of the result has its value")


def without_terms(tree: Node) -> Iterator[Node]:
    """The tree with some terms of one of its sums, or some factors of one of its products, left out: the fewest left first."""
    if isinstance(tree, Sum | Product) and len(children(tree)) <= _MOST_TERMS:
        parts = children(tree)
        yield number(isinstance(tree, Product))
        for count in range(1, len(parts)):
            for kept in combinations(parts, count):
                yield kept[0] if count == 1 else rebuild(tree, kept)
    for place, part in enumerate(children(tree)):
        for shorter in without_terms(part):
            yield rebuild(tree, (*children(tree)[:place], shorter, *children(tree)[place + 1 :]))
