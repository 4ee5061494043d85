"""What all tasks keep to, beside the static bounds of `guard.TASK`."""

from __future__ import annotations

import re

import azr_core as azr
from azr_plugins_math import guard, syntax
from azr_plugins_math.errors import MathError
from azr_plugins_math.nodes import CONSTANTS, Name, Negation, Node, Number, Power, Product, children

MAX_CHARACTERS = 160
MAX_DEGREE = 12
_SYMBOL = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,7}", re.ASCII)


def check_text(*texts: str) -> None:
    """Raises InvalidTask for what is not one line of ASCII, or too long in all."""
    if not all(text.isascii() and text.isprintable() for text in texts):
        raise azr.InvalidTask("a text is not one line of ASCII characters")
    if (found := sum(map(len, texts))) > MAX_CHARACTERS:
        raise azr.InvalidTask(f"too large: {found} characters, at most {MAX_CHARACTERS}")


def check_symbol(name: str) -> None:
    """Raises InvalidTask for a name that is unusual, or that has a meaning already."""
    if not _SYMBOL.fullmatch(name) or name in (*syntax.ARITIES, *syntax.ALIASES, *CONSTANTS):
        raise azr.InvalidTask(f"{name[:40]!r} cannot be the name of a symbol")


def check_tree(node: Node) -> None:
    """Raises MathError for an expression that is too large for a task."""
    guard.check(node, guard.TASK)
    if (found := degree(node)) > MAX_DEGREE:
        raise MathError(f"of degree {found}, at most {MAX_DEGREE}")


def degree(node: Node) -> int:
    """Bound on the degree in all symbols together; numbers in exponents count for any base."""
    parts = [degree(part) for part in children(node)]
    match node:
        case Name():
            return 1
        case Product():
            return sum(parts)
        case Power(_, Number(value) | Negation(Number(value))):
            return max(-(-value.numerator // value.denominator) * max(parts[0], 1), *parts)
    return max(parts, default=0)
