"""Proposers: show references, ask for a task, read the proposal in the answer."""

from __future__ import annotations

from collections.abc import Sequence

import azr_core as azr
from azr_plugins_python.blocks import Name, block, read_blocks, single
from azr_plugins_python.tasks import InductionProposal, ProgramProposal, ProgramTask


def program_answer(program: str, input: str) -> str:
    """The answer that proposes a deduction or an abduction."""
    return f"{block(Name.PYTHON, program)}\n{block(Name.INPUT, input)}"


def induction_answer(inputs: Sequence[str], message: str) -> str:
    """The answer that proposes an induction."""
    return "\n".join([*(block(Name.INPUT, input) for input in inputs), block(Name.MESSAGE, message)])


class ProgramProposer(azr.Proposer[ProgramProposal]):
    """Proposes a program and an input, for deduction and abduction alike. References may come from either."""

    def prompt(self, references: Sequence[azr.Task]) -> str:
        return "\n".join(reference.shown() for reference in _programs(references))

    def parse(self, answer: str, references: Sequence[azr.Task]) -> ProgramProposal:
        blocks = read_blocks(answer, (Name.PYTHON, Name.INPUT))
        return ProgramProposal(program=single(blocks, Name.PYTHON), input=single(blocks, Name.INPUT))


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
