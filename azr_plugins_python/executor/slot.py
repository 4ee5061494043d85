"""One slot of the executor: a jailed zygote, the two sockets to it, and the tickets that wait in it."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from azr_plugins_python.executor import codec, wire
from azr_plugins_python.executor.limits import Call, Limits, Status
from azr_plugins_python.executor.profiles import Profile, package_folders

PIPELINE = 2
"""Jobs in a slot at once: one runs, one waits in the socket so that the next child need not wait for us."""
_GREETING_S = 60.0
_BURST = 4_096
"""Messages read in one go, more than a socket can hold: a child that floods its channel cannot hold us."""
_SLACK = 64
_GREETING = struct.Struct("<iiBB")
_EXIT = struct.Struct("<id")
_BUFFER_BYTES = 400_000
_ZYGOTE = str(Path(__file__).with_name("zygote.py"))
_SYNTAX = wire.KINDS.index("syntax_error")
_draw = random.SystemRandom().getrandbits
_SIGNALS = {
    "SIGSYS": (Status.denied, "system call"),
    "SIGPROF": (Status.timeout, "cpu"),
    "SIGXCPU": (Status.timeout, "cpu"),
    "SIGALRM": (Status.timeout, "wall"),
    "SIGKILL": (Status.infra, "killed"),
}


@dataclass
class Ticket:
    """A job on its way through a slot, and what has come back of it."""

    order: wire.Order
    calls: int
    slot: int | None = None
    """Which slot it must run in, or did run in; None before it ran if any will do."""
    profile: Profile = Profile.lean
    attempts: int = 0
    answers: dict[int, Call] = field(default_factory=dict)
    ending: tuple[Status, str] | None = None
    cpu_s: float = 0.0

    def reset(self) -> None:
        """Forgets what a lost attempt brought; a new number makes its late answers strangers."""
        self.order = replace(self.order, identity=_draw(64))
        self.answers.clear()

    def lose(self, reason: str) -> None:
        """Ends it by our own fault, whatever came back of it."""
        self.answers.clear()
        self.ending = (Status.infra, reason)

    def accept(self, call: int, kind: int, payload: bytes) -> None:
        """Takes one answer from the child. The first of each call wins, and a call that does not exist is no answer."""
        exists = call < self.calls or (call == 0 and kind == _SYNTAX)
        if exists and call not in self.answers:
            self.answers[call] = _read_answer(kind, payload)

    def settle(self) -> tuple[Call, ...]:
        """One outcome per call, once the child is gone. A call without an answer came to what the child came to."""
        syntax = self.answers.get(0)
        if syntax is not None and syntax.status is Status.syntax_error:
            return (syntax,) * max(1, self.calls)
        status, reason = self.ending or (Status.crash, "exited")
        return tuple(self.answers.get(index) or Call(status, None, reason) for index in range(self.calls))


def _read_answer(kind: int, payload: bytes) -> Call:
    if kind >= len(wire.KINDS):
        return Call(Status.bad_result, None, "kind")
    status = Status(wire.KINDS[kind])
    if status is not Status.ok:
        name = payload[:100].decode("ascii", "replace")
        return Call(status, None, name if re.fullmatch(r"[A-Za-z0-9_]{1,100}", name) else "")
    try:
        return Call(status, codec.decode(payload))
    except codec.WireError as error:
        return Call(Status.bad_result, None, str(error))


def _read_ending(status: int) -> tuple[Status, str] | None:
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return _SIGNALS.get(name, (Status.crash, name))
    code = os.WEXITSTATUS(status)
    if code == 0:
        return None
    return (Status.infra, "no filter") if code == 78 else (Status.crash, f"exit {code}")


@dataclass(frozen=True)
class Greeting:
    """What a zygote says of its own jail."""

    uid: int
    landlock: int
    seccomp: bool
    namespaces: bool


class SlotLost(Exception):
    """The zygote is gone or was never there."""


class Slot:
    """Owns one zygote process. `number` is its hash seed, so no two slots order a set alike."""

    def __init__(self, number: int, limits: Limits, locked: bool, profile: Profile) -> None:
        self.number = number
        self.limits = limits
        self.pending: deque[Ticket] = deque()
        self.pinned: deque[Ticket] = deque()
        self.head_since = 0.0
        self.received = 0
        """Messages since a child last ended."""
        self.jobs, far_jobs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control, far_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self.jobs, far_jobs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        ends = (far_jobs.fileno(), far_control.fileno())
        self.jobs_fd = far_jobs.fileno()
        settings = [str(item) for item in (*ends, limits.memory_mb, int(locked), limits.wall_s)]
        folders = package_folders() if profile is Profile.wide else ()
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-s", "-P", "-B", "-X", "utf8", _ZYGOTE, *settings, *folders],
            env={"PYTHONHASHSEED": str(number + 1), "LC_ALL": "C.UTF-8"},
            cwd="/",
            pass_fds=ends,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        far_jobs.close()
        far_control.close()

    def greet(self) -> Greeting:
        """Waits until the zygote is locked. Raises SlotLost."""
        self.control.settimeout(_GREETING_S)
        try:
            message = self.control.recv(64)
        except (TimeoutError, ConnectionError) as error:
            raise SlotLost("the jailed interpreter did not start") from error
        if len(message) != _GREETING.size:
            raise SlotLost("the jailed interpreter did not start")
        self.jobs.setblocking(False)
        self.control.setblocking(False)
        uid, landlock, seccomp, namespaces = _GREETING.unpack(message)
        return Greeting(uid, landlock, bool(seccomp), bool(namespaces))

    def send(self, ticket: Ticket) -> bool:
        """Hands a ticket to the zygote; False if there is no room now."""
        ticket.reset()
        try:
            self.jobs.send(ticket.order.pack())
        except BlockingIOError:
            return False
        except OSError as error:
            raise SlotLost("send") from error
        ticket.slot = self.number
        if not self.pending:
            self.head_since = time.monotonic()
        self.pending.append(ticket)
        return True

    def drain(self) -> None:
        """Reads what children have answered. Answers to numbers that nobody drew are dropped."""
        for _ in range(_BURST):
            try:
                message = self.jobs.recv(wire.JOB_BYTES)
            except (BlockingIOError, ConnectionError):
                return
            self.received += 1
            answer = wire.unpack_answer(message)
            if answer is None:
                if not message:
                    return
                continue
            identity, call, kind, payload = answer
            for ticket in self.pending:
                if ticket.order.identity == identity:
                    ticket.accept(call, kind, payload)

    def finish(self) -> Ticket | None:
        """The ticket whose child has ended, if one has. Raises SlotLost when the zygote is gone."""
        try:
            message = self.control.recv(64)
        except BlockingIOError:
            return None
        except ConnectionError as error:
            raise SlotLost("control") from error
        if len(message) != _EXIT.size or not self.pending:
            raise SlotLost("control")
        self.drain()
        status, cpu_s = _EXIT.unpack(message)
        ticket = self.pending.popleft()
        self.head_since, self.received = time.monotonic(), 0
        ticket.ending, ticket.cpu_s = _read_ending(status), cpu_s
        return ticket

    def silent(self) -> bool:
        """Whether the child at the head has outlived every limit that the kernel should have enforced."""
        return bool(self.pending) and time.monotonic() - self.head_since > self.limits.wall_s + 2

    def flooded(self) -> bool:
        """Whether children have written far more than they have calls to answer."""
        return self.received > _SLACK + sum(ticket.calls for ticket in self.pending)

    def close(self) -> None:
        """Ends zygote and child."""
        self.jobs.close()
        self.control.close()
        with suppress(ProcessLookupError, PermissionError):  # gone, or another user's now: it ends by itself when its socket does
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
