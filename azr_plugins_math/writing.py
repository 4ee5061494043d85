"""Syntax tree to text, and to the key by which near-duplicates are found. Stable: `text`, `canonical`."""

from __future__ import annotations

from fractions import Fraction

from azr_plugins_math.nodes import Call, Constant, Name, Negation, Node, Number, Power, Product, Quotient, Sum, rebuild, transform, walk

_SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(5)
_LEVELS = {Sum: _SUM, Product: _PRODUCT, Quotient: _PRODUCT, Negation: _SIGN, Power: _POWER}


def text(node: Node) -> str:
    """The text of a tree, from which `parse` makes the same tree."""
    match node:
        case Number(value, decimal):
            return _decimal(value) if decimal else str(value)
        case Name(name) | Constant(name):
            return name
        case Negation(operand):
            return f"-{_inside(operand, _SIGN)}"
        case Sum(terms):
            return _inside(terms[0], _PRODUCT) + "".join(map(_added, terms[1:]))
        case Product(factors):
            first = _inside(factors[0], _SIGN) if not isinstance(factors[0], Quotient) else text(factors[0])
            return "*".join([first, *(_inside(factor, _POWER) for factor in factors[1:])])
        case Quotient(top, bottom):
            return f"{_inside(top, _PRODUCT)}/{_inside(bottom, _POWER)}"
        case Power(base, exponent):
            return f"{_inside(base, _ATOM)}^{_inside(exponent, _POWER)}"
        case Call(function, arguments):
            return f"{function}({', '.join(map(text, arguments))})"


def _inside(node: Node, level: int) -> str:
    return text(node) if _LEVELS.get(type(node), _ATOM) >= level else f"({text(node)})"


def _added(term: Node) -> str:
    if isinstance(term, Negation):
        return f" - {_inside(term.operand, _PRODUCT)}"
    return f" + {_inside(term, _PRODUCT) if not _signed(term) else f'({text(term)})'}"


def _signed(node: Node) -> bool:
    """Whether the text of a term begins with a sign."""
    match node:
        case Product(parts):
            return _signed(parts[0])
        case Quotient(first, _):
            return _signed(first)
    return isinstance(node, Negation)


def _decimal(value: Fraction) -> str:
    """The decimal expansion of a fraction that has a finite one."""
    places = 1
    while (value * 10**places).denominator != 1:
        places += 1
    digits = str(value.numerator * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}"


def canonical(node: Node) -> str:
    """A key that is equal for trees which differ in the order of sums and products and in the names of symbols only."""
    order: dict[str, str] = {}
    shaped = transform(node, _sorted)
    for part in walk(shaped):
        if isinstance(part, Name):
            order.setdefault(part.name, f"v{len(order)}")
    return repr(transform(transform(shaped, lambda part: Name(order[part.name]) if isinstance(part, Name) else part), _sorted))


def _sorted(node: Node) -> Node:
    match node:
        case Sum(parts) | Product(parts):
            return rebuild(node, tuple(sorted(parts, key=lambda part: (repr(_blind(part)), repr(part)))))
        case Number(value, _):
            return Number(value)
    return node


def _blind(node: Node) -> Node:
    return transform(node, lambda part: Name("") if isinstance(part, Name) else part)
