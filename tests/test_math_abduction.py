"""Abduction in mathematics: which systems of conditions are tasks, and which values solve them."""

from __future__ import annotations

import json
import string
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import azr_core as azr
from azr_plugins_math.abduction import AbductionVerifier
from azr_plugins_math.lines import read_kinds, read_lines, read_values, split
from azr_plugins_math.proposers import AbductionProposer
from azr_plugins_math.tasks import AbductionProposal, AbductionTask

VERIFIER, PROPOSER = AbductionVerifier(), AbductionProposer()


def proposal(unknowns: str, *constraints: str, **witness: str) -> AbductionProposal:
    return AbductionProposal(unknowns=read_kinds(unknowns), constraints=constraints, witness=witness)


def task(unknowns: str, *constraints: str, **witness: str) -> AbductionTask:
    return VERIFIER.admit(proposal(unknowns, *constraints, **witness))


def score(asked: AbductionTask, answer: str) -> float:
    try:
        graded = VERIFIER.grade(asked, answer)
    except azr.FormatError:
        return 0.0
    return graded.score if isinstance(graded, azr.Verdict) else graded


QUADRATIC = task("x integer", "x^2 - 5*x - 24 = 0", "x > 2", x="8")
PAIR = task("x integer, y integer", "3*x + 2*y = 7", "x - y = 9", x="5", y="-4")
SURD = task("x real", "x^2 = 2", "x > 0", x="sqrt(2)")
HALF = task("x real", "sqrt(2*x + 3) = 2", x="1/2")
CUBE = task("x real", "x^3 = x + 1", x="cbrt(1/2 + sqrt(69)/18) + cbrt(1/2 - sqrt(69)/18)")


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        *((QUADRATIC, answer) for answer in ("8", " x = 8 ", "x=+8", '{"x": 8}', '{"x": "8"}', "x=(8)")),
        *((PAIR, answer) for answer in ("x=5, y=-4", "y=-4,x=5", "x=5\ny=-4", "x = 5; y = -4", '{"y": -4, "x": "5"}')),
        *((SURD, answer) for answer in ("sqrt(2)", "2^(1/2)", "x=root(4, 4)", "2*cos(pi/4)", "2/sqrt(2)", r"\sqrt{2}")),
        *((HALF, answer) for answer in ("1/2", "0.5", "x=2/4", "(4 - 3)/2", '{"x": 0.5}')),
        (CUBE, CUBE.answer),
    ],
)
def test_values_that_meet_all_conditions_solve_however_they_are_written(asked: AbductionTask, answer: str) -> None:
    assert score(asked, answer) == 1.0


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        *((QUADRATIC, answer) for answer in ("-3", "7", "x=-3", "")),
        *(
            (QUADRATIC, answer)
            for answer in ("8.0", "16/2", "2^3", "7.9999999999999999999999999999", "x=8, x=-3", "8, -3", "8 or -3", "{8, -3}")
        ),
        *((QUADRATIC, answer) for answer in ("x", "x=x", "x==8", "8=x", "x=8=8", "x=8, y=1", "y=8", "x in {8}", "[8]", "(8,)", "x=8.")),
        *((QUADRATIC, answer) for answer in ("oo", "nan", "zoo", "True", "None", "I", "E", "\u0668", "\u2212" + "3", "eight")),
        *(
            (QUADRATIC, answer)
            for answer in ('{"x": 8.0}', '{"x": true}', '{"x": [8]}', '{"x": 8, "x": 8}', '{"x": NaN}', '{"x": {"x": 8}}', "{")
        ),
        *((QUADRATIC, answer) for answer in ("__import__('os')", "eval('8')", "lambda: 8", "solve(x^2-5*x-24)", "x.real", "Integer(8)")),
        *((QUADRATIC, answer) for answer in ("9" * 400, "(" * 300 + "8" + ")" * 300, "-" * 300 + "8", "9^9^9^9", "{" * 3000)),
        *((PAIR, answer) for answer in ("5", "5, -4", "x=5", "x=5, y=-4, x=5", "x=5, y=x-9", "(5, -4)", "x=5 y=-4", "x=5, y=oo")),
        *((SURD, answer) for answer in ("1.4142135623730950488016887242096980785", "-sqrt(2)", "sqrt(2) + 10^-50", "sqrt(2) + 10^-2900")),
        *((SURD, answer) for answer in ("sqrt(2) + sin(10^-900)", "sqrt(2) + exp(-3000)", "sqrt(2) + oo*0", "oo", "x", "2/x", "sqrt(-2)")),
        *((SURD, answer) for answer in ("665857/470832", "6369051672525773/4503599627370496", "RootOf(x^2-2, 1)", "exp(exp(exp(10)))")),
        *((CUBE, answer) for answer in ("RootOf(x^3-x-1,0)", "1.3247179572447460259609088544780973407", "(x + 1)^(1/3)", "cbrt(x + 1)")),
    ],
)
def test_anything_else_does_not(asked: AbductionTask, answer: str) -> None:
    assert score(asked, answer) == 0.0


UNDEFINED = AbductionTask(
    question="", answer="", identity="", unknowns={"x": "real", "y": "real"}, constraints=("x/y = x/y", "x^y = x^y", "log(x + 1) < 5")
)


@pytest.mark.parametrize(
    ("answer", "right"), [("x=1, y=1", 1.0), ("x=1, y=0", 0.0), ("x=0, y=0", 0.0), ("x=-1, y=1", 0.0), ("x=-3, y=1", 0.0)]
)
def test_a_condition_without_a_value_is_not_met(answer: str, right: float) -> None:
    assert score(UNDEFINED, answer) == right


def test_a_complex_part_is_no_value() -> None:
    asked = UNDEFINED.model_copy(update={"unknowns": {"x": "real"}, "constraints": ("sqrt(x)^2 = x", "sqrt(x) < 5")})
    assert score(asked, "2") == score(asked, "sqrt(2)") == 1.0
    assert score(asked, "-2") == score(asked, "-sqrt(2)") == 0.0


REFUSED: list[tuple[str, AbductionProposal]] = [
    ("trivial", proposal("x integer", "x > 2", x="3")),
    ("trivial", proposal("x real", "sqrt(x^2) = -x", "x != 0", x="-3")),
    ("trivial", proposal("n positive_integer", "mod(n, 3) = 1", n="4")),
    ("trivial", proposal("x integer, y integer", "x*y < 9", "x < 10^4", x="2", y="4")),
    ("not constrained", proposal("x integer, y integer", "x*y = 0", x="0", y="5")),
    ("witness", proposal("x integer", "x^2 = 2", x="1")),
    ("witness", proposal("x integer", "x^2 = 2", x="sqrt(2)")),
    ("witness", proposal("x integer", "2*x = 14", x="7.0")),
    ("witness", proposal("x integer", "2*x = 14", x="14/2")),
    ("witness", proposal("x positive_integer", "x^2 = 49", x="-7")),
    ("witness", proposal("x positive", "x^2 = 49", x="-7")),
    ("witness", proposal("x [0,5]", "x^2 = 49", x="7")),
    ("witness", proposal("x real", "1/x = 1/x", "x^2 = 0", x="0")),
    ("witness", proposal("x real", "x = 5 + 0/x", x="oo")),
    ("witness", proposal("x real", "x = 7 + x - x", x="y")),
    ("name exactly", proposal("x integer, y integer", "x + y = 30", x="7")),
    ("name exactly", proposal("x integer", "x + x = 30", x="15", y="3")),
    ("not constrained", proposal("x integer, y integer", "x^2 = 961", x="31", y="3")),
    ("not constrained", proposal("x integer, y integer", "x^2 + 0*y = 961", x="31", y="3")),
    ("1 to 4", proposal("x integer", x="1")),
    ("1 to 4", proposal("x integer", *["x = 31"] * 5, x="31")),
    ("1 to 4", proposal("a real, b real, c real, d real, e real", "a+b+c+d+e = 99", a="99", b="0", c="0", d="0", e="0")),
    ("not a known name", proposal("x integer", "x + z = 31", x="31")),
    ("one is needed", proposal("x integer", "x + 31", x="31")),
    ("one is needed", proposal("x integer", "3 < x < 31", x="30")),
    ("kind", proposal("x complex", "x = 31", x="31")),
    ("kind", proposal("x [5,0]", "x = 31", x="31")),
    ("symbol", proposal("pi real", "pi = 31", pi="31")),
    ("symbol", proposal("sin real", "sin = 31", sin="31")),
    ("above 1000000", proposal("x integer", "x = 1000001", x="1000001")),
    ("degree", proposal("x integer", "x^13 = 8192", x="2")),
    ("degree", proposal("x integer", "x^7*x^6 = 8192", x="2")),
    ("power", proposal("x integer", "(x^2)^3 = 64000000", x="20")),
    ("160", proposal("x integer", "x" + " + 0" * 40 + " = 31", x="31")),
    ("nodes", proposal("x integer", "x" + "+1" * 45 + "=76", x="31")),
    ("nested", proposal("x integer", "|" * 0 + "-(1-(1-(1-(1-(1-(1-(1-(1-(1-x)))))))))=31", x="31")),
    ("ASCII", proposal("x integer", "x = 3\n1", x="31")),
    ("ASCII", proposal("x integer", "x \u2212 1 = 30", x="31")),
]


@pytest.mark.parametrize(("reason", "refused"), REFUSED)
def test_what_is_no_task_is_refused_with_its_reason(reason: str, refused: AbductionProposal) -> None:
    with pytest.raises(azr.InvalidTask, match=reason):
        VERIFIER.admit(refused)


@pytest.mark.parametrize(
    "admitted",
    [
        proposal("x real, y real", "x/y = 1", "x = y", x="5", y="5"),
        proposal(
            "a positive_integer, b positive_integer, c positive_integer", "a^2 + b^2 = c^2", "gcd(a,b) = 1", "c > 20", a="7", b="24", c="25"
        ),
        proposal("n positive_integer", "n! = 120", n="5"),
        proposal("x [0, 10]", "x^2 = 30", x="sqrt(30)"),
        proposal("x real", "cos(x) = x*0 - 1", "3 < x", "x < 4", x="pi"),
        proposal("x integer", "|x - 4| = 17", "x >= 4", x="21"),
    ],
)
def test_ordinary_systems_are_tasks_whose_own_answer_solves_them(admitted: AbductionProposal) -> None:
    asked = VERIFIER.admit(admitted)
    assert VERIFIER.grade(asked, asked.answer) == 1.0
    assert AbductionTask.model_validate_json(asked.model_dump_json()) == asked
    assert not any(value in asked.question for value in admitted.witness.values() if len(value) > 1)


def test_names_and_order_make_no_other_task_and_numbers_no_other_skeleton() -> None:
    same = task("v integer, u integer", "9 = v - u", "2*u + 3*v = 7", v="5", u="-4")
    other = task("x integer, y integer", "3*x + 2*y = 11", "x - y = 7", x="5", y="-2")
    turned = task("x integer", "2 < x", "x^2 - 5*x - 24 = 0", x="8")
    assert same.key() == PAIR.key() != other.key()
    assert turned.key() == QUADRATIC.key()
    assert VERIFIER.skeleton(other) == VERIFIER.skeleton(PAIR) != VERIFIER.skeleton(QUADRATIC)
    assert VERIFIER.skeleton(task("x integer", "x^3 - 5*x - 472 = 0", "x > 2", x="8")) != VERIFIER.skeleton(QUADRATIC)


def test_a_witness_or_a_kind_does_and_does_not_make_another_task() -> None:
    systems = [task("x real", "x^2 = 225", x=value) for value in ("15", "-15")]
    assert systems[0].key() == systems[1].key() != task("x positive", "x^2 = 225", x="15").key()


def test_measures_tell_size_and_whether_a_guess_would_do() -> None:
    assert VERIFIER.measures(QUADRATIC, ()) == {"size": 12, "depth": 4, "operations": 4, "unknowns": 1, "common_answer": 0}
    assert VERIFIER.measures(task("x integer", "x^5 + 3*x = 35 + 3", x="2"), ())["common_answer"] == 1


def test_an_unknown_field_makes_a_proposal_invalid() -> None:
    fields: dict[str, Any] = {"unknowns": {"x": "integer"}, "constraints": ["x = 31"], "witness": {"x": "31"}, "gold": "31"}
    with pytest.raises(ValueError, match="gold"):
        AbductionProposal.model_validate(fields)


@pytest.mark.parametrize(
    "text",
    [
        "find: x integer, y [0, 1/2]\nwith: x + y = 31\nwith: y > 0\nanswer: y=1/3, x=92/3",
        "\n  find : x integer\r\n\nwith: x=31  \nanswer: 31\n",
    ],
)
def test_a_proposal_is_read_from_lines(text: str) -> None:
    read = PROPOSER.parse(text, ())
    assert PROPOSER.parse(read.text(), ()) == read
    assert read.constraints[0].endswith("31") and "x" in read.witness


@pytest.mark.parametrize(
    "text",
    [
        "",
        "find: x integer\nwith: x = 31",
        "find: x integer\nanswer: 31",
        "find: x\nwith: x = 31\nanswer: 31",
        "find: x integer, x real\nwith: x = 31\nanswer: 31",
        "find: x integer\nfind: x integer\nwith: x = 31\nanswer: 31",
        "find: x integer\nwith: x = 31\nanswer: 31\ngold: 31",
        "find: x integer\nwith: x = 31\nanswer: y=31",
        "find: x integer\nwith: x = 31\nanswer: 31\nthat is all",
        "x" * 5_000,
    ],
)
def test_a_proposal_of_another_form_is_malformed(text: str) -> None:
    with pytest.raises(azr.FormatError):
        PROPOSER.parse(text, ())


@given(st.text(alphabet=string.printable + "\u2028\u0668", max_size=120))
def test_any_answer_is_graded_or_malformed(answer: str) -> None:
    for asked in (QUADRATIC, PAIR, SURD):
        assert score(asked, answer) in (0.0, 1.0)


@given(st.text(alphabet="fndwithaser: xy=,0123456789+-*/^()[]<>\n", max_size=160))
def test_any_proposal_text_is_read_or_malformed_and_judged(text: str) -> None:
    try:
        VERIFIER.admit(PROPOSER.parse(text, ()))
    except (azr.FormatError, azr.InvalidTask):
        return


@given(st.integers(-99, 99), st.integers(-99, 99))
def test_only_the_solution_of_two_independent_equations_solves_them(x: int, y: int) -> None:
    assert score(PAIR, json.dumps({"x": x, "y": y})) == float((x, y) == (5, -4))


@given(st.fractions(max_denominator=50), st.fractions(max_denominator=50))
def test_values_are_read_back_from_their_text(x: Fraction, y: Fraction) -> None:
    assert read_values(f"y = {y}, x={x}", ["x", "y"]) == {"x": str(x), "y": str(y)}


def test_separators_inside_brackets_do_not_split() -> None:
    assert split("x=root(8, 3), y=|2|, [1, 2]") == ["x=root(8, 3)", "y=|2|", "[1, 2]"]


def test_labels_are_those_that_were_asked_for() -> None:
    assert read_lines("a: 1\nb: 2: 3", ("a", "b", "c")) == {"a": ["1"], "b": ["2: 3"], "c": []}
