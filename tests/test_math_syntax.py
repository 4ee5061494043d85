"""The language of mathematics: what is read, what is refused, and what it may cost."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azr_plugins_math import guard
from azr_plugins_math.errors import MathError
from azr_plugins_math.latex import MAX_CHARACTERS, plain
from azr_plugins_math.nodes import Call, Constant, Name, Negation, Node, Number, Power, Product, Quotient, Sum, literal
from azr_plugins_math.syntax import ARITIES, canonical, depth, names, number, parse, size, substitute, text

X, Y, N = Name("x"), Name("y"), Name("n")
ONE, TWO, THREE = number(1), number(2), number(3)

READ: list[tuple[str, Node]] = [
    ("ln|x|", Call("log", (Call("abs", (X,)),))),
    ("-2^2", Negation(Power(TWO, TWO))),
    ("2^3^2", Power(TWO, Power(THREE, TWO))),
    ("2**3", Power(TWO, THREE)),
    ("2^-1", Power(TWO, Negation(ONE))),
    ("x - y - 1", Sum((X, Negation(Y), Negation(ONE)))),
    ("x/y/2", Quotient(Quotient(X, Y), TWO)),
    ("x*y/2", Quotient(Product((X, Y)), TWO)),
    ("2x", Product((TWO, X))),
    ("2x^2", Product((TWO, Power(X, TWO)))),
    ("2(x+1)", Product((TWO, Sum((X, ONE))))),
    ("(x+1)(y)", Product((Sum((X, ONE)), Y))),
    ("sin(x)(y)", Product((Call("sin", (X,)), Y))),
    ("-2x", Product((Negation(TWO), X))),
    ("3!", Call("factorial", (THREE,))),
    ("2^3!", Power(TWO, Call("factorial", (THREE,)))),
    ("|x - 1|", Call("abs", (Sum((X, Negation(ONE))),))),
    ("||x| - 1|", Call("abs", (Sum((Call("abs", (X,)), Negation(ONE))),))),
    ("ln(x)", Call("log", (X,))),
    ("arctan(x)", Call("atan", (X,))),
    ("e^x", Power(Constant("E"), X)),
    ("2pi", Product((TWO, Constant("pi")))),
    ("0.25", Number(Fraction(1, 4), decimal=True)),
    ("+x", X),
    (r"\frac{1}{2}", Quotient(ONE, TWO)),
    (r"\sqrt[3]{x}", Call("root", (X, THREE))),
    (r"2\sqrt{x}", Product((TWO, Call("sqrt", (X,))))),
    (r"\sin\left(x\right) \cdot x^{2}", Product((Call("sin", (X,)), Power(X, TWO)))),
    (r"\frac{\frac{1}{2}}{3}", Quotient(Quotient(ONE, TWO), THREE)),
    (r"\left|x\right|", Call("abs", (X,))),
    (r"-\infty", Negation(Constant("oo"))),
]

REFUSED = [
    *("ln|x", "ln|x|^2", "ln|x|!", "sin|x|y"),
    *(
        "",
        " ",
        "x y",
        "2 3",
        "1/2x",
        "1/(x)(y)",
        "x(y)",
        "2^3x",
        "x2",
        "xy",
        "3(",
        "(3",
        "3)",
        "()",
        "x,",
        ",",
        "*x",
        "x*",
        "x//y",
        "x^",
        "!3",
    ),
    *(
        "3!!",
        "|x",
        "x|",
        "||",
        "1e5",
        "0x10",
        ".5",
        "5.",
        "1_000",
        "1,000",
        "I",
        "i",
        "nan",
        "zoo",
        "inf",
        "True",
        "None",
        "z",
        "f(x)",
        "sin",
    ),
    *(
        "sin x",
        "sin()",
        "sin(x, y)",
        "root(x)",
        "log(1, 2, 3)",
        "x=1",
        "x==1",
        "x<1",
        "x>1",
        "x!=1",
        "x;y",
        "x:y",
        "{x}",
        "[x]",
        "'x'",
        '"x"',
    ),
    *("eval('2')", "__import__", "x.real", "lambda: x", "x if x else y", "x%2", "x&y", "x@y", "~x", "x\\y", "$x$", "#", "x\x00"),
    *(
        "diff(x^2, x)",
        "Derivative(x, x)",
        "Integral(x, x)",
        "Sum(x, (x, 1, 2))",
        "RootOf(x^2 - 2, 0)",
        "Symbol('x')",
        "Piecewise((x, x>0))",
    ),
    *("x\u00b2", "2\u00d7x", "\u22122", "\u03c0", "\uff12", "x\u200b", "\u0445", "\u221ax", "\u00bd", "\u0661"),
    *(
        r"\frac{1}",
        r"\frac12",
        r"2\frac{1}{2}",
        r"\boxed{2}",
        r"\text{x}",
        r"\sin x",
        r"\int x",
        r"\sqrt[n]{x}",
        r"x_{1}",
        r"\left[x\right]",
    ),
    *("\\", "\\\\", "{", "}", r"\frac{x}{y", r"\frac{x}}{y}", r"x\sin(x)", r"\operatorname{sin}(x)", r"\begin{x}", r"\def\x{1}"),
    *("1" * 41, "0." + "3" * 40, "x" * 3_000, "(" * 300 + "x" + ")" * 300, "-" * 500 + "x", "sin(" * 99 + "x" + ")" * 99, "2^" * 99 + "x"),
]


@pytest.mark.parametrize(("source", "tree"), READ)
def test_an_expression_is_read_as_it_is_meant(source: str, tree: Node) -> None:
    assert parse(source, ("x", "y")) == tree


@pytest.mark.parametrize("source", REFUSED)
def test_what_is_not_in_the_grammar_is_refused(source: str) -> None:
    with pytest.raises(MathError):
        parse(source, ("x", "y"))


def test_a_symbol_may_hide_the_number_e() -> None:
    assert parse("e", ("e",)) == Name("e")


def combined(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    calls = [
        st.tuples(*[inner] * least).map(lambda arguments, name=name: Call(name, arguments)) for name, (least, _) in sorted(ARITIES.items())
    ]
    return st.one_of(
        several.map(Sum),
        several.map(Product),
        inner.map(Negation),
        st.tuples(inner, inner).map(lambda pair: Quotient(*pair)),
        st.tuples(inner, inner).map(lambda pair: Power(*pair)),
        *calls,
    )


leaves = st.one_of(
    st.sampled_from([X, Y, Constant("pi"), Constant("E"), Constant("oo")]),
    st.integers(0, 10**9).map(number),
    st.integers(0, 10**6).map(lambda digits: Number(Fraction(digits, 1000), decimal=True)),
)
trees = st.recursive(leaves, combined, max_leaves=10)


@given(trees)
@settings(max_examples=300, deadline=None)
def test_a_tree_is_read_back_from_its_text(tree: Node) -> None:
    assert parse(text(tree), ("x", "y")) == tree


@given(st.one_of(st.text(max_size=60), st.text(alphabet="x1.+-*/^!|(), \\{}sinfractqo", max_size=60)))
@settings(max_examples=500, deadline=None)
def test_any_text_is_read_or_refused(source: str) -> None:
    try:
        tree = parse(source, ("x",))
        guard.check(tree)
    except MathError:
        return
    assert names(tree) <= {"x"}


@given(trees)
@settings(max_examples=100, deadline=None)
def test_the_canonical_key_does_not_see_names_or_the_order_of_sums(tree: Node) -> None:
    renamed = substitute(tree, {"x": Name("a"), "y": Name("b")})
    assert canonical(renamed) == canonical(tree)
    assert canonical(Sum((tree, ONE))) == canonical(Sum((ONE, tree)))


def test_different_expressions_have_different_keys() -> None:
    sources = ["x - y", "x + y", "x/y", "x^y", "x*y", "x*x", "sin(x)", "cos(x)", "2*x", "3*x", "x + x", "x^2"]
    assert len({canonical(parse(source, ("x", "y"))) for source in sources}) == len(sources)


@pytest.mark.parametrize(
    ("source", "value"),
    [("3", 3), ("-3", -3), ("1/2", Fraction(1, 2)), ("-1/2", Fraction(-1, 2)), ("-(1/2)", Fraction(-1, 2)), ("0.5", Fraction(1, 2))],
)
def test_literals(source: str, value: Fraction) -> None:
    assert literal(parse(source)) == value


@pytest.mark.parametrize("source", ["1+1", "2*3", "2^3", "--3", "1/0", "1/2/3", "0.5/2", "1/-2", "pi", "3!", "sqrt(4)"])
def test_what_holds_an_operation_is_no_literal(source: str) -> None:
    assert literal(parse(source)) is None


def test_size_counts_nodes_and_depth_the_longest_way() -> None:
    tree = parse("x^2 - 1", ("x",))
    assert (size(tree), depth(tree)) == (5, 3)


BOMBS = [
    *("9^9^9^9", "((9^9)^9999)^9999", "5^(5^(5^(5^5)))", "2^(10^9)", "exp(exp(exp(exp(10))))", "(1000!)!", "10^3001", "1/10^3001"),
    *("2000!", "10^2000*10^2000", "cosh(8000)", "x^10001", "+".join(["x"] * 400), "((10^-2000)^2)"),
]


@pytest.mark.parametrize("source", BOMBS)
def test_what_would_cost_too_much_is_refused_unseen(source: str) -> None:
    with pytest.raises(MathError):
        guard.check(parse(source, ("x",)))


@pytest.mark.parametrize(
    "source", ["1000*(x+1)^999", "1000!", "10^3000", "exp(exp(x))", "(1/2)^60", "sin(tan(-4*x^2-3)^3)", "x^(-6859/117)", "exp(x*log(x))"]
)
def test_what_is_large_but_harmless_passes(source: str) -> None:
    guard.check(parse(source, ("x",)))


@pytest.mark.parametrize("source", ["(x^2)^3", "2^3^2", "x^(2^x)", "1000001", "(-x^2)^2", "+".join(["x"] * 40), "sin(" * 9 + "x" + ")" * 9])
def test_tasks_have_narrower_bounds_than_answers(source: str) -> None:
    tree = parse(source, ("x",))
    guard.check(tree)
    with pytest.raises(MathError):
        guard.check(tree, guard.TASK)


def test_latex_is_read_up_to_a_length_and_no_further() -> None:
    assert plain(f"\\frac{{1}}{{2}}{' ' * (MAX_CHARACTERS - 11)}").strip() == "((1)/(2))"
    with pytest.raises(MathError, match="at most 8000 are read"):
        plain("\\frac{" * 100_000)
