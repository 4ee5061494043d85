"""Proposers: show references, ask for a task, read the proposal in the answer."""

from __future__ import annotations

from collections.abc import Sequence

import azr_core as azr
from azr_plugins_python.blocks import Name, block, read_blocks, single
from azr_plugins_python.composite import Composite
from azr_plugins_python.tasks import InductionProposal, ProgramProposal, ProgramTask


def program_answer(program: str, input: str) -> str:
    """The answer that proposes a deduction, an abduction or an error."""
    return f"{block(Name.PYTHON, program)}\n{block(Name.INPUT, input)}"


def induction_answer(inputs: Sequence[str], message: str) -> str:
    """The answer that proposes an induction."""
    return "\n".join([*(block(Name.INPUT, input) for input in inputs), block(Name.MESSAGE, message)])


class ProgramProposer(azr.Proposer[ProgramProposal]):
    """Proposes a program and an input, for deduction, abduction and error alike. References may come from any.

    composite: when the program must call functions made of references; they stand in a block of their own after them.
    """

    def __init__(self, composite: Composite | None = None) -> None:
        self._composite = composite or Composite()
        self._step = 0

    def begin(self, step: int) -> None:
        self._step = step

    def prompt(self, references: Sequence[azr.Task]) -> str:
        functions = self._functions(references)
        given = [block(Name.FUNCTIONS, "\n\n".join(functions))] if functions else []
        return "\n".join([*(reference.shown() for reference in _programs(references)), *given])

    def parse(self, answer: str, references: Sequence[azr.Task]) -> ProgramProposal:
        blocks = read_blocks(answer, (Name.PYTHON, Name.INPUT))
        program, input = single(blocks, Name.PYTHON), single(blocks, Name.INPUT)
        return ProgramProposal(program=program, input=input, functions=self._functions(references))

    def _functions(self, references: Sequence[azr.Task]) -> tuple[str, ...]:
        return self._composite.functions(self._step, [reference.program for reference in _programs(references)])


class InductionProposer(azr.Proposer[InductionProposal]):
    """Proposes inputs and a hint for the program of its one reference. pairs: how many inputs it needs; more are ignored."""

    def __init__(self, pairs: int) -> None:
        self._pairs = pairs

    def prompt(self, references: Sequence[azr.Task]) -> str:
        return "\n".join(block(Name.PYTHON, reference.program) for reference in _programs(references)[:1])

    def parse(self, answer: str, references: Sequence[azr.Task]) -> InductionProposal:
        blocks = read_blocks(answer, (Name.INPUT, Name.MESSAGE))
        inputs = blocks[Name.INPUT]
        if len(inputs) < self._pairs:
            raise azr.FormatError(f"{len(inputs)} input blocks, {self._pairs} are needed")
        message = single(blocks, Name.MESSAGE).strip()
        programs = _programs(references)
        if not programs:
            raise azr.FormatError("no program was shown to write inputs for")
        return InductionProposal(program=programs[0].program, inputs=tuple(inputs[: self._pairs]), message=message)


def _programs(references: Sequence[azr.Task]) -> list[ProgramTask]:
    return [reference for reference in references if isinstance(reference, ProgramTask)]
