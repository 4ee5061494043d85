"""Values: exact, numeric, derivatives, and whether two expressions are equal."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azr_plugins_math import exact, numeric
from azr_plugins_math.calculus import derivative
from azr_plugins_math.conditions import read_kind
from azr_plugins_math.errors import Inexact, MathError, Undefined
from azr_plugins_math.identities import identical, same_number
from azr_plugins_math.nodes import Node
from azr_plugins_math.polynomials import polynomial, tree
from azr_plugins_math.syntax import parse


@pytest.mark.parametrize(
    ("source", "value"),
    [
        *(
            ("17*23 - 4", 387),
            ("5^0", 1),
            ("0^5", 0),
            ("2^-2", Fraction(1, 4)),
            ("(1/2)^3", Fraction(1, 8)),
            ("0.1 + 0.2", Fraction(3, 10)),
        ),
        *(("root(-8, 3)", -2), ("cbrt(27)", 3), ("sqrt(9/4)", Fraction(3, 2)), ("8^(2/3)", 4), ("log(8, 2)", 3), ("log(1/9, 3)", -2)),
        *(("gcd(84, 126)", 42), ("lcm(4, 6)", 12), ("mod(-7, 3)", 2), ("binomial(5, 2)", 10), ("binomial(1/2, 2)", Fraction(-1, 8))),
        *(
            ("floor(-7/2)", -4),
            ("ceil(7/2)", 4),
            ("sign(-3)", -1),
            ("|-3|", 3),
            ("min(1, -2)", -2),
            ("5!", 120),
            ("exp(0)", 1),
            ("cos(0)", 1),
        ),
    ],
)
def test_exact_values(source: str, value: Fraction) -> None:
    assert exact.evaluate(parse(source)) == value


@pytest.mark.parametrize(
    "source",
    ["1/0", "0^0", "0^-1", "log(0)", "0*(1/0)", "oo", "oo - oo", "(-1)!", "1/2!/0", "mod(1, 0)", "(1/2)!", "gcd(1/2, 1)", "csc(0)", "x"],
)
def test_what_has_no_value_is_undefined_on_both_paths(source: str) -> None:
    with pytest.raises(Undefined):
        exact.evaluate(parse(source, ("x",)))
    with pytest.raises(Undefined):
        numeric.value(parse(source, ("x",)))


@pytest.mark.parametrize("source", ["tan(pi/2)", "1/sin(pi)", "1/(sqrt(2)^2 - 2)", "log(cos(pi/2))", "cot(pi)", "atanh(cos(0))"])
def test_a_pole_behind_rounding_is_still_a_pole(source: str) -> None:
    with pytest.raises(Undefined):
        numeric.value(parse(source))


@pytest.mark.parametrize("source", ["pi", "sqrt(2)", "sin(1)", "log(2)", "log(8, 3)", "2^(1/2)", "root(9, 3)", "0*pi"])
def test_what_no_fraction_can_hold_is_inexact(source: str) -> None:
    with pytest.raises(Inexact):
        exact.evaluate(parse(source))


@given(st.fractions(max_denominator=1000), st.integers(1, 6))
def test_a_root_undoes_a_power(base: Fraction, degree: int) -> None:
    root = exact.root_of(abs(base) ** degree, degree)
    assert root == abs(base)


SMOOTH = ["x^2*sin(x)", "x^x", "exp(x)/(x + 4)", "log(abs(x))", "sqrt(x + 3)*cbrt(x)", "sec(x)*csc(x)", "atan(x)*asin(x/3)", "2^x*tanh(x)"]
SMOOTH += ["root(x, 3)", "acosh(x + 2) + asinh(x)", "cot(x)*cosh(x)", "atanh(x/9) - acos(x/9)", "log(x, 3)", "sinh(tan(x))", "x^(2/3)"]


@pytest.mark.parametrize("source", SMOOTH)
@pytest.mark.parametrize("at", [Fraction(7, 5), Fraction(-11, 10)])
def test_derivatives_are_those_of_finite_differences(source: str, at: Fraction) -> None:
    node, step = parse(source, ("x",)), Fraction(1, 10**12)
    ahead, behind = (numeric.value(node, {"x": at + sign * step}) for sign in (1, -1))
    slope = numeric.value(derivative(node, "x"), {"x": at})
    assert abs((ahead - behind) * 10**12 / 2 - slope) < 1e-20 * abs(slope)


@pytest.mark.parametrize(
    ("one", "two"), [("sqrt(50) - sqrt(8)", "3*sqrt(2)"), ("sqrt(3 + 2*sqrt(2))", "1 + sqrt(2)"), ("cos(pi/5)", "(1+sqrt(5))/4")]
)
def test_equal_numbers(one: str, two: str) -> None:
    assert same_number(parse(one), parse(two))


@pytest.mark.parametrize(
    "other",
    [
        *(
            "sqrt(2) + 10^-50",
            "sqrt(2)*(1 + 10^-2000)",
            "sqrt(2) + exp(-500)",
            "sqrt(2 + 1/10^300)",
            "1.414213562373095048801688724209698078569",
        ),
        "4946041176255201878775086487573351061418/3497379255757941172020851852070562919437",
    ],
)
def test_numbers_that_agree_in_many_digits_are_not_equal(other: str) -> None:
    assert not same_number(parse("sqrt(2)"), parse(other))


def equal(one: str, two: str, kind: str = "real", seed: str = "s") -> bool:
    def read(source: str) -> Node:
        return parse(source, ("x",))

    return identical(read(one), read(two), {"x": read_kind(kind)}, seed)


@pytest.mark.parametrize(
    ("one", "two", "kind"),
    [
        *(("sin(x)^2", "1 - cos(x)^2", "real"), ("(x^2 - 1)/(x - 1)", "x + 1", "real"), ("sqrt(x^2)", "abs(x)", "real")),
        *(
            ("sqrt(x^2)", "x", "positive"),
            ("log(x^2)", "2*log(x)", "positive"),
            ("cos(pi*x)", "(-1)^x", "integer"),
            ("abs(x)", "x", "[0,3]"),
        ),
        *((("(x+1)^12", "(x^2+2*x+1)^6", "real"), ("sec(x)^2", "1 + tan(x)^2", "real"), ("x!/(x-1)!", "x", "positive_integer"))),
    ],
)
def test_identities_hold_on_their_domain(one: str, two: str, kind: str) -> None:
    assert equal(one, two, kind)


@pytest.mark.parametrize(
    ("one", "two", "kind"),
    [
        *(("sqrt(x^2)", "x", "real"), ("log(x^2)", "2*log(x)", "real"), ("log(x^3)", "3*log(x)", "real"), ("x", "-x", "real")),
        *(
            ("x", "x + 10^-60", "real"),
            ("x", "x*(1 + 10^-45)", "real"),
            ("x", "x + exp(-x^2 - 1000)", "real"),
            ("x", "x + (x/1000)^20", "real"),
        ),
        *(("x", "x + floor(x^2/10^9)", "real"), ("x", "10^6 - abs(x - 10^6)", "real"), ("exp(x)*0 + x", "x + floor(abs(x)/100)", "real")),
        *(("cos(pi*x)", "(-1)^x", "positive"), ("sqrt(x)^2", "abs(x)", "real"), ("asin(sin(x))", "x", "real"), ("2^x", "x^2", "integer")),
    ],
)
def test_what_differs_somewhere_is_no_identity(one: str, two: str, kind: str) -> None:
    assert not equal(one, two, kind)


@pytest.mark.parametrize(("one", "two"), [("x", "x + 0*log(0)"), ("x", "x/(x - x)"), ("exp(x)", "exp(x) + floor(abs(x)/10^30)")])
def test_what_cannot_be_told_is_refused(one: str, two: str) -> None:
    with pytest.raises(MathError):
        equal(one, two)


def test_a_question_that_has_no_value_anywhere_tells_nothing() -> None:
    with pytest.raises(MathError, match="points"):
        equal("1/(x - x)", "x")


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 4), st.integers(0, 3)), max_size=6))
@settings(deadline=None)
def test_a_polynomial_is_read_back_from_its_tree(terms: list[tuple[int, int, int]]) -> None:
    source = " + ".join(f"({a})*x^{i}*y^{j}/3" if i and j else f"({a})" for a, i, j in terms) or "0"
    found = polynomial(parse(source, ("x", "y")))
    assert polynomial(tree(found)) == found
