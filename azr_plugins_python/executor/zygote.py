"""The process that is warmed, locked, and then forked once per job. Started as a script; it never reads a job itself.

argv: jobs fd, control fd, memory in MiB, locked (1 or 0), wall seconds, and for a wide one the folders that hold its packages. It
reports once over control what it gave up, then one line per child: exit status and CPU seconds. A child closes control before it reads
its job, so a program can forge no exit status.
"""

from __future__ import annotations

import codecs
import gc
import os
import resource
import signal
import struct
import sys
import types
import warnings

_HERE = os.path.dirname(os.path.abspath(__file__))
for _name, _folder in (("azr_plugins_python", os.path.dirname(_HERE)), ("azr_plugins_python.executor", _HERE)):
    # The package's own __init__ files would pull in the rest of the project: the zygote needs six modules of this folder.
    _package = types.ModuleType(_name)
    _package.__path__ = [_folder]
    sys.modules.setdefault(_name, _package)

from azr_plugins_python.executor import child, filters, lockdown, wide, wire  # noqa: E402

_STATUS = struct.Struct("<id")
_NO_MORE_JOBS = 77
_NO_FILTER = 78
_WARM_ROUNDS = 12
# fmt: off
_CODECS = (
    "ascii", "base64", "big5", "cp037", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp437", "cp850", "cp866", "cp932", "euc_jp",
    "euc_kr", "gb18030", "gb2312", "gbk", "hex", "idna", "iso2022_jp", "iso8859-2", "iso8859-5", "iso8859-7", "iso8859-9", "iso8859-15",
    "koi8-r", "latin-1", "mac-roman", "punycode", "quopri", "raw_unicode_escape", "rot13", "shift_jis", "unicode_escape", "utf-16",
    "utf-16-be", "utf-16-le", "utf-32", "utf-32-be", "utf-32-le", "utf-7", "utf-8", "utf-8-sig", "zlib",
)
# fmt: on

_WARM_LOOPS = """
import math
from typing import List
from collections import Counter
def f(xs, k=2):
    out = []
    d = {}
    for i, x in enumerate(xs):
        if x % k == 0:
            out.append(x * i)
        else:
            d[str(x)] = d.get(str(x), 0) + x
    try:
        out[99]
    except IndexError as e:
        pass
    s = ''.join(sorted(str(o) for o in out))
    return sorted(out), sum(out), d, {1, 2}, s[::-1].upper().split(','), f'{k:.2f}', [y for y in xs if y], max(xs), Counter(s)
"""
_WARM_CLASSES = """
class A:
    def __init__(self, x):
        self.x = x
def g(n):
    return n if n < 2 else g(n - 1) + g(n - 2)
def f(a, b):
    return {'k': (A(a).x, b.replace('a', 'b'), b.isalpha(), g(5), -1.5, None, True, 1j, b'x')}
"""
_WARM_PROGRAMS = (
    (_WARM_LOOPS, '["f",[[{"t":[[1,2,3,4,5],3]},{"d":[]}],[{"t":[[5,2,3]]},{"d":[["k",2]]}]]]'),
    (_WARM_CLASSES, '["f",[[{"t":[3,"abc"]},{"d":[]}]]]'),
    ("def f(x):\n    return 1 / 0\n", '["f",[[{"t":[1]},{"d":[]}]]]'),
    ("def f(:\n", '["f",[[{"t":[]},{"d":[]}]]]'),
)


class _Silence:
    """Where prints go."""

    encoding, errors, closed = "utf-8", "strict", False

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        return None

    def isatty(self) -> bool:
        return False

    def read(self, *_: object) -> str:
        return ""

    readline = read


def _warm(packages: tuple[str, ...]) -> None:
    """Runs the path of a job until caches and arenas are hot, so that a child's first program is not its slowest."""
    for name in child.PRELOADED:
        __import__(name)
    for codec in _CODECS:
        codecs.lookup(codec)
    child.allow_imports(packages)
    programs = (*_WARM_PROGRAMS, *wide.warm_programs(packages))
    for _ in range(_WARM_ROUNDS):
        for program, calls in programs:
            child.run_job(wire.Order(0, 1.0, True, 1, program.encode(), calls), len)


def _silence_streams() -> None:
    sys.stdin = sys.stdout = sys.stderr = _Silence()
    sys.__stdin__ = sys.__stdout__ = sys.__stderr__ = None  # type: ignore[misc]
    for number in (0, 1, 2):
        os.close(number)


def _run_child(jobs_fd: int, control_fd: int, wall_s: float, guard: lockdown.Filter | None) -> None:
    """The life of a child: close control, read a job, arm the timers, give up the rest, run, exit."""
    exit_now, write = os._exit, os.write
    os.close(control_fd)
    message = os.read(jobs_fd, wire.JOB_BYTES)
    if not message:
        exit_now(_NO_MORE_JOBS)
    order = wire.unpack_order(message)
    signal.setitimer(signal.ITIMER_REAL, wall_s)
    signal.setitimer(signal.ITIMER_PROF, order.cpu_s)
    resource.setrlimit(resource.RLIMIT_CPU, (int(order.cpu_s) + 1, int(order.cpu_s) + 2))
    if guard is not None and not guard.install():
        exit_now(_NO_FILTER)
    if order.guarded:
        child.hide_modules()
    try:
        child.run_job(order, lambda answer: write(jobs_fd, answer))
    except BaseException:  # whatever the program did to us, it ends here and not in the zygote's loop
        exit_now(1)
    exit_now(0)


def main(arguments: list[str]) -> None:
    """Warms, locks, reports, then forks a child for every job until the host is gone."""
    jobs_fd, control_fd, memory_mb, locked = (int(text) for text in arguments[:4])
    wall_s = float(arguments[4])
    warnings.simplefilter("ignore")
    if arguments[5:]:
        lean_mb = wide.address_space_mb()
        _warm(wide.load(arguments[5:]))
        memory_mb += wide.address_space_mb() - lean_mb  # so that a program has as much room as in a lean one
        if not wide.single_threaded():
            sys.exit("a library started a thread")
    else:
        _warm(())
    _silence_streams()
    lockdown.set_limits(memory_mb)
    guard = lockdown.Filter(filters.child_filter(jobs_fd)) if locked and filters.numbers() is not None else None
    report = lockdown.lock_down(jobs_fd, control_fd) if locked else lockdown.Report(uid=os.getuid())
    if not report.seccomp:
        guard = None
    fork, wait, write, exit_now = os.fork, os.wait4, os.write, os._exit
    gc.collect()
    gc.freeze()
    write(control_fd, struct.pack("<iiBB", report.uid, report.landlock, report.seccomp, report.namespaces))
    while True:
        identity = fork()
        if identity == 0:
            try:
                _run_child(jobs_fd, control_fd, wall_s, guard)
            finally:
                exit_now(1)
        _, status, usage = wait(identity, 0)
        if status == _NO_MORE_JOBS << 8:
            exit_now(0)
        write(control_fd, _STATUS.pack(status, usage.ru_utime + usage.ru_stime))


if __name__ == "__main__":
    main(sys.argv[1:])
