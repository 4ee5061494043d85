"""Proposers whose form is made from the fields of the proposal: as one JSON object, or as a line a field."""

from __future__ import annotations

import ast
import json
import math
import re
import warnings
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Generic

from pydantic import ValidationError

from azr_core.errors import FormatError, PluginError
from azr_core.fields import Fields
from azr_core.interfaces import P, Proposer
from azr_core.types import Task

MAX_CHARACTERS = 8_192
"""Longest answer that is read."""
MAX_DEPTH = 32
"""Lists and objects inside each other."""

_FENCED = re.compile(r"^[ \t]*```[ \t]*(?:json)?[ \t]*\r?\n(.*?)^[ \t]*```[ \t]*$", re.MULTILINE | re.DOTALL | re.IGNORECASE)
_BREAK = re.compile(r"\r\n?|\n")
_SIGNS = re.compile(r"[-+~](?:[\s\\]*[-+~]){8}")


class PosedTask(Task, Generic[P]):
    """A task with the proposal that made it, which the solver is not shown: the grader needs no class of its own."""

    proposal: P


class FormProposer(Proposer[P]):
    """Asks for a proposal in a form that is made from its fields, and reads it. example: stands in the description.

    The prompt is the references alone, in that form; `describe` is for a template, so that a small model need not read it each time.
    """

    def __init__(self, proposal: type[P], example: P) -> None:
        self.proposal = proposal
        self.example = example
        self._fields = Fields(proposal)

    @abstractmethod
    def describe(self) -> str:
        """What a model must know to write a proposal."""

    @abstractmethod
    def write(self, proposal: P) -> str:
        """The text in which a proposal is written; `parse` gives it back."""

    @abstractmethod
    def read(self, answer: str) -> dict[str, Any]:
        """The value of each field in an answer, as JSON has them. Raises FormatError."""

    def prompt(self, references: Sequence[Task]) -> str:
        return "\n\n".join(map(self._shown, references))

    def parse(self, answer: str, references: Sequence[Task]) -> P:
        if len(answer) > MAX_CHARACTERS:
            raise FormatError(f"{len(answer)} characters, at most {MAX_CHARACTERS} are read")
        values = self.read(answer)
        if _depth(values) > MAX_DEPTH:
            raise FormatError(f"more than {MAX_DEPTH} lists and objects inside each other")
        try:
            # Through JSON and strictly, so that what is taken is what a store gives back: no "3" or true for 3, no half characters.
            return self.proposal.model_validate_json(json.dumps(values, ensure_ascii=False).encode(), strict=True)
        except UnicodeEncodeError:
            raise FormatError("half of a surrogate pair, which is no character") from None
        except ValidationError as error:
            raise FormatError(self._fault(error)) from None

    def _shown(self, task: Task) -> str:
        known = isinstance(task, PosedTask) and isinstance(task.proposal, self.proposal)
        return self.write(task.proposal) if known else task.question  # type: ignore[attr-defined]

    def _fault(self, error: ValidationError) -> str:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:80]
        told = {"missing": f"{where!r} is missing", "extra_forbidden": f"there is no {where!r}; the fields are {self._fields.names}"}
        return told.get(first["type"], f"{where}: {first['msg']}" if where else first["msg"])[:300]


class JsonProposer(FormProposer[P]):
    """A proposal is one JSON object, bare or in a fenced block of which there is no second; text around the block is ignored."""

    def describe(self) -> str:
        return "\n".join(["Answer with one JSON object such as", "", self.write(self.example), "", *self._fields.lines()])

    def write(self, proposal: P) -> str:
        return json.dumps(proposal.model_dump(mode="json"), ensure_ascii=False)

    def read(self, answer: str) -> dict[str, Any]:
        blocks: list[str] = _FENCED.findall(answer)
        if len(blocks) > 1:
            raise FormatError(f"{len(blocks)} fenced blocks, one is needed")
        try:
            value = _read_json(blocks[0] if blocks else answer)
        except ValueError as error:
            raise FormatError(f"not one JSON object: {error}") from None
        if not isinstance(value, dict):
            raise FormatError(f"JSON, but no object with {self._fields.names}")
        return value


class LiteralProposer(FormProposer[P]):
    """A proposal is a line a field, `name: value`: text as it stands, anything else as a literal of JSON or Python. Nothing is evaluated.

    A small model writes it more easily than JSON. Text cannot hold a line break.
    """

    def describe(self) -> str:
        return "\n".join(["Answer with a line for each field, such as", "", self.write(self.example), "", *self._fields.lines()])

    def write(self, proposal: P) -> str:
        values = proposal.model_dump(mode="json")
        return "\n".join(f"{name}: {value if self._fields.plain(name) else json.dumps(value)}" for name, value in values.items())

    def read(self, answer: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for line in filter(str.strip, _BREAK.split(answer)):
            name, colon, content = (part.strip() for part in line.partition(":"))
            if not colon or name not in self._fields.properties:
                raise FormatError(f"{line.strip()[:40]!r} is no line `name: value` with a name of {self._fields.names}")
            if name in found:
                raise FormatError(f"two lines of {name!r}, one is needed")
            found[name] = content if self._fields.plain(name) else _read_literal(name, content)
        return found


def written_and_read(proposer: FormProposer[P], proposal: P) -> P:
    """The same proposal through its text. Raises PluginError where the text does not hold it."""
    try:
        again = proposer.parse(proposer.write(proposal), ())
    except FormatError as error:
        raise PluginError(
            f"the proposal {proposal!r} cannot be written in its own form: {error}; mend it, or use azr.JsonProposer"
        ) from None
    if again != proposal:
        raise PluginError(f"the proposal {proposal!r} reads as {again!r} when it is written in its form; use azr.JsonProposer")
    return again


def _read_literal(name: str, text: str) -> Any:
    try:
        return _read_json(text)
    except ValueError:
        pass
    try:
        if _SIGNS.search(text):
            raise ValueError("too many signs")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a model wrote may warn of its escapes
            value = ast.literal_eval(text)
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise FormatError(
            f"{name}: {text[:40]!r} is not a literal of numbers, text in quotes, lists, objects, true, false or null"
        ) from None
    return value


def _read_json(text: str) -> Any:
    """The value of a JSON text. Raises FormatError where it is JSON that has two meanings or none, else ValueError."""
    try:
        return json.loads(text, object_pairs_hook=_object, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise FormatError(f"more than {MAX_DEPTH} lists and objects inside each other") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name in found if sum(other == name for other, _ in pairs) > 1)
        raise FormatError(f"the key {twice[:40]!r} stands twice in one object")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise FormatError(f"{text[:40]} is not a finite number")
    return value


def _depth(value: Any) -> int:
    """How many lists and objects stand inside each other."""
    depth, layer = 0, [value]
    while layer := [one for one in layer if isinstance(one, list | tuple | dict)]:
        depth += 1
        layer = [inner for one in layer for inner in (one.values() if isinstance(one, dict) else one)]
    return depth
