"""The syntax tree of mathematics. Stable: every name here.

Kinds of node: `Number` (0 or more, an exact fraction; decimal says that it was written with a point), `Name` (a declared symbol),
`Constant` (pi, E, oo), `Negation`, `Sum` (two terms or more; a difference holds a Negation), `Product` (two factors or more), `Quotient`,
`Power`, `Call` (a function of the white list; `x!` is `factorial`, `|x|` is `abs`, `ln` is `log`). Trees are frozen, hashable and compared
by value; nothing is simplified, so `1 + 1` stays a Sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

CONSTANTS = ("pi", "E", "oo")


@dataclass(frozen=True, slots=True)
class Number:
    """A literal without sign. decimal: it was written with a point."""

    value: Fraction
    decimal: bool = False


@dataclass(frozen=True, slots=True)
class Name:
    """A declared symbol."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """One of CONSTANTS."""

    name: str


@dataclass(frozen=True, slots=True)
class Negation:
    """-operand."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Sum:
    """Two terms or more."""

    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """Two factors or more."""

    factors: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Quotient:
    """numerator / denominator."""

    numerator: Node
    denominator: Node


@dataclass(frozen=True, slots=True)
class Power:
    """base ^ exponent, the principal value."""

    base: Node
    exponent: Node


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the white list."""

    function: str
    arguments: tuple[Node, ...]


Node: TypeAlias = Number | Name | Constant | Negation | Sum | Product | Quotient | Power | Call


def children(node: Node) -> tuple[Node, ...]:
    """The nodes right below a node, from left to right."""
    match node:
        case Negation(operand):
            return (operand,)
        case Sum(parts) | Product(parts) | Call(_, parts):
            return parts
        case Quotient(first, second) | Power(first, second):
            return (first, second)
    return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def rebuild(node: Node, parts: tuple[Node, ...]) -> Node:
    """The node with other children."""
    match node:
        case Negation():
            return Negation(parts[0])
        case Sum():
            return Sum(parts)
        case Product():
            return Product(parts)
        case Quotient():
            return Quotient(parts[0], parts[1])
        case Power():
            return Power(parts[0], parts[1])
        case Call(function, _):
            return Call(function, parts)
    return node


def transform(node: Node, change: Callable[[Node], Node]) -> Node:
    """The tree with every node changed, leaves first."""
    return change(rebuild(node, tuple(transform(child, change) for child in children(node))))


def substitute(node: Node, mapping: Mapping[str, Node]) -> Node:
    """The tree with symbols replaced by trees, all at once."""
    return transform(node, lambda part: mapping.get(part.name, part) if isinstance(part, Name) else part)


def names(node: Node) -> frozenset[str]:
    """The symbols that occur."""
    return frozenset(part.name for part in walk(node) if isinstance(part, Name))


def functions(node: Node) -> frozenset[str]:
    """The functions that occur."""
    return frozenset(part.function for part in walk(node) if isinstance(part, Call))


def size(node: Node) -> int:
    """Nodes of the tree; a signed number counts once."""
    return sum(1 for part in walk(node) if not (isinstance(part, Negation) and isinstance(part.operand, Number)))


def depth(node: Node) -> int:
    """Nodes on the longest way down; a leaf has 1."""
    return 1 + max(map(depth, children(node)), default=0)


def number(value: Fraction | int) -> Node:
    """The tree of a rational number: an integer or a quotient of integers, -1/2 as (-1)/2."""
    value = Fraction(value)
    whole: Node = Number(Fraction(abs(value.numerator)))
    if value < 0:
        whole = Negation(whole)
    return whole if value.denominator == 1 else Quotient(whole, Number(Fraction(value.denominator)))


def literal(node: Node) -> Fraction | None:
    """The value of a literal: an integer, a decimal, or a quotient of two integers, with at most one sign. None for anything else."""
    match node:
        case Negation(Number() | Quotient() as inner):
            value = literal(inner)
            return None if value is None else -value
        case Number(value, _):
            return value
        case Quotient(Number(top, False) | Negation(Number(top, False)) as above, Number(below, False)) if below:
            return (-top if isinstance(above, Negation) else top) / below
    return None


def in_lowest_terms(node: Node) -> bool:
    """Whether a node is a literal that nothing is left to work out of: 3, -1/2, 0.5, but neither 6/3 nor 2/4."""
    value = literal(node)
    if value is None:
        return False
    written = [part for part in walk(node) if isinstance(part, Number)]
    return len(written) == 1 or (value.denominator > 1 and written[1].value == value.denominator)
