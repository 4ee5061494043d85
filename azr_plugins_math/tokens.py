"""Text to tokens: ASCII only, numbers of at most MAX_DIGITS digits."""

from __future__ import annotations

import re
from dataclasses import dataclass

from azr_plugins_math.errors import MathError

MAX_CHARACTERS = 2_000
MAX_DIGITS = 40
_TOKEN = re.compile(
    r"[ \t\r\n]*(?:(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z][A-Za-z0-9_]*)|(?P<mark>\*\*|[-+*/^!|(),])|(?P<end>\Z))", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Token:
    """kind: number, name, mark or end."""

    kind: str
    text: str


def tokens(text: str) -> list[Token]:
    """The tokens of a text, the last of which is the end. Raises MathError."""
    if len(text) > MAX_CHARACTERS:
        raise MathError(f"{len(text)} characters, at most {MAX_CHARACTERS} are read")
    found: list[Token] = []
    position = 0
    while not found or found[-1].kind != "end":
        match = _TOKEN.match(text, position)
        if match is None:
            raise MathError(f"unreadable at {text[position : position + 12].strip()!a}")
        found.append(_token(match))
        position = match.end()
    return found


def _token(match: re.Match[str]) -> Token:
    kind = match.lastgroup or "end"
    text = match[kind]
    if kind == "number" and sum(map(str.isdigit, text)) > MAX_DIGITS:
        raise MathError(f"a number of more than {MAX_DIGITS} digits")
    return Token(kind, "^" if text == "**" else text)
