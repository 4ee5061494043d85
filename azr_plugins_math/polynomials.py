"""Polynomials in the declared symbols with rational coefficients, exactly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction
from functools import reduce

from azr_plugins_math import exact
from azr_plugins_math.errors import MathError
from azr_plugins_math.nodes import Name, Negation, Node, Number, Power, Product, Quotient, Sum, names, number

MAX_DEGREE, MAX_TERMS = 40, 2_000
Monomial = tuple[tuple[str, int], ...]  # symbols in order with their exponents, all above 0
Polynomial = dict[Monomial, Fraction]  # no coefficient is 0


def polynomial(node: Node) -> Polynomial:
    """The polynomial that a tree is. Raises MathError where it is none, or one of too many terms."""
    if not names(node):
        return _constant(exact.evaluate(node))
    match node:
        case Name(name):
            return {((name, 1),): Fraction(1)}
        case Negation(operand):
            return scaled(polynomial(operand), Fraction(-1))
        case Sum(terms):
            return reduce(_sum, map(polynomial, terms))
        case Product(factors):
            return reduce(multiplied, map(polynomial, factors))
        case Quotient(top, bottom) if not names(bottom):
            return scaled(polynomial(top), exact.evaluate(Quotient(number(1), bottom)))
        case Power(base, Number(exponent, _)) if exponent.denominator == 1 and exponent <= MAX_DEGREE:
            return reduce(multiplied, [polynomial(base)] * int(exponent), _constant(Fraction(1)))
    raise MathError("not a polynomial, or one of too high a degree")


def _constant(value: Fraction) -> Polynomial:
    return {(): value} if value else {}


def scaled(one: Polynomial, factor: Fraction) -> Polynomial:
    """A multiple."""
    return {monomial: coefficient * factor for monomial, coefficient in one.items()} if factor else {}


def multiplied(one: Polynomial, two: Polynomial) -> Polynomial:
    """The product. Raises MathError where it has too many terms or too high a degree."""
    if len(one) * len(two) > 50 * MAX_TERMS or degree(one) + degree(two) > MAX_DEGREE:
        raise MathError("too large a polynomial")
    result: defaultdict[Monomial, Fraction] = defaultdict(Fraction)
    for left, first in one.items():
        for right, second in two.items():
            result[_joined(left, right)] += first * second
    return _trimmed(result)


def _sum(one: Polynomial, two: Polynomial) -> Polynomial:
    return _trimmed({key: one.get(key, Fraction(0)) + two.get(key, Fraction(0)) for key in one.keys() | two.keys()})


def _trimmed(terms: Mapping[Monomial, Fraction]) -> Polynomial:
    if len(terms) > MAX_TERMS:
        raise MathError("too large a polynomial")
    return {key: value for key, value in terms.items() if value}


def _joined(one: Monomial, two: Monomial) -> Monomial:
    exponents = dict(one)
    for name, exponent in two:
        exponents[name] = exponents.get(name, 0) + exponent
    return tuple(sorted(exponents.items()))


def degree(one: Polynomial) -> int:
    """The total degree; 0 of a constant."""
    return max((sum(exponent for _, exponent in monomial) for monomial in one), default=0)


def _order(monomial: Monomial) -> tuple[int, Monomial]:
    return -sum(exponent for _, exponent in monomial), tuple((name, -exponent) for name, exponent in monomial)


def monic(one: Polynomial) -> tuple[Fraction, Polynomial]:
    """The leading coefficient, and the polynomial divided by it."""
    lead = one[min(one, key=_order)]
    return lead, scaled(one, 1 / lead)


def tree(one: Polynomial) -> Node:
    """The sum of its monomials, highest degree first."""
    terms = [_term(monomial, one[monomial]) for monomial in sorted(one, key=_order)]
    return terms[0] if len(terms) == 1 else Sum(tuple(terms)) if terms else number(0)


def _term(monomial: Monomial, coefficient: Fraction) -> Node:
    powers: list[Node] = [Name(name) if exponent == 1 else Power(Name(name), number(exponent)) for name, exponent in monomial]
    if not powers:
        return number(coefficient)
    size = abs(coefficient)
    if size.numerator != 1:
        powers.insert(0, number(size.numerator))
    term = powers[0] if len(powers) == 1 else Product(tuple(powers))
    if size.denominator != 1:
        term = Quotient(term, number(size.denominator))
    return Negation(term) if coefficient < 0 else term
