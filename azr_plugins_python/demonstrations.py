"""Worked examples without end, from the program generator: for warming up small models, for solver-only runs and for benchmarks."""

from __future__ import annotations

import ast
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace

import azr_core as azr
from azr_plugins_python.generator import STATEMENT_COUNTS, STATEMENT_WEIGHTS, ProgramGenerator, Sample, compiled, reserved
from azr_plugins_python.proposers import induction_answer, program_answer
from azr_plugins_python.tasks import NO_ERROR, AbductionTask, DeductionTask, ErrorTask, InductionProposal, InductionTask
from azr_plugins_python.traces import abduction_thought, deduction_thought

Maker = Callable[[random.Random, Sample], azr.Demonstration]

INPUTS = 10
"""Inputs of a sample, the most that the generator makes."""
THOUGHT_SHARE = 0.4
RECENT = 200
"""Earlier samples that may be shown as references."""
REFERENCES = (0.2, 0.25, 0.2, 0.15, 0.08, 0.06, 0.06)
"""How often 0, 1, ... 6 of them are shown."""
_TRIED, _TRIED_WEIGHTS = (0, 1, 2), (0.5, 0.3, 0.2)
NO_ERROR_SHARE = 0.3
_STRANGE: tuple[object, ...] = (0, 1, -1, "", "k", "bcg", [], [0], [3, "k"], None, (2, 5))
"""Arguments that a program may not be made for."""


def samples(rng: random.Random, counts: Sequence[int], *, inputs: int = INPUTS, held_out: bool = False) -> Iterator[Sample]:
    """Programs without end. held_out: only those that no training may use, else only the others. counts: statements, three choices."""
    generator = ProgramGenerator(rng)
    while True:
        sample = generator.sample(rng.choices(counts, STATEMENT_WEIGHTS)[0], inputs)
        if reserved(sample.program) is held_out:
            yield sample


# What a proposal may have in common with its references: the type it works on, its constructs, or its length.
TRAITS: tuple[Callable[[Sample], object], ...] = (
    lambda sample: (sample.program.split("\n")[0], sample.inputs[0][0].isdigit(), sample.inputs[0][0] == "["),
    lambda sample: ("if " in sample.program, "for c" in sample.program, "for v" in sample.program),
    lambda sample: sample.program.count("\n"),
)


def endless(maker: Maker, inputs: int = INPUTS) -> Callable[[random.Random], Iterator[azr.Demonstration]]:
    """The `demonstrations` of an environment. References that the maker leaves open share a trait with the program."""

    def demonstrations(rng: random.Random) -> Iterator[azr.Demonstration]:
        earlier: deque[tuple[Sample, azr.Task]] = deque(maxlen=RECENT)
        for sample in samples(rng, STATEMENT_COUNTS, inputs=inputs):
            example = maker(rng, sample)
            yield example if example.references is not None else replace(example, references=_alike(rng, sample, earlier))
            earlier.append((sample, example.task))

    return demonstrations


def _alike(rng: random.Random, sample: Sample, earlier: Sequence[tuple[Sample, azr.Task]]) -> tuple[azr.Task, ...]:
    trait = rng.choice(TRAITS)
    tasks = [task for other, task in earlier if trait(other) == trait(sample) and other.program != sample.program]
    return tuple(rng.sample(tasks, min(len(tasks), rng.choices(range(len(REFERENCES)), REFERENCES)[0])))


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


def error(rng: random.Random, sample: Sample) -> azr.Demonstration:
    """Name the error: the program is called with a strange argument, or with one of its own, which raises none."""
    arguments = ast.literal_eval(f"({sample.inputs[rng.randrange(len(sample.inputs))]},)")
    called = [(arguments, NO_ERROR)]
    if rng.random() >= NO_ERROR_SHARE:
        at = rng.randrange(len(arguments))
        strange = [(*arguments[:at], value, *arguments[at + 1 :]) for value in _STRANGE]
        raised = [(changed, name) for changed in strange if (name := _raised(sample.program, changed)) != NO_ERROR]
        called = raised or called
    changed, name = rng.choice(called)
    task = ErrorTask.of(sample.program, ", ".join(map(repr, changed)), name)
    return azr.Demonstration(program_answer(task.program, task.input), task, "", name)


def _raised(program: str, arguments: tuple[object, ...]) -> str:
    """The name of the error that a generated program raises."""
    try:
        compiled(program)(*deepcopy(arguments))
    except Exception as error:  # whatever it is, its name is the answer
        return type(error).__name__
    return NO_ERROR


def induction(_: random.Random, sample: Sample) -> azr.Demonstration:
    """Write the program. The proposal is one for the program of its reference, which the prompt shows."""
    proposal = InductionProposal(program=sample.program, inputs=sample.inputs, message=sample.message)
    task = InductionTask.of(proposal, sample.outputs)
    reference = DeductionTask.of(sample.program, sample.inputs[0], sample.outputs[0])
    return azr.Demonstration(induction_answer(sample.inputs, sample.message), task, "", task.answer, (reference,))
