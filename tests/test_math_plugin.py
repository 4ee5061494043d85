"""The plugin `math` as a whole: seeds, demonstrations, benchmarks, prompts, and the recorded cases."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

import azr_core as azr
from azr_core.cases import Tally, judge, read
from azr_core.verification import Verification
from azr_plugins_math import benchmarks, shapes
from azr_plugins_math.environments import ABDUCTION, DEDUCTION, INDUCTION, make_environments
from azr_plugins_math.generator import polynomial, reserved, shifted, times, total
from azr_plugins_math.options import Options

Environments = dict[str, azr.Environment]
KINDS = (DEDUCTION, ABDUCTION, INDUCTION)


@pytest.fixture(scope="module")
def environments() -> Iterator[Environments]:
    made = {environment.name: environment for environment in make_environments(Options())}
    yield made
    for environment in made.values():
        environment.verifier.close()


def demonstrated(environment: azr.Environment, seed: int, count: int) -> list[azr.Demonstration]:
    assert environment.demonstrations is not None
    return list(islice(environment.demonstrations(random.Random(seed)), count))


@pytest.mark.parametrize("name", KINDS)
def test_every_seed_passes_its_own_gate_solves_itself_and_reads_back_from_its_lines(environments: Environments, name: str) -> None:
    environment = environments[name]
    tasks = environment.verifier.admit_many(list(environment.seeds))
    assert [task for task in tasks if not isinstance(task, environment.task_type)] == []
    assert len({task.key() for task in tasks if isinstance(task, azr.Task)}) == len(tasks) >= 12
    assert environment.verifier.grade_many([(task, task.answer) for task in tasks if isinstance(task, azr.Task)]) == [1.0] * len(tasks)
    assert [environment.proposer.parse(seed.text(), ()) for seed in environment.seeds] == list(environment.seeds)  # type: ignore[attr-defined]


def test_deduction_has_a_dozen_seeds_of_every_operation(environments: Environments) -> None:
    operations = [seed.op for seed in environments[DEDUCTION].seeds]  # type: ignore[attr-defined]
    assert {operations.count(operation) for operation in set(operations)} == {12} and len(set(operations)) == 10


@pytest.mark.parametrize("name", KINDS)
def test_a_demonstration_is_admitted_as_the_task_it_shows_and_solved_by_its_answer(environments: Environments, name: str) -> None:
    environment = environments[name]
    examples = demonstrated(environment, 3, 40)
    admitted = environment.verifier.admit_many([environment.proposer.parse(example.proposal, ()) for example in examples])
    assert [task.key() if isinstance(task, azr.Task) else task for task in admitted] == [example.task.key() for example in examples]
    assert environment.verifier.grade_many([(example.task, example.answer) for example in examples]) == [1.0] * len(examples)
    assert demonstrated(environment, 3, 40) == examples


@pytest.mark.parametrize("name", KINDS)
def test_most_demonstrations_think_few_have_an_answer_to_guess_and_none_is_reserved(environments: Environments, name: str) -> None:
    examples = demonstrated(environments[name], 5, 300)
    assert 100 <= sum(bool(example.thought) for example in examples) <= 250
    assert sum(shapes.common(example.answer) for example in examples) <= 30
    assert not any(reserved(example.task.key()) for example in examples)
    assert len({example.task.key() for example in examples}) >= 290
    assert len({environments[name].verifier.skeleton(example.task) for example in examples}) >= 20


def test_a_sixteenth_of_all_content_is_reserved() -> None:
    assert 40 < sum(reserved(f"task {number}") for number in range(1000)) < 90


def test_benchmarks_are_made_from_reserved_tasks_and_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmarks.main(["--folder", str(tmp_path), "--tasks", "3"])
    assert capsys.readouterr().out == "heldout: 9 tasks\nharder: 9 tasks\n"
    made = make_environments(Options())
    loaded = benchmarks.load_benchmarks(made, tmp_path)
    assert sorted(benchmark.name for benchmark in loaded) == ["math/harder", "math/heldout"]
    for benchmark in loaded:
        assert {name: len(tasks) for name, tasks in benchmark.tasks.items()} == dict.fromkeys(KINDS, 3)
        assert all(reserved(task.key()) for tasks in benchmark.tasks.values() for task in tasks)
    assert benchmarks.load_benchmarks(made, tmp_path / "absent") == []


def test_the_shipped_benchmarks_hold_different_reserved_tasks_that_their_own_answers_solve(environments: Environments) -> None:
    loaded = benchmarks.load_benchmarks(list(environments.values()))
    assert len(loaded) == 2
    for benchmark in loaded:
        for name in KINDS:
            tasks = benchmark.tasks[name]
            assert len({task.key() for task in tasks}) == len(tasks) == benchmarks.TASKS
            assert all(reserved(task.key()) for task in tasks)
            assert sum(shapes.common(task.answer) for task in tasks) <= len(tasks) // 10
            some = tasks[::15]
            assert environments[name].verifier.grade_many([(task, task.answer) for task in some]) == [1.0] * len(some)


@pytest.mark.parametrize("name", KINDS)
def test_both_styles_have_a_template_for_both_roles(environments: Environments, name: str) -> None:
    templates = environments[name].templates
    assert sorted(templates) == ["compact/propose", "compact/solve", "paper/propose", "paper/solve"]
    assert all(text.count("{text}") == 1 and "{grammar}" not in text for text in templates.values())
    assert templates["compact/solve"] == templates["compact/propose"] == f"<|{name.partition('/')[2]}|>math\n{{text}}"


@pytest.mark.parametrize("name", KINDS)
def test_a_reference_shows_a_task_with_its_answer_and_a_question_hides_it(environments: Environments, name: str) -> None:
    environment = environments[name]
    tasks = [example.task for example in demonstrated(environment, 2, 2)]
    prompt = environment.proposer.prompt(tasks)
    assert all(f": {task.answer}" in prompt for task in tasks)
    assert name == INDUCTION or all(line in prompt for task in tasks for line in task.question.splitlines())
    assert environment.proposer.prompt([]) == ""
    assert not any(task.answer in task.question for task in tasks if len(task.answer) > 3)


def test_the_examples_in_the_prompts_are_tasks(environments: Environments) -> None:
    for name, labels in {DEDUCTION: ("op", "expr", "var", "lower", "upper"), ABDUCTION: ("find", "with", "answer")}.items():
        environment = environments[name]
        lines = environment.templates["paper/propose"].split("\n")
        if name == DEDUCTION:
            lines = lines[lines.index("For example:") :]
        text = "\n".join(line for line in lines if line.partition(": ")[0] in labels)
        assert isinstance(environment.verifier.admit_many([environment.proposer.parse(text, ())])[0], environment.task_type)


def test_every_recorded_case_of_abduction_and_induction_is_decided_as_its_author_says(
    environments: Environments, test_data: Path, tmp_path: Path
) -> None:
    lines = (test_data / "cases" / "math.jsonl").read_text("utf-8").splitlines()
    mine = [line for line in lines if json.loads(line)["environment"] in (ABDUCTION, INDUCTION)]
    (tmp_path / "cases.jsonl").write_text("\n".join(mine), "utf-8")
    with closing(Verification()) as verification:
        judged = judge(read(tmp_path / "cases.jsonl", environments), environments, verification)
    tally = Tally.of(judged)
    assert [one for one in judged if one.agrees is False] == [] and not tally.too_many_skipped


def test_recorded_proposals_of_the_older_form_are_decided_alike(environments: Environments, test_data: Path) -> None:
    for line in (test_data / "math" / "proposals.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        fields = {key: value for key, value in row["proposal"].items() if key not in ("type", "hidden")}
        environment = environments[f"math/{row['proposal']['type']}"]
        proposal = type(environment.seeds[0]).model_validate_json(json.dumps(fields))
        admitted = isinstance(environment.verifier.admit_many([proposal])[0], azr.Task)
        assert admitted == (row["expected"] == "valid"), row["id"]


def test_polynomials_are_written_as_a_person_would() -> None:
    assert polynomial([6, -5, 1], "x") == "x^2 - 5*x + 6" and polynomial([0, 0], "x") == "0" and polynomial([0, -1], "x") == "-x"
    assert total([(3, "sqrt(2)"), (-1, "y"), (2, "")]) == "3*sqrt(2) - y + 2"
    assert (shifted("x", 3), shifted("x", -3), shifted("x", 0)) == ("(x - 3)", "(x + 3)", "x")
    assert times([-3, 1], [2, 1]) == [-6, -1, 1]
