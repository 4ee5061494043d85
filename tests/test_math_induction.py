"""Induction in mathematics: which formulas are tasks, where they are checked, and which formulas agree."""

from __future__ import annotations

import string
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import azr_core as azr
from azr_plugins_math.induction import InductionVerifier
from azr_plugins_math.proposers import InductionProposer
from azr_plugins_math.tasks import InductionProposal, InductionTask

VERIFIER, PROPOSER = InductionVerifier("key"), InductionProposer()
FIVE = (0, 1, 2, 3, 4)


def proposal(formula: str, visible: tuple[int, ...] = FIVE, message: str = "", var: str = "n") -> InductionProposal:
    return InductionProposal(var=var, formula=formula, visible=visible, message=message)


def task(formula: str, visible: tuple[int, ...] = FIVE, message: str = "") -> InductionTask:
    return VERIFIER.admit(proposal(formula, visible, message))


def score(asked: InductionTask, answer: str) -> float:
    try:
        graded = VERIFIER.grade(asked, answer)
    except azr.FormatError:
        return 0.0
    return graded.score if isinstance(graded, azr.Verdict) else graded


def hidden(asked: InductionTask) -> list[int]:
    return [point for point, _ in asked.points[asked.visible :]]


SQUARES = task("n^2 + n + 1")
CIRCLE = task("1 + binomial(n,1) + binomial(n,2) + binomial(n,3) + binomial(n,4)")
FIBONACCI = task("floor(((1+sqrt(5))/2)^n/sqrt(5) + 1/2)", (0, 1, 2, 3, 4, 5, 6))
SIGNS = task("cos(pi*n)", (0, 1, 2, 3))
MIXED = task("mod(n, 3) + 2^n", (0, 1, 2, 3, 4, 5))
HARMONIC = task("1/(n + 1)")


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        *((SQUARES, answer) for answer in ("n^2+n+1", "n*(n + 1) + 1", "(n + 1)^2 - n", "1 + n + n**2", "n^2+n+1.0", "((2n + 1)^2 + 3)/4")),
        (CIRCLE, "(n^4 - 2*n^3 + 11*n^2 + 14*n + 24)/24"),
        (FIBONACCI, "(((1+sqrt(5))/2)^n - ((1-sqrt(5))/2)^n)/sqrt(5)"),
        *((SIGNS, answer) for answer in ("(-1)^n", "1 - 2*mod(n, 2)", "cos(pi*n)")),
        *((MIXED, answer) for answer in ("2^n + n - 3*floor(n/3)", "mod(n,3)+2^n")),
        (HARMONIC, "(n + 1)^-1"),
        (HARMONIC, r"\frac{1}{n+1}"),
    ],
)
def test_a_formula_that_agrees_everywhere_solves_however_it_is_written(asked: InductionTask, answer: str) -> None:
    assert score(asked, answer) == 1.0


INTERPOLATED = "n^2 + n + 1 + n*(n - 1)*(n - 2)*(n - 3)*(n - 4)"


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        *((SQUARES, answer) for answer in ("", "n", "n^2+n", "21", INTERPOLATED, "n^2 + n*cos(2*pi*n) + 1 + sin(pi*n)*n + floor(n/5)")),
        *(
            (SQUARES, answer)
            for answer in ("f(n)", "f(n-1) + 2*n", "[1,3,7,13,21][n]", "{0:1}[n]", "Piecewise((1, n<1))", "1 if n == 0 else 3")
        ),
        *(
            (SQUARES, answer)
            for answer in ("n^2+n+1 = 0", "n^2+n+1, 0", "n^2+n+1 or n", "x^2+x+1", "lambda n: n^2+n+1", "oo", "n^2+n+1+0*oo")
        ),
        *((SQUARES, answer) for answer in ("n^2+n+1+10^-40", "n^2 + n + 1 + 0/(n - 2)", "(n^3 - 1)/(n - 1)", "n^2 + n + 1 + 0*log(n)")),
        *((SQUARES, answer) for answer in ("n^2 + abs(n) + 1", "n*|n| + n + 1", "n^2 + n + 1 + floor(n/50000)", "mod(n^2 + n + 1, 10^6)")),
        *(
            (SQUARES, answer)
            for answer in ("+".join("n" * 61), "n^2+n+1" + "+0" * 60, "9^9^9^9*0+n", "factorial(factorial(n))", "n" * 5_000)
        ),
        *((SQUARES, answer) for answer in ("__import__('os').getpid()", "n.__class__", "n\u00b2+n+1", "(" * 400 + "n" + ")" * 400)),
        (CIRCLE, "2^n"),
        *((FIBONACCI, answer) for answer in ("(1618/1000)^n/(2236/1000)", "((1+sqrt(5))/2)^n/sqrt(5)", "n")),
        *((SIGNS, answer) for answer in ("cos(3141592653589793*n/10^15)", "1", "(-1)^(n + 2)*(1 + 10^-60)", "(-1)^(n/1)*cos(10^-30)")),
        *((MIXED, answer) for answer in ("2^n", "mod(n,3) + exp(n*log(2)) + 10^-70", "mod(n, 3) + 2^n*cos(n*10^-50)")),
        (HARMONIC, "0.5^n"),
    ],
)
def test_anything_else_does_not(asked: InductionTask, answer: str) -> None:
    assert score(asked, answer) == 0.0


REFUSED: list[tuple[str, InductionProposal]] = [
    ("symbol itself", proposal("n", (0, 1, 2, 3))),
    ("symbol itself", proposal("n + 0*n^2")),
    ("constant", proposal("7")),
    ("constant", proposal("n - n + 3")),
    ("constant", proposal("cos(2*pi*n)")),
    ("4 to 12", proposal("n^2", (0, 1, 2))),
    ("4 to 12", proposal("n^2", (0, 1, 2, 2))),
    ("4 to 12", proposal("n^2", tuple(range(13)))),
    ("4 to 12", proposal("n^2", ())),
    ("beyond", proposal("n^2", (0, 1, 2, 10**7))),
    ("40 digits", proposal("2^n", (0, 1, 2, 200))),
    ("40 digits", proposal("factorial(n)", (0, 1, 2, 60))),
    ("no rational", proposal("1/n")),
    ("no rational", proposal("sqrt(n)")),
    ("no rational", proposal("log(n + 1)")),
    ("no rational", proposal("(-1)^(n/2)")),
    ("no rational", proposal("n^n")),
    ("no rational", proposal("n + 10^-9*sin(n)")),
    ("too few", proposal("factorial(12 - n)*0 + n^2", (0, 3, 6, 9, 12))),
    ("power", proposal("2^(n^2)")),
    ("power", proposal("2^2^n")),
    ("degree", proposal("n^13")),
    ("degree", proposal("n^6*n^7")),
    ("above 1000000", proposal("n + 1000001")),
    ("nodes", proposal("n" + "+1" * 45)),
    ("160", proposal("n" + "  + 1" * 40)),
    ("160", proposal("n^2", message="squares " * 21)),
    ("not a known name", proposal("n + m")),
    ("not a known name", proposal("f(n) + 1")),
    ("message contains", proposal("n^2 + 3*n", message="it is N**2+3 * n, is it not")),
    ("ASCII", proposal("n^2", message="one\ntwo")),
    ("ASCII", proposal("n\u00b2")),
    ("symbol", proposal("pi^2", var="pi")),
    ("symbol", proposal("floor^2", var="floor")),
    ("symbol", proposal("n^2", var="")),
    ("not expected|unreadable|ends", proposal("n^2 +")),
]


@pytest.mark.parametrize(("reason", "refused"), REFUSED)
def test_what_is_no_task_is_refused_with_its_reason(reason: str, refused: InductionProposal) -> None:
    with pytest.raises(azr.InvalidTask, match=reason):
        VERIFIER.admit(refused)


@pytest.mark.parametrize(
    "fields", [{"hidden": [9]}, {"visible": [0, 1, 2, 3.5]}, {"visible": [0, 1, True, 3]}, {"visible": ["0", 1, 2, 3]}]
)
def test_an_unknown_field_or_a_point_that_is_no_integer_makes_no_proposal(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        InductionProposal.model_validate({"var": "n", "formula": "n^2", "visible": [0, 1, 2, 3], "message": "", **fields})


@pytest.mark.parametrize("asked", [SQUARES, CIRCLE, FIBONACCI, SIGNS, MIXED, HARMONIC, task("n^3 - 2*n", (-2, -1, 0, 1, 2, 3))])
def test_a_task_is_solved_by_its_own_formula_and_hides_some_points_one_far_away(asked: InductionTask) -> None:
    assert VERIFIER.grade(asked, asked.answer) == 1.0
    assert InductionTask.model_validate_json(asked.model_dump_json()) == asked
    seen = [point for point, _ in asked.points[: asked.visible]]
    assert len(set(hidden(asked))) == len(hidden(asked)) >= 3 and not set(hidden(asked)) & set(seen)
    assert max(map(abs, hidden(asked))) > 2 * max(map(abs, seen)) + len(seen)
    assert all(f"f({point})" not in asked.question for point in hidden(asked))


def test_the_question_says_where_the_formula_is_checked() -> None:
    assert SQUARES.question == "var: n integer\nf(0) = 1\nf(1) = 3\nf(2) = 7\nf(3) = 13\nf(4) = 21"
    assert min(hidden(SQUARES)) < 0
    assert FIBONACCI.kind == MIXED.kind == "nonnegative_integer"
    assert min(hidden(FIBONACCI) + hidden(MIXED)) > 0
    assert task("2^n + 1", (-2, -1, 0, 1, 2)).kind == "integer"


def test_the_key_and_nothing_else_decides_the_hidden_points() -> None:
    again, other = InductionVerifier("key").admit(proposal("n^2 + n + 1")), InductionVerifier("another").admit(proposal("n^2 + n + 1"))
    assert again == SQUARES and hidden(other) != hidden(SQUARES) and other.key() == SQUARES.key()


def test_a_hint_a_name_or_an_order_makes_no_other_task_and_numbers_no_other_skeleton() -> None:
    renamed = VERIFIER.admit(proposal("1 + k + k^2", (4, 3, 2, 1, 0), "squares", "k"))
    assert renamed.key() == SQUARES.key() != task("n^2 + n + 1", (0, 1, 2, 3)).key()
    assert VERIFIER.skeleton(task("n^2 + n + 5")) == VERIFIER.skeleton(SQUARES) != VERIFIER.skeleton(task("n^3 + n + 5"))
    assert VERIFIER.measures(SQUARES, ())["size"] == 6


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("var: n\nformula: n^2\nvisible: 0, 1, 2, 3", proposal("n^2", (0, 1, 2, 3))),
        ("formula: n^2\n\nmessage: a: b\nvisible: -1,+2,3 , 4\nvar: n", proposal("n^2", (-1, 2, 3, 4), "a: b")),
    ],
)
def test_a_proposal_is_read_from_lines(text: str, read: InductionProposal) -> None:
    assert PROPOSER.parse(text, ()) == read
    assert PROPOSER.parse(read.text(), ()) == read


@pytest.mark.parametrize(
    "text",
    [
        "",
        "var: n\nformula: n^2",
        "var: n\nformula: n^2\nvisible: 0, 1, 2, x",
        "var: n\nformula: n^2\nvisible: 0, 1, 2, 3.0",
        "var: n\nformula: n^2\nvisible: [0, 1, 2, 3]",
        "var: n\nformula: n^2\nvisible: 0, 1, 2, 3\nhidden: 9",
        "var: n\nformula: n^2\nformula: n^3\nvisible: 0, 1, 2, 3",
        "n^2",
    ],
)
def test_a_proposal_of_another_form_is_malformed(text: str) -> None:
    with pytest.raises(azr.FormatError):
        PROPOSER.parse(text, ())


@given(st.text(alphabet=string.printable + "\u2028\u0668", max_size=120))
def test_any_answer_is_graded_or_malformed(answer: str) -> None:
    assert score(SQUARES, answer) in (0.0, 1.0) and score(FIBONACCI, answer) in (0.0, 1.0)


@given(st.text(alphabet="nfloormdcsqtp0123456789+-*/^(),! ", max_size=60))
def test_any_formula_is_a_task_that_it_solves_or_none(formula: str) -> None:
    try:
        asked = task(formula)
    except azr.InvalidTask:
        return
    assert VERIFIER.grade(asked, asked.answer) == 1.0


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 9))
def test_values_are_those_of_the_formula(a: int, b: int, c: int) -> None:
    asked = task(f"{c}*n^2 + {a}*n + {b}" if a >= 0 and b >= 0 else f"{c}*n^2 - {abs(a)}*n - {abs(b)}")
    a, b = (a, b) if a >= 0 and b >= 0 else (-abs(a), -abs(b))
    assert all(Fraction(value) == c * point * point + a * point + b for point, value in asked.points)
