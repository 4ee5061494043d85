"""The process that is warmed, locked, and then forked once per job. Started as a script; it never reads a job itself.

argv: jobs fd, control fd, memory in MiB, locked (1 or 0), wall seconds, and for a wide one the folders that hold its packages. It
reports once over control what it gave up, then one line per child: exit status and CPU seconds. A child closes control before it reads
its job, so a program can forge no exit status.
"""

from __future__ import annotations

import codecs
import ctypes
import gc
import os
import resource
import signal
import struct
import sys
import types
import warnings
from dataclasses import dataclass, replace

# Mending `threading` and reseeding `random` after each fork is a third of its cost, and no child has threads; children draw alike instead.
os.register_at_fork = lambda **_: None
os.environ.pop("LD_BIND_NOW", None)

_HERE = os.path.dirname(os.path.abspath(__file__))
for _name, _folder in (("azr_plugins_python", os.path.dirname(_HERE)), ("azr_plugins_python.executor", _HERE)):
    # The package's own __init__ files would pull in the rest of the project: the zygote needs a few modules of this folder.
    _package = types.ModuleType(_name)
    _package.__path__ = [_folder]
    sys.modules.setdefault(_name, _package)

from azr_plugins_python.executor import child, filters, gate, lockdown, wide, wire  # noqa: E402

_STATUS = struct.Struct("<id")
_NO_MORE_JOBS = 77
_NO_FILTER = 78
_PEEK = 0x02 | 0x40  # and do not wait
_WARM_ROUNDS = 12
_SHARED_CPU_S = (600, 601)
# fmt: off
_CODECS = (
    "ascii", "base64", "cp037", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp437", "cp850", "cp866", "hex", "idna", "iso8859-2",
    "iso8859-5", "iso8859-7", "iso8859-9", "iso8859-15", "koi8-r", "shift_jis", "euc_jp", "latin-1", "mac-roman", "punycode", "quopri",
    "raw_unicode_escape", "rot13", "unicode_escape", "utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-32-be", "utf-32-le", "utf-7",
    "utf-8", "utf-8-sig", "zlib",
)
# fmt: on
"""Of Chinese, Japanese and Korean ones, libraries of their own whose maps every fork copies, only the one that real programs use."""

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


def _warm(packages: tuple[str, ...]) -> gate.Gate | None:
    """Runs the paths of both lanes until caches and arenas are hot, so that a child's first program is not its slowest."""
    for name in child.PRELOADED:
        __import__(name)
    for codec in _CODECS:
        codecs.lookup(codec)
    child.allow_imports(packages)
    programs = (*_WARM_PROGRAMS, *wide.warm_programs(packages))
    admits = None if packages else gate.make_gate()
    for lane in (None, admits) * _WARM_ROUNDS:
        for program, calls in programs:
            child.run_job(wire.Order(0, 1.0, True, 1, program.encode(), calls), len, lane)
    return admits


def _silence_streams() -> None:
    sys.stdin = sys.stdout = sys.stderr = _Silence()
    sys.__stdin__ = sys.__stdout__ = sys.__stderr__ = None  # type: ignore[misc]
    for number in (0, 1, 2):
        os.close(number)


@dataclass(frozen=True)
class _Nest:
    """What every child of this zygote is given."""

    jobs_fd: int
    control_fd: int
    wall_s: float
    guards: tuple[lockdown.Filter, lockdown.Filter] | None
    """Filters of the fork lane and of the fast lane."""
    gate: gate.Gate | None


def _hatch(nest: _Nest) -> None:
    """The life of a child: close control, read an order, and go the way of its lane."""
    exit_now = os._exit
    os.close(nest.control_fd)
    message = os.read(nest.jobs_fd, wire.JOB_BYTES)
    if not message:
        exit_now(_NO_MORE_JOBS)
    order = wire.unpack_order(message)
    if not order.repeats:
        exit_now(wire.RETIRED)
    resource.setrlimit(resource.RLIMIT_CPU, (int(order.cpu_s) + 1, int(order.cpu_s) + 2) if not order.fast else _SHARED_CPU_S)
    if not order.fast:  # before the filter, which forbids it
        signal.setitimer(signal.ITIMER_REAL, nest.wall_s)
        signal.setitimer(signal.ITIMER_PROF, order.cpu_s)
    if nest.guards is not None and not nest.guards[order.fast].install():
        exit_now(_NO_FILTER)
    if order.guarded:
        child.hide_modules()
    try:
        (_work if order.fast else _run_alone)(order, nest)
    except BaseException:  # whatever the program did to us, it ends here and not in the zygote's loop
        exit_now(1)
    exit_now(0)


def _run_alone(order: wire.Order, nest: _Nest) -> None:
    write, jobs_fd = os.write, nest.jobs_fd
    child.run_job(order, lambda answer: write(jobs_fd, answer))


def _work(order: wire.Order, nest: _Nest) -> None:
    """Runs order after order until one is not for the fast lane. As deep in the stack as `_run_alone`, so that recursion ends alike.

    The clock of the processor is set anew for each; a program that passed the gate cannot wait for anything else. An answer is sent when
    nothing of its program is left: finalisers run on that program's time, and a program that fails here takes only itself along.
    """
    read, write, exit_now, collect, generations = os.read, os.write, os._exit, gc.collect, gc.get_count
    set_timer, timer, run_job, pack = signal.setitimer, signal.ITIMER_PROF, child.run_job, wire.pack_bundle
    while order.fast:
        set_timer(timer, order.cpu_s)
        answers: list[bytes] = []
        admitted = run_job(order, answers.append, nest.gate or _no_program)
        counts = generations()
        collect(2 if counts[1] or counts[2] else 0)
        bundle = pack(order.identity, answers if admitted else None)
        if len(bundle) > wire.JOB_BYTES:
            return
        write(nest.jobs_fd, bundle)
        message = read(nest.jobs_fd, wire.JOB_BYTES)
        if not message:
            exit_now(_NO_MORE_JOBS)
        order = wire.unpack_order(message)
    exit_now(wire.RETIRED)


def _no_program(_: types.CodeType) -> bool:
    return False


def _guards(jobs_fd: int) -> tuple[lockdown.Filter, lockdown.Filter] | None:
    if filters.numbers() is None:
        return None
    return lockdown.Filter(filters.child_filter(jobs_fd)), lockdown.Filter(filters.child_filter(jobs_fd, fast=True))


def main(arguments: list[str]) -> None:
    """Warms, locks, reports, then forks a child for every job until the host is gone."""
    jobs_fd, control_fd, memory_mb, locked = (int(text) for text in arguments[:4])
    wall_s = float(arguments[4])
    warnings.simplefilter("ignore")
    packages = arguments[5:]
    if packages:
        lean_mb = wide.address_space_mb()
        admits = _warm(wide.load(packages))
        memory_mb += wide.address_space_mb() - lean_mb  # so that a program has as much room as in a lean one
        if not wide.single_threaded():
            sys.exit("a library started a thread")
    else:
        admits = _warm(())
    _silence_streams()
    lockdown.set_limits(memory_mb)
    nest = _Nest(jobs_fd, control_fd, wall_s, _guards(jobs_fd) if locked else None, admits)
    report = lockdown.lock_down(jobs_fd, control_fd) if locked else lockdown.Report(uid=os.getuid())
    if not report.seccomp:
        nest = replace(nest, guards=None)
    fork, wait, write, exit_now = os.fork, os.wait4, os.write, os._exit
    peek, room = ctypes.PyDLL(None).recv, ctypes.create_string_buffer(1)
    gc.collect()
    gc.freeze()
    write(control_fd, struct.pack("<iiBB", report.uid, report.landlock, report.seccomp, report.namespaces))
    while True:
        identity = fork()
        if identity == 0:
            try:
                _hatch(nest)
            finally:
                exit_now(1)
        _, status, usage = wait(identity, 0)
        if status == _NO_MORE_JOBS << 8 and peek(jobs_fd, room, 1, _PEEK) == 0:  # a program may exit with any status
            exit_now(0)
        write(control_fd, _STATUS.pack(status, usage.ru_utime + usage.ru_stime))


if __name__ == "__main__":
    main(sys.argv[1:])
