"""What a proposal of a deduction must be before any work is spent on it: fields, grammar, bounds, form. Nothing large is computed."""

from __future__ import annotations

from azr_plugins_math import forms, guard
from azr_plugins_math.calculus import derivative
from azr_plugins_math.conditions import read_kind
from azr_plugins_math.errors import MathError
from azr_plugins_math.nodes import (
    Call,
    Constant,
    Negation,
    Node,
    Number,
    Power,
    Product,
    Quotient,
    children,
    in_lowest_terms,
    literal,
    names,
    walk,
)
from azr_plugins_math.polynomials import polynomial
from azr_plugins_math.questions import Op, Question

MAX_CHARACTERS = 160
MAX_SYMBOLS = 3
MAX_DEGREE = 12
_BOUNDED = (Op.DEFINITE_INTEGRAL, Op.SUM)
_IN_ONE_VARIABLE = (Op.DIFF, Op.INTEGRATE, Op.DEFINITE_INTEGRAL, Op.LIMIT, Op.SUM, Op.SOLVE)
_CONTINUOUS = (Op.DIFF, Op.INTEGRATE, Op.DEFINITE_INTEGRAL, Op.LIMIT)
_NEEDED: dict[Op, tuple[str, ...]] = {
    **dict.fromkeys((Op.EVALUATE, Op.EXPAND, Op.FACTOR, Op.SIMPLIFY), ()),
    **dict.fromkeys((Op.DIFF, Op.INTEGRATE, Op.SOLVE), ("var",)),
    **dict.fromkeys(_BOUNDED, ("var", "lower", "upper")),
    Op.LIMIT: ("var", "point"),
}
_OPTIONAL: dict[Op, tuple[str, ...]] = dict.fromkeys((Op.EXPAND, Op.FACTOR, Op.SIMPLIFY), ("var",))


def screen(question: Question) -> None:
    """Raises MathError with what is wrong."""
    _check_fields(question)
    texts = [text for text in (question.expr, question.lower, question.upper, question.point) if text]
    if any(len(text) > MAX_CHARACTERS for text in texts):
        raise MathError(f"more than {MAX_CHARACTERS} characters")
    _check_symbols(question)
    trees = [question.tree, *(question.bound(text) for text in texts[1:])]
    for tree in trees:
        guard.check(tree, guard.TASK)
        if _degree(tree) > MAX_DEGREE:
            raise MathError(f"a degree above {MAX_DEGREE}")
        if any(isinstance(part, Number) and part.decimal for part in walk(tree)):
            raise MathError("a decimal: write a fraction")
    if Constant("oo") in walk(question.tree):
        raise MathError("oo is no number")
    _FORMS[question.op](question)


def _check_fields(question: Question) -> None:
    needed = _NEEDED[question.op]
    for field in ("var", "lower", "upper", "point"):
        given = bool(getattr(question, field))
        if given and field not in (*needed, *_OPTIONAL.get(question.op, ())):
            raise MathError(f"{question.op} has no {field!r}")
        if not given and field in needed:
            raise MathError(f"{question.op} needs {field!r}")


def _check_symbols(question: Question) -> None:
    symbols = question.symbols
    if len(symbols) > MAX_SYMBOLS:
        raise MathError(f"{len(symbols)} symbols, at most {MAX_SYMBOLS}")
    if question.var and question.var not in names(question.tree):
        raise MathError(f"the expression does not depend on {question.var[:20]!r}")
    if stray := set(question.domain) - symbols:
        raise MathError(f"a domain for {sorted(stray)[0][:20]!r}, which does not occur")
    if any([read_kind(kind).integral for kind in question.domain.values()]) and question.op in _CONTINUOUS:
        raise MathError(f"{question.op} needs more than integers: sin(pi*x)^2 and its derivative vanish on them")
    if question.op is Op.EVALUATE and symbols:
        raise MathError("a number holds no symbols")
    if question.op in _IN_ONE_VARIABLE and question.op not in (Op.SUM, Op.DIFF) and symbols != {question.var}:
        raise MathError(f"{question.op} has no symbol but its variable")


def _degree(node: Node) -> float:
    """The degree of a polynomial, and of anything else a bound on the powers in it."""
    degrees = [_degree(child) for child in children(node)]
    match node:
        case Power(_, exponent) if names(node):
            value = literal(exponent)
            return degrees[0] * (abs(value) if value is not None and value > 1 else 1) if value is not None else max(degrees)
        case Product() | Quotient():
            return sum(degrees)
        case Call():
            return 1.0 if names(node) else 0.0
    return max(degrees, default=1.0 if names(node) else 0.0)


def _any(_: Question) -> None:
    """Nothing more is asked."""


def _evaluate(question: Question) -> None:
    if in_lowest_terms(question.tree) or not children(question.tree):
        raise MathError("a literal, or no operation")


def _smooth(question: Question) -> None:
    derivative(question.tree, question.var)


def _finite(question: Question) -> None:
    for text in (question.lower, question.upper):
        bound = question.bound(text)
        if Constant("oo") in walk(bound):
            raise MathError("improper: an infinite bound")
        if names(bound):
            raise MathError("a bound that is no number")


def _point(question: Question) -> None:
    point = question.bound(question.point)
    inner = point.operand if isinstance(point, Negation) else point
    if Constant("oo") in walk(point) and inner != Constant("oo"):
        raise MathError("a point that is neither a number nor oo nor -oo")


def _summed(question: Question) -> None:
    lower, upper = question.bound(question.lower), question.bound(question.upper)
    if _whole(lower) is None or (_whole(upper) is None and not names(upper)):
        raise MathError("the bounds of a sum are integers, the upper one may be a symbol")
    if names(upper) and names(upper) != {question.upper.strip()}:
        raise MathError("the upper bound is an integer or a symbol")
    if names(question.tree) - {question.var} - names(upper):
        raise MathError("a sum has no symbols but its variable and its upper bound")
    if names(upper) and dict(question.domain).get(question.upper.strip(), "positive_integer") != "positive_integer":
        raise MathError("the upper bound is a positive integer")


def _whole(node: Node) -> int | None:
    value = literal(node)
    return int(value) if value is not None and value.denominator == 1 else None


def _not_expanded(question: Question) -> None:
    count = forms.monomials(question.tree)
    if count is not None and count == len(polynomial(question.tree)):
        raise MathError("already expanded")
    if not polynomial(question.tree):
        raise MathError("it is zero")


def _a_polynomial(question: Question) -> None:
    if not question.symbols or not polynomial(question.tree):
        raise MathError("a constant")


def _not_flat(question: Question) -> None:
    if not names(question.tree):
        raise MathError("it holds no symbol")


_FORMS = {
    Op.EVALUATE: _evaluate,
    Op.DIFF: _smooth,
    Op.INTEGRATE: _any,
    Op.DEFINITE_INTEGRAL: _finite,
    Op.LIMIT: _point,
    Op.SUM: _summed,
    Op.EXPAND: _not_expanded,
    Op.FACTOR: _a_polynomial,
    Op.SIMPLIFY: _not_flat,
    Op.SOLVE: _any,
}
