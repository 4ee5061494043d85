"""Gives up, for this process and all it forks, everything that a program could use against the host. Linux only; the zygote calls it.

Each step that the machine refuses is left out and reported; the host decides by attempt whether what is left holds.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
from dataclasses import dataclass, field

from azr_plugins_python.executor import filters

_NOBODY = 65_534
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38
_SECCOMP_SET_MODE_FILTER = 1
_LANDLOCK_VERSION = 1
_NEW_USER, _NEW_SPACES = 0x10000000, 0x40000000 | 0x08000000 | 0x04000000  # user; network, IPC, host name
_STACK_BYTES = 16 << 20


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


@dataclass
class Report:
    """What the zygote gave up, as it says; the host prints it and believes only its own attempts."""

    uid: int = -1
    landlock: int = 0
    seccomp: bool = False
    namespaces: bool = False


@dataclass
class Filter:
    """A filter ready to be installed; keeps its bytes alive and does no work between the call and the kernel."""

    code: bytes
    _buffer: ctypes.Array[ctypes.c_char] = field(init=False)

    def __post_init__(self) -> None:
        self._buffer = ctypes.create_string_buffer(self.code, len(self.code))
        self._program = _Program(len(self.code) // 8, ctypes.addressof(self._buffer))
        self._libc = ctypes.PyDLL(None, use_errno=True)
        self._number = (filters.numbers() or {})["seccomp"]
        self._reference = ctypes.byref(self._program)

    def install(self) -> bool:
        return bool(self._libc.syscall(self._number, _SECCOMP_SET_MODE_FILTER, 0, self._reference) == 0)


def set_limits(memory_mb: int) -> None:
    """Limits that every child inherits; CPU and wall clock are armed by the child itself, as a fork clears them."""
    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_MEMLOCK):
        resource.setrlimit(kind, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
    resource.setrlimit(resource.RLIMIT_STACK, (_STACK_BYTES, _STACK_BYTES))
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))


def lock_down(jobs_fd: int, control_fd: int) -> Report:
    """Namespaces, another user, no new privileges, no file system, and last the system-call filter."""
    report = Report()
    libc = ctypes.PyDLL(None, use_errno=True)
    report.namespaces = libc.unshare(_NEW_SPACES) == 0 or libc.unshare(_NEW_USER | _NEW_SPACES) == 0
    _drop_user()
    report.uid = os.getuid()
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    report.landlock = _close_file_system(libc)
    if filters.numbers() is not None:
        report.seccomp = Filter(filters.zygote_filter(jobs_fd, control_fd)).install()
    return report


def _drop_user() -> None:
    if os.geteuid() != 0:
        return
    try:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    except OSError:  # root without the capability, as in some containers: the other layers hold
        return


def _close_file_system(libc: ctypes.PyDLL) -> int:
    """Landlock with no rule at all: no file, no TCP port, no abstract socket, no signal outside. Returns the ABI, 0 if absent."""
    calls = filters.numbers()
    if calls is None:
        return 0
    abi = int(libc.syscall(calls["landlock_create_ruleset"], None, 0, _LANDLOCK_VERSION))
    if abi <= 0:
        return 0
    rights = 13 + (abi >= 2) + (abi >= 3) + (abi >= 5)
    handled = struct.pack("<QQQ", (1 << rights) - 1, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    rules = int(libc.syscall(calls["landlock_create_ruleset"], handled, size, 0))
    if rules < 0:
        return 0
    closed = libc.syscall(calls["landlock_restrict_self"], rules, 0) == 0
    os.close(rules)
    return abi if closed else 0
