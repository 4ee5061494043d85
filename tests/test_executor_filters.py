"""The seccomp filters, interpreted: what they decide on each machine."""

from __future__ import annotations

import struct

import pytest

from azr_plugins_python.executor.filters import _TABLES, child_filter, zygote_filter

ALLOW, KILL, EACCES, ENOSYS = 0x7FFF0000, 0x80000000, 0x0005000D, 0x00050026
JOBS, CONTROL = 5, 7
MACHINES = sorted(_TABLES)


def decide(code: bytes, machine: str, name: str, *arguments: int, audit: int | None = None) -> int:
    """Runs a filter on one system call, as the kernel would."""
    table, own_audit = _TABLES[machine]
    frame = struct.pack("<IIQ6Q", table[name], own_audit if audit is None else audit, 0, *(arguments + (0,) * 6)[:6])
    program = list(struct.iter_unpack("HBBI", code))
    accumulator, at = 0, 0
    while True:
        kind, yes, no, operand = program[at]
        at += 1
        if kind == 0x06:
            return int(operand)
        if kind == 0x20:
            accumulator = struct.unpack_from("<I", frame, operand)[0]
        else:
            hit = {0x15: accumulator == operand, 0x35: accumulator >= operand, 0x45: bool(accumulator & operand)}[kind]
            at += yes if hit else no


@pytest.mark.parametrize("machine", MACHINES)
def test_the_zygote_may_fork_and_report_but_not_open_execute_or_map_code(machine: str) -> None:
    f0 = zygote_filter(JOBS, CONTROL, machine)
    assert decide(f0, machine, "clone", 0x01200011) == ALLOW
    assert decide(f0, machine, "clone", 0x10000011) == KILL
    assert decide(f0, machine, "clone3") == ENOSYS
    assert [decide(f0, machine, "write", fd) for fd in (JOBS, CONTROL, 1, 2)] == [ALLOW, ALLOW, KILL, KILL]
    assert [decide(f0, machine, "mmap", 0, 1, bits) for bits in (3, 7, 4)] == [ALLOW, EACCES, EACCES]
    assert [decide(f0, machine, "openat", 0, 0, flags) for flags in (0, 1, 2, 0o100, 0o1000)] == [EACCES, KILL, KILL, KILL, KILL]
    assert [decide(f0, machine, "prlimit64", pid) for pid in (0, 1)] == [ALLOW, KILL]
    assert decide(f0, machine, "nanosleep") == EACCES


@pytest.mark.parametrize("machine", MACHINES)
def test_a_child_may_only_compute_and_write_to_its_own_channel(machine: str) -> None:
    f1 = child_filter(JOBS, machine)
    assert [decide(f1, machine, "write", fd) for fd in (JOBS, CONTROL)] == [ALLOW, KILL]
    forbidden = (
        "clone",
        "read",
        "recvfrom",
        "sendto",
        "close",
        "setitimer",
        "prlimit64",
        "rt_sigaction",
        "rt_sigprocmask",
        "seccomp",
        "wait4",
    )
    assert {decide(f1, machine, name) for name in forbidden} == {KILL}
    assert {decide(f1, machine, name) for name in ("brk", "mmap", "futex", "exit_group")} == {ALLOW}


@pytest.mark.parametrize("machine", MACHINES)
def test_a_call_of_another_architecture_kills(machine: str) -> None:
    assert decide(zygote_filter(JOBS, CONTROL, machine), machine, "getpid", audit=0x40000003) == KILL
    assert decide(child_filter(JOBS, machine), machine, "getpid", audit=0x40000003) == KILL


def test_filters_stay_small() -> None:
    assert len(zygote_filter(JOBS, CONTROL, "x86_64")) // 8 <= 130
    assert len(child_filter(JOBS, "x86_64")) // 8 <= 32
