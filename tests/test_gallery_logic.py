"""plugins/logic.py: formulas are read as they are meant, z3 lets in what is a task, and any assignment that fits counts."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from gallery import admitted, assert_attacks_find_nothing, assert_plays, environments, scores

import azr_core as azr

pytest.importorskip("z3", reason="plugins/logic.py needs z3-solver")

PRODUCT: dict[str, Any] = {"low": 0, "high": 20, "constraints": ["x + y = 12", "x * y = 35"]}
SHIFT: dict[str, Any] = {
    "low": 0, "high": 9, "premises": ["x - y = 2", "P -> x + y = 10"],
    "conclusions": ["x = y + 2", "x > y", "x = 6", "P", "x + y = 10", "not P or y < 5"],
}  # fmt: skip


def test_any_assignment_that_fits_counts_and_no_other() -> None:
    found = environments("logic")["logic/satisfy"]
    task = admitted(found, **PRODUCT)
    assert task.question.splitlines() == ["x, y: from 0 to 20", "x + y = 12", "x * y = 35"]
    assert scores(found, task, ["x = 5, y = 7", "y=5,x=7", "x = 7\ny = 5\n"]) == [1, 1, 1]
    assert scores(found, task, ["x = 6, y = 6", "x = 5, y = 5", "x = -5, y = 17"]) == [0, 0, 0]
    unread = ["", "x = 5", "x = 5, y = 7, z = 1", "x = 5, x = 5", "x = 5, y = true", "x = 5, y = 3 + 4", "x = ５, y = 7", "5, 7",
              "x = 5, y = 7, y = 7", "x == 5, y = 7", "x = 5.0, y = 7", "x = 5, y = " + "7" * 5000, "x = 5, y = 7" + " " * 500]  # fmt: skip
    assert scores(found, task, unread) == ["unread"] * len(unread)


def test_an_assignment_outside_of_the_range_does_not_fit() -> None:
    found = environments("logic")["logic/satisfy"]
    task = admitted(found, low=0, high=9, constraints=["x + y = 12", "x - y = 2 * z - 2", "x * z = 14"])
    assert scores(found, task, [task.answer, "x = 14, y = -2, z = 1"]) == [1, 0]


@pytest.mark.parametrize(
    ("formula", "same"),
    [
        ("P -> Q -> x = y", "P -> (Q -> x = y)"),
        ("not P and Q or x = y", "((not P) and Q) or (x = y)"),
        ("x + 2 * y - 1 = x", "((x + (2 * y)) - 1) = x"),
        ("x - y - 1 < -x", "((x - y) - 1) < (0 - x)"),
        ("P = Q or x != y", "(P = Q) or (not (x = y))"),
        ("x<=y", "not x > y"),
    ],
)
def test_formulas_bind_as_one_reads_them(formula: str, same: str) -> None:
    verifier: Any = environments("logic")["logic/satisfy"].verifier
    plugin = verifier._grade.__globals__
    one, other = plugin["Formula"](formula), plugin["Formula"](same)
    for x, y, p, q in itertools.product((0, 1, 3), (0, 2, 3), (True, False), (True, False)):
        values = {"x": x, "y": y, "P": p, "Q": q}
        assert plugin["holds"]([one], values) == plugin["holds"]([other], values)


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["x + y = 1", "x + y = 2"], "no solution"),
        (["x + y = 12", "x = 3"], "gives the value of a letter away"),
        (["x + y = 12", "3 = x"], "gives the value of a letter away"),
        (["P or Q", "not P"], "gives the value of a letter away"),
        (["x + y > 1", "x < y + 30"], "guessed"),
        (["x = y", "x + y < 10"], "guessed"),
        (["x + y = 12", "x+y=12"], "stands there twice"),
        (["x * x = 49", "x > 2"], "2 to 8 letters"),
        (["x + y = 12", "x = y = 6"], "stands between truth values and numbers"),
        (["x + y = 12", "x and y"], "stands between truth values and numbers"),
        (["x + y = 12", "P + 1 = 2"], "stands between truth values and numbers"),
        (["x + y = 12", "1 < 2"], "not one formula about letters"),
        (["x + y = 12", "x + y"], "not one formula about letters"),
        (["x + y = 12", "x < y)"], "not one formula about letters"),
        (["x + y = 12", "(x < y"], "is no formula"),
        (["x + y = 12", "__import__('os') = 1"], "formula"),
        (["x + y = 12", "x ** y = 1"], "is no formula"),
        (["x + y = 12", "x < y\nx = 5"], "not one formula about letters"),
        (["x + y = 12", "х < y"], "formula"),
        (["x + y = 12", "(" * 40 + "x" + ")" * 39], "no formula"),
    ],
)
def test_what_is_no_puzzle_is_refused(texts: list[str], reason: str) -> None:
    with pytest.raises(azr.InvalidTask, match=reason):
        admitted(environments("logic")["logic/satisfy"], low=0, high=20, constraints=texts)


def test_what_takes_too_much_work_is_refused_by_count_and_not_by_clock() -> None:
    hard = [
        "a*a*a + b*b*b + c*c*c = d*d*d*d + 42 + e*f*g",
        "a*b*c*d*e*f*g*h*a*b*c*d*e*f*g*h = 7919*7907*a*b",
        "e*e*e + f*f*f = g*g*g + h*h + 1234",
    ]
    for _ in range(2):
        with pytest.raises(azr.InvalidTask, match=r"too much work|no solution"):
            admitted(environments("logic")["logic/satisfy"], low=-99, high=99, constraints=hard)


def test_a_puzzle_has_the_same_answer_whatever_was_asked_before() -> None:
    found = environments("logic")["logic/satisfy"]
    loose = {"low": 0, "high": 20, "constraints": ["P -> x + y = 12", "Q or x * y = z + 9", "not Q or x - z = 5", "P or z * y = 24"]}
    first = admitted(found, **loose)
    admitted(found, **PRODUCT)
    assert admitted(found, **loose) == first


def test_conclusions_that_follow_are_told_by_their_numbers() -> None:
    found = environments("logic")["logic/entailment"]
    task = admitted(found, **SHIFT)
    assert task.answer == "1 2 6"
    assert scores(found, task, ["1 2 6", " 6, 2 1\n"]) == [1, 1]
    assert scores(found, task, ["1 2", "1 2 3 4 5 6", "1 2 6 6", "1 2 5"]) == [0, 0, 0, 0]
    assert scores(found, task, ["", "126", "all", "1 2 9", "1. 2. 6.", "1 2 ٦", "1 " * 500]) == ["unread"] * 7


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"premises": ["x - y = 2", "x < y"]}, "contradict each other"),
        ({"premises": ["x - y = 2", "x = y + 2"]}, "stands there twice"),
        ({"conclusions": [*SHIFT["conclusions"][:5], "x < 50"]}, "settled without the premises"),
        ({"conclusions": [*SHIFT["conclusions"][:5], "P and not P"]}, "settled without the premises"),
        ({"premises": ["x - y = 2"], "conclusions": ["x > 3", "x > 4", "x > 5", "x > 6", "x > 7", "x > 8"]}, "two conclusions at least"),
    ],
)
def test_an_argument_that_asks_for_nothing_is_no_task(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(azr.InvalidTask, match=reason):
        admitted(environments("logic")["logic/entailment"], **SHIFT | change)


def test_the_attacks_find_nothing(tmp_path: Path) -> None:
    assert_attacks_find_nothing("logic", tmp_path)


def test_two_steps_of_self_play(tmp_path: Path) -> None:
    assert_plays("logic", tmp_path)
