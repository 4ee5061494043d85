"""The error task of the Python plugin: which error does a program raise, if any?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Any

import pytest

import azr_core as azr
from azr_core.testing import check_environment
from azr_plugins_python.environments import ERROR, make_environments, make_executor
from azr_plugins_python.executor import Executor
from azr_plugins_python.options import Options
from azr_plugins_python.tasks import ErrorTask, ProgramProposal

SHORT = "def f(x):\n    return x[3]"


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with make_executor(Options(wall_s=10, slots=2)) as built:  # a busy machine must not decide
        yield built


@pytest.fixture(scope="module")
def environment(executor: Executor) -> azr.Environment:
    return asked(executor)


def asked(executor: Executor, **settings: Any) -> azr.Environment:
    options = Options.model_validate({"error_task": True} | settings)
    return {made.name: made for made in make_environments(options, executor)}[ERROR]


def admit(environment: azr.Environment, program: str, input: str) -> str:
    """The error's name, or the reason of the refusal."""
    try:
        task = environment.verifier.admit(ProgramProposal(program=program, input=input))
    except azr.InvalidTask as refusal:
        return f"refused: {refusal}"
    assert isinstance(task, ErrorTask) and task.answer == task.output
    return task.answer


def test_the_error_task_is_off_until_it_is_asked_for(executor: Executor) -> None:
    assert ERROR not in {made.name for made in make_environments(Options(), executor)}


def test_nothing_is_wrong_with_it_but_that_the_names_of_errors_are_few(environment: azr.Environment) -> None:
    [finding] = check_environment(environment)
    assert finding.startswith("statistical.adversarial_floor: the constant reply 'TypeError'")


@pytest.mark.parametrize(
    ("program", "input", "name"),
    [
        (SHORT, "[1, 2]", "IndexError"),
        (SHORT, "[1, 2, 3, 4]", "NoError"),
        (SHORT, "{}", "KeyError"),
        ("def f(x):\n    try:\n        return 1 // x\n    except ZeroDivisionError:\n        return {}[x]", "0", "KeyError"),
        ("class Full(Exception):\n    pass\ndef f(x):\n    raise Full(x)", "1", "Full"),
        ("def f(x):\n    assert x > 3\n    return x", "2", "AssertionError"),
        ("def f(x):\n    raise SystemExit", "2", "SystemExit"),
        ("def f(x):\n    return object()", "2", "NoError"),
        ("def f(x):\n    return x", "1, 2", "TypeError"),
        ("def type(x):\n    return 'ValueError'\ndef f(x):\n    return x[0]", "[]", "IndexError"),
    ],
)
def test_the_gold_is_the_name_that_the_run_gave(environment: azr.Environment, program: str, input: str, name: str) -> None:
    assert admit(environment, program, input) == name


@pytest.mark.parametrize(
    ("program", "input", "reason"),
    [
        ("def f(x):\n    return f(x)", "1", "RecursionError, which depends on the machine"),
        ("def f(x):\n    return [0] * 10 ** 12", "1", "MemoryError|memory"),
        ("def f(x):\n    while True:\n        x += 1", "1", "timeout"),
        ("def f(x):\n    import nothing_such\n    return x", "1", "ImportError"),
        ("def f(x):\n    return open(x)", "'a'", r"calls open\(\)"),
        ("def f(x):\n    exit()", "1", r"calls exit\(\)"),
        ("x = 1 // 0\ndef f(x):\n    return x", "1", "error: ZeroDivisionError"),
        ("def f(x):\n    return x", "y", "not a list of literals"),
        ("import os\ndef f(x):\n    return x", "1", "imports os"),
        ("class BaseException(ValueError):\n    pass\ndef f(x):\n    return x", "1", "reserved"),
        ("class NoError(ValueError):\n    pass\ndef f(x):\n    raise NoError", "1", "reserved"),
        ("def f(x):\n    raise type('', (ValueError,), {})", "1", "no proper name"),
        ("def f(x)\n    return x", "1", "not Python"),
    ],
)
def test_what_other_machines_would_see_differently_is_no_task(environment: azr.Environment, program: str, input: str, reason: str) -> None:
    with pytest.raises(azr.InvalidTask, match=reason):
        environment.verifier.admit(ProgramProposal(program=program, input=input))


@pytest.mark.parametrize(
    "program",
    [
        "def f(x):\n    if list({'a', 'b', 'c', 'd', 'e'})[0] < 'c':\n        return 1\n    raise ValueError",
        "def f(x):\n    raise [ValueError, TypeError, KeyError, IndexError][list({'a', 'b', 'c', 'd'}).index('a')]",
        "n = []\ndef f(x):\n    n.append(x)\n    if len(n) > 1:\n        raise ValueError",
    ],
)
def test_an_error_that_comes_and_goes_is_no_task(environment: azr.Environment, program: str) -> None:
    assert admit(environment, program, "1").startswith("refused: nondeterministic")


def test_an_answer_is_the_name_to_the_letter_bare_or_in_a_block(environment: azr.Environment) -> None:
    task = ErrorTask.of(SHORT, "[1]", "IndexError")
    right, wrong = ("IndexError", " IndexError\n", "```output\nIndexError\n```"), ("indexerror", "KeyError", "NoError", "LookupError")
    assert [environment.verifier.grade(task, answer) for answer in right] == [1.0, 1.0, 1.0]
    assert all(environment.verifier.grade(task, answer).outcome is azr.Outcome.WRONG for answer in wrong)
    for answer in ("", "IndexError: list index out of range", "'IndexError'", "builtins.IndexError", "IndexError()"):
        with pytest.raises(azr.FormatError):
            environment.verifier.grade(task, answer)


@pytest.mark.parametrize(
    ("banned", "program"),
    [
        ("raise", "def f(x):\n    raise ValueError"),
        ("assert", "def f(x):\n    assert x"),
        ("try", "def f(x):\n    try:\n        return x\n    finally:\n        x = 1"),
        ("except", "def f(x):\n    try:\n        return x\n    except KeyError:\n        x = 1"),
    ],
)
def test_statements_about_errors_can_be_banned(executor: Executor, environment: azr.Environment, banned: str, program: str) -> None:
    assert admit(asked(executor, error_banned=[banned]), program, "1") == f"refused: holds {banned}, which is banned in error tasks"
    assert not admit(environment, program, "1").startswith("refused")


def test_demonstrations_hold_errors_of_several_kinds_and_none(environment: azr.Environment) -> None:
    assert environment.demonstrations is not None
    names = Counter(example.answer for example in islice(environment.demonstrations(Random(0)), 300))
    assert {"NoError", "IndexError", "TypeError"} <= set(names)
    assert 0.2 < names["NoError"] / 300 < 0.5


def test_both_styles_have_prompts_and_references_show_their_error(environment: azr.Environment) -> None:
    assert set(environment.templates) == {"compact/propose", "compact/solve", "paper/propose", "paper/solve"}
    assert "NoError" in environment.templates["paper/solve"] and "{composite}" not in environment.templates["paper/propose"]
    assert "```output\nIndexError\n```" in environment.proposer.prompt([ErrorTask.of(SHORT, "[1]", "IndexError")])
