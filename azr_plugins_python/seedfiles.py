"""Seed files in the form of the released code, so that its seeds start a run here and ours start one there.

A line with `input` is a program and one input, for deduction and abduction alike; a line with `inputs` is an induction. Outputs stand in a
file for people and other programs: here they are computed again.
"""

from __future__ import annotations

import ast
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

import azr_core as azr
from azr_plugins_python import shape
from azr_plugins_python.executor import (
    Executor,
    LiteralError,
    Result,
    SandboxUnavailable,
    Status,
    display,
    literal_job,
    parse_arguments,
    unwrap_call,
)
from azr_plugins_python.tasks import InductionProposal, InductionTask, ProgramProposal, ProgramTask
from azr_plugins_python.verdicts import reason_of

P = TypeVar("P", ProgramProposal, InductionProposal)

Line = Mapping[str, Any]
Text = tuple[str, str]
"""A program and one argument text."""

_KEPT = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class ReleasedFormat(azr.SeedFormat[P]):
    """What the two kinds of lines share: inputs that are code, such as `range(3)`, become the literals that they stand for, in the jail."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    @abstractmethod
    def texts(self, line: Line) -> list[str] | None:
        """The argument texts of a line; None where it is of another kind. Raises InvalidTask."""

    @abstractmethod
    def proposal(self, line: Line, texts: list[str]) -> P:
        """The proposal of a line whose arguments are literals now."""

    def read(self, lines: Sequence[Line]) -> list[P | azr.InvalidTask | None]:
        found = [azr.caught(self._checked, line) for line in lines]
        coded = [
            (line["snippet"], text)
            for line, texts in zip(lines, found, strict=True)
            if isinstance(texts, list)
            for text in texts
            if not _literal(text)
        ]
        literals = self._literals(coded)
        return [
            azr.caught(self._made, line, texts, literals) if isinstance(texts, list) else texts
            for line, texts in zip(lines, found, strict=True)
        ]

    def _checked(self, line: Line) -> list[str] | None:
        texts = self.texts(line)
        if texts is not None and not (isinstance(line.get("snippet"), str) and all(isinstance(text, str) for text in texts)):
            raise azr.InvalidTask("the program or an input is not text")
        return texts

    def _made(self, line: Line, texts: list[str], literals: Mapping[Text, str | azr.InvalidTask]) -> P:
        new = [literals.get((line["snippet"], text), text) for text in texts]
        for one in new:
            if isinstance(one, azr.InvalidTask):
                raise one
        try:
            return self.proposal(line, [str(one) for one in new])
        except ValidationError as error:
            raise azr.InvalidTask(f"not a proposal: {error.errors()[0]['msg']}") from None

    def _literals(self, coded: Sequence[Text]) -> dict[Text, str | azr.InvalidTask]:
        """The literal text of each argument text that is code, or why there is none."""
        unique = list(dict.fromkeys(coded))
        try:
            results = self._executor.validate([literal_job(program, text) for program, text in unique]) if unique else []
        except SandboxUnavailable as error:
            raise azr.UsageError(str(error)) from None
        return {text: azr.caught(_written, result) for text, result in zip(unique, results, strict=True)}


class ProgramSeeds(ReleasedFormat[ProgramProposal]):
    """Programs with one input. What `azr seed` grows is stripped of comments and of statements outside functions, as in the paper."""

    def texts(self, line: Line) -> list[str] | None:
        return [line["input"]] if "input" in line else None

    def proposal(self, line: Line, texts: list[str]) -> ProgramProposal:
        return ProgramProposal(program=line["snippet"], input=texts[0])

    def strip(self, proposal: ProgramProposal) -> ProgramProposal:
        tree = shape.without_docstrings(shape.parse(proposal.program))
        tree.body = [node for node in tree.body if isinstance(node, _KEPT)]
        try:
            return ProgramProposal(program=ast.unparse(tree), input=proposal.input)
        except ValueError:  # the few f-strings that the standard library cannot write stay as they are
            return proposal

    def write(self, proposal: ProgramProposal, task: azr.Task) -> Line:
        output = task.output if isinstance(task, ProgramTask) else ""
        return {
            "snippet": proposal.program,
            "input": proposal.input,
            "output": output,
            "imports": _imports(proposal.program),
            "original_snippet": proposal.program,
            "composite_functions": [],
        }


class InductionSeeds(ReleasedFormat[InductionProposal]):
    """Programs with inputs and a hint. pairs: inputs that are taken; more are ignored."""

    def __init__(self, executor: Executor, pairs: int) -> None:
        super().__init__(executor)
        self._pairs = pairs

    def texts(self, line: Line) -> list[str] | None:
        if "inputs" not in line:
            return None
        if not isinstance(line["inputs"], list):
            raise azr.InvalidTask("the inputs are not a list")
        return line["inputs"][: self._pairs]

    def proposal(self, line: Line, texts: list[str]) -> InductionProposal:
        return InductionProposal(program=line["snippet"], inputs=tuple(texts), message=line.get("message", ""))

    def write(self, proposal: InductionProposal, task: azr.Task) -> Line:
        outputs = task.outputs if isinstance(task, InductionTask) else ()
        return {
            "snippet": proposal.program,
            "inputs": list(proposal.inputs),
            "outputs": list(outputs),
            "message": proposal.message,
            "imports": _imports(proposal.program),
        }


def _literal(text: str) -> bool:
    try:
        parse_arguments(unwrap_call(text, shape.ENTRY))
    except LiteralError:
        return False
    return True


def _written(result: Result) -> str:
    """Argument text of (positional, keywords). Raises InvalidTask."""
    if result.status is Status.infra:
        raise azr.InvalidTask(f"an input was not evaluated: {result.reason}")
    if result.status is not Status.ok:
        raise azr.InvalidTask(f"an input stands for no literal: {reason_of(result.status, result.reason)}")
    value = result.calls[0].value
    assert isinstance(value, tuple)
    positional, keywords = value
    return ", ".join([*map(display, positional), *(f"{name}={display(item)}" for name, item in keywords.items())])


def _imports(program: str) -> list[str]:
    return [ast.unparse(node) for node in shape.parse(program).body if isinstance(node, (ast.Import, ast.ImportFrom))]
