"""Syntax trees to SymPy and back. Imported in workers only: SymPy takes a second to import, and nothing here reads text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import sympy

from azr_plugins_math.conditions import Kind
from azr_plugins_math.errors import MathError
from azr_plugins_math.nodes import Call, Constant, Name, Negation, Node, Number, Power, Product, Quotient, Sum, number

_CONSTANTS = {"pi": sympy.pi, "E": sympy.E, "oo": sympy.oo}
_ELEMENTARY = "exp log sin cos tan sec csc cot asin acos atan sinh cosh tanh asinh acosh atanh"
_SAME = (*_ELEMENTARY.split(), "factorial", "binomial", "sqrt", "floor", "sign")
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(sympy, name) for name in _SAME},
    "abs": sympy.Abs,
    "ceil": sympy.ceiling,
    "cbrt": lambda value: sympy.real_root(value, 3),
    "root": lambda value, degree: sympy.real_root(value, degree),
    "mod": sympy.Mod,
    "gcd": sympy.gcd,
    "lcm": sympy.lcm,
    "min": sympy.Min,
    "max": sympy.Max,
}
_NAMES = {getattr(sympy, name): name for name in _SAME if name != "sqrt"} | {
    sympy.Abs: "abs",
    sympy.ceiling: "ceil",
    sympy.Mod: "mod",
    sympy.Min: "min",
    sympy.Max: "max",
}


def symbols_for(kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """SymPy symbols with the assumptions of their kinds."""
    return {name: sympy.Symbol(name, **_assumptions(kind)) for name, kind in kinds.items()}


def _assumptions(kind: Kind) -> dict[str, bool]:
    positive = kind.low is not None and (kind.low > 0 or (kind.low == 0 and kind.above_low))
    return {"real": True} | ({"integer": True} if kind.integral else {}) | ({"positive": True} if positive else {})


def to_sympy(node: Node, symbols: Mapping[str, Any]) -> Any:
    """The SymPy expression of a tree."""
    match node:
        case Number(value, _):
            return sympy.Rational(value.numerator, value.denominator)
        case Name(name):
            return symbols[name]
        case Constant(name):
            return _CONSTANTS[name]
        case Negation(operand):
            return -to_sympy(operand, symbols)
        case Sum(terms):
            return sympy.Add(*(to_sympy(term, symbols) for term in terms))
        case Product(factors):
            return sympy.Mul(*(to_sympy(factor, symbols) for factor in factors))
        case Quotient(top, bottom):
            return to_sympy(top, symbols) / to_sympy(bottom, symbols)
        case Power(base, exponent):
            return to_sympy(base, symbols) ** to_sympy(exponent, symbols)
        case Call(function, arguments):
            return _FUNCTIONS[function](*(to_sympy(argument, symbols) for argument in arguments))


def from_sympy(expression: Any) -> Node:
    """The tree of a SymPy expression. Raises MathError for what the grammar does not have."""
    if expression.is_Rational:
        return number(Fraction(int(expression.p), int(expression.q)))
    if expression.is_Symbol:
        return Name(str(expression))
    if expression is sympy.oo or expression is -sympy.oo:
        return Constant("oo") if expression is sympy.oo else Negation(Constant("oo"))
    if expression is sympy.pi or expression is sympy.E:
        return Constant("pi" if expression is sympy.pi else "E")
    if expression.is_Add:
        return _sum(expression)
    if expression.is_Mul:
        return _product(expression)
    if expression.is_Pow:
        return _power(expression)
    if expression.func in _NAMES:
        return Call(_NAMES[expression.func], tuple(map(from_sympy, expression.args)))
    raise MathError(f"the result is outside the language: {type(expression).__name__}")


def _sum(expression: Any) -> Node:
    terms = []
    for term in expression.as_ordered_terms():
        negative = term.could_extract_minus_sign()
        tree = from_sympy(-term if negative else term)
        terms.append(Negation(tree) if negative else tree)
    return Sum(tuple(terms))


def _product(expression: Any) -> Node:
    if expression.could_extract_minus_sign() and expression.as_coeff_Mul()[0] < 0:
        return Negation(from_sympy(-expression))
    top, bottom = sympy.fraction(expression)
    if bottom != 1:
        return Quotient(from_sympy(top), from_sympy(bottom))
    factors = [from_sympy(factor) for factor in top.as_ordered_factors()]
    return factors[0] if len(factors) == 1 else Product(tuple(factors))


def _power(expression: Any) -> Node:
    base, exponent = expression.base, expression.exp
    if exponent.is_Rational and exponent < 0:
        return Quotient(number(1), from_sympy(base**-exponent))
    if exponent == sympy.Rational(1, 2):
        return Call("sqrt", (from_sympy(base),))
    return Power(from_sympy(base), from_sympy(exponent))
