"""The Python plugin's view of programs: the screen, leaks, identity, skeleton."""

from __future__ import annotations

import ast

import pytest

import azr_core as azr
from azr_plugins_python.measures import describe, edit_distance
from azr_plugins_python.screen import BANNED_MODULES, MAX_DEPTH, Screen, leaks
from azr_plugins_python.shape import arguments_key, depth, parse, program_key, skeleton
from azr_plugins_python.tasks import AbductionTask, DeductionTask, InductionProposal, InductionTask

PLAIN = "def f(x):\n    return x + 1"


@pytest.mark.parametrize(
    "program",
    [
        PLAIN,
        "# a comment\nLIMIT = 3\ndef f(x):\n    global LIMIT\n    print(x)\n    return LIMIT",
        "class P:\n    def __init__(self, n):\n        self.n = n\ndef f(x):\n    def g(y):\n        return y\n    return g(P(x).n)",
        "from math import gcd\nimport re, itertools\ndef f(x):\n    return gcd(x, 2)",
        "f = lambda x: x",
        "if True:\n    def f(x):\n        return x",
        "def id(x):\n    return x\ndef f(x, hash):\n    return id(x) + hash(x)",
        'def f(x):\n    return f"{x!r:>{10}} {x[0]}"',
    ],
)
def test_the_screen_lets_ordinary_programs_through(program: str) -> None:
    Screen.PAPER.check(program)
    assert skeleton(program)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("def g(x):\n    return x", "no function f"),
        ("class f2:\n    def f(self):\n        return 1", "no function f"),
        ("def g():\n    def f(x):\n        return x", "no function f"),
        ("def f(x)\n    return x", "not Python"),
        ("def f(x):\n    return '\0'", "not Python"),
        ("import os\n" + PLAIN, "imports os"),
        ("def f(x):\n    from os.path import join\n    return x", r"imports os\.path"),
        ("import math, sys as system\n" + PLAIN, "imports sys"),
        ("def f(x):\n    return __import__('math').pi", "calls __import__"),
        ("def f(x):\n    return hash(x) % 2", "calls hash"),
        ("def f(x):\n    return '" + "a" * 9000 + "'", "too large"),
        ("def f(x):\n    return " + "x + " * 500 + "x", "nested too deeply"),
        ("def f(x):\n    return " + "-" * 4000 + "x", "not Python|nested too deeply"),
        ("def f(x):\n    return " + "(" * 4000, "not Python"),
        ("def f(x):\n    return x" + ".y" * 3000, "not Python|nested too deeply"),
    ],
)
def test_the_screen_refuses_with_the_reason(program: str, reason: str) -> None:
    with pytest.raises(azr.InvalidTask, match=reason):
        Screen.PAPER.check(program)


RELEASED = (
    "bcrypt", "calendar", "datetime", "hashlib", "hmac", "logging", "multiprocessing", "pebble", "random", "subprocess", "threading",
    "time",
)  # fmt: skip


@pytest.mark.parametrize("form", ["import {}", "import {} as m", "from {} import x", "import a.{}", "from x import {}"])
def test_the_reference_screen_catches_the_released_list_wherever_it_stands_in_an_import(form: str) -> None:
    for module in RELEASED:
        with pytest.raises(azr.InvalidTask, match="imports"):
            Screen.REFERENCE.check(f"{form.format(module)}\n{PLAIN}")


@pytest.mark.parametrize("module", ["sys", "shutil", "os", "os.path", "socket"])
def test_the_reference_screen_misses_what_the_released_code_misses_and_the_papers_does_not(module: str) -> None:
    Screen.REFERENCE.check(f"import {module}\n{PLAIN}")
    with pytest.raises(azr.InvalidTask, match=f"imports {module}"):
        Screen.PAPER.check(f"import {module}\n{PLAIN}")


def test_the_papers_screen_holds_the_released_list_and_sys_and_shutil() -> None:
    assert {*RELEASED, "sys", "shutil"} <= BANNED_MODULES


def test_the_deepest_program_that_passes_can_be_described() -> None:
    program = "def f(x):\n    return " + "x + " * (MAX_DEPTH - 6) + "x"
    Screen.PAPER.check(program)
    assert depth(parse(program)) >= MAX_DEPTH - 3
    assert program_key(program) and skeleton(program) and describe(program) and edit_distance(program, [program]) == 0.0


def test_layout_comments_quotes_and_docstrings_do_not_make_another_task() -> None:
    plain = DeductionTask.of("def f(x, y):\n    return x + 'a'", "'b',  3", "'ba'")
    other = DeductionTask.of('def f(x,y):\n  """Add."""\n\n  return (x+"a")  # add', '"b", 3', "'ba'")
    assert azr.task_id("python/deduction", plain) == azr.task_id("python/deduction", other)


def test_another_program_or_input_makes_another_task() -> None:
    tasks = [
        AbductionTask.of(PLAIN, "1", "2"),
        AbductionTask.of(PLAIN, "True", "2"),
        AbductionTask.of(PLAIN, "2", "3"),
        AbductionTask.of(PLAIN.replace("1", "2"), "1", "3"),
    ]
    assert len({task.key() for task in tasks}) == 4


def test_the_hint_does_not_make_another_induction() -> None:
    first, second = (InductionProposal(program=PLAIN, inputs=("1", "2"), message=message) for message in ("add", "add one"))
    assert InductionTask.of(first, ("2", "3")).key() == InductionTask.of(second, ("2", "3")).key()


def test_arguments_are_known_by_value() -> None:
    assert arguments_key("3,'a' , k=[1,2]") == arguments_key('3, "a", k=[1, 2]  # comment')
    assert arguments_key("1") != arguments_key("1.0")


def test_a_skeleton_forgets_constants_and_names() -> None:
    one = "def f(a, b):\n    total = -3\n    for item in a:\n        total += item * b\n    return str(total) + 'x'"
    two = "def f(x, y):\n    s = 7\n    for z in x:\n        s += z * y\n    return str(s) + 'long'"
    assert skeleton(one) == skeleton(two)
    assert skeleton(one) != skeleton(one.replace("*", "-"))
    assert "str(" in skeleton(one)


def test_a_program_that_cannot_be_unparsed_still_has_a_skeleton() -> None:
    program = "def f(x):\n    return f\"{'a\u200bb'}\""
    with pytest.raises(ValueError, match="backslash"):
        ast.unparse(parse(program))
    Screen.PAPER.check(program)
    assert skeleton(program) and describe(program)["lines"] > 0 and not leaks("hint", program)


@pytest.mark.parametrize(
    "message",
    [
        "Hint: return n * n + 1",
        "use\n  return   n*n+1",
        "def f(n): something",
        "it starts with: def",
        "x = 'some text', then go on",
    ],
)
def test_fault_13_a_message_that_contains_the_program_is_found(message: str) -> None:
    assert leaks(message, 'def f(n):\n    """Square and add."""\n    x = "some text"\n    return n * n + 1')


@pytest.mark.parametrize("message", ["", "square it and add one", "Square and add.", "the default is one", "return n"])
def test_an_honest_hint_is_no_leak(message: str) -> None:
    assert not leaks(message, 'def f(n):\n    """Square and add."""\n    # square it and add one\n    return n * n + 1')
