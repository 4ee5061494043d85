"""Labelled lines, `label: content`: the form in which proposals and questions are written and read, and lists inside one line.

A small model writes them as easily as a large one. No content holds a line break, so a task can never break out of a prompt that shows it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import azr_core as azr

MAX_CHARACTERS = 2_000
"""Longest text that is read at all, and far longer than any task."""
_LINE = re.compile(r"\s*(?P<label>[a-z]+)\s*:(?P<content>.*)")
_BREAK = re.compile(r"\r\n?|\n")
_VALUE = re.compile(r"(?P<name>[A-Za-z]\w*)\s*=(?P<value>[^=]*)", re.ASCII)
_OPENING, _CLOSING = "([{", ")]}"

Lines = dict[str, list[str]]


def write_lines(pairs: Iterable[tuple[str, str]]) -> str:
    """The text of labels and contents; what is empty is left out."""
    return "\n".join(f"{label}: {content}" for label, content in pairs if content)


def read_lines(text: str, allowed: Collection[str], repeated: Collection[str] = ()) -> Lines:
    """Contents by label, in order. repeated: labels that may come more than once. Raises FormatError that names what is wrong."""
    found: Lines = {label: [] for label in allowed}
    for line in filter(str.strip, _BREAK.split(bounded(text))):
        match = _LINE.fullmatch(line)
        if match is None or match["label"] not in found:
            raise azr.FormatError(f"{line.strip()[:40]!r} is no line `label: content` with a label of {', '.join(allowed)}")
        found[match["label"]].append(match["content"].strip())
    for label, contents in found.items():
        if len(contents) > 1 and label not in repeated:
            raise azr.FormatError(f"{len(contents)} lines of {label!r}, one is needed")
    return found


def single(lines: Lines, label: str) -> str:
    """The content of a line that must be there. Raises FormatError."""
    if not any(lines[label]):
        raise azr.FormatError(f"the line `{label}: ...` is missing or empty")
    return lines[label][0]


def optional(lines: Lines, label: str) -> str:
    """The content of a line that may be missing."""
    return lines[label][0] if lines[label] else ""


def bounded(text: str) -> str:
    """The text, if it is short enough to look at. Raises FormatError."""
    if len(text) > MAX_CHARACTERS:
        raise azr.FormatError(f"{len(text)} characters, at most {MAX_CHARACTERS} are read")
    return text


def split(text: str, separators: str = ",") -> list[str]:
    """The parts between separators that stand outside all brackets, stripped."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in _OPENING) - (character in _CLOSING)
        if character in separators and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def read_kinds(text: str) -> dict[str, str]:
    """`x integer, y [0, 10]`: what each name may be. Raises FormatError."""
    kinds: dict[str, str] = {}
    for part in split(text):
        name, _, kind = part.partition(" ")
        if not kind.strip() or name in kinds:
            raise azr.FormatError(f"{part[:40]!r} is not a new name with its kind, such as `x integer`")
        kinds[name] = "".join(kind.split())
    return kinds


def read_values(text: str, names: Sequence[str]) -> dict[str, str]:
    """`x=3, y=1/2`, a JSON object, or a bare value for a single name: the text of each value. Raises FormatError."""
    text = bounded(text).strip()
    pairs = _objects(text) if text.startswith("{") else _pairs(text, names)
    values = dict(pairs)
    if len(values) < len(pairs):
        raise azr.FormatError("a name has two values")
    if set(values) != set(names):
        raise azr.FormatError(f"values of {', '.join(sorted(values)) or 'nothing'}, needed are those of {', '.join(names)}")
    return {name: values[name] for name in names}


def _pairs(text: str, names: Sequence[str]) -> list[tuple[str, str]]:
    parts = split(text, ",;\n")
    if "=" not in text and len(names) == len(parts) == 1:
        return [(names[0], _filled(parts[0]))]
    matches = [_VALUE.fullmatch(part) for part in parts]
    found = [(match["name"], _filled(match["value"].strip())) for match in matches if match]
    if len(found) < len(parts):
        raise azr.FormatError(f"{text[:40]!r} is not of the form `{', '.join(f'{name}=...' for name in names)}`")
    return found


def _objects(text: str) -> list[tuple[str, str]]:
    try:
        pairs = json.loads(text, object_pairs_hook=list, parse_int=str, parse_float=str, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise azr.FormatError("the answer starts like a JSON object and is none") from None
    return [(name, _filled(value)) for name, value in pairs]


def _filled(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise azr.FormatError(f"{value!r:.40} is no value")
    return value.strip()


def _refuse(name: str) -> Any:
    raise ValueError(name)
