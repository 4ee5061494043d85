"""Tables of the program generator: expressions, conditions and loops over int, list of int and str, each with a hint in words.

In the templates {i} {j} are two int variables, {l} a list, {s} a str and {t} the variable a loop fills; {c} {m} {k} {z} {b} are small
numbers and {h} {g} two letters.
"""

from __future__ import annotations

from enum import StrEnum

LETTERS = "bcgjkwz"  # no two of them meet in a keyword, so a byte-pair tokenizer keeps strings letter by letter


class Kind(StrEnum):
    """The three value types; the value is the letter used in signatures."""

    INT = "i"
    LIST = "l"
    TEXT = "s"


# (expression, hint)
EXPRESSIONS: dict[Kind, tuple[tuple[str, str], ...]] = {
    Kind.INT: (
        ("{i} + {c}", "add {c}"), ("{i} - {c}", "sub {c}"), ("{i} * {m}", "mul {m}"), ("{i} % {k}", "mod {k}"),
        ("{i} // {k}", "div {k}"), ("abs({i})", "abs"), ("max({i}, {c})", "max {c}"), ("min({i}, {c})", "min {c}"),
        ("{i} + {j}", "add both"), ("{i} - {j}", "sub both"), ("{i} * {j}", "mul both"), ("len({l})", "len"), ("sum({l})", "sum"),
        ("max({l})", "max"), ("min({l})", "min"), ("{l}[0]", "first"), ("{l}[-1]", "last"), ("{l}.count({c})", "count {c}"),
        ("len({s})", "len"), ("{s}.count('{h}')", "count {h}"), ("{s}.find('{h}')", "find {h}"), ("sum({l}) + {c}", "sum, add {c}"),
        ("len({l}) * {m}", "len, mul {m}"), ("len({s}) + {c}", "len, add {c}"), ("{l}[0] + {l}[-1]", "ends"),
        ("max({l}) - min({l})", "spread"), ("{i} * {m} + {c}", "mul {m}, add {c}"), ("{c} - {i}", "flip {c}"),
        ("sum({l}[:2])", "sum head"), ("{i} + len({s})", "add len"), ("{i} + sum({l})", "add sum"), ("sum({l}) % {k}", "sum, mod {k}"),
    ),
    Kind.LIST: (
        ("{l}[::-1]", "reverse"), ("sorted({l})", "sort"), ("{l}[1:]", "tail"), ("{l}[:2]", "head"), ("{l}[:-1]", "init"),
        ("{l} + [{c}]", "append {c}"), ("[{c}] + {l}", "prepend {c}"), ("{l} + [{i}]", "append"),
        ("[v + {c} for v in {l}]", "each add {c}"), ("[v * {m} for v in {l}]", "each mul {m}"),
        ("[v - {c} for v in {l}]", "each sub {c}"), ("[v for v in {l} if v > {c}]", "keep over {c}"),
        ("[v for v in {l} if v < {c}]", "keep under {c}"), ("[v for v in {l} if v % 2 == 0]", "keep even"), ("{l} * 2", "twice"),
        ("[{i}, {j}]", "pair"), ("list(range({i}))", "range"), ("[len({s})]", "list len"), ("{l}[{z}:]", "skip {z}"),
        ("[{i}] + {l}", "prepend"), ("[v + {i} for v in {l}]", "each add var"), ("sorted({l})[::-1]", "sort, reverse"),
        ("[max({l}), min({l})]", "max min"),
    ),
    Kind.TEXT: (
        ("{s}[::-1]", "reverse"), ("{s}.upper()", "upper"), ("{s} + '{h}'", "append {h}"), ("'{h}' + {s}", "prepend {h}"),
        ("{s} * 2", "twice"), ("{s}[0]", "first"), ("{s}[1:]", "tail"), ("{s}[:-1]", "init"),
        ("{s}.replace('{h}', '{g}')", "replace {h} {g}"), ("str({i})", "str"), ("{s}[:2]", "head"), ("''.join(sorted({s}))", "sort"),
        ("{s}[-1]", "last"), ("{s} + {s}[0]", "append first"), ("{s} + str({i})", "append str"),
    ),
}  # fmt: skip
CONDITIONS: tuple[tuple[str, str], ...] = (
    ("{i} > {c}", "if over {c}"), ("{i} % 2 == 0", "if even"), ("{i} < {c}", "if under {c}"), ("len({l}) > {z}", "if long {z}"),
    ("{c} in {l}", "if has {c}"), ("'{h}' in {s}", "if has {h}"), ("{i} < {j}", "if less"), ("len({s}) > {z}", "if long {z}"),
    ("{l}[0] > {c}", "if first over {c}"), ("sum({l}) > {b}", "if sum over {b}"),
)  # fmt: skip
# (loop head, first value of the new variable {t}, its kind, body lines, hint)
LOOPS: tuple[tuple[str, str, Kind, tuple[str, ...], str], ...] = (
    ("{l}", "0", Kind.INT, ("{t} += c",), "loop sum"), ("{l}", "0", Kind.INT, ("{t} += c * {m}",), "loop sum mul {m}"),
    ("{l}", "0", Kind.INT, ("{t} += c + {z}",), "loop sum add {z}"), ("{l}", "0", Kind.INT, ("{t} += c % 2",), "loop count odd"),
    ("{l}", "0", Kind.INT, ("if c > {k}:", "    {t} += c"), "loop sum over {k}"),
    ("{l}", "0", Kind.INT, ("if c > {k}:", "    {t} += 1"), "loop count over {k}"),
    ("{l}", "0", Kind.INT, ("if c < {k}:", "    {t} += c"), "loop sum under {k}"),
    ("{l}", "0", Kind.INT, ("if c < {k}:", "    {t} += 1"), "loop count under {k}"),
    ("{l}", "[]", Kind.LIST, ("{t} = [c] + {t}",), "loop reverse"), ("{l}", "[]", Kind.LIST, ("{t} = {t} + [c * {m}]",), "loop mul {m}"),
    ("{l}", "[]", Kind.LIST, ("{t} = {t} + [c + {z}]",), "loop add {z}"), ("{s}", "''", Kind.TEXT, ("{t} = c + {t}",), "loop reverse"),
    ("{s}", "''", Kind.TEXT, ("{t} = {t} + c + c",), "loop double"),
    ("{s}", "''", Kind.TEXT, ("{t} = {t} + c + '{h}'",), "loop append {h}"),
    ("{s}", "0", Kind.INT, ("if c == '{h}':", "    {t} += 1"), "loop count {h}"),
    ("{s}", "0", Kind.INT, ("if c > '{h}':", "    {t} += 1"), "loop count over {h}"),
)  # fmt: skip
RANGE_BODIES = (
    ("{i} += c", "loop add index"),
    ("{i} += {m}", "loop add {m}"),
    ("{i} -= c", "loop sub index"),
    ("{i} = {i} + c + 1", "loop add next"),
)
SIGNATURES = tuple(tuple(map(Kind, text)) for text in ("i", "i", "l", "l", "l", "s", "s", "ii", "li", "si", "ll", "ls"))
VARIABLE_OF = {"i": Kind.INT, "l": Kind.LIST, "s": Kind.TEXT}
