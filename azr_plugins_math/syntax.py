"""Text to syntax tree and back. Stable: `parse`, `text`, `canonical`, and what is taken over from `nodes` and `writing`.

    expression := ["+"|"-"] term { ("+"|"-") term }
    term       := signed { ("*"|"/") signed | factor }      a product without sign: NUMBER name, NUMBER (, )( and never after /
    signed     := ("+"|"-") signed | factor
    factor     := primary {"!"} [ "^" signed ]              right-associative: -2^2 = -4, 2^-1 = 1/2
    primary    := NUMBER | name | name(arguments) | name|expression| | ( expression ) | "|" expression "|"

`**` is `^`. Names are the declared symbols, pi, E, oo; `e` is E unless it is declared. LaTeX is translated first, see `latex`.
Everything else, undeclared names above all, is a MathError. Reading is linear and bounded in depth, and evaluates nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from fractions import Fraction

from azr_plugins_math.errors import MathError
from azr_plugins_math.latex import plain
from azr_plugins_math.nodes import (
    CONSTANTS,
    Call,
    Constant,
    Name,
    Negation,
    Node,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
    depth,
    literal,
    names,
    number,
    size,
    substitute,
    walk,
)
from azr_plugins_math.tokens import Token, tokens
from azr_plugins_math.writing import canonical, text

__all__ = ["ARITIES", "canonical", "depth", "literal", "names", "number", "parse", "size", "substitute", "text", "walk"]

_ONE = "sqrt cbrt exp sin cos tan sec csc cot asin acos atan sinh cosh tanh asinh acosh atanh abs floor ceil sign factorial"
ARITIES: dict[str, tuple[int, int]] = {
    **dict.fromkeys(_ONE.split(), (1, 1)),
    **dict.fromkeys(("root", "mod", "binomial"), (2, 2)),
    **dict.fromkeys(("gcd", "lcm", "min", "max"), (2, 6)),
    "log": (1, 2),
}
"""The white list: the least and the most arguments of each function. root(x, n) is the real root; log(x, b) has the base b."""
ALIASES = {
    "ln": "log",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "ceiling": "ceil",
}
MAX_NESTING = 40


def parse(source: str, symbols: Collection[str] = ()) -> Node:
    """The tree of a text whose free names are all among the symbols. Raises MathError."""
    if not source.isascii():
        raise MathError("a character outside ASCII")
    return _Parser(tokens(plain(source)), frozenset(symbols)).whole()


class _Parser:
    """Reads one expression. nesting: brackets, signs and exponents that are open."""

    def __init__(self, found: Sequence[Token], symbols: frozenset[str]) -> None:
        self.tokens = found
        self.symbols = symbols
        self.position = 0
        self.nesting = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.position]

    @property
    def last(self) -> Token:
        return self.tokens[self.position - 1]

    def take(self, *texts: str) -> str:
        """The mark that comes next, if it is one of these; else nothing."""
        token = self.next
        if token.kind == "mark" and token.text in texts:
            self.position += 1
            return token.text
        return ""

    def expect(self, mark: str) -> None:
        if not self.take(mark):
            raise MathError(f"{mark!r} is missing before {self.next.text[:20] or 'the end'!r}")

    def whole(self) -> Node:
        node = self.expression()
        if self.next.kind != "end":
            raise MathError(f"{self.next.text[:20]!r} is not expected")
        return node

    def deeper(self, read: Callable[[], Node]) -> Node:
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise MathError(f"nested deeper than {MAX_NESTING}")
        node = read()
        self.nesting -= 1
        return node

    def expression(self) -> Node:
        terms = [self.term()]
        while mark := self.take("+", "-"):
            term = self.term()
            terms.append(Negation(term) if mark == "-" else term)
        return terms[0] if len(terms) == 1 else Sum(tuple(terms))

    def term(self) -> Node:
        factors = [self.signed()]
        divided = False
        while True:
            if self.take("*"):
                factors.append(self.signed())
            elif self.take("/"):
                factors = [Quotient(_product(factors), self.signed())]
                divided = True
            elif self.juxtaposed(factors[-1]):
                if divided:
                    raise MathError("a product without sign after a division")
                factors.append(self.factor())
            else:
                return _product(factors)

    def juxtaposed(self, before: Node) -> bool:
        """Whether a product is written without sign here: `2x`, `2(`, `)(`."""
        token, last = self.next, self.last
        opening = token.kind == "mark" and token.text == "("
        while isinstance(before, Negation):
            before = before.operand
        if isinstance(before, Number) and last.kind == "number":
            return opening or token.kind == "name"
        return opening and last.kind == "mark" and last.text == ")"

    def signed(self) -> Node:
        mark = self.take("+", "-")
        if not mark:
            return self.factor()
        node = self.deeper(self.signed)
        return Negation(node) if mark == "-" else node

    def factor(self) -> Node:
        node = self.primary()
        if self.take("!"):
            node = Call("factorial", (node,))
            if self.take("!"):
                raise MathError("!! has two meanings")
        return Power(node, self.deeper(self.signed)) if self.take("^") else node

    def primary(self) -> Node:
        token = self.next
        self.position += 1
        if token.kind == "number":
            return Number(Fraction(token.text), "." in token.text)
        if token.kind == "name":
            return self.named(token.text)
        if token.kind == "mark" and token.text == "(":
            node = self.deeper(self.expression)
            self.expect(")")
            return node
        if token.kind == "mark" and token.text == "|":
            node = self.deeper(self.expression)
            self.expect("|")
            return Call("abs", (node,))
        raise MathError(f"{token.text[:20]!r} is not expected" if token.text else "the text ends too early")

    def named(self, name: str) -> Node:
        if name in self.symbols:
            return Name(name)
        if name in CONSTANTS:
            return Constant(name)
        if name == "e":
            return Constant("E")
        function = ALIASES.get(name, name)
        if function not in ARITIES:
            raise MathError(f"{name[:20]!r} is not a known name")
        least, most = ARITIES[function]
        arguments = self.arguments()
        if not least <= len(arguments) <= most:
            raise MathError(f"{name} of {len(arguments)} arguments")
        return Call(function, arguments)

    def arguments(self) -> tuple[Node, ...]:
        if self.next.text == "|":
            found = [self.primary()]
            if self.next.text in ("^", "!"):
                raise MathError("a power after a function of |...| has two meanings")
            return tuple(found)
        self.expect("(")
        found = [self.deeper(self.expression)]
        while self.take(","):
            found.append(self.deeper(self.expression))
        self.expect(")")
        return tuple(found)


def _product(factors: list[Node]) -> Node:
    return factors[0] if len(factors) == 1 else Product(tuple(factors))
