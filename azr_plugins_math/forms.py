"""The form of an expression as it is written: expanded, factored."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from azr_plugins_math import exact
from azr_plugins_math.errors import MathError
from azr_plugins_math.nodes import Name, Negation, Node, Number, Power, Product, Quotient, Sum, literal, names
from azr_plugins_math.polynomials import MAX_DEGREE, Polynomial, monic, polynomial

Factors = Counter[frozenset[tuple[object, Fraction]]]
"""Monic factors, each as the set of its terms, with their multiplicities."""


def monomials(node: Node) -> int | None:
    """How many monomials a sum of monomials has; None where a product of sums, or a factor that occurs twice, is left."""
    terms = node.terms if isinstance(node, Sum) else (node,)
    return len(terms) if all(map(_is_monomial, terms)) else None


def _is_monomial(node: Node) -> bool:
    while isinstance(node, Negation):
        node = node.operand
    if isinstance(node, Quotient) and isinstance(node.denominator, Number):
        node = node.numerator
    parts = node.factors if isinstance(node, Product) else (node,)
    symbols = [_symbol(part) for part in parts]
    return None not in symbols and max(Counter(symbols).values()) == 1


def _symbol(node: Node) -> str | None:
    """The symbol of a power of one, the empty text for a number, None for anything else."""
    match node:
        case Name(name) | Power(Name(name), Number()):
            return name
    return "" if literal(node) is not None else None


def factors(node: Node) -> tuple[Fraction, Factors]:
    """The constant and the monic factors of a product, as it is written. Raises MathError."""
    constant, found = Fraction(1), Counter[frozenset[tuple[object, Fraction]]]()
    for base, count in _bases(node, 1):
        if not names(base):
            constant *= exact.power(exact.evaluate(base), Fraction(count))
            continue
        lead, one = monic(_nonzero(polynomial(base)))
        constant *= lead**count
        found[frozenset(one.items())] += count
    return constant, found


def _nonzero(one: Polynomial) -> Polynomial:
    if not one or set(one) == {()}:
        raise MathError("a factor that is constant")
    return one


def _bases(node: Node, count: int) -> list[tuple[Node, int]]:
    match node:
        case Negation(operand):
            sign: list[tuple[Node, int]] = [(Negation(Number(Fraction(1))), 1)] if count % 2 else []
            return sign + _bases(operand, count)
        case Product(parts):
            return [base for part in parts for base in _bases(part, count)]
        case Quotient(top, bottom) if not names(bottom):
            return [*_bases(top, count), (bottom, -count)]
        case Power(base, Number(exponent, _)) if names(base) and exponent.denominator == 1 and 1 <= exponent <= MAX_DEGREE:
            if count * exponent > MAX_DEGREE:
                raise MathError("too high a degree")
            return _bases(base, count * int(exponent))
    return [(node, count)]
