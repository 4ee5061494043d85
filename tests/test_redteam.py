"""The red team: a corpus of hostile programs, random ones made of hostile parts, and children that lie on the wire.

Whatever ran, the next job is right, the host is as it was, and nothing outside has changed. `attacking` says how that is found out.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from attacking import CANARY_ENV, CANARY_TEXT, SENTINELS, Host, canary_faults, descendants, hold, lay_canary, sentinel_faults, survivors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redteam_inside import INSIDE
from redteam_outside import OUTSIDE
from redteam_verdicts import VERDICTS

from azr_plugins_python.executor import Executor, Isolation, Job, Profile, Result, Status, equal, wire
from azr_plugins_python.executor.codec import WireError, decode
from azr_plugins_python.executor.sheets import Terms, fill
from azr_plugins_python.executor.tickets import Ticket

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail needs Linux")
ROOT = Path(__file__).parents[1]
CORPUS = [*OUTSIDE, *INSIDE, *VERDICTS]
# The executor lives for a module, so that an example may share it with others: that it stays right is what is tested.
SHARED = settings(
    deadline=None, derandomize=bool(os.environ.get("CI")), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def test_every_attack_of_the_corpus_is_held(executor: Executor, canary: Path) -> None:
    assert {result.status for result in executor.validate(SENTINELS)} == {Status.ok}  # and now it has all its slots
    before = Host.now()
    assert hold(executor, CORPUS, canary) == {}
    assert Host.now() == before


def test_attacks_have_names_of_their_own() -> None:
    assert len({attack.id for attack in CORPUS}) == len(CORPUS)


def test_the_loaded_jail_really_has_what_its_programs_reach_for(request: pytest.FixtureRequest, executor: Executor) -> None:
    if "loaded" not in request.node.callspec.id:
        pytest.skip("only the loaded jail promises this")
    names = (
        "socket",
        "subprocess",
        "ctypes",
        "mmap",
        "multiprocessing",
        "asyncio",
        "ssl",
        "select",
        "fcntl",
        "signal",
        "threading",
        "pickle",
        "os",
    )
    (result,) = executor.run([Job("def f(n): return __import__(n).__name__", tuple(repr(name) for name in names))])
    assert [call.value for call in result.calls] == list(names)


HARM = (
    "import os; os.unlink('@CANARY@/secret.txt')",
    "import os; os.write(os.open('@CANARY@/pwn', 65), b'x')",
    "import os; os.fork()",
    "import os; os.kill(os.getppid(), 9)",
    "import os; os.close(3); os.close(4); os.close(5)",
    "import os; [os.write(fd, b'x' * 30) for fd in range(3, 12)]",
    "import os; os._exit(0)",
    "import socket; socket.socket(1, 5)",
    "import subprocess; subprocess.run(['touch', '@CANARY@/pwn'])",
    "import signal; signal.setitimer(2, 0)",
    "import signal; signal.signal(14, signal.SIG_IGN)",
    "import _thread; _thread.start_new_thread(print, ())",
    "import ctypes; ctypes.string_at(0)",
    "import ctypes; ctypes.memset(id(5) + 24, 7, 1)",
    "import ctypes; ctypes.CDLL(None).syscall(57)",
    "import mmap; x = mmap.mmap(-1, 1 << 40)",
    "import gc; [o.clear() for o in gc.get_objects() if type(o) in (dict, list, set)]",
    "import gc; gc.get_referents(str.__dict__)[0]['upper'] = None",
    "import gc; gc.collect(); gc.disable()",
    "import sys; sys.modules.clear()",
    "import sys; sys.setrecursionlimit(10 ** 9); (lambda g: g(g))(lambda g: g(g))",
    "import sys; sys.setrecursionlimit(30)",
    "import sys; sys.settrace(lambda *a: 1 // 0)",
    "import sys; fr = sys._getframe(); fr.f_back.f_locals.clear()",
    "import sys; sys._getframe(2).f_globals.clear()",
    "import builtins; builtins.len = builtins.type = builtins.isinstance = lambda *a: 0",
    "import builtins; builtins.__import__ = builtins.__build_class__ = None",
    "__builtins__['BaseException'] = __builtins__['len'] = 5",
    "import json; json.loads = json.dumps = None",
    "import re, struct; re.compile = struct.Struct = None",
    "import codecs; codecs.register(lambda n: 1 // 0)",
    "import keyword, decimal; keyword.kwlist.clear(); decimal.getcontext().prec = 1",
    "import collections.abc; collections.abc.Sequence.register(int)",
    "import atexit; atexit.register(os.abort if 'os' in globals() else print)",
    "import weakref; weakref.finalize(type('T', (), {})(), print)",
    "import azr_plugins_python.executor.codec as c; c.encode = c._scalars.clear()",
    "import azr_plugins_python.executor.child as c; c._answer = c.run_job = c._encode = c._pack = None",
    "import __main__; __main__.__dict__.clear()",
    "import random, math; random.seed(1); math.sqrt = math.azr = 1",
    "x = [0] * 10 ** 12",
    "x = 'a' * 10 ** 8; y = [x] * 99",
    "raise SystemExit",
    "raise type('\\n\\ud800' * 50, (BaseException,), {'__str__': 1})",
    "raise MemoryError",
    "raise RecursionError",
    "1 // 0",
    "print('x' * 10 ** 6)",
    "exec('def f(): return 9', globals())",
    "globals().clear()",
    "eval('(' * 300 + ')' * 300)",
    "compile('x' * 10 ** 5, '', 'exec')",
    "pass",
)
WAYS = (
    "{0}",
    "try: {0}\nexcept BaseException: pass",
    "class D:\n    def __del__(self): {0}\nD()",
    "class D:\n    def __del__(self): {0}\nkeep = D()\nkeep.me = keep",
    "def g():\n    try: yield 1\n    finally: {0}\nk = g(); next(k)",
    "def g():\n    {0}\n    yield 1\nmax(g())",
    "async def c(): {0}\nk = c()\ntry: k.send(None)\nexcept BaseException: pass",
    "class M(type):\n    def __new__(m, *a):\n        {0}\n        return type.__new__(m, *a)\nclass A(metaclass=M): pass",
    "class A:\n    {0}",
    "class A:\n    def __getattr__(self, n): {0}\n    def __eq__(self, o): {0}\n    def __hash__(self): return 1\n{{A(), A()}}",
    "class A:\n    def __repr__(self): {0}\n    def __bool__(self): {0}\nif A(): str(A())",
    "class A:\n    def __set_name__(self, o, n): {0}\nclass B:\n    a = A()",
    "def d(g):\n    {0}\n    return g\n@d\ndef h(): pass",
    "def k(x): {0}\nsorted([2, 1], key=k)",
    "import contextlib\n@contextlib.contextmanager\ndef w():\n    yield\n    {0}\nwith w(): pass",
    "for _ in range(3):\n    try: {0}\n    except Exception: pass",
    "import functools\n@functools.lru_cache\ndef g(): {0}\ng()",
)
RESULTS = (
    "1", "'x' * 10 ** 6", "f", "f()", "keep", "[keep, k, A]", "type('I', (int,), {'__eq__': lambda s, o: True})(1)", "{1: {2: [3]}}",
    "(lambda x: x.append(x) or x)([])", "float('nan')", "globals()", "locals()", "__builtins__", "[1] * 10 ** 5", "10 ** 5000", "'\\ud800'",
    "...", "object()",
)  # fmt: skip
parts = st.builds(lambda way, harm: way.format(harm), st.sampled_from(WAYS), st.sampled_from(HARM))


@st.composite
def programs(draw: st.DrawFn) -> str:
    """A program of hostile parts: some at its top level, some in f, and something strange for its value."""
    top = "\n".join(draw(st.lists(parts, max_size=2)))
    body = textwrap.indent("\n".join(draw(st.lists(parts, max_size=2))), "    ")
    return f"{top}\ndef f(*a, **k):\n{body}\n    return {draw(st.sampled_from(RESULTS))}\n"


def check_after(executor: Executor, canary: Path, attacks: list[Job]) -> list[Result]:
    """Runs the attacks, each with the sentinels after it. Both are right, and the outside is as it was. Returns the attacks' results."""
    golds = executor.run(SENTINELS)
    before = Host.now()
    results = executor.run([job for attack in attacks for job in (attack, *SENTINELS)])
    assert Host.now() == before
    assert all(isinstance(result.status, Status) for result in results)
    wrong = [
        fault
        for after, gold in zip(results[1::3] + results[2::3], [golds[0]] * len(attacks) + [golds[1]] * len(attacks), strict=True)
        for fault in sentinel_faults(after, gold)
    ]
    assert wrong == []
    assert canary_faults(canary) == [] and survivors(executor) == {} and not executor.alarm
    return results[::3]


@given(batch=st.lists(programs(), min_size=6, max_size=12))
@settings(SHARED, max_examples=12)
def test_no_mixture_of_hostile_parts_leaves_a_trace(executor: Executor, canary: Path, batch: list[str]) -> None:
    check_after(executor, canary, [Job(program.replace("@CANARY@", str(canary)), ("",)) for program in batch])


_LIAR = """
def f():
    import os, sys
    frame = sys._getframe(1)
    while 'identity' not in frame.f_locals:
        frame = frame.f_back
    send, identity, pack = frame.f_locals['send'], frame.f_locals['identity'], frame.f_globals['_pack']
    for strange, call, kind, payload in {frames}:
        send(pack(identity ^ strange, call, kind, payload))
    for message in {messages}:
        send(message)
    {end}
"""
payloads = st.binary(max_size=40) | st.text(alphabet='[]{}":,0179eEsdtzfbc.-naNul ', max_size=40).map(str.encode)
payloads |= st.sampled_from(
    (b"1", b"null", b'"x"', b'{"t":[]}', b'{"s":[[1]]}', b"[" * 9000, b"9" * 4300, b'{"f":"nan"}', b" 1", b"1" + b" " * 65535)
)
frames = st.tuples(
    st.sampled_from((0, 0, 0, 1, 1 << 63)), st.sampled_from((0, 0, 0, 1, 65535)), st.sampled_from((0, 0, 0, 1, 5, 6, 7, 255)), payloads
)
ENDS = ("return 7", "os._exit(0)", "os._exit(77)", "os._exit(78)", "os.abort()", "1 // 0", "while True: pass")


@given(sent=st.lists(frames, max_size=5), messages=st.lists(st.binary(max_size=30), max_size=3), end=st.sampled_from(ENDS))
@settings(SHARED, max_examples=25)
def test_a_lying_child_is_believed_only_what_it_says_of_its_own_call(
    executor: Executor, canary: Path, sent: list[tuple[int, int, int, bytes]], messages: list[bytes], end: str
) -> None:
    liar = Job(_LIAR.format(frames=sent, messages=messages, end=end), ("",))
    (result,) = check_after(executor, canary, [liar])
    if result.status is Status.ok:
        claims = [payload for strange, call, kind, payload in sent if (strange, call, kind) == (0, 0, 0)]
        assert any(said_so(payload, result.calls[0].value) for payload in [*claims, b"7"])


def said_so(payload: bytes, value: object) -> bool:
    try:
        return equal(decode(payload), value, "strict")
    except WireError:
        return False


def test_no_exit_status_of_a_program_passes_for_our_own_fault(executor: Executor, canary: Path) -> None:
    exits = [Job(f"import os\ndef f(): os._exit({code})", ("",)) for code in range(60, 90)]
    assert {result.status for result in check_after(executor, canary, exits)} <= {Status.crash, Status.denied}


_SILENT_LIAR = _LIAR.replace("for message in {messages}:", "for message in [b''] * 40:").format(frames=[], end="os._exit(0)")


def test_empty_messages_do_not_hide_the_next_answer() -> None:
    with Executor(slots=1, isolation=Isolation.strict) as built:
        built.protection()
        slot = built._pools[Profile.lean].slots[0]
        tickets = [fill(Job(program, ("",)), built.limits, Terms(1.0, False)).ticket for program in (_SILENT_LIAR, "def f(): return 5")]
        assert all(ticket is not None and slot.send(ticket) for ticket in tickets)
        through: list[Ticket] = []
        for _ in tickets:  # a host that is busy elsewhere reads only when a child has ended
            select.select([slot.control], [], [], 60)
            through += slot.ended()
        assert [ticket.settle()[0].value for ticket in through] == [None, 5]


@pytest.mark.parametrize("isolation", list(Isolation))
def test_a_slot_that_is_slow_to_start_a_job_costs_no_job_its_result(isolation: Isolation) -> None:
    with Executor(slots=2, isolation=isolation) as built:
        built.run(SENTINELS)
        zygotes = [slot.process.pid for slot in built._pools[Profile.lean].slots]
        stopped = [process for zygote in zygotes for process in descendants(zygote)]
        for process in stopped:
            os.kill(process, signal.SIGSTOP)
        threading.Timer(0.2, lambda: [os.kill(process, signal.SIGCONT) for process in stopped]).start()
        results = built.run([Job(f"class A: pass\ndef f(): return {number}", ("",)) for number in range(8)])
    assert [result.calls[0].value for result in results] == list(range(8))


@pytest.fixture
def bare_home() -> Iterator[Path]:
    """An interpreter, the executor and the corpus in a folder that any user can read, wherever the real ones lie."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    library = Path(sysconfig.get_path("stdlib"))
    skipped = shutil.ignore_patterns(
        "site-packages", "test", "tests", "idlelib", "tkinter", "ensurepip", "lib2to3", "__pycache__", "config-*"
    )
    shutil.copytree(library, folder / "lib" / library.name, ignore=skipped)
    (folder / "bin").mkdir()
    shutil.copy(Path(sys.executable).resolve(), folder / "bin" / "python")
    shutil.copytree(ROOT / "azr_plugins_python" / "executor", folder / "azr_plugins_python" / "executor")
    (folder / "azr_plugins_python" / "__init__.py").touch()
    for name in ("attacking", "redteam_sentinels", "redteam_outside", "redteam_inside", "redteam_verdicts"):
        shutil.copy(ROOT / "tests" / f"{name}.py", folder)
    yield folder
    shutil.rmtree(folder)


_AS_NOBODY = """
import os, sys
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
os.execve(sys.argv[1], [sys.argv[1], "-s", "-c", sys.argv[2], *sys.argv[3:]], dict(os.environ, PYTHONPATH=sys.argv[3]))
"""
_HOLD = """
import os, sys
from pathlib import Path
from attacking import VARIANTS, hold
from redteam_inside import INSIDE
from redteam_outside import OUTSIDE
from redteam_verdicts import VERDICTS
assert os.getresuid() == (65534,) * 3 and os.getgroups() == []
with VARIANTS[1].build() as executor:
    attacks = [*OUTSIDE, *INSIDE, *VERDICTS][:: int(sys.argv[3])]
    print(executor.protection().level, executor.protection().uid, hold(executor, attacks, Path(sys.argv[2])))
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 20])
def test_the_corpus_is_held_when_started_by_a_user_without_privileges(bare_home: Path, step: int) -> None:
    (bare_home / "canary").mkdir()
    canary = lay_canary(bare_home / "canary")
    python = str(bare_home / "bin" / "python")
    command = [sys.executable, "-c", _AS_NOBODY, python, _HOLD, str(bare_home), str(canary), str(step)]
    environment = os.environ | {CANARY_ENV: CANARY_TEXT}
    output = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, env=environment, cwd=bare_home)
    level, uid, wrong = output.stdout.strip().split(" ", 2) if output.stdout else ("", "", output.stderr)
    assert (uid, wrong) == ("65534", "{}") and level in ("L2", "L3")


def test_the_answer_kinds_that_a_liar_may_claim_are_those_of_the_wire() -> None:
    assert set(wire.KINDS) < {status.value for status in Status}
