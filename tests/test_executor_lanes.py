"""The fast lane: who is admitted, what one program can leave to the next, and what happens when the lane is wrong."""

from __future__ import annotations

import dis
import itertools
import os
import random
import signal
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from azr_plugins_python.executor import Executor, FastLaneMismatch, Job, Limits, Status, audit, child, gate
from azr_plugins_python.executor.profiles import Profile
from azr_plugins_python.executor.slot import SHARED
from azr_plugins_python.executor.tickets import FAST_CPU_S, Lane, Ticket

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the jail needs Linux"),
    pytest.mark.skipif(sys.version_info[:2] not in gate.VERSIONS, reason="no fast lane for this version of Python"),
]
PLAIN = "def f(x):\n    return [x * 2, str(x)]"
DEPTH = """
def f():
    depth = 0
    def g(n):
        nonlocal depth
        depth = n
        g(n + 1)
    try:
        g(0)
    except RecursionError:
        return depth
"""


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with Executor(Limits(cpu_s=0.5, wall_s=4.0), slots=2) as built:
        yield built


@pytest.fixture(scope="module")
def admits() -> gate.Gate:
    for name in child.PRELOADED:
        __import__(name)
    made = gate.make_gate()
    assert made is not None
    return made


@pytest.fixture
def audited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every job of the fast lane runs again."""
    monkeypatch.setattr(audit, "SHARE", 1.0)


def children(executor: Executor) -> list[int]:
    """The children that zygotes have now; those of the fast lane are there between jobs."""
    zygotes = [slot.process.pid for slot in executor._pools[Profile.lean].slots]
    return [int(pid) for zygote in zygotes for pid in Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()]


def went(executor: Executor, monkeypatch: pytest.MonkeyPatch, program: str) -> Lane:
    """The lane that answered a program."""
    seen: list[Ticket] = []
    settle = Ticket.settle
    with monkeypatch.context() as patch:
        patch.setattr(Ticket, "settle", lambda ticket: (seen.append(ticket), settle(ticket))[1])
        executor.run([Job(program, ("1",))])
    return Lane.fast if seen[-1].whole else Lane.fork


@pytest.mark.parametrize(
    "program",
    [
        PLAIN,
        "from typing import List\ndef f(xs: List[int]) -> int:\n    return sum(sorted(xs))",
        "import math, re\ndef f(x):\n    return math.gcd(x, 12), re.sub('a', 'b', 'banana')",
        "from collections import Counter, defaultdict\ndef f(x):\n    return Counter('abca'), defaultdict(int)",
        "def f(x):\n    return [y for y in range(x) if y % 2], {k: v for k, v in zip('ab', [1, 2])}, (i for i in [1])",
        "def f(x):\n    match [x, 2]:\n        case [1, y]:\n            return y\n    return f'{x:>5}'",
        "def f(x):\n    try:\n        return 1 // (x - 1)\n    except ZeroDivisionError as error:\n        return error.args",
        "from functools import cache\n@cache\ndef g(n):\n    return n if n < 2 else g(n - 1) + g(n - 2)\ndef f(x): return g(20)",
    ],
)
def test_plain_programs_share_a_process(executor: Executor, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    assert went(executor, monkeypatch, program) is Lane.fast


@pytest.mark.parametrize(
    "program",
    [
        "class A: pass\ndef f(x): return x",
        "import os\ndef f(x): return x",
        "import math\nmath.left = 1\ndef f(x): return x",
        "import string\ndef f(x): return string.Formatter().get_field('0.__globals__', [f], {})",
        "def f(x): return f.__globals__['__builtins__']",
        "def f(x): return '{0.__globals__}'.format(f)",
        "def f(x): return (i for i in []).gi_frame.f_back",
        "def f(x): return eval('1')",
        "def f(x): return getattr(x, 'real')",
        "def f(x): return type(x)(3)",
        "from math import *\ndef f(x): return floor(x)",
        "from collections import namedtuple\ndef f(x): return namedtuple('A', 'b')(x)",
        "async def g(): pass\ndef f(x): return x",
        "def f(x):\n    with x: pass",
        "def f(x):\n    del x.real",
        "def f(x):\n    match x:\n        case int(): return 1",
        "import typing\ndef f(x): return typing.get_type_hints(f)",
        "import functools\ndef f(x): return functools.partial(max).func",
        "import re\ndef f(x): return re._cache",
        "def __getattr__(name): return 1\ndef f(x): return x",
        "x: int = 3\ndef f(x): return x",
        "def f(x):\n    raise ValueError(1).with_traceback(None)",
        "import operator\ndef f(x): return operator.attrgetter('real')(x)",
        "import collections.abc\ndef f(x): return x",
        "def f(x): return compile('1', '', 'eval')",
        "def f(x): return x\n" + "\n".join(f"name{i} = {i}" for i in range(300)),
    ],
)
def test_programs_that_could_reach_others_run_alone(
    executor: Executor, monkeypatch: pytest.MonkeyPatch, admits: gate.Gate, program: str
) -> None:
    assert not admits(compile(program, "<program>", "exec"))
    assert went(executor, monkeypatch, program) is Lane.fork


def test_no_allowed_name_leads_to_anything_that_keeps_state(admits: gate.Gate) -> None:
    """From the builtins and modules of a program, along names that it may use, nothing mutable is reached and no other module."""
    allowed = gate.allowed_names()
    pending = [(name, vars(sys.modules["builtins"])[name]) for name in gate.BUILTINS] + [(m, sys.modules[m]) for m in gate.MODULES]
    seen: set[int] = set()
    while pending:
        path, item = pending.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        assert not isinstance(item, (dict, list, set, bytearray)), path
        if isinstance(item, types.ModuleType):
            assert item.__name__ in gate.MODULES, path
        names = set(dir(item)) & allowed
        pending += [(f"{path}.{name}", getattr(item, name)) for name in names if path.count(".") < 3]


def test_operations_that_the_gate_does_not_know_are_refused(admits: gate.Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    code = compile(
        "def azr_own(azr_x):\n    return [azr_x * 2, str(azr_x)]", "<program>", "exec"
    )  # a name that nothing in this process has
    used = {dis.opname[number] for inner in code.co_consts if isinstance(inner, types.CodeType) for number in inner.co_code[::2]}
    assert admits(code)
    for name in used:
        monkeypatch.setattr(gate, "_OPERATIONS", gate._OPERATIONS - {name})
        without = gate.make_gate()
        assert without is not None and not without(code), name
        monkeypatch.undo()


def test_a_version_of_python_that_was_not_read_has_no_fast_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "VERSIONS", ())
    assert gate.make_gate() is None


def test_strict_isolation_shares_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with Executor(slots=1, isolation="strict") as strict:
        assert went(strict, monkeypatch, PLAIN) is Lane.fork


def test_an_isolation_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match="none"):
        Executor(isolation="none")


def test_both_lanes_give_the_same_to_the_letter(executor: Executor, audited: None) -> None:
    programs = [
        DEPTH,
        "def f():\n    return list({'a', 'b', 'c', 'd'}), hash('x')",
        "def f():\n    return 1 / 0",
        "def f():\n    return undefined_name",
        "def f():\n    return [][3]",
        "def g(): return 1",
        "f = 3",
        "def f(:",
        "def f():\n    return 10 ** 5000",
        "def f():\n    return print('x'), iter([])",
        "import re\ndef f():\n    return re.findall('a|b', 'cab'), [m.span() for m in re.finditer('a', 'aaa')]",
        "def f():\n    x = []\n    x.append(x)\n    return x",
    ]
    with Executor(slots=1, isolation="strict") as strict, Executor(slots=1) as shared:
        for program in programs:
            (one,), (two,) = strict.run([Job(program, ("",))]), shared.run([Job(program, ("",))])
            assert (one.status, one.calls) == (two.status, two.calls), program
        assert shared.alarm == ""


def test_what_takes_long_or_too_much_runs_again_alone(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    long = f"def f(x):\n    n = 0\n    while n < {int(FAST_CPU_S * 1e8)}:\n        n += 1\n        if n == {10**7}:\n            return n"
    for program, status in (
        ("def f(x):\n    while True: pass", Status.timeout),
        ("def f(x):\n    return len('a' * 10 ** 10)", Status.memory),
        ("def f(x):\n    return f(x)", Status.error),
        (long, Status.timeout),
    ):
        assert went(executor, monkeypatch, program) is Lane.fork, program
        (result,) = executor.run([Job(program, ("1",))])
        assert result.status in (status, Status.ok), program


def test_results_find_their_jobs_when_lanes_and_endings_mix(executor: Executor) -> None:
    kinds = (
        "def f(x): return x + 1",
        "class A: pass\ndef f(x): return x + 1",
        "import os\ndef f(x):\n    if x % 3 == 0: os._exit(76)\n    return x + 1",
        "def f(x): return f(x) if x % 5 == 0 else x + 1",
        "def f(x): return len('a' * 10 ** 10) if x % 7 == 0 else x + 1",
    )
    rng = random.Random(0)
    numbers = list(range(200))
    jobs = [Job(rng.choice(kinds), (str(number),)) for number in numbers]
    for number, job, result in zip(numbers, jobs, executor.run(jobs), strict=True):
        if result.status is Status.ok:
            assert result.calls[0].value == number + 1
        else:
            assert job.program not in kinds[:2], (job, result)


def test_a_child_of_the_fast_lane_serves_no_more_than_it_may(executor: Executor) -> None:
    before: set[int] = set()
    for _ in range(2):
        results = executor.run([Job(PLAIN, (str(number),)) for number in range(2 * SHARED + 10)])
        assert all(result.status is Status.ok for result in results)
        now = set(children(executor))
        assert not now & before
        before = now


def test_a_child_that_is_killed_costs_no_job(executor: Executor) -> None:
    executor.run([Job(PLAIN, ("1",))] * 4)
    for victim in children(executor):
        os.kill(victim, signal.SIGKILL)
    mixed = [Job(PLAIN, ("3",)), Job("class A: pass\n" + PLAIN, ("3",))] * 8
    assert [result.calls[0].value for result in executor.run(mixed)] == [[6, "3"]] * 16


def test_a_zygote_that_is_killed_costs_no_job(executor: Executor) -> None:
    executor.run([Job(PLAIN, ("1",))])
    for slot in executor._pools[Profile.lean].slots[:2]:
        slot.process.kill()
    assert [result.calls[0].value for result in executor.run([Job(PLAIN, ("3",))] * 20)] == [[6, "3"]] * 20


def test_a_mismatch_turns_the_lane_off_and_the_batch_runs_again(audited: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def forge(ticket: Ticket, payload: bytes) -> None:
        honest(ticket, payload.replace(b'"7"', b'"8"'))

    honest = Ticket.open_bundle
    monkeypatch.setattr(Ticket, "open_bundle", forge)
    with Executor(slots=2) as lied_to:
        with pytest.warns(FastLaneMismatch, match="alone"):
            results = lied_to.run([Job(PLAIN, (str(number),)) for number in range(6, 9)])
        assert [result.calls[0].value for result in results] == [[12, "6"], [14, "7"], [16, "8"]]
        assert lied_to.alarm and not lied_to.fast
        assert went(lied_to, monkeypatch, PLAIN) is Lane.fork


def test_a_program_that_depends_on_addresses_raises_no_alarm(executor: Executor, audited: None) -> None:
    program = (
        "def f():\n    return [hash(print) % 4096, [k for k in {len: 0, max: 1, min: 2, f: 3}], list({f: 1}.values()), hash(f) % 1000]"
    )
    executor.run([Job("def f():\n    return hash(f) % 1000, list(map(str, {f, max, min}))", ("",)), Job(program, ("",))] * 5)
    assert executor.alarm == ""


def test_a_forbidden_call_in_the_fast_lane_is_an_alarm(executor: Executor) -> None:
    with Executor(slots=1) as escaped:
        escaped.run([Job(PLAIN, ("1",))])
        pool = escaped._pools[Profile.lean]
        stray = Ticket(None, 1, lane=Lane.fast)  # type: ignore[arg-type]
        stray.end(signal.SIGSYS, 0.0)
        pool._left = 1
        pool._through(stray)
        pool._shared[Lane.fork].clear()
        with pytest.warns(FastLaneMismatch, match="forbidden system call"):
            escaped.run([Job(PLAIN, ("1",))])
        assert not escaped.fast


def test_an_endless_loop_delays_nobody_behind_it(executor: Executor) -> None:
    """What waits in the socket behind a loop is taken back: it ends before the loop does, in another slot."""
    ended: list[str] = []

    loop, short = "class A: pass\ndef f(x):\n    while True: pass", "class A: pass\ndef f(x): return x"
    through = executor._pools[Profile.lean]._through
    pool = executor._pools[Profile.lean]

    def watched(ticket: Ticket) -> None:
        if ticket.lane is Lane.fork:
            ended.append("loop" if b"while" in ticket.order.program else "short")
        through(ticket)

    pool._through = watched  # type: ignore[method-assign]
    try:
        results = executor.run([Job(loop, ("1",))] + [Job(short, ("1",))] * 12)
    finally:
        del pool._through
    assert [result.status for result in results] == [Status.timeout] + [Status.ok] * 12
    assert ended == ["short"] * 12 + ["loop"]


def test_finalisers_of_one_program_run_before_the_next(executor: Executor) -> None:
    stuck = "def g():\n    try:\n        yield 1\n    finally:\n        while True: pass\n"
    leaving = stuck + "def f(x):\n    a = [g()]\n    next(a[0])\n    a.append(a)\n    return x"
    results = executor.run([Job(leaving, ("1",)), *[Job(PLAIN, ("1",))] * 5])
    assert [result.calls[0].value for result in results[1:]] == [[2, "1"]] * 5


def test_a_batch_of_any_mix_of_lanes_and_slots_settles(executor: Executor) -> None:
    kinds = list(itertools.product(range(20), ("", "class A: pass\n")))
    results = executor.validate([Job(before + PLAIN, (str(number),)) for number, before in kinds])
    assert [result.calls[0].value for result in results] == [[number * 2, str(number)] for number, _ in kinds]
