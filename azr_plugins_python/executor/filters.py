"""Seccomp filters as classic BPF, for x86_64 and aarch64.

F0 goes into the zygote once and every child inherits it; F1 is the small rest that a child adds to itself. Installing a filter costs about
25 us and 1.3 us per instruction, so what can be in F0 is in F0. Imports nothing of the project: the zygote loads it.
"""

from __future__ import annotations

import platform
import struct

_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_EACCES, _ENOSYS = 13, 38
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_X32 = 0x40000000
_PROT_EXEC = 4
_OPEN_TO_WRITE = 0o1 | 0o2 | 0o100 | 0o1000
_PLAIN_FORK = 0x01200011  # SIGCHLD, CHILD_SETTID, CHILD_CLEARTID: no namespace, no shared memory, no thread

# fmt: off
_X86_64 = dict(
    read=0, write=1, open=2, close=3, stat=4, fstat=5, lstat=6, poll=7, lseek=8, mmap=9, mprotect=10, munmap=11, brk=12, rt_sigaction=13,
    rt_sigprocmask=14, rt_sigreturn=15, ioctl=16, access=21, select=23, sched_yield=24, mremap=25, madvise=28, nanosleep=35, getitimer=36,
    setitimer=38, getpid=39, sendto=44, recvfrom=45, clone=56, exit=60, wait4=61, uname=63, fcntl=72, getdents=78, getcwd=79, readlink=89,
    gettimeofday=96, getrlimit=97, getrusage=98, times=100, getuid=102, getgid=104, geteuid=107, getegid=108, getppid=110, sigaltstack=131,
    prctl=157, gettid=186, time=201, futex=202, getdents64=217, clock_gettime=228, clock_getres=229, clock_nanosleep=230, exit_group=231,
    openat=257, newfstatat=262, readlinkat=267, faccessat=269, pselect6=270, ppoll=271, set_robust_list=273, prlimit64=302, seccomp=317,
    getrandom=318, statx=332, rseq=334, clone3=435, openat2=437, faccessat2=439, landlock_create_ruleset=444, landlock_restrict_self=446,
)
_AARCH64 = dict(
    getcwd=17, fcntl=25, ioctl=29, faccessat=48, openat=56, close=57, getdents64=61, lseek=62, read=63, write=64, pselect6=72, ppoll=73,
    readlinkat=78, newfstatat=79, fstat=80, exit=93, exit_group=94, futex=98, set_robust_list=99, nanosleep=101, getitimer=102,
    setitimer=103, clock_gettime=113, clock_getres=114, clock_nanosleep=115, sched_yield=124, sigaltstack=132, rt_sigaction=134,
    rt_sigprocmask=135, rt_sigreturn=139, times=153, uname=160, getrlimit=163, getrusage=165, prctl=167, gettimeofday=169, getpid=172,
    getppid=173, getuid=174, geteuid=175, getgid=176, getegid=177, gettid=178, sendto=206, recvfrom=207, brk=214, munmap=215, mremap=216,
    clone=220, mmap=222, mprotect=226, madvise=233, wait4=260, prlimit64=261, seccomp=277, getrandom=278, statx=291, rseq=293, clone3=435,
    openat2=437, faccessat2=439, landlock_create_ruleset=444, landlock_restrict_self=446,
)
_FREE = ("brk", "munmap", "mremap", "madvise", "futex", "rt_sigreturn", "exit", "exit_group", "clock_gettime", "sched_yield", "getpid",
         "gettid", "recvfrom", "read", "close", "wait4", "getrusage", "set_robust_list", "rseq", "rt_sigprocmask", "rt_sigaction",
         "sigaltstack", "setitimer", "seccomp", "getuid", "geteuid", "getgid", "getegid", "gettimeofday", "clock_getres", "times", "time")
_REFUSED = ("stat", "lstat", "newfstatat", "statx", "fstat", "lseek", "access", "faccessat", "faccessat2", "readlink", "readlinkat",
            "getcwd", "getdents", "getdents64", "ioctl", "fcntl", "getrandom", "uname", "nanosleep", "clock_nanosleep", "select",
            "pselect6", "poll", "ppoll", "getitimer", "getrlimit", "getppid", "openat2", "prctl")
_CHILD_KILLED = ("clone", "wait4", "recvfrom", "read", "sendto", "close", "setitimer", "seccomp", "prlimit64", "rt_sigaction",
                 "rt_sigprocmask", "sigaltstack", "set_robust_list", "rseq")
# fmt: on
_TABLES = {"x86_64": (_X86_64, 0xC000003E), "aarch64": (_AARCH64, 0xC00000B7)}


def numbers() -> dict[str, int] | None:
    """System-call numbers of this machine by name, or None where no filter is known."""
    return _TABLES[platform.machine()][0] if platform.machine() in _TABLES else None


def _instruction(code: int, operand: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, operand)


def _give(verdict: int) -> bytes:
    return _instruction(_RETURN, verdict)


def _errno(number: int) -> int:
    return 0x00050000 | number


def _argument(index: int) -> bytes:
    return _instruction(_LOAD, 16 + 8 * index)


class _Assembler:
    """A filter under construction for one machine. Every block leaves the call's number in the accumulator or returns."""

    def __init__(self, machine: str) -> None:
        self.table, audit = _TABLES[machine]
        self.code = _instruction(_LOAD, 4) + _instruction(_EQUAL, audit, 1, 0) + _give(_KILL) + _instruction(_LOAD, 0)
        if machine == "x86_64":
            self.code += _instruction(_AT_LEAST, _X32, 0, 1) + _give(_KILL)

    def group(self, names: tuple[str, ...], verdict: int) -> None:
        """All of these calls get this verdict."""
        found = [self.table[name] for name in names if name in self.table]
        for left, number in zip(range(len(found) - 1, -1, -1), found, strict=True):
            self.code += _instruction(_EQUAL, number, left, 0 if left else 1)
        self.code += _give(verdict)

    def rule(self, name: str, body: bytes) -> None:
        """This call is decided by a body that ends in a return on every path."""
        if name in self.table:
            self.code += _instruction(_EQUAL, self.table[name], 0, len(body) // 8) + body

    def only(self, name: str, index: int, allowed: tuple[int, ...]) -> None:
        """This call is allowed with one of these values as its argument, and kills otherwise."""
        tests = [_instruction(_EQUAL, value, len(allowed) - place, 0) for place, value in enumerate(allowed)]
        self.rule(name, _argument(index) + b"".join(tests) + _give(_KILL) + _give(_ALLOW))

    def unless(self, name: str, index: int, bits: int, verdicts: tuple[int, int]) -> None:
        """This call gets the first verdict if its argument has one of the bits, else the second."""
        with_bits, without = verdicts
        self.rule(name, _argument(index) + _instruction(_ANY_BIT, bits, 0, 1) + _give(with_bits) + _give(without))


def zygote_filter(jobs_fd: int, control_fd: int, machine: str | None = None) -> bytes:
    """F0: what zygote and children may ever do. Anything not named here kills."""
    f0 = _Assembler(machine or platform.machine())
    f0.group(_FREE, _ALLOW)
    for name in ("mmap", "mprotect"):
        f0.unless(name, 2, _PROT_EXEC, (_errno(_EACCES), _ALLOW))
    for name in ("write", "sendto"):
        f0.only(name, 0, (jobs_fd, control_fd))
    f0.only("prlimit64", 0, (0,))
    f0.only("clone", 0, (_PLAIN_FORK,))
    f0.group(("clone3",), _errno(_ENOSYS))
    for name, flags in (("open", 1), ("openat", 2)):
        f0.unless(name, flags, _OPEN_TO_WRITE, (_KILL, _errno(_EACCES)))
    f0.group(_REFUSED, _errno(_EACCES))
    return f0.code + _give(_KILL)


def child_filter(jobs_fd: int, machine: str | None = None, *, fast: bool = False) -> bytes:
    """F1: a child that runs a program cannot fork, read, close, signal, set timers or limits, or write but to its own channel.

    One of the fast lane may read its next order and set its timer again; its gate keeps programs from both.
    """
    f1 = _Assembler(machine or platform.machine())
    f1.only("write", 0, (jobs_fd,))
    if fast:
        f1.only("read", 0, (jobs_fd,))
    f1.group(tuple(name for name in _CHILD_KILLED if not (fast and name in ("read", "setitimer"))), _KILL)
    return f1.code + _give(_ALLOW)
