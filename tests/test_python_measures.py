"""The numbers that describe a task of the Python plugin, against sums done by hand."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import azr_core as azr
from azr_plugins_python import measures
from azr_plugins_python.environments import make_environments, make_executor
from azr_plugins_python.options import Options
from azr_plugins_python.screen import Screen
from azr_plugins_python.tasks import AbductionTask, DeductionTask, InductionProposal, InductionTask

SUM = "def f(a, b):\n    y = 0\n    for c in a:\n        if c > 3 and b:\n            y += c\n    return y"
PLUS = "def f(x):\n    return x + 1"
MINUS = "def f(x):\n    return x - 1"
IDENTITY = "def f(x):\n    return x"
ENVIRONMENTS = {environment.name: environment for environment in make_environments(Options(), make_executor(Options()))}


def test_complexity_is_cognitive_complexity_over_fifteen() -> None:
    # for: 1; if inside it: 1 + 1 for the nesting; and: 1
    assert measures.describe(SUM)["complexity"] == pytest.approx(4 / 15)
    assert measures.describe(PLUS)["complexity"] == 0.0


def test_cyclomatic_is_that_of_the_most_branched_block() -> None:
    # 1 + for + if + and
    assert measures.describe(SUM)["cyclomatic"] == 4.0
    assert measures.describe("def g(x):\n    return x if x else 1\n" + PLUS)["cyclomatic"] == 2.0
    assert measures.describe("f = abs")["cyclomatic"] == 1.0


def test_halstead_weighs_effort_branches_and_volume() -> None:
    # operators >, and, += are 3 different of 3; operands c 3, (c > 3) b, y c are 5 different of 6
    # volume 9 log2(8) = 27; difficulty 3 * 6 / (2 * 5) = 1.8; effort 1.8 * 27 = 48.6
    # 0.5 * 48.6 / 10000 + 0.3 * 4 / 10 + 0.2 * 27 / 500 = 0.00243 + 0.12 + 0.0108
    assert measures.describe(SUM)["halstead"] == pytest.approx(0.13323)


def test_edit_distance_is_the_mean_over_the_references_of_edits_over_length() -> None:
    # PLUS has 9 nodes: Module FunctionDef arguments arg Return BinOp Name Add Constant; MINUS changes one, IDENTITY lacks three
    assert measures.edit_distance(PLUS, [MINUS]) == pytest.approx(1 / 9)
    assert measures.edit_distance(PLUS, [IDENTITY]) == measures.edit_distance(IDENTITY, [PLUS]) == pytest.approx(3 / 9)
    assert measures.edit_distance(PLUS, [MINUS, IDENTITY]) == pytest.approx((1 / 9 + 3 / 9) / 2)
    assert measures.edit_distance(PLUS, []) == 1.0


def test_names_that_a_program_chooses_and_constants_do_not_make_it_distant_but_what_it_calls_does() -> None:
    assert measures.edit_distance("def f(x):\n    return x.upper() + 'a'", ["def f(text):\n    return text.upper() + 'bcd'  # loud"]) == 0.0
    assert measures.edit_distance("def f(x):\n    return x.upper()", ["def f(x):\n    return x.lower()"]) > 0.0
    assert measures.edit_distance("def f(x):\n    return max(x)", ["def f(x):\n    return min(x)"]) > 0.0


@given(st.text("abc", max_size=9), st.text("abc", max_size=9))
def test_edits_are_levenshteins(one: str, two: str) -> None:
    row = list(range(len(two) + 1))
    for at, left in enumerate(one, 1):
        above, row = row, [at]
        for beside, right in enumerate(two, 1):
            row.append(min(above[beside] + 1, row[-1] + 1, above[beside - 1] + (left != right)))
    assert measures.edits(one, two) == row[-1]


def test_comments_and_docstrings_move_no_measure() -> None:
    loud = SUM.replace("    y = 0\n", '    """A sum."""\n    y = 0  # if x: pass\n').replace(":\n", ":  # complexipy: ignore\n", 1)
    assert measures.describe(loud) == measures.describe(SUM)


def test_a_program_that_only_pythons_own_parser_takes_has_no_cognitive_complexity() -> None:
    program = "def f(x):\n    return f\"{'a\u200bb'}\""
    assert measures.describe(program)["complexity"] == 0.0


def test_surprise_is_the_share_of_other_answers_and_variety_its_mean() -> None:
    assert measures.surprise("2", ["2", "3", "2"]) == pytest.approx(1 / 3)
    assert measures.surprise("2", []) == 1.0
    assert measures.variety(["1", "1", "2"]) == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)
    assert measures.variety(["1", "1"]) == 0.0


def test_diversity_looks_at_what_the_solver_is_asked_for() -> None:
    outputs = [DeductionTask.of(PLUS, "1", "2"), DeductionTask.of(MINUS, "3", "2"), DeductionTask.of(PLUS, "7", "8")]
    deduction, abduction = ENVIRONMENTS["python/deduction"].verifier, ENVIRONMENTS["python/abduction"].verifier
    assert deduction.measures(outputs[0], outputs[1:])["diversity"] == 0.5
    assert abduction.measures(AbductionTask.of(SUM, " [1] , 2", "0"), [AbductionTask.of(PLUS, "[1], 2", "3")])["diversity"] == 0.0


def test_every_environment_measures_its_tasks_by_the_same_names() -> None:
    named = {"complexity", "halstead", "cyclomatic", "diversity", "lines", "nodes", "depth"}
    pairs = InductionTask.of(InductionProposal(program=PLUS, inputs=("1", "2"), message="add"), ("2", "3"))
    tasks: dict[str, azr.Task] = {kind.__name__: kind.of(PLUS, "1", "2") for kind in (DeductionTask, AbductionTask)} | {
        "InductionTask": pairs
    }
    for environment in ENVIRONMENTS.values():
        found = environment.verifier.measures(tasks[environment.task_type.__name__], [])
        assert named | ({"message_words"} if environment.name == "python/induction" else {"edit_distance"}) == set(found)
        assert all(isinstance(number, float) for number in found.values())


def test_a_thousand_real_programs_can_be_measured(test_data: Path) -> None:
    texts = [(test_data / name).read_text("utf-8") for name in ("azr_seeds/triplets.jsonl", "cruxeval/cruxeval.jsonl")]
    programs = list(dict.fromkeys(json.loads(line)["code"] for text in texts for line in text.split("\n") if line))
    screened = [program for program in programs if _passes(program)]
    assert len(screened) >= 1_000
    for program, other in pairwise(screened):
        found = measures.describe(program) | {"edit_distance": measures.edit_distance(program, [other])}
        assert found["cyclomatic"] >= 1 and found["complexity"] >= 0 and 0 <= found["halstead"] <= 1 and 0 <= found["edit_distance"] <= 1


def _passes(program: str) -> bool:
    try:
        Screen.PAPER.check(program)
    except azr.InvalidTask:
        return False
    return True
