"""Proposals and tasks of the environments. Tasks hold all that their grader needs, so a store can give them back."""

from __future__ import annotations

import json
from typing import Annotated, Self

from pydantic import AfterValidator

import azr_core as azr
from azr_plugins_python.blocks import Name, block
from azr_plugins_python.executor import LiteralError, unwrap_call
from azr_plugins_python.shape import ENTRY, arguments_key, program_key


def _unwrapped(text: str) -> str:
    """Argument text without outer space, and without the call that models often write around it."""
    try:
        return unwrap_call(text, ENTRY).strip()
    except LiteralError:
        return text.strip()  # the gate refuses it with the reason


Arguments = Annotated[str, AfterValidator(_unwrapped)]


class ProgramProposal(azr.Proposal):
    """A program and one input: proposes a deduction, an abduction or an error. input: argument text such as `3, 'a'`.

    functions: definitions that the program was given and must call (see `composite`).
    """

    program: str
    input: Arguments
    functions: tuple[str, ...] = ()

    @property
    def whole(self) -> str:
        """The program with the functions it was given before it."""
        return "\n\n".join((*self.functions, self.program))


class InductionProposal(azr.Proposal):
    """Inputs and a hint for a known program."""

    program: str
    inputs: tuple[Arguments, ...]
    message: str = ""


class ProgramTask(azr.Task):
    """A program that was run once. output: display text of the value. given: characters of the program that its proposer did not write."""

    program: str
    input: str
    output: str
    given: int = 0

    @classmethod
    def of(cls, program: str, input: str, output: str, given: int = 0) -> Self:
        """The task in its plain text, which shows the input and asks for the output."""
        question = f"{block(Name.PYTHON, program)}\n{block(Name.INPUT, input)}"
        return cls(question=question, answer=output, program=program, input=input, output=output, given=given)

    @property
    def own(self) -> str:
        """The program without the functions that its proposer was given."""
        return self.program[self.given :]

    def key(self) -> str:
        """The program's syntax and the values of its arguments: layout, comments and quotes do not count."""
        return json.dumps([program_key(self.program), arguments_key(self.input)])

    def shown(self) -> str:
        """The task as a reference: program, input and output."""
        return "\n".join((block(Name.PYTHON, self.program), block(Name.INPUT, self.input), block(Name.OUTPUT, self.output)))


class DeductionTask(ProgramTask):
    """Give the output."""


NO_ERROR = "NoError"


class ErrorTask(ProgramTask):
    """Name the error that the program raises, or `NoError`. output: that name."""


class AbductionTask(ProgramTask):
    """Give an input that leads to the output."""

    @classmethod
    def of(cls, program: str, input: str, output: str, given: int = 0) -> Self:
        """The task in its plain text, which shows the output."""
        question = f"{block(Name.PYTHON, program)}\n{block(Name.OUTPUT, output)}"
        return cls(question=question, answer=input, program=program, input=input, output=output, given=given)


class InductionTask(azr.Task):
    """Write a program from pairs and a hint. shown: how many of the pairs the question holds."""

    program: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    message: str
    shown: int

    @classmethod
    def of(cls, proposal: InductionProposal, outputs: tuple[str, ...]) -> Self:
        """The task in its plain text: it shows the first half of the pairs."""
        shown = len(outputs) // 2
        pairs = zip(proposal.inputs[:shown], outputs[:shown], strict=True)
        parts = [text for input, output in pairs for text in (block(Name.INPUT, input), block(Name.OUTPUT, output))]
        return cls(
            question="\n".join([*parts, block(Name.MESSAGE, proposal.message)]),
            answer=block(Name.PYTHON, proposal.program),
            program=proposal.program,
            inputs=proposal.inputs,
            outputs=outputs,
            message=proposal.message,
            shown=shown,
        )

    def key(self) -> str:
        """The program's syntax and the set of inputs; the hint does not make another task."""
        return json.dumps([program_key(self.program), sorted(map(arguments_key, self.inputs))])
