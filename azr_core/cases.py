"""Recorded cases: what a gate should decide about a proposal and what an answer should score, one JSON object a line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, from_json

from azr_core.errors import PluginError, UsageError, nearest
from azr_core.interfaces import Environment
from azr_core.types import Outcome, Proposal, Task, Verdict
from azr_core.verification import Verification

TOLERANCE = 1e-9  # of a score
SKIPPED_ONE_IN = 10  # cases, at most


class Record(BaseModel):
    """One line as it is written; keys that are not named here are notes.

    admit: what the gate must decide; None leaves it open, and the case is about the answer. score: 0..1, of the answer.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    environment: str
    proposal: dict[str, Any]
    admit: bool | None
    answer: str | None = None
    score: float | None = Field(default=None, ge=0, le=1)
    id: str | int | None = None
    why: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if (self.answer is None) != (self.score is None):
            raise ValueError("an answer and its score go together")
        if self.admit is None and self.answer is None:
            raise ValueError("where admit is null an answer and its score are needed")
        return self


@dataclass(frozen=True)
class Case:
    """A record and the proposal it describes. A Verdict in place of the proposal: its own type refuses it."""

    line: int
    record: Record
    proposal: Proposal | Verdict


@dataclass(frozen=True)
class Judged:
    """What became of a case. gate: admitted, invalid or failed. graded: the answer's verdict, where it was graded."""

    case: Case
    gate: Verdict
    graded: Verdict | None = None

    @property
    def verdict(self) -> Verdict:
        """The last word."""
        return self.graded or self.gate

    @property
    def admitted(self) -> bool | None:
        """What the gate decided; None where it broke."""
        return None if self.gate.outcome is Outcome.FAILED else self.gate.outcome is Outcome.ADMITTED

    @property
    def score(self) -> float | None:
        """Score of the answer, 0..1; an answer that cannot be read has 0, one that was never judged has none."""
        if self.graded is None or self.graded.outcome is Outcome.FAILED:
            return None
        return {Outcome.SOLVED: 1.0, Outcome.MALFORMED: 0.0}.get(self.graded.outcome, self.graded.score)

    @property
    def agrees(self) -> bool | None:
        """Whether the plugin decided as recorded; None where the gate left nothing to decide. What broke does not agree."""
        record = self.case.record
        if self.verdict.outcome is Outcome.FAILED:
            return False
        if record.admit is None and not self.admitted:
            return None
        if record.admit is not None and record.admit is not self.admitted:
            return False
        return self.score is None or record.score is None or math.isclose(self.score, record.score, rel_tol=0, abs_tol=TOLERANCE)


@dataclass(frozen=True)
class Tally:
    """How many cases agree, differ, and were skipped."""

    agree: int
    differ: int
    skipped: int

    @classmethod
    def of(cls, judged: Sequence[Judged]) -> Self:
        """Count."""
        found = [one.agrees for one in judged]
        return cls(found.count(True), found.count(False), found.count(None))

    @property
    def total(self) -> int:
        """All cases."""
        return self.agree + self.differ + self.skipped

    @property
    def too_many_skipped(self) -> bool:
        """Whether so many cases decide nothing that the file does not show what it should."""
        return SKIPPED_ONE_IN * self.skipped > self.total

    def __str__(self) -> str:
        return f"{self.total} case{'' if self.total == 1 else 's'}: {self.agree} agree, {self.differ} differ, {self.skipped} skipped"


def read(file: Path, environments: Mapping[str, Environment]) -> list[Case]:
    """The cases of a file, in order. Raises UsageError that names file, line and field."""
    try:
        lines = file.read_text("utf-8").split("\n")  # splitlines would also split at characters that JSON text may hold
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}; give --cases an existing file") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: not UTF-8 text: {error}") from None
    cases = [_case(f"{file}, line {number}", number, line, environments) for number, line in enumerate(lines, 1) if line.strip()]
    if not cases:
        raise UsageError(f"{file}: no cases; write one JSON object a line")
    return cases


def judge(cases: Sequence[Case], environments: Mapping[str, Environment], verification: Verification) -> list[Judged]:
    """Every case through the gate of its environment and, where it has an answer, its grader; in the order of the cases."""
    judged: dict[int, Judged] = {}
    for name in dict.fromkeys(case.record.environment for case in cases):
        mine = [case for case in cases if case.record.environment == name]
        judged |= {one.case.line: one for one in _judge(mine, environments[name], verification)}
    return [judged[case.line] for case in cases]


def _judge(cases: Sequence[Case], environment: Environment, verification: Verification) -> Iterator[Judged]:
    """The cases of one environment: its gate is asked once, and so is its grader."""
    claims = [case.proposal for case in cases]
    admitted = iter(verification.admit(environment, [claim for claim in claims if isinstance(claim, Proposal)]))
    gates = [next(admitted) if isinstance(claim, Proposal) else claim for claim in claims]
    pairs = [_answered(case, gate) for case, gate in zip(cases, gates, strict=True)]
    verdicts = iter(verification.grade(environment, [pair for pair in pairs if pair]))
    for case, gate, pair in zip(cases, gates, pairs, strict=True):
        yield Judged(case, Verdict(Outcome.ADMITTED) if isinstance(gate, Task) else gate, next(verdicts) if pair else None)


def _answered(case: Case, gate: Task | Verdict) -> tuple[Task, str] | None:
    """What there is to grade; nothing where the task should not exist."""
    record = case.record
    return (gate, record.answer) if isinstance(gate, Task) and record.answer is not None and record.admit is not False else None


def _case(place: str, number: int, line: str, environments: Mapping[str, Environment]) -> Case:
    try:
        row = from_json(line)
    except ValueError as error:
        raise UsageError(f"{place}: not JSON: {error}") from None
    if not isinstance(row, dict):
        raise UsageError(f"{place}: a case is a JSON object, this is {type(row).__name__}")
    try:
        record = Record.model_validate(row)
    except ValidationError as error:
        raise UsageError(f"{place}: {_sentence(error.errors()[0])}") from None
    if record.environment not in environments:
        raise UsageError(f"{place}: no environment {record.environment!r}; {nearest(record.environment, environments)}")
    return Case(number, record, _claim(place, record, environments[record.environment]))


def _claim(place: str, record: Record, environment: Environment) -> Proposal | Verdict:
    """The proposal, or the refusal of its own type. A field too many is a refusal only where one is expected, else a slip of the file."""
    kind = _proposal_type(environment)
    try:
        return kind.model_validate_json(json.dumps(record.proposal))
    except ValidationError as error:
        faults = error.errors()
    unknown, missing = (
        [str(fault["loc"][0]) for fault in faults if fault["type"] == slip and len(fault["loc"]) == 1]
        for slip in ("extra_forbidden", "missing")
    )
    if unknown and (missing or record.admit is not False):
        raise UsageError(f"{place}: unknown proposal field {unknown[0]!r}; {nearest(unknown[0], kind.model_fields)}")
    if missing:
        raise UsageError(f"{place}: proposal field {missing[0]!r} is missing; {environment.name} needs it")
    return Verdict(Outcome.INVALID, reason=_sentence(faults[0]))


def _proposal_type(environment: Environment) -> type[Proposal]:
    """The type of the environment's seeds, which are proposals that it must be able to admit."""
    kinds = {type(seed) for seed in environment.seeds}
    if len(kinds) != 1:
        raise PluginError(
            f"{environment.name}: its seeds are of {len(kinds)} types; cases are read as the one type of its seeds, so give it one"
        )
    return kinds.pop()


def _sentence(fault: ErrorDetails) -> str:
    name = ".".join(str(part) for part in fault["loc"])
    if fault["type"] in ("missing", "extra_forbidden"):
        return f"field {name!r} is {'missing' if fault['type'] == 'missing' else 'unknown'}"
    return f"field {name!r} = {str(fault['input'])[:80]!r}: {fault['msg']}" if name else fault["msg"].removeprefix("Value error, ")
