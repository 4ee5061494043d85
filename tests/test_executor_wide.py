"""The wide zygote: programs that import numpy or sympy, what they may return, and what happens where they cannot be had."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from azr_plugins_python.executor import Executor, Job, Limits, Profile, Status
from azr_plugins_python.executor import slot as executor_slot
from azr_plugins_python.executor.profiles import package_folders, profile_of
from azr_plugins_python.screen import Screen

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the jail needs Linux"),
    pytest.mark.skipif(not package_folders(), reason="neither numpy nor sympy is installed"),
]


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with Executor(Limits(wall_s=10.0), slots=1) as built:
        yield built


@pytest.mark.parametrize(
    ("program", "profile"),
    [
        ("import numpy as np", Profile.wide),
        ("import math, sympy", Profile.wide),
        ("def f():\n    from sympy.ntheory import isprime", Profile.wide),
        ("x = 'numpy'", Profile.lean),
        ("import numpyro", Profile.lean),
    ],
)
def test_a_program_is_routed_by_its_imports(program: str, profile: Profile) -> None:
    assert profile_of(program) is profile


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (
            "numpy.sum(numpy.array([1, 2])), numpy.uint8(3), numpy.bool_(True), numpy.float64(0.5), numpy.complex128(1j)",
            (3, 3, True, 0.5, 1j),
        ),
        ("(numpy.eye(2) @ numpy.array([[1, 2], [3, 4]])).tolist()", [[1.0, 2.0], [3.0, 4.0]]),
        ("{numpy.int64(1): [numpy.float64(2)]}", {1: [2.0]}),
        ("sympy.Integer(3), sympy.S.Half * 2, sympy.Float(0.5), sympy.oo, sympy.true", (3, 1, 0.5, float("inf"), True)),
        ("sympy.zoo, sympy.sympify('x^2 + 1'), sympy.Rational(1, 3)", ("zoo", "x**2 + 1", "1/3")),
        ("sympy.factorint(60), sympy.isprime(97)", ({2: 2, 3: 1, 5: 1}, True)),
    ],
)
def test_numbers_become_builtin_ones_and_expressions_text(executor: Executor, expression: str, value: object) -> None:
    (result,) = executor.validate([Job(f"import numpy\nimport sympy\ndef f(): return {expression}", ("",))])
    assert result.status is Status.ok and repr(result.calls[0].value) == repr(value)


@pytest.mark.parametrize(
    ("expression", "status", "reason"),
    [
        ("numpy.array([1])", Status.unsupported_output, "ndarray"),
        ("numpy.float32(0.1)", Status.unsupported_output, "float32"),
        ("sympy.Matrix([[1]])", Status.unsupported_output, "MutableDenseMatrix"),
        ("sympy.Function('g')(sympy.Symbol('x')) + 1", Status.unsupported_output, "g"),
        ("type('Own', (sympy.Symbol,), {})('x') + 1", Status.unsupported_output, "Own"),
        ("numpy.zeros(10 ** 9).sum()", Status.memory, "MemoryError"),
        ("numpy.load('/etc/passwd')", Status.error, "PermissionError"),
        ("numpy.random.rand()", Status.nondeterministic, "value"),
        ("__import__('scipy')", Status.error, "ImportError"),
        ("__import__('mpmath')", Status.error, "ImportError"),
    ],
)
def test_what_is_no_value_and_what_is_not_allowed_has_its_status(executor: Executor, expression: str, status: Status, reason: str) -> None:
    (result,) = executor.validate([Job(f"import numpy\nimport sympy\ndef f(): return {expression}", ("",))])
    assert (result.status, result.reason) == (status, reason)


def test_the_wide_zygote_starts_only_when_a_program_needs_it_and_has_one_thread_and_one_slot() -> None:
    with Executor(slots=1) as built:
        built.run([Job("def f(): return 1", ("",))])
        assert list(built._pools) == [Profile.lean]
        results = built.run([Job("def f(): return 1", ("",)), Job("import numpy\ndef f(): return 2", ("",))])
        assert [result.calls[0].value for result in results] == [1, 2]
        (slot,) = built._pools[Profile.wide].slots
        assert len(list(Path(f"/proc/{slot.process.pid}/task").iterdir())) == 1


def test_where_the_packages_are_absent_the_import_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("azr_plugins_python.executor.profiles.package_folders", lambda: ())
    with Executor(slots=1) as built:
        (result,) = built.run([Job("import sympy\ndef f(): return 1", ("",))])
    assert (result.status, result.reason) == (Status.error, "ImportError")


def test_a_wide_zygote_that_does_not_start_spoils_only_its_own_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    with Executor(slots=1) as built:
        built.run([Job("def f(): return 1", ("",))])
        monkeypatch.setattr(executor_slot, "_ZYGOTE", "/nonexistent")
        for _ in range(2):
            wide, lean = built.run([Job("import numpy\ndef f(): return 2", ("",)), Job("def f(): return 1", ("",))])
            assert wide.status is Status.infra and lean.calls[0].value == 1


def test_the_gate_for_proposals_lets_both_packages_through() -> None:
    Screen.PAPER.check("import numpy as np\nfrom sympy import isprime\ndef f(x):\n    return isprime(x)")
