"""One slot of the executor: a jailed zygote, the two sockets to it, and the tickets that wait in it."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from azr_plugins_python.executor import wire
from azr_plugins_python.executor.limits import Limits
from azr_plugins_python.executor.profiles import Profile, package_folders
from azr_plugins_python.executor.tickets import Lane, Ticket

PIPELINE = 2
"""Jobs in a slot at once: one runs, one waits in the socket so that the next child need not wait for us."""
SHARED = 500
"""Jobs of the fast lane that one child serves."""
_GREETING_S = 60.0
_BURST = 4_096
"""Messages read in one go, more than a socket can hold: a child that floods its channel cannot hold us."""
_SLACK = 64
_GREETING = struct.Struct("<iiBB")
_EXIT = struct.Struct("<id")
_BUFFER_BYTES = 400_000
_ZYGOTE = str(Path(__file__).with_name("zygote.py"))


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
    """Owns one zygote process. `number` is its hash seed, so no two slots order a set alike.

    The zygote has one child at a time. A child of the fork lane runs one job; its end, which the zygote reports, is the job's. One of the
    fast lane runs job after job, each of which ends with a bundle, until it is told to retire or dies of the job it was running.
    """

    def __init__(self, number: int, limits: Limits, locked: bool, profile: Profile) -> None:
        self.number = number
        self.limits = limits
        self.pending: deque[Ticket | None] = deque()
        """What was sent, oldest first; None is the order to retire."""
        self.pinned: tuple[deque[Ticket], deque[Ticket]] = (deque(), deque())
        """Tickets that must run here, by lane."""
        self.lane = Lane.fork
        """Where the last ticket went: what kind of child the next one will meet."""
        self.served = 0
        self.head_since = 0.0
        self.received = 0
        """Messages since a job last ended."""
        self.jobs, self._far_jobs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control, far_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self.jobs, self._far_jobs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        ends = (self._far_jobs.fileno(), far_control.fileno())
        self.jobs_fd = self._far_jobs.fileno()
        settings = [str(item) for item in (*ends, limits.memory_mb, int(locked), limits.wall_s)]
        folders = package_folders() if profile is Profile.wide else ()
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-s", "-P", "-B", "-X", "utf8", _ZYGOTE, *settings, *folders],
            env={"PYTHONHASHSEED": str(number + 1), "LC_ALL": "C.UTF-8", "LD_BIND_NOW": "1"},  # bound once, not in every child
            cwd="/",
            pass_fds=ends,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        far_control.close()

    def greet(self) -> Greeting:
        """Waits until the zygote is warm and locked. Raises SlotLost."""
        self.control.settimeout(_GREETING_S)
        try:
            message = self.control.recv(64)
        except OSError as error:
            raise SlotLost("the jailed interpreter did not start") from error
        if len(message) != _GREETING.size:
            raise SlotLost("the jailed interpreter did not start")
        self.jobs.setblocking(False)
        self.control.setblocking(False)
        uid, landlock, seccomp, namespaces = _GREETING.unpack(message)
        return Greeting(uid, landlock, bool(seccomp), bool(namespaces))

    def send(self, ticket: Ticket) -> bool:
        """Hands a ticket to the zygote; False if there is no room now."""
        if self.lane is Lane.fast and (ticket.lane is Lane.fork or self.served >= SHARED):
            if not self._post(wire.RETIRE):
                return False
            self.pending.append(None)
            self.lane, self.served = Lane.fork, 0
        if not self._post(ticket.pack()):
            return False
        self.lane = ticket.lane
        self.served += 1
        ticket.slot = self.number
        ticket.sent_at = time.monotonic()
        if not self.pending:
            self.head_since = ticket.sent_at
        self.pending.append(ticket)
        return True

    def _post(self, message: bytes) -> bool:
        try:
            self.jobs.send(message)
        except BlockingIOError:
            return False
        except OSError as error:
            raise SlotLost("send") from error
        return True

    def heard(self) -> Ticket | None:
        """Reads one message from a child; the ticket that it finishes, if it does. Answers to numbers that nobody drew are dropped."""
        message = self._read()
        answer = None if message is None else wire.unpack_answer(message)
        if answer is None:
            return None
        identity, call, kind, payload = answer
        # Not always the head: the next child may have answered before we read that the last one ended.
        ticket = next((ticket for ticket in self.pending if ticket and ticket.identity == identity), None)
        if ticket is None:
            return None
        if ticket.lane is Lane.fork:
            ticket.accept(call, kind, payload)
            return None
        if call != wire.BUNDLE:
            return None
        if kind != wire.REFUSED:
            ticket.open_bundle(payload)
        return self._over(ticket)

    def _read(self) -> bytes | None:
        """The next message, which may be empty: a program can send that too, and it must not pass for the last. None: there is none."""
        try:
            message = self.jobs.recv(wire.JOB_BYTES)
        except (BlockingIOError, ConnectionError):
            return None
        self.received += 1
        return message

    def ended(self) -> Iterator[Ticket]:
        """Reads that a child has ended; its ticket, and those that it finished before. Raises SlotLost when the zygote is gone."""
        try:
            message = self.control.recv(64)
        except BlockingIOError:
            return
        except ConnectionError as error:
            raise SlotLost("control") from error
        if len(message) != _EXIT.size:
            raise SlotLost("control")
        before = -1
        for _ in range(_BURST):
            if before == self.received:
                break
            before = self.received
            if ticket := self.heard():
                yield ticket
        if not self.pending:
            raise SlotLost("an idle child ended")
        status, cpu_s = _EXIT.unpack(message)
        if head := self.pending[0]:
            head.end(status, cpu_s)
            yield self._over(head)
        elif status == wire.RETIRED << 8:  # else it died before it read that it should, and the next child will read it
            self.pending.popleft()
            self.head_since = time.monotonic()

    def _over(self, ticket: Ticket) -> Ticket:
        now = time.monotonic()
        self.pending.remove(ticket)
        ticket.latency_s = now - ticket.sent_at
        self.head_since, self.received = now, 0
        return ticket

    def waiting_s(self) -> float:
        """How long the job at the head has been running, seconds."""
        return time.monotonic() - self.head_since if self.pending else 0.0

    def silent(self) -> bool:
        """Whether the child at the head has outlived every limit that the kernel should have enforced."""
        return self.waiting_s() > self.limits.wall_s + 2

    def flooded(self) -> bool:
        """Whether children have written far more than they have calls to answer."""
        return self.received > _SLACK + sum(ticket.calls for ticket in self.pending if ticket)

    def recall(self) -> list[Ticket]:
        """Takes back what no child has read yet, so that it need not wait for the job at the head; the head stays, read or not."""
        recalled: list[Ticket] = []
        while len(self.pending) > 1 and None not in self.pending:
            last = self.pending[-1]
            try:
                first = self._far_jobs.recv(wire.JOB_BYTES, socket.MSG_DONTWAIT | socket.MSG_PEEK)
                if last is None or wire.unpack_order(first).identity != last.identity:
                    break
                self._far_jobs.recv(wire.JOB_BYTES, socket.MSG_DONTWAIT)
            except OSError:
                break
            self.pending.pop()
            recalled.append(last)
        return recalled

    def close(self) -> None:
        """Ends zygote and child."""
        self.jobs.close()
        self._far_jobs.close()
        self.control.close()
        with suppress(ProcessLookupError, PermissionError):  # gone, or another user's now: it ends by itself when its socket does
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
