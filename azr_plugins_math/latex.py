r"""LaTeX to the plain grammar: \frac, \sqrt[n], \cdot, \times, \left and \right, ^{...}, \binom, \pi, \infty and known functions.

What is not listed is refused. Text without a backslash and without braces is returned as it is.
"""

from __future__ import annotations

import re

from azr_plugins_math.errors import MathError

_FUNCTIONS = {
    **{name: name for name in ("sin", "cos", "tan", "sec", "csc", "cot", "sinh", "cosh", "tanh", "exp", "log", "ln", "gcd", "min", "max")},
    **{f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan")},
}
_WORDS = {"cdot": "*", "times": "*", "pi": " pi ", "infty": " oo "}
_FRACTIONS = ("frac", "dfrac", "tfrac")
_TOKEN = re.compile(r"\\(?P<word>[A-Za-z]+)[ ]*(?:\[(?P<degree>\d{1,3})\])?|(?P<power>\^[ ]*\{)|(?P<close>\})|(?P<plain>[^\\{}])")
MAX_CHARACTERS = 8_000  # commands are longer than what they stand for
_GROUP = re.compile(r"[ ]*\{")
_NUMBER_BEFORE = re.compile(r"\d[ ]*\Z")


def plain(text: str) -> str:
    """The text in the plain grammar. Raises MathError."""
    if not any(mark in text for mark in "\\{}"):
        return text
    if len(text) > MAX_CHARACTERS:
        raise MathError(f"{len(text)} characters, at most {MAX_CHARACTERS} are read")
    return _Translation(text).run()


class _Translation:
    """One pass over a text. pending: what each open group writes at its end, and the text of a second group, or None."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.written = ""
        self.pending: list[tuple[str, str | None]] = []

    def run(self) -> str:
        while self.position < len(self.text):
            match = _TOKEN.match(self.text, self.position)
            if match is None:
                raise MathError(f"unreadable at {self.text[self.position : self.position + 12]!a}")
            self.position = match.end()
            self.read(match)
        if self.pending:
            raise MathError("a group is not closed")
        return self.written

    def read(self, match: re.Match[str]) -> None:
        if match["word"]:
            self.command(match["word"], match["degree"])
        elif match["power"]:
            self.open("^(", ")")
        elif match["close"]:
            self.close()
        else:
            self.written += match["plain"]

    def command(self, word: str, degree: str | None) -> None:
        if degree is not None and word != "sqrt":
            raise MathError(f"\\{word} takes no degree")
        if word in _FRACTIONS:
            if _NUMBER_BEFORE.search(self.written):
                raise MathError("a number before a fraction may mean a sum or a product")
            self.group("((", ")/(", "))")
        elif word == "binom":
            self.group("binomial(", ",", ")")
        elif word == "sqrt":
            self.group(" sqrt(" if degree is None else " root(", ")" if degree is None else f",{degree})")
        elif word in ("left", "right"):
            self.delimiter()
        elif word in _FUNCTIONS:
            self.function(_FUNCTIONS[word])
        elif word in _WORDS:
            self.written += _WORDS[word]
        else:
            raise MathError(f"\\{word[:20]} is not known")

    def group(self, start: str, *ends: str) -> None:
        match = _GROUP.match(self.text, self.position)
        if match is None:
            raise MathError("braces are missing after a command")
        self.position = match.end()
        self.open(start, *ends)

    def open(self, start: str, end: str, second: str | None = None) -> None:
        self.written += start
        self.pending.append((end, second))

    def close(self) -> None:
        if not self.pending:
            raise MathError("a brace closes nothing")
        end, second = self.pending.pop()
        if second is None:
            self.written += end
        else:
            self.group(end, second)

    def delimiter(self) -> None:
        if self.text[self.position : self.position + 1] not in ("(", ")", "|"):
            raise MathError("\\left and \\right stand before ( ) or | only")

    def function(self, name: str) -> None:
        self.written += f" {name}"
        match = _GROUP.match(self.text, self.position)
        if match:
            self.position = match.end()
            self.open("(", ")")
