"""The program generator: what warm-up documents and benchmarks rely on."""

from __future__ import annotations

import ast
import random

import pytest

from azr_plugins_python.generator import HARDER_STATEMENT_COUNTS, STATEMENT_COUNTS, ProgramGenerator, Sample, compiled, reserved
from azr_plugins_python.traces import MAX_CHARACTERS, abduction_thought, deduction_thought


def drawn(seed: int, each: int = 40) -> list[Sample]:
    generator = ProgramGenerator(random.Random(seed))
    return [generator.sample(count) for count in (*STATEMENT_COUNTS, *HARDER_STATEMENT_COUNTS) for _ in range(each)]


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return drawn(seed=7)


def output_of(sample: Sample, arguments: str) -> str:
    return repr(compiled(sample.program)(*ast.literal_eval(f"({arguments},)")))


def test_the_seed_decides_every_sample() -> None:
    assert drawn(3, each=5) == drawn(3, each=5)
    assert drawn(3, each=5) != drawn(4, each=5)


def test_running_a_program_again_reproduces_its_outputs(samples: list[Sample]) -> None:
    for sample in samples:
        assert tuple(output_of(sample, arguments) for arguments in sample.inputs) == sample.outputs


def test_inputs_are_distinct_and_as_many_as_asked(samples: list[Sample]) -> None:
    assert all(len(set(sample.inputs)) == len(sample.inputs) == 10 for sample in samples)
    assert len(ProgramGenerator(random.Random(0)).sample(2, inputs=4).inputs) == 4


def test_outputs_vary(samples: list[Sample]) -> None:
    assert all(max(map(sample.outputs.count, sample.outputs)) <= 6 for sample in samples)


def test_programs_do_not_repeat(samples: list[Sample]) -> None:
    assert len({sample.program for sample in samples}) == len(samples)


def test_a_message_hints_without_giving_a_line_away(samples: list[Sample]) -> None:
    for sample in samples:
        assert sample.message
        assert not any(line.strip() in sample.message for line in sample.program.split("\n"))


def test_a_sixteenth_of_the_programs_is_reserved() -> None:
    programs = [sample.program for sample in drawn(seed=1, each=80)]
    assert 0.03 < sum(map(reserved, programs)) / len(programs) < 0.10


def test_a_thought_states_the_values_a_run_goes_through() -> None:
    program = "def f(x):\n    y = x + [3]\n    for c in range(2):\n        y = y[1:]\n    return sum(y) * 2"
    assert deduction_thought(program, "[1, 2]") == "y=[1, 2, 3]\nc=0\ny=[2, 3]\nc=1\ny=[3]\nsum(y)=3"


def test_an_abduction_thought_ends_with_the_answer_and_its_output() -> None:
    assert abduction_thought("def f(x):\n    x = x + 1\n    return x", ["2", "4"]) == "2\nx=3\n=> 3\n4\nx=5\n=> 5\n"


def test_a_run_that_is_too_long_has_no_thought(samples: list[Sample]) -> None:
    program = "def f(x):\n    for c in range(40):\n        x += 1\n    return x"
    assert deduction_thought(program, "1") is None and abduction_thought(program, ["1"]) is None
    assert all(len(deduction_thought(sample.program, sample.inputs[0]) or "") <= MAX_CHARACTERS for sample in samples)
