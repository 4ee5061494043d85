"""Fenced blocks: the form in which programs, inputs, outputs and messages stand in prompts and answers.

A fence is a line of its own: three backticks and a name open a block, three backticks alone close it. Text between blocks is ignored.
No content can hold a fence line, so a task can never break out of a prompt that shows it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import StrEnum

import azr_core as azr


class Name(StrEnum):
    """What a block holds."""

    PYTHON = "python"
    INPUT = "input"
    OUTPUT = "output"
    MESSAGE = "message"
    FUNCTIONS = "functions"


Blocks = dict[Name, list[str]]

_FENCE = re.compile(r"(?P<indent>[ \t]*)```[ \t]*(?P<name>[\w+-]*)[ \t]*")
_BREAK = re.compile(r"\r\n?|\n")


def block(name: Name, content: str) -> str:
    """A fenced block."""
    return f"```{name}\n{content}\n```"


def fenced(text: str) -> bool:
    """Whether a line of the text is a fence, one that opens or one that closes."""
    return any(_FENCE.fullmatch(line) for line in _BREAK.split(text))


def read_blocks(text: str, allowed: Collection[Name]) -> Blocks:
    """Contents of the blocks in a text, by name, in order. Raises FormatError that names what is wrong."""
    found: Blocks = {name: [] for name in allowed}
    opened: tuple[Name, str] | None = None
    content: list[str] = []
    for line in _BREAK.split(text):
        fence = _FENCE.fullmatch(line)
        if fence is None:
            if opened:
                content.append(line.removeprefix(opened[1]))
        elif opened is None:
            opened, content = (_name(fence["name"], allowed), fence["indent"]), []
        elif fence["name"]:
            raise azr.FormatError(f"the {opened[0]} block is not closed before the {fence['name'][:20]} block")
        else:
            found[opened[0]].append("\n".join(content).strip("\n").rstrip())
            opened = None
    if opened:
        raise azr.FormatError(f"the {opened[0]} block is not closed")
    return found


def single(blocks: Blocks, name: Name) -> str:
    """The only block of a name. Raises FormatError."""
    contents = blocks[name]
    if len(contents) != 1:
        raise azr.FormatError(f"{len(contents)} {name} blocks, one is needed" if contents else f"the {name} block is missing")
    return contents[0]


def bare_or_block(answer: str, name: Name) -> str:
    """An answer that is either the content alone or one block of that name. Raises FormatError."""
    content = single(read_blocks(answer, (name,)), name) if fenced(answer) else "\n".join(_BREAK.split(answer))
    if not content.strip():
        raise azr.FormatError(f"the {name} is empty")
    return content


def _name(text: str, allowed: Collection[Name]) -> Name:
    for name in allowed:
        if text.lower() == name:
            return name
    found = f"unexpected block {text[:20]!r}" if text else "a block without a name"
    raise azr.FormatError(f"{found}, known here: {', '.join(allowed)}")
