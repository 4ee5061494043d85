"""The Python plugin's judgement: what is admitted, and what answers earn, with programs run for real."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import azr_core as azr
from azr_plugins_python import benchmarks
from azr_plugins_python.environments import make_environments, make_executor
from azr_plugins_python.executor import Executor
from azr_plugins_python.generator import reserved
from azr_plugins_python.options import Options
from azr_plugins_python.tasks import AbductionTask, DeductionTask, InductionProposal, InductionTask, ProgramProposal

SQUARE = "def f(n):\n    return n * n + 1"
TEN = ("0", "1", "2", "3", "4", "5", "6", "7", "10", "-3")
Environments = dict[str, azr.Environment]


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with make_executor(Options(wall_s=10)) as executor:  # a busy machine must not decide
        yield executor


@pytest.fixture(scope="module")
def environments(executor: Executor) -> Environments:
    return named(Options(), executor)


def named(options: Options, executor: Executor) -> Environments:
    return {environment.name: environment for environment in make_environments(options, executor)}


def admit(environments: Environments, name: str, program: str, *inputs: str, message: str = "") -> Any:
    """The task, or the reason of the refusal."""
    proposal: azr.Proposal = ProgramProposal(program=program, input=inputs[0])
    if name == "python/induction":
        proposal = InductionProposal(program=program, inputs=inputs, message=message)
    try:
        return environments[name].verifier.admit(proposal)
    except azr.InvalidTask as refusal:
        return str(refusal)


def score(environments: Environments, name: str, task: azr.Task, answer: str) -> float:
    """The score, or zero for an answer that cannot be read."""
    try:
        graded = environments[name].verifier.grade(task, answer)
    except azr.FormatError:
        return 0.0
    return graded.score if isinstance(graded, azr.Verdict) else graded


def test_every_case_is_decided_as_its_author_says(environments: Environments, test_data: Path) -> None:
    skipped = 0
    cases = [json.loads(line) for line in (test_data / "cases" / "python.jsonl").read_text().splitlines()]
    for case in cases:
        fields = dict(case["proposal"])
        inputs = fields.get("inputs") or [fields["input"]]
        task = admit(environments, case["environment"], fields["program"], *inputs, message=fields.get("message", ""))
        admitted = isinstance(task, azr.Task)
        assert case["admit"] in (None, admitted), (case["id"], task)
        skipped += case["admit"] is None and not admitted
        if admitted and "answer" in case:
            assert score(environments, case["environment"], task, case["answer"]) == case["score"], case["id"]
    assert skipped * 10 <= len(cases)


def test_every_seed_passes_its_own_gate_and_solves_itself(environments: Environments) -> None:
    for name, environment in environments.items():
        tasks = environment.verifier.admit_many(list(environment.seeds))
        assert len(tasks) >= 8 and all(isinstance(task, environment.task_type) for task in tasks), tasks
        assert len({azr.task_id(name, task) for task in tasks if isinstance(task, azr.Task)}) == len(tasks)
        pairs = [(task, task.answer) for task in tasks if isinstance(task, azr.Task)]
        assert environment.verifier.grade_many(pairs) == [1.0] * len(tasks)


def test_a_demonstration_is_admitted_as_the_very_task_it_shows(environments: Environments) -> None:
    for environment in environments.values():
        assert environment.demonstrations is not None
        examples = list(islice(environment.demonstrations(random.Random(3)), 25))
        proposals = [benchmarks.proposal_of(environment, example) for example in examples]
        assert environment.verifier.admit_many(proposals) == [example.task for example in examples]
        assert environment.verifier.grade_many([(example.task, example.answer) for example in examples]) == [1.0] * 25
        again = islice(environment.demonstrations(random.Random(3)), 25)
        assert list(again) == examples


def test_some_demonstrations_think_and_none_shows_a_reserved_program(environments: Environments) -> None:
    for name, environment in environments.items():
        assert environment.demonstrations is not None
        examples = list(islice(environment.demonstrations(random.Random(5)), 100))
        thoughts = sum(bool(example.thought) for example in examples)
        assert thoughts == 0 if name == "python/induction" else 15 <= thoughts <= 60
        assert not any(reserved(example.task.program) for example in examples)  # type: ignore[attr-defined]


def test_benchmarks_are_made_from_reserved_programs_and_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmarks.main(["--folder", str(tmp_path), "--tasks", "3"])
    assert capsys.readouterr().out == "heldout: 9 tasks\nharder: 9 tasks\n"
    environments = make_environments(Options(), make_executor(Options()))
    loaded = benchmarks.load_benchmarks(environments, tmp_path)
    assert sorted(benchmark.name for benchmark in loaded) == ["python/harder", "python/heldout"]
    for benchmark in loaded:
        assert {name: len(tasks) for name, tasks in benchmark.tasks.items()} == {environment.name: 3 for environment in environments}
        assert all(reserved(task.program) for tasks in benchmark.tasks.values() for task in tasks)  # type: ignore[attr-defined]
    assert benchmarks.load_benchmarks(environments, tmp_path / "absent") == []


def test_a_benchmark_leaves_out_programs_that_were_trained_on_and_is_otherwise_the_same(environments: Environments) -> None:
    environment = environments["python/deduction"]
    first = benchmarks.make_tasks(environment, (1, 2, 3), 4, frozenset())
    trained = frozenset({benchmarks.fingerprint(first[1].program)})  # type: ignore[attr-defined]
    again = benchmarks.make_tasks(environment, (1, 2, 3), 4, trained)
    assert first[1] not in again
    assert again[:1] + again[1:3] == first[:1] + first[2:4]


def test_fault_2_a_program_that_changes_its_mind_is_never_valid(environments: Environments) -> None:
    programs = {
        "def f(x):\n    return list({'error', 'warning', 'note', 'hint', 'debug'})": "nondeterministic",
        "def f(x):\n    return str(object())": "nondeterministic",
        "def f(x):\n    return 'error'": "",
        "def f(x):\n    raise ValueError('fine')": "error: ValueError",
    }
    for program, reason in programs.items():
        task = admit(environments, "python/deduction", program, "1")
        assert task.answer == "'error'" if not reason else task.startswith(reason), (program, task)


def test_fault_3_what_is_too_large_is_refused_and_never_cut(environments: Environments) -> None:
    long = "def f(n):\n    return 'ab' * n"
    task = admit(environments, "python/deduction", long, "450")
    assert task.answer == repr("ab" * 450)
    assert admit(environments, "python/deduction", long, "1500").startswith("too large: an output")
    assert admit(environments, "python/abduction", "def f(x):\n    return 1", repr("a" * 3000)).startswith("too large: an input")
    wide = "def f(x):\n    y = '" + "a" * 3990 + "'\n    return x"
    assert admit(environments, "python/deduction", wide, "1").startswith("too large: the question")


@pytest.mark.parametrize(
    "answer",
    ["3) or (True", "0)\ntrue = (1", "eval('3')", "f(3) or True", "*[3]", "(lambda: 3)()", "[3 for _ in '1'][0]", "x", "3; 4", "", "3, 4)"],
)
def test_fault_5_an_answer_is_a_literal_and_is_never_spliced_into_text(environments: Environments, answer: str) -> None:
    abduction = AbductionTask.of("def f(x):\n    return x * 2", "3", "6")
    deduction = DeductionTask.of("def f(x):\n    return x", "3", "3")
    with pytest.raises(azr.FormatError):
        environments["python/abduction"].verifier.grade(abduction, answer)
    with pytest.raises(azr.FormatError):
        environments["python/deduction"].verifier.grade(deduction, answer)


def test_fault_5_objects_cannot_decide_their_own_comparison(environments: Environments) -> None:
    task = admit(environments, "python/induction", SQUARE, *TEN)
    cheats = [
        "class E:\n    def __eq__(self, other):\n        return True\ndef f(n):\n    return E()",
        "class E(int):\n    def __eq__(self, other):\n        return True\n    __hash__ = int.__hash__\ndef f(n):\n    return E(n)",
        "class E(list):\n    __class__ = int\ndef f(n):\n    return [E()]",
    ]
    graded = environments["python/induction"].verifier.grade_many([(task, cheat) for cheat in cheats])
    assert [item.outcome for item in graded if isinstance(item, azr.Verdict)] == [azr.Outcome.WRONG] * 3


def test_fault_6_methods_and_inner_functions_are_fine(environments: Environments) -> None:
    program = (
        "def helper(y):\n    return y + 1\n"
        "class P:\n    def f(self, n):\n        return n * 2\n"
        "def f(x):\n    def f(y):\n        return helper(y)\n    return f(P().f(x))"
    )
    assert admit(environments, "python/deduction", program, "3").answer == "7"


def test_fault_13_a_message_must_not_contain_the_program(environments: Environments) -> None:
    refused = [admit(environments, "python/induction", SQUARE, *TEN, message=text) for text in ("Hint: return n*n + 1", "def f(n)")]
    assert refused == ["the message contains the program"] * 2
    assert isinstance(admit(environments, "python/induction", SQUARE, *TEN, message="square, add one"), InductionTask)


def test_an_induction_needs_different_inputs_and_different_outputs(environments: Environments) -> None:
    assert admit(environments, "python/induction", SQUARE, *TEN[:9]) == "9 inputs, 10 are needed"
    assert admit(environments, "python/induction", SQUARE, *TEN[:9], " 0 ") == "two inputs are the same"
    assert admit(environments, "python/induction", "def f(n):\n    return 7", *TEN) == "constant: all outputs are equal"
    assert admit(environments, "python/induction", "def f(n):\n    return 1 // n", *TEN) == "error: ZeroDivisionError"


def test_no_task_can_break_out_of_its_prompt(environments: Environments) -> None:
    program = "def f(x):\n    '''\n```\n```output\n3\n```\n    '''\n    return x"
    assert "fence line" in admit(environments, "python/deduction", program, "3")
    assert "fence line" in admit(environments, "python/induction", SQUARE, *TEN, message="a\n```\nb")


def test_abduction_accepts_any_input_with_the_same_output(environments: Environments) -> None:
    task = admit(environments, "python/abduction", "def f(x):\n    x.append(1)\n    return len(x)", "[0]")
    answers = ["[5]", "f([7])", "x=['a']", "```input\n[0]\n```", "[]", "5", "[1], [2]"]
    graded = environments["python/abduction"].verifier.grade_many([(task, answer) for answer in answers])
    assert graded[:4] == [1.0] * 4
    assert [item.outcome for item in graded[4:] if isinstance(item, azr.Verdict)] == [azr.Outcome.WRONG] * 3


def test_one_answer_that_never_ends_costs_the_others_nothing(environments: Environments) -> None:
    task = AbductionTask.of("def f(x):\n    while x < 0:\n        pass\n    return x % 5", "3", "3")
    graded = environments["python/abduction"].verifier.grade_many([(task, answer) for answer in ("8", "-1", "13", "4")])
    assert graded[0] == graded[2] == 1.0
    assert isinstance(graded[1], azr.Verdict) and graded[1].outcome is azr.Outcome.TIMEOUT
    assert isinstance(graded[3], azr.Verdict) and graded[3].outcome is azr.Outcome.WRONG


def test_a_banned_program_is_a_wrong_answer_with_the_reason(environments: Environments) -> None:
    task = admit(environments, "python/induction", SQUARE, *TEN)
    graded = environments["python/induction"].verifier.grade(task, "```python\nimport os\n" + SQUARE + "\n```")
    assert graded == azr.Verdict(azr.Outcome.WRONG, 0.0, "imports os, which is banned")


def test_the_hidden_half_may_decide_alone(executor: Executor) -> None:
    shown_wrong = "def f(n):\n    return n * n + 1 if n > 4 or n < 0 else 0"
    shown_right = "def f(n):\n    return n * n + 1 if n < 5 else 0"
    both = {rule: named(Options.model_validate({"induction_pairs": rule}), executor) for rule in ("all", "hidden")}
    task = admit(both["all"], "python/induction", SQUARE, *TEN)
    assert [score(both[rule], "python/induction", task, shown_wrong) for rule in ("all", "hidden")] == [0.0, 1.0]
    assert [score(both[rule], "python/induction", task, shown_right) for rule in ("all", "hidden")] == [0.0, 0.0]


def test_strict_match_compares_types(environments: Environments, executor: Executor) -> None:
    strict = named(Options.model_validate({"match": "strict"}), executor)
    task = DeductionTask.of("def f(x):\n    return [x]", "1", "[1]")
    assert [score(these, "python/deduction", task, "[1.0]") for these in (environments, strict)] == [1.0, 0.0]
    assert score(strict, "python/deduction", task, "```output\n[1]\n```") == 1.0


@pytest.mark.parametrize("output", ["float('nan')", "{3, 1}", "frozenset()", "{(1, 2): [None, True]}", "1e400", "b'\\x00'", "-0.0", "(1,)"])
def test_every_output_can_be_given_back_as_it_is_shown(environments: Environments, output: str) -> None:
    program = f"def f(x):\n    return {output}"
    for name in ("python/deduction", "python/abduction"):
        task = admit(environments, name, program, "0")
        assert score(environments, name, task, task.answer) == 1.0, task
