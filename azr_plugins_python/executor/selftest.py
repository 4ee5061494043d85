"""Finds out by attempt what the jail holds: each probe tries one class of harm, unguarded, and the host looks at what came of it."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import reduce

from azr_plugins_python.executor.limits import Attempt, Call, Job, Limits, Protection, Status
from azr_plugins_python.executor.pool import Pool
from azr_plugins_python.executor.profiles import Profile
from azr_plugins_python.executor.sheets import Terms, fill, settle

_CPU_S = 0.05
_HELD, _BROKEN = "held", "broken"
_TRY = """
def f():
    try:
        {attempt}
    except (OSError, AttributeError, ImportError) as error:
        return 'held', type(error).__name__
    return 'broken'
"""
_STRAYS = """
def f():
    import posix
    for count in range(10):
        posix.write({fd}, b'x' * 1000)
    return 'held'
"""
_FLOOD = """
def f():
    import posix
    while True:
        posix.write({fd}, b'x')
"""


@dataclass(frozen=True)
class Probe:
    """A hostile program and the endings that show that it was held; `held` as a value is always one.

    before: a program that runs ahead of it in the same slot. fatal: being held costs the slot its life; the host's own doing, so
    that testing one profile tests all.
    """

    name: str
    program: str
    endings: tuple[Status, ...] = (Status.denied,)
    before: str = ""
    fatal: bool = False

    def attempt(self, call: Call) -> Attempt:
        """What its call shows."""
        value = call.value[0] if isinstance(call.value, tuple) and call.value else call.value
        if call.status is not Status.ok:
            return Attempt(self.name, call.status in self.endings, ": ".join(filter(None, (call.status, call.reason))))
        if value != _HELD:
            return Attempt(self.name, False, "got through")
        return Attempt(self.name, True, f"error: {call.value[1]}" if isinstance(call.value, tuple) else "no effect")


def _attempt(name: str, attempt: str) -> Probe:
    return Probe(name, _TRY.replace("{attempt}", attempt))


PROBES = (
    _attempt("read a file", "import posix; posix.open('/', posix.O_RDONLY)"),
    _attempt("create a file", "import posix; posix.open('/tmp/azr-probe', posix.O_WRONLY | posix.O_CREAT)"),
    _attempt("list a folder", "import posix; posix.listdir('/')"),
    _attempt("open a socket", "import ctypes\n        if ctypes.CDLL(None).socket(2, 1, 0) < 0: return 'held'"),
    _attempt("fork", "import posix\n        if posix.fork() == 0: posix._exit(0)"),
    _attempt("run another program", "import posix; posix.execv('/bin/true', ['true'])"),
    _attempt("signal the parent", "import posix; posix.kill(posix.getppid(), 0)"),
    _attempt("read the next job", "import posix; posix.read({fd}, 1)"),
    _attempt("map executable memory", "import ctypes\n        if ctypes.CDLL(None).mmap(None, 4096, 7, 0x22, -1, 0) == -1: return 'held'"),
    Probe("stop the clock", "def f():\n    import _signal\n    _signal.setitimer(_signal.ITIMER_PROF, 0)\n    return 'broken'\n"),
    Probe("exceed memory", "def f():\n    return len(bytearray({bytes}))\n", (Status.memory,)),
    Probe("loop", "while True:\n    pass\n", (Status.timeout,)),
    Probe("forge answers", _STRAYS, ()),
    Probe(
        "leave state behind",
        "import math\ndef f():\n    return 'broken' if hasattr(math, 'azr_left') else 'held'\n",
        before="import math\ndef f():\n    math.azr_left = 1\n",
    ),
    Probe("flood the host", _FLOOD, (Status.denied, Status.timeout), fatal=True),
)


def measure(pool: Pool, backend: str) -> Protection:
    """Runs the self-test in one slot of a locked pool and names the level that it shows."""
    greeting = pool.greeting
    if greeting is None or not greeting.seccomp:  # the probes would do what they try
        return unprotected(Attempt("system-call filter", False, "this machine has none that azr knows"), backend, pool.limits)
    attempts = _attempts(pool)
    jailed = all(attempt.held for attempt in attempts)
    level = "L0" if not jailed else "L3" if greeting.namespaces and greeting.landlock else "L2"
    return Protection(level, backend, greeting.uid, greeting.landlock, greeting.seccomp, greeting.namespaces, attempts, pool.limits)


def unprotected(reason: Attempt, backend: str, limits: Limits) -> Protection:
    """L0: no probe was tried, for this reason."""
    return Protection("L0", backend, os.getuid(), 0, False, False, (reason,), limits, _has_message_sockets())


def _has_message_sockets() -> bool:
    """The one thing without which the executor cannot work even unlocked: sockets that keep messages apart. macOS has none."""
    try:
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except (OSError, AttributeError):
        return False
    for end in ends:
        end.close()
    return True


def _attempts(pool: Pool) -> tuple[Attempt, ...]:
    """In order in one slot, so that each finds what the ones before it left."""
    marks = {"{bytes}": str(2 * pool.limits.memory_mb << 20), "{fd}": str(pool.slots[0].jobs_fd)}
    probes = [probe for probe in PROBES if pool.profile is Profile.lean or not probe.fatal]
    sheets = {}
    for program in (text for probe in probes for text in (probe.before, probe.program) if text):
        job = Job(reduce(lambda text, mark: text.replace(*mark), marks.items(), program), ("",))
        sheets[program] = fill(job, pool.limits, Terms(_CPU_S, guarded=False, slot=0, profile=pool.profile))
    pool.play([sheet.ticket for sheet in sheets.values() if sheet.ticket], 1)
    return tuple(probe.attempt(settle(sheets[probe.program]).calls[0]) for probe in probes)
