"""Golds: what is right, worked out when a task is admitted, and by a second route wherever there is one. Imported in workers only.

`gold(fields)` is the text of the gold of a question that passed `admission.screen`. Raises MathError with the reason where it has none.
Most of its time goes into the second route, which depends on nothing but question and gold: a second process can leave it out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import sympy

from azr_plugins_math import exact, routes
from azr_plugins_math.calculus import derivative
from azr_plugins_math.candidates import closed_form, shortest_number, without_terms, written
from azr_plugins_math.conditions import read_kind
from azr_plugins_math.errors import Inexact, MathError, Undefined
from azr_plugins_math.forms import factors
from azr_plugins_math.identities import identical, kinds_of, same_number
from azr_plugins_math.nodes import Constant, Node, Power, Product, literal, names, number, size, substitute, walk
from azr_plugins_math.polynomials import polynomial, tree
from azr_plugins_math.questions import NONE, Op, Question
from azr_plugins_math.translation import from_sympy, symbols_for, to_sympy
from azr_plugins_math.writing import canonical, text

MOST_ROOTS = 4


def gold(fields: Mapping[str, Any], *, checked: bool = True) -> str:
    """The gold of a question as text. checked: by the second routes that are slow, too. Raises MathError."""
    question = Question.of(fields)
    found = _GOLDS[question.op](question)
    written = found if isinstance(found, str) else text(found)
    if checked and question.op in _CHECKS:
        _CHECKS[question.op](replace(question, gold=written))
    return written


class _Algebra:
    """A question in SymPy's terms."""

    def __init__(self, question: Question) -> None:
        domain = {name: read_kind(kind) for name, kind in question.domain.items()}
        usual = read_kind("integer" if question.op is Op.SUM else "real")
        self.kinds = kinds_of(domain, question.tree, *map(question.bound, filter(None, (question.upper,))), usual=usual)
        self.symbols = symbols_for(self.kinds)
        self.expression = to_sympy(question.tree, self.symbols)
        self.symbol = self.symbols.get(question.var)

    def of(self, node: Node) -> Any:
        return to_sympy(node, self.symbols)


def _evaluate(question: Question) -> Node:
    try:
        return number(exact.evaluate(question.tree))
    except Inexact:
        found = shortest_number(written(_Algebra(question).expression), question.tree)
    if canonical(found) == canonical(question.tree):
        raise MathError("there is nothing to evaluate")
    return found


def _diff(question: Question) -> Node:
    algebra = _Algebra(question)
    slope = derivative(question.tree, question.var)
    if _is_constant(question, slope):
        raise MathError("linear: the derivative is constant")
    found = from_sympy(sympy.diff(algebra.expression, algebra.symbol))
    if not identical(slope, found, question.kinds, question.seed):
        raise MathError("two routes to the derivative disagree")
    return found


def _is_constant(question: Question, tree: Node) -> bool:
    """Whether an expression does not depend on the variable."""
    try:
        return identical(number(0), derivative(tree, question.var), question.kinds, question.seed)
    except Undefined:
        return False


def _integrate(question: Question) -> Node:
    algebra = _Algebra(question)
    return from_sympy(sympy.integrate(algebra.expression, algebra.symbol))


def _check_antiderivative(question: Question) -> None:
    found = question.golds[0]
    if not identical(question.tree, derivative(found, question.var), question.kinds, question.seed):
        raise MathError("the antiderivative does not differentiate back")
    routes.check_continuity(question, found)


def _definite_integral(question: Question) -> Node:
    algebra = _Algebra(question)
    lower, upper = question.bound(question.lower), question.bound(question.upper)
    routes.check_proper(question, lower, upper)
    return closed_form(sympy.integrate(algebra.expression, (algebra.symbol, algebra.of(lower), algebra.of(upper))))


def _check_area(question: Question) -> None:
    routes.check_quadrature(question, question.bound(question.lower), question.bound(question.upper), question.golds[0])


def _limit(question: Question) -> Node:
    algebra = _Algebra(question)
    point = question.bound(question.point)
    at = algebra.of(point)
    if Constant("oo") not in walk(point) and routes.has_value(question, point):
        raise MathError("the limit is found by direct substitution")
    sides = ("-",) if at is sympy.oo else ("+",) if at is -sympy.oo else ("+", "-")
    results = [sympy.limit(algebra.expression, algebra.symbol, at, side) for side in sides]
    infinite = [result in (sympy.oo, -sympy.oo) for result in results]
    if any(infinite):
        if len(set(results)) > 1:
            raise MathError("the two sides differ")
        found = from_sympy(results[0])
    else:
        forms = [closed_form(result) for result in results]
        if len(forms) == 2 and not same_number(*forms):
            raise MathError("the two sides differ")
        found = forms[0]
    routes.check_approach(question, point, found)
    return found


def _sum(question: Question) -> Node:
    lower, upper = question.bound(question.lower), question.bound(question.upper)
    if not names(upper):
        try:
            return number(routes.direct_sum(question, lower, upper))
        except Inexact:
            return _irrational_sum(question, lower, upper)
    algebra = _Algebra(question)
    result = sympy.summation(algebra.expression, (algebra.symbol, algebra.of(lower), algebra.of(upper)))
    for found in written(result):
        if question.var not in names(found):
            routes.check_partial_sums(question, lower, found)
            return found
    raise MathError("the sum has no closed form in the language")


def _irrational_sum(question: Question, lower: Node, upper: Node) -> Node:
    algebra = _Algebra(question)
    found = closed_form(sympy.summation(algebra.expression, (algebra.symbol, algebra.of(lower), algebra.of(upper))))
    if not same_number(routes.written_sum(question, lower, upper), found):
        raise MathError("direct summation gives another value")
    return found


def _expand(question: Question) -> Node:
    found = tree(polynomial(question.tree))
    if polynomial(from_sympy(sympy.expand(_Algebra(question).expression))) != polynomial(found):
        raise MathError("two routes to the expansion disagree")
    return found


def _factor(question: Question) -> Node:
    content, parts = sympy.factor_list(_Algebra(question).expression)
    if sum(count for _, count in parts) < 2:
        raise MathError("fewer than two factors")
    trees = [(tree(polynomial(from_sympy(part))), count) for part, count in parts]
    powers: list[Node] = [part if count == 1 else Power(part, number(count)) for part, count in trees]
    constant = from_sympy(content)
    if content != 1:
        powers.insert(0, constant)
    found = Product(tuple(powers)) if len(powers) > 1 else powers[0]
    if polynomial(found) != polynomial(question.tree):
        raise MathError("the factors do not multiply back")
    if _already(question.tree, found):
        raise MathError("already factored")
    return found


def _already(question: Node, found: Node) -> bool:
    try:
        return factors(question) == factors(found)
    except MathError:
        return False


def _simplify(question: Question) -> Node:
    found = [form for form in written(_Algebra(question).expression) if size(form) < size(question.tree)]
    shorter = sorted(without_terms(question.tree), key=size)
    for form in sorted([*found, *shorter[:400]], key=lambda form: (size(form), text(form))):
        if size(form) < size(question.tree) and _holds(question, form):
            return form
    raise MathError("nothing shorter was found")


def _holds(question: Question, form: Node) -> bool:
    try:
        return identical(question.tree, form, question.kinds, question.seed)
    except MathError:
        return False


def _solve(question: Question) -> str:
    algebra = _Algebra(question)
    domain = {**question.domain}.get(question.var, "real")
    kind = read_kind(domain)
    found = sympy.solveset(algebra.expression, algebra.symbol, routes.region(kind))
    if found is sympy.S.EmptySet:
        roots: list[Node] = []
    elif isinstance(found, sympy.FiniteSet):
        roots = [closed_form(root) for root in sorted(found, key=sympy.default_sort_key)]
    else:
        raise MathError("not a finite set of roots")
    roots = [root for root in roots if not kind.integral or _is_integer(root)]
    if len(roots) > MOST_ROOTS:
        raise MathError(f"{len(roots)} roots, at most {MOST_ROOTS}")
    return ", ".join(map(text, roots)) or NONE


def _check_roots(question: Question) -> None:
    for root in question.golds:
        if not same_number(substitute(question.tree, {question.var: root}), number(0)):
            raise MathError(f"{text(root)} does not solve it")
    routes.check_no_other_roots(question, read_kind({**question.domain}.get(question.var, "real")), question.golds)


def _is_integer(root: Node) -> bool:
    value = literal(root)
    return value is not None and value.denominator == 1


_GOLDS: dict[Op, Callable[[Question], Node | str]] = {
    Op.EVALUATE: _evaluate,
    Op.DIFF: _diff,
    Op.INTEGRATE: _integrate,
    Op.DEFINITE_INTEGRAL: _definite_integral,
    Op.LIMIT: _limit,
    Op.SUM: _sum,
    Op.EXPAND: _expand,
    Op.FACTOR: _factor,
    Op.SIMPLIFY: _simplify,
    Op.SOLVE: _solve,
}
_CHECKS: dict[Op, Callable[[Question], None]] = {
    Op.INTEGRATE: _check_antiderivative,
    Op.DEFINITE_INTEGRAL: _check_area,
    Op.SOLVE: _check_roots,
}
