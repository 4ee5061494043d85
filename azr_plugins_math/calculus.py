"""Derivatives of syntax trees, by the rules; nothing is simplified but zeros."""

from __future__ import annotations

from collections.abc import Callable

from azr_plugins_math.errors import Undefined
from azr_plugins_math.nodes import Call, Negation, Node, Power, Product, Quotient, Sum, literal, names, number

_ZERO, _ONE, _TWO = number(0), number(1), number(2)


def derivative(node: Node, symbol: str) -> Node:
    """The derivative by a symbol. Raises Undefined for what has steps: floor, sign, mod and the like."""
    if symbol not in names(node):
        return _ZERO
    match node:
        case Negation(operand):
            return Negation(derivative(operand, symbol))
        case Sum(terms):
            return _sum([derivative(term, symbol) for term in terms if symbol in names(term)])
        case Product(factors):
            return _sum(
                [
                    Product((derivative(factor, symbol), *factors[:place], *factors[place + 1 :]))
                    for place, factor in enumerate(factors)
                    if symbol in names(factor)
                ]
            )
        case Quotient(top, bottom):
            if symbol not in names(bottom):
                return Quotient(derivative(top, symbol), bottom)
            above = Negation(Product((top, derivative(bottom, symbol))))
            whole = Sum((Product((derivative(top, symbol), bottom)), above)) if symbol in names(top) else above
            return Quotient(whole, Power(bottom, _TWO))
        case Power(base, exponent):
            return _power(node, base, exponent, symbol)
        case Call(function, arguments):
            return _call(function, arguments, symbol)
    return _ONE


def _sum(terms: list[Node]) -> Node:
    return terms[0] if len(terms) == 1 else Sum(tuple(terms))


def _power(node: Node, base: Node, exponent: Node, symbol: str) -> Node:
    if symbol not in names(exponent):
        degree = literal(exponent)
        if degree == 1:
            return derivative(base, symbol)
        less = Sum((exponent, Negation(_ONE))) if degree is None else number(degree - 1)
        return Product((exponent, Power(base, less), derivative(base, symbol)))
    grown = Product((derivative(exponent, symbol), Call("log", (base,))))
    if symbol not in names(base):
        return Product((node, grown))
    return Product((node, Sum((grown, Quotient(Product((exponent, derivative(base, symbol))), base)))))


def _call(function: str, arguments: tuple[Node, ...], symbol: str) -> Node:
    inner = arguments[0]
    if function == "log" and len(arguments) == 2:
        return derivative(Quotient(Call("log", (inner,)), Call("log", (arguments[1],))), symbol)
    if function not in _SLOPES or any(symbol in names(argument) for argument in arguments[1:]):
        raise Undefined(f"{function} has no derivative here")
    return Product((_SLOPES[function](*arguments), derivative(inner, symbol)))


def _of(function: str, inner: Node) -> Node:
    return Call(function, (inner,))


def _squared(node: Node) -> Node:
    return Power(node, _TWO)


def _root_slope(inner: Node, degree: Node) -> Node:
    return Quotient(_ONE, Product((degree, Power(Call("root", (inner, degree)), Sum((degree, Negation(_ONE)))))))


def _less_square(inner: Node) -> Node:
    return Sum((_ONE, Negation(_squared(inner))))


def _more_square(inner: Node) -> Node:
    return Sum((_ONE, _squared(inner)))


def _area_cosine_slope(inner: Node) -> Node:
    roots = [Call("sqrt", (Sum((inner, sign)),)) for sign in (_ONE, Negation(_ONE))]
    return Quotient(_ONE, Product((roots[0], roots[1])))


_SLOPES: dict[str, Callable[..., Node]] = {
    "sqrt": lambda u: Quotient(_ONE, Product((_TWO, _of("sqrt", u)))),
    "cbrt": lambda u: Quotient(_ONE, Product((number(3), _squared(_of("cbrt", u))))),
    "root": _root_slope,
    "exp": lambda u: _of("exp", u),
    "log": lambda u: Quotient(_ONE, u),
    "sin": lambda u: _of("cos", u),
    "cos": lambda u: Negation(_of("sin", u)),
    "tan": lambda u: _squared(_of("sec", u)),
    "sec": lambda u: Product((_of("sec", u), _of("tan", u))),
    "csc": lambda u: Negation(Product((_of("csc", u), _of("cot", u)))),
    "cot": lambda u: Negation(_squared(_of("csc", u))),
    "asin": lambda u: Quotient(_ONE, _of("sqrt", _less_square(u))),
    "acos": lambda u: Negation(Quotient(_ONE, _of("sqrt", _less_square(u)))),
    "atan": lambda u: Quotient(_ONE, _more_square(u)),
    "sinh": lambda u: _of("cosh", u),
    "cosh": lambda u: _of("sinh", u),
    "tanh": lambda u: Quotient(_ONE, _squared(_of("cosh", u))),
    "asinh": lambda u: Quotient(_ONE, _of("sqrt", _more_square(u))),
    "acosh": _area_cosine_slope,
    "atanh": lambda u: Quotient(_ONE, _less_square(u)),
    "abs": lambda u: _of("sign", u),
}
