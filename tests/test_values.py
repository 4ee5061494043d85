"""Values: what is parsed, what is equal, what is shown."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azr_plugins_python.executor import LiteralError, canonical, display, equal, parse_arguments, parse_literal, unwrap_call
from azr_plugins_python.executor.codec import TooLarge, Unsupported, WireError, decode, encode

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers(allow_nan=True, allow_infinity=True)
    | st.text(max_size=20)
    | st.binary(max_size=20)
)
HASHABLE = st.recursive(SCALARS, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=4), max_leaves=6)
VALUES = st.recursive(
    HASHABLE,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.dictionaries(HASHABLE, inner, max_size=4)
        | st.sets(HASHABLE, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=12,
)


@given(VALUES)
@settings(max_examples=300, deadline=None)
def test_a_shown_value_reads_back_as_an_equal_value(value: object) -> None:
    assert equal(parse_literal(display(value)), value)


@given(VALUES)
@settings(max_examples=200, deadline=None)
def test_a_value_survives_the_wire_with_its_types(value: object) -> None:
    assert equal(decode(encode(value).encode()), value, "strict")


@given(VALUES, VALUES)
@settings(max_examples=200, deadline=None)
def test_equality_is_reflexive_and_agrees_with_the_canonical_key(a: object, b: object) -> None:
    assert equal(a, a) and equal(a, a, "strict")
    assert equal(a, b) == (canonical(a) == canonical(b))


@given(VALUES, VALUES)
@settings(max_examples=200, deadline=None)
def test_what_python_calls_equal_is_equal(a: object, b: object) -> None:
    assert equal(a, b) or a != b


@pytest.mark.parametrize(
    ("a", "b"),
    [(1, 1.0), (True, 1), (1, 1 + 0j), (0.0, -0.0), ({1, 2}, frozenset({2, 1})), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), (2**53, 2.0**53)],
)
def test_equal_follows_python_and_strict_also_asks_for_types(a: object, b: object) -> None:
    assert equal(a, b)
    assert equal(a, b, "strict") == (type(a) is type(b))


@pytest.mark.parametrize(("a", "b"), [([1], (1,)), ("1", 1), (b"a", "a"), (0.1 + 0.2, 0.3), ({1: 2}, {1: 3}), (None, False), ("", None)])
def test_values_that_differ_are_not_equal(a: object, b: object) -> None:
    assert not equal(a, b)


def test_nan_equals_nan_wherever_it_stands() -> None:
    assert equal([math.nan, {"a": (math.nan,)}], [math.nan, {"a": (math.nan,)}])


def test_an_unknown_match_rule_is_an_error() -> None:
    with pytest.raises(ValueError, match="fuzzy"):
        equal(1, 1, "fuzzy")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" 5 ", 5),
        ("5, 6", (5, 6)),
        ("1,", (1,)),
        ("5  # five, (really", 5),
        ("nan", math.nan),
        ("-inf", -math.inf),
        ("float('nan')", math.nan),
        ("set()", set()),
        ("frozenset([1, 2])", frozenset({1, 2})),
        ("dict(a=1, b=[2])", {"a": 1, "b": [2]}),
        ("-1-2j", -1 - 2j),
        ("'(((' # )", "((("),
        ("[1,\n 2]", [1, 2]),
        ("'a' 'b'", "ab"),
        ("'" + "(" * 200 + "'", "(" * 200),
    ],
)
def test_a_literal_is_read(text: str, value: object) -> None:
    assert equal(parse_literal(text), value, "strict")


HOSTILE = [
    *("", "  # only a comment", "5 6", "1)(2", "1) + (2j", "f(1)", "__import__('os')", "5 if True else 0", "(lambda: 5)()", "f'{1}'", "x"),
    *("(x := 5)", "[i for i in 'ab']", "...", "*[1]", "{**{}}", "{[1]: 2}", "{[1]}", "1 + 1", "not 1", "~1", "-'a'", "-True", "float('1')"),
    *("set('ab')", "dict([(1, 2)])", "dict(a=1, a=2)", "range(3)", "5\x00", "9" * 5000, "0x" + "f" * 4000, "'\ud800" + "a" * 9000, "5\n6"),
    *(
        "(" * 5000 + "5" + ")" * 5000,
        "[" * 100 + "]" * 100,
        "-" * 7000 + "5",
        "- " * 3000 + "5",
        "1+" * 3000 + "1j",
        "a" + ".a" * 3000,
        "yield",
    ),
    *(
        "(yield)",
        "await x",
        "print",
        "True and True",
        "1 < 2",
        "'a' % 1",
        "\\",
        "'",
        '"""',
        "set([[1]])",
        "frozenset(1, 2)",
        "complex('1')",
    ),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_literal_is_a_literal_error_and_nothing_else(text: str) -> None:
    with pytest.raises(LiteralError):
        parse_literal(text)


@given(st.text(alphabet="()[]{}'\"#\\,:=*-+~ \n0j.fnaxT", max_size=60))
@settings(max_examples=500, deadline=None)
def test_any_text_at_all_is_read_or_is_a_literal_error(text: str) -> None:
    for read in (parse_literal, parse_arguments, unwrap_call):
        try:
            read(text)
        except LiteralError:
            continue


def test_arguments_are_one_call() -> None:
    assert parse_arguments("3, 'a', k=[1]") == ((3, "a"), {"k": [1]})
    assert parse_arguments("") == ((), {})
    assert parse_arguments("1,") == ((1,), {})


@pytest.mark.parametrize("text", ["1)(2", "a=1, a=2", "*[1]", "**{}", "k=1, 2", "x for x in y", "1); f(2", "# )\n)("])
def test_what_is_not_one_call_of_literals_is_refused(text: str) -> None:
    with pytest.raises(LiteralError):
        parse_arguments(text)


@pytest.mark.parametrize(
    ("text", "inner"),
    [("f(1, 2)", "1, 2"), (" f( k=')' ) # so", " k=')' "), ("1, 2", "1, 2"), ("f(1), f(2)", "f(1), f(2)"), ("g(1)", "g(1)"), ("f()", "")],
)
def test_a_call_is_unwrapped_and_other_text_is_left_alone(text: str, inner: str) -> None:
    assert unwrap_call(text) == inner


def test_a_star_in_a_call_is_refused() -> None:
    with pytest.raises(LiteralError):
        unwrap_call("f(*[1, 2])")
    assert unwrap_call("f('*')") == "'*'"


def test_sets_are_shown_sorted() -> None:
    assert display({10, 3, 1, 2}) == "{1, 2, 3, 10}"
    assert display({"b", "a"}) == "{'a', 'b'}"
    assert display([set(), frozenset(), frozenset({2, 1})]) == "[set(), frozenset(), frozenset({1, 2})]"


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b"[", b"{}", b'{"s":[[1]]}', b'{"d":[[[1],2]]}', b'{"d":[1]}', b'{"d":{"a":1}}', b"1.5", b"NaN", b"[1e999]", b"9" * 5000),
        *(b"[" * 60000, b'{"t":' * 9000, b'{"x":1}', b'{"f":1}', b'{"f":"1_0"}', b'{"f":"0x1"}', b'{"b":"zz"}', b'{"b":1}', b'{"c":["1"]}'),
        *(
            b'{"c":"12"}',
            b'{"s":[1,1]}',
            b'{"s":[1,true]}',
            b'{"z":"ab"}',
            b'{"t":"ab"}',
            b'{"a":1,"b":2}',
            b"\xff",
            b"[1]" + b" " * 70000,
            b"null x",
        ),
    ],
)
def test_hostile_bytes_decode_to_a_wire_error_and_nothing_else(payload: bytes) -> None:
    with pytest.raises(WireError):
        decode(payload)


@given(st.binary(max_size=60) | st.text(alphabet='[]{}":,0179eEsdtzfbc.-naN ', max_size=60).map(str.encode))
@settings(max_examples=400, deadline=None)
def test_any_bytes_at_all_decode_or_are_a_wire_error(payload: bytes) -> None:
    try:
        value = decode(payload)
    except WireError:
        return
    assert equal(value, value)


def test_a_value_beyond_the_caps_is_too_large_and_another_type_unsupported() -> None:
    knot: list[object] = []
    knot.append(knot)
    for value in (knot, list(range(30_000)), "x" * 70_000, 10**4300, -(10**4300), b"x" * 70_000):
        with pytest.raises(TooLarge):
            encode(value)
    for other in (range(3), object(), int, ..., iter([]), type("I", (int,), {})(3)):
        with pytest.raises(Unsupported):
            encode([other])
