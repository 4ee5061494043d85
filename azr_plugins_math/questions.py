"""A question of a deduction with its gold, as trees; what answers to it may be written with. Travels to workers as JSON."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Self

from azr_plugins_math import guard
from azr_plugins_math.conditions import Kind, read_kind
from azr_plugins_math.errors import MathError
from azr_plugins_math.nodes import CONSTANTS, Node
from azr_plugins_math.syntax import ALIASES, ARITIES, parse


class Op(StrEnum):
    """The operations."""

    EVALUATE = "evaluate"
    DIFF = "diff"
    INTEGRATE = "integrate"
    DEFINITE_INTEGRAL = "definite_integral"
    LIMIT = "limit"
    SUM = "sum"
    EXPAND = "expand"
    FACTOR = "factor"
    SIMPLIFY = "simplify"
    SOLVE = "solve"


CONSTANT = "C"
"""The constant of integration: no symbol of a task has this name."""
NONE = "none"
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_SYMBOL = re.compile(r"[A-Za-z]\d?", re.ASCII)
_RESERVED = frozenset({*ARITIES, *ALIASES, *CONSTANTS, "e", CONSTANT})


def symbols_in(*texts: str) -> frozenset[str]:
    """The names in texts that are not taken: one letter, perhaps with a digit. Raises MathError for a longer one."""
    found = frozenset(word for text in texts for word in _WORD.findall(text)) - _RESERVED
    for name in sorted(found):
        if not _SYMBOL.fullmatch(name):
            raise MathError(f"{name[:20]!r} is neither a known function nor a symbol of one letter")
    return found


@dataclass(frozen=True)
class Question:
    """One operation on an expression. gold: text of what is right, roots separated by commas. seed: of the points that are probed."""

    op: Op
    expr: str
    var: str = ""
    domain: Mapping[str, str] = field(default_factory=dict)
    lower: str = ""
    upper: str = ""
    point: str = ""
    gold: str = ""
    seed: str = ""

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """The question in a JSON object."""
        return cls(**{**fields, "op": Op(fields["op"])})

    def fields(self) -> dict[str, Any]:
        """As a JSON object."""
        keys = ("expr", "var", "lower", "upper", "point", "gold", "seed")
        return {"op": str(self.op), "domain": dict(self.domain), **{key: getattr(self, key) for key in keys}}

    @cached_property
    def symbols(self) -> frozenset[str]:
        """The symbols of the expression and the bounds."""
        return symbols_in(self.expr, self.lower, self.upper, self.point)

    @cached_property
    def tree(self) -> Node:
        """The expression."""
        return parse(self.expr, self.symbols)

    def bound(self, text: str) -> Node:
        """A bound or a point, which does not hold the variable. Raises MathError."""
        return parse(text, self.symbols - {self.var})

    @cached_property
    def answer_symbols(self) -> frozenset[str]:
        """What an answer may hold."""
        if self.op is Op.EVALUATE or self.op is Op.SOLVE:
            return frozenset()
        return self.symbols - {self.var} if self.op in (Op.SUM, Op.LIMIT, Op.DEFINITE_INTEGRAL) else self.symbols

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """The kinds of the symbols of answers: real where nothing is said, and for sums positive integers."""
        usual = read_kind("positive_integer" if self.op is Op.SUM else "real")
        domain = {name: read_kind(kind) for name, kind in self.domain.items()}
        return {name: domain.get(name, usual) for name in sorted(self.answer_symbols)}

    @cached_property
    def golds(self) -> tuple[Node, ...]:
        """The gold, or the roots."""
        texts = roots_in(self.gold, self.var) if self.op is Op.SOLVE else [self.gold]
        return tuple(parse(text, self.answer_symbols) for text in texts)


def read_answer(question: Question, answer: str) -> tuple[Node, ...]:
    """The tree of an answer, or the trees of roots. Raises MathError, also where it is beyond the bounds."""
    if question.op is Op.SOLVE:
        texts = roots_in(answer, question.var)
        symbols: Collection[str] = ()
    else:
        texts, symbols = [answer], question.answer_symbols | ({CONSTANT} if question.op is Op.INTEGRATE else set())
    trees = tuple(parse(text, symbols) for text in texts)
    for tree in trees:
        guard.check(tree)
    return trees


_BRACES = re.compile(r"\\?\{(?P<inside>.*?)\\?\}", re.DOTALL)
MAX_ROOTS = 8


def roots_in(answer: str, var: str) -> list[str]:
    """The texts of the roots in `2, 3`, `{2, 3}`, `x=2, x=3`, `2 or 3`; none in `none` and `{}`. Raises MathError."""
    text = answer.strip()
    if match := _BRACES.fullmatch(text):
        text = match["inside"].strip() or NONE
    if text.lower() == NONE:
        return []
    parts = [part for piece in re.split(r"\s+or\s+", text) for part in _outside(piece)]
    if len(parts) > MAX_ROOTS:
        raise MathError(f"{len(parts)} roots, at most {MAX_ROOTS}")
    return [re.sub(rf"\A\s*{re.escape(var)}\s*=(?!=)", "", part) for part in parts]


def _outside(text: str) -> list[str]:
    """The parts between commas that stand outside all brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts
