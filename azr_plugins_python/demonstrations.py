"""Worked examples without end, from the program generator: for warming up small models, for solver-only runs and for benchmarks."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

import azr_core as azr
from azr_plugins_python.generator import STATEMENT_COUNTS, STATEMENT_WEIGHTS, ProgramGenerator, Sample, reserved
from azr_plugins_python.proposers import induction_answer, program_answer
from azr_plugins_python.tasks import AbductionTask, DeductionTask, InductionProposal, InductionTask
from azr_plugins_python.traces import abduction_thought, deduction_thought

Maker = Callable[[random.Random, Sample], azr.Demonstration]

INPUTS = 10
"""Inputs of a sample, the most that the generator makes."""
THOUGHT_SHARE = 0.4
_TRIED, _TRIED_WEIGHTS = (0, 1, 2), (0.5, 0.3, 0.2)


def samples(rng: random.Random, counts: Sequence[int], *, inputs: int = INPUTS, held_out: bool = False) -> Iterator[Sample]:
    """Programs without end. held_out: only those that no training may use, else only the others. counts: statements, three choices."""
    generator = ProgramGenerator(rng)
    while True:
        sample = generator.sample(rng.choices(counts, STATEMENT_WEIGHTS)[0], inputs)
        if reserved(sample.program) is held_out:
            yield sample


def endless(maker: Maker, inputs: int = INPUTS) -> Callable[[random.Random], Iterator[azr.Demonstration]]:
    """The `demonstrations` of an environment."""

    def demonstrations(rng: random.Random) -> Iterator[azr.Demonstration]:
        for sample in samples(rng, STATEMENT_COUNTS, inputs=inputs):
            yield maker(rng, sample)

    return demonstrations


def deduction(rng: random.Random, sample: Sample) -> azr.Demonstration:
    """Give the output; the thought is the program's run."""
    index = rng.randrange(len(sample.inputs))
    program, arguments = sample.program, sample.inputs[index]
    thought = deduction_thought(program, arguments) if rng.random() < THOUGHT_SHARE else None
    task = DeductionTask.of(program, arguments, sample.outputs[index])
    return azr.Demonstration(program_answer(program, arguments), task, thought or "", task.answer)


def abduction(rng: random.Random, sample: Sample) -> azr.Demonstration:
    """Give an input; the thought runs the program on some that fail, then on the answer."""
    index = rng.randrange(len(sample.inputs))
    program, arguments, output = sample.program, sample.inputs[index], sample.outputs[index]
    thought = None
    if rng.random() < THOUGHT_SHARE:
        others = [other for other, its in zip(sample.inputs, sample.outputs, strict=True) if its != output]
        tried = rng.sample(others, min(len(others), rng.choices(_TRIED, _TRIED_WEIGHTS)[0]))
        thought = abduction_thought(program, [*tried, arguments])
    task = AbductionTask.of(program, arguments, output)
    return azr.Demonstration(program_answer(program, arguments), task, thought or "", arguments)


def induction(_: random.Random, sample: Sample) -> azr.Demonstration:
    """Write the program. The proposal is one for the task's own program as the reference."""
    proposal = InductionProposal(program=sample.program, inputs=sample.inputs, message=sample.message)
    task = InductionTask.of(proposal, sample.outputs)
    return azr.Demonstration(induction_answer(sample.inputs, sample.message), task, "", task.answer)
