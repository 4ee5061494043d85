"""The executor: what runs, what each ending is called, and what survives a slot's death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from azr_plugins_python.executor import (
    Attempt,
    Executor,
    Job,
    Limits,
    Profile,
    Protection,
    SandboxUnavailable,
    Status,
    display,
    expression_job,
    literal_job,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail needs Linux")

DROP_ALL_CAPABILITIES = """
import ctypes, struct
libc = ctypes.CDLL(None)
for capability in range(41):
    libc.prctl(24, capability, 0, 0, 0)
libc.capset(struct.pack("II", 0x20080522, 0), struct.pack("IIIIII", *[0] * 6))
from azr_plugins_python.executor import Executor, Job
with Executor(slots=1) as executor:
    result, = executor.run([Job("def f(x): return x + 1", ("1",))])
    print(executor.protection().level, result.calls[0].value)
"""


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with Executor(Limits(cpu_s=0.4, wall_s=4.0), slots=2) as built:
        yield built


def test_results_come_in_the_order_of_the_jobs(executor: Executor) -> None:
    jobs = [Job(f"def f(x):\n    return x + {number}", ("1", "x=2")) for number in range(12)]
    values = [[call.value for call in result.calls] for result in executor.run(jobs)]
    assert values == [[number + 1, number + 2] for number in range(12)]


@pytest.mark.parametrize(
    ("program", "status", "reason"),
    [
        ("def f(): return 1 / 0", Status.error, "ZeroDivisionError"),
        ("def f(): raise SystemExit", Status.error, "SystemExit"),
        ("raise KeyError(1)", Status.error, "KeyError"),
        ("f = 5", Status.error, "TypeError"),
        ("def f(a): return a", Status.error, "TypeError"),
        ("def f(): return f()", Status.error, "RecursionError"),
        ("g = 5", Status.no_entry, ""),
        ("def f(:", Status.syntax_error, "SyntaxError"),
        ("def f():\n    return 1\x00", Status.syntax_error, "SyntaxError"),
        ("def f(): return '\ud800'\n#\ud800", Status.syntax_error, "UnicodeEncodeError"),
        ("def f():\n    while True: pass", Status.timeout, "cpu"),
        ("def f(): return bytearray(1 << 40)", Status.memory, "MemoryError"),
        ("def f(): return lambda: 1", Status.unsupported_output, "function"),
        ("class I(int): pass\ndef f(): return [I(3)]", Status.unsupported_output, "I"),
        ("def f(): return list(range(10 ** 6))", Status.output_too_large, ""),
        ("def f():\n    import os\n    os._exit(0)", Status.crash, "exited"),
        ("def f():\n    import os\n    os.kill(os.getpid(), 9)", Status.denied, "system call"),
        ("def f(): return open('/etc/passwd').read()", Status.error, "NameError"),
        ("def f():\n    import socket", Status.error, "ImportError"),
        ("type('E' * 300 + chr(10), (Exception,), {})\ndef f(): raise type('a b', (Exception,), {})", Status.error, ""),
    ],
)
def test_every_ending_has_its_status(executor: Executor, program: str, status: Status, reason: str) -> None:
    (result,) = executor.run([Job(program, ("",))])
    wall = Status.timeout if reason == "cpu" else None  # on a starved machine the backstop may come first
    assert (result.status, result.reason) == (status, reason) or (result.status, result.reason) == (wall, "wall")


def test_a_bad_input_spoils_only_its_own_call(executor: Executor) -> None:
    (result,) = executor.run([Job("def f(x): return x", ("1", "1)(2", "g()", "3"))])
    assert [call.status for call in result.calls] == [Status.ok, Status.bad_input, Status.bad_input, Status.ok]
    assert result.status is Status.bad_input


def test_calls_answered_before_a_crash_keep_their_answers(executor: Executor) -> None:
    (result,) = executor.run([Job("import os\ndef f(x): return x if x < 2 else os._exit(1)", ("1", "2", "1"))])
    assert [call.status for call in result.calls] == [Status.ok, Status.crash, Status.crash]


def test_namespace_and_arguments_are_fresh_for_every_call(executor: Executor) -> None:
    program = "n = []\ndef f(x):\n    n.append(1)\n    x.append(1)\n    return len(n), x"
    (result,) = executor.run([Job(program, ("[0]", "[0]"))])
    assert [call.value for call in result.calls] == [(1, [0, 1])] * 2


def test_an_oversized_job_is_refused_before_it_is_sent(executor: Executor) -> None:
    big = "def f(): return 1\n#" + "x" * 200_000
    wide = Job("def f(x): return 1", (repr("y" * 8000),) * 20)
    assert [result.status for result in executor.run([Job(big, ("",)), wide])] == [Status.program_too_large] * 2


def test_prints_are_swallowed_and_input_is_empty(executor: Executor) -> None:
    (result,) = executor.run([Job("import sys\ndef f():\n    print(1, file=sys.stderr)\n    return print('x')", ("",))])
    assert result.status is Status.ok


def test_one_program_cannot_change_the_next(executor: Executor) -> None:
    poison = Job("import math\n__builtins__['len'] = lambda x: 9\nmath.sqrt = len\ndef f(): return 1", ("",))
    clean = Job("import math\ndef f(): return len([]), math.sqrt(4)", ("",))
    assert [result.calls[0].value for result in executor.run([poison, clean] * 3)] == [1, (0, 2.0)] * 3


def test_no_environment_reaches_a_program(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZR_SECRET", "s3cret")
    with Executor(slots=1) as fresh:
        (result,) = fresh.run([Job("import os\ndef f(): return sorted(os.environ)", ("",))])
    assert result.calls[0].value == ["LC_ALL", "PYTHONHASHSEED"]


def test_collections_that_equal_or_list_a_builtin_become_it(executor: Executor) -> None:
    program = "import collections as c\ndef f(d): return c.deque(d), d.keys(), c.OrderedDict(d).keys(), c.Counter(d), c.defaultdict(int, d)"
    values, view = executor.run([Job(program, ("{3: 1, 2: 1}",)), Job("def f(): return {1: 2}.values()", ("",))])
    assert values.calls[0].value == ([3, 2], {2, 3}, {2, 3}, {3: 1, 2: 1}, {3: 1, 2: 1})
    assert (view.status, view.reason) == (Status.unsupported_output, "dict_values")


def test_a_view_of_keys_calls_no_method_of_a_key(executor: Executor) -> None:
    program = """
class K:
    def __hash__(self):
        return 1 if not hashed else 1 // 0
hashed = []
def f():
    keys = {K(): 1}.keys()
    hashed.append(1)
    return keys
"""
    (result,) = executor.run([Job(program, ("",))])
    assert (result.status, result.reason) == (Status.unsupported_output, "K")


@pytest.mark.parametrize(
    "program",
    [
        "import random\ndef f(): return random.random()",
        "def f(): return hash('azr')",
        "def f(): return list({'apple', 'pear', 'fig'})",
        "def f(): return ''.join(set('ab'))",
        "def f(): return {k: 1 for k in {'a', 'b', 'c'}}",
        "def f(): return repr(object())",
        "def f(): return id([]) % 4093",
        "def f(): return sorted([object() for _ in range(9)], key=id)[0] is None or id(type('A', (), {})) // 4096",
        "n = 0\ndef f():\n    global n\n    n += 1\n    return n",
        "def f(x=[]):\n    x.append(1)\n    return len(x)",
        "def f():\n    f.n = getattr(f, 'n', 0) + 1\n    return f.n",
        "import math\ndef f():\n    math.n = getattr(math, 'n', 0) + 1\n    return math.n",
    ],
)
def test_what_depends_on_chance_seed_address_or_history_is_nondeterministic(executor: Executor, program: str) -> None:
    (result,) = executor.validate([Job(program, ("",))])
    assert result.status is Status.nondeterministic


@pytest.mark.parametrize(
    ("program", "text"),
    [
        ("def f(): return {'b', 'a', 'c'}", "{'a', 'b', 'c'}"),
        ("def f(): return float('nan')", "nan"),
        ("import random\ndef f(): return random.Random(7).randint(1, 9)", None),
        (
            "from functools import lru_cache\n@lru_cache\ndef g(n): return n if n < 2 else g(n - 1) + g(n - 2)\ndef f(): return g(40)",
            "102334155",
        ),
    ],
)
def test_what_is_deterministic_is_validated(executor: Executor, program: str, text: str | None) -> None:
    (result,) = executor.validate([Job(program, ("",))])
    assert result.status is Status.ok and len(result.calls) == 1
    assert text is None or display(result.calls[0].value) == text


def test_validation_reports_the_first_bad_call(executor: Executor) -> None:
    results = executor.validate([Job("def f(x): return 1 // x", ("1", "0")), Job("def f(:", ("1",)), Job("def f(x): return x", ("y",))])
    assert [result.status for result in results] == [Status.error, Status.syntax_error, Status.bad_input]


def test_an_input_that_is_code_runs_in_the_jail_and_can_be_made_literal(executor: Executor) -> None:
    called, shown = executor.run(
        [expression_job("def f(g, xs): return list(map(g, xs))", "lambda x: x + 1, range(3)"), literal_job("n = [1]", "n[:], k=2")]
    )
    assert called.calls[0].value == [1, 2, 3]
    assert shown.calls[0].value == (([1],), {"k": 2})


def test_a_dead_slot_is_replaced_and_its_job_run_again(executor: Executor) -> None:
    executor.run([Job("def f(): return 1", ("",))])
    for slot in executor._pools[Profile.lean].slots:
        os.killpg(slot.process.pid, signal.SIGKILL)
    results = executor.run([Job(f"def f(): return {number}", ("",)) for number in range(8)])
    assert [result.calls[0].value for result in results] == list(range(8))


def test_a_silent_slot_is_killed_and_its_job_run_again() -> None:
    with Executor(Limits(cpu_s=1.0, wall_s=1.0), slots=1) as built:
        built.run([Job("def f(): return 1", ("",))])
        os.killpg(built._pools[Profile.lean].slots[0].process.pid, signal.SIGSTOP)
        (result,) = built.run([Job("def f(): return 2", ("",))])
    assert result.calls[0].value == 2


def test_closing_leaves_no_process_behind() -> None:
    built = Executor(slots=2)
    built.run([Job("def f(): return 1", ("",))])
    processes = [slot.process for slot in built._pools[Profile.lean].slots]
    built.close()
    assert all(process.returncode is not None for process in processes)


def test_without_a_jail_the_executor_refuses_and_names_two_ways_on() -> None:
    bare = Protection("L0", "jail-2", 0, 0, False, False, (Attempt("read a file", False, "got through"),), Limits())
    built = Executor(slots=1)
    built._protection = bare
    with pytest.raises(SandboxUnavailable, match=r"read a file: got through.*Dockerfile.*--i-accept-unsandboxed-execution"):
        built.run([Job("def f(): return 1", ("",))])
    with Executor(slots=1, allow_unsandboxed=True) as allowed:
        allowed._protection = bare
        assert allowed.run([Job("def f(): return 1", ("",))])[0].calls[0].value == 1


def test_the_jail_is_the_same_without_any_privilege() -> None:
    output = subprocess.run([sys.executable, "-c", DROP_ALL_CAPABILITIES], capture_output=True, text=True, timeout=120, check=False)
    level, value = output.stdout.split()
    assert level in ("L2", "L3") and value == "2", output.stderr


def test_protection_and_fingerprint_say_what_is_in_force(executor: Executor) -> None:
    assert str(executor.protection()).startswith(f"sandbox {executor.protection().level} (jail-2): uid ")
    assert "cpu_s=0.4" in executor.fingerprint() and executor.fingerprint() == executor.fingerprint()


def test_importing_the_executor_is_light() -> None:
    code = "import sys, azr_plugins_python.executor; print({'torch', 'numpy', 'pydantic', 'azr_core'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"
