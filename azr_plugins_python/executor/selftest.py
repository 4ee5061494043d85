"""Finds out by attempt what the jail holds: each probe tries one class of harm, unguarded, and the host looks at what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from azr_plugins_python.executor.limits import Status

_TRY = """
def f():
    try:
        {attempt}
    except (OSError, AttributeError, ImportError):
        return 'held'
    return 'broken'
"""
_STRAYS = """
def f():
    import posix
    for count in range(10):
        posix.write({fd}, b'x' * 1000)
    return 'held'
"""


@dataclass(frozen=True)
class Probe:
    """A hostile program and the endings that show that it was held; `held` as a value is always one."""

    name: str
    program: str
    endings: tuple[Status, ...] = (Status.denied,)

    def text(self, numbers: dict[str, str]) -> str:
        """The program with this machine's numbers in it."""
        found = self.program
        for name, number in numbers.items():
            found = found.replace("{" + name + "}", number)
        return found

    def held_by(self, status: Status, value: object) -> bool:
        return status in self.endings or (status is Status.ok and value == "held")


def _attempt(name: str, attempt: str) -> Probe:
    return Probe(name, _TRY.replace("{attempt}", attempt))


PROBES = (
    _attempt("read", "import posix; posix.open('/', posix.O_RDONLY)"),
    _attempt("create", "import posix; posix.open('/tmp/azr-probe', posix.O_WRONLY | posix.O_CREAT)"),
    _attempt("list", "import posix; posix.listdir('/')"),
    _attempt("socket", "import ctypes\n        if ctypes.CDLL(None).socket(2, 1, 0) < 0: return 'held'"),
    _attempt("fork", "import posix\n        if posix.fork() == 0: posix._exit(0)"),
    _attempt("execute", "import posix; posix.execv('/bin/true', ['true'])"),
    _attempt("signal", "import posix; posix.kill(posix.getppid(), 0)"),
    _attempt("read channel", "import posix; posix.read({fd}, 1)"),
    _attempt("executable memory", "import ctypes\n        if ctypes.CDLL(None).mmap(None, 4096, 7, 0x22, -1, 0) == -1: return 'held'"),
    Probe("timers", "def f():\n    import _signal\n    _signal.setitimer(_signal.ITIMER_PROF, 0)\n    return 'broken'\n"),
    Probe("memory", "def f():\n    return len(bytearray({bytes}))\n", (Status.memory,)),
    Probe("loop", "while True:\n    pass\n", (Status.timeout,)),
    Probe("stray answers", _STRAYS, ()),
    Probe("leave state", "import math\ndef f():\n    math.azr_left = 1\n    return 'held'\n"),
    Probe("find state", "import math\ndef f():\n    return 'broken' if hasattr(math, 'azr_left') else 'held'\n"),
)
"""In this order in one slot: the last looks for what the one before it left."""
