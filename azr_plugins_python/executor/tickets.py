"""A job on its way through a slot, and what comes back of it."""

from __future__ import annotations

import os
import random
import re
import signal
from dataclasses import dataclass, field
from enum import IntEnum

from azr_plugins_python.executor import codec, wire
from azr_plugins_python.executor.limits import Call, Status
from azr_plugins_python.executor.profiles import Profile

FAST_CPU_S = 0.1
"""CPU seconds of a job in the fast lane; what needs more gets its whole limit in the fork lane."""

_draw = random.SystemRandom().getrandbits
_SIGNALS = {
    "SIGSYS": (Status.denied, "system call"),
    "SIGPROF": (Status.timeout, "cpu"),
    "SIGXCPU": (Status.timeout, "cpu"),
    "SIGALRM": (Status.timeout, "wall"),
    "SIGKILL": (Status.infra, "killed"),
}


class Lane(IntEnum):
    """fork: a process of its own. fast: a process shared with other programs that the gate admits."""

    fork = 0
    fast = 1


@dataclass(eq=False)
class Ticket:
    """One job, the lane that it is for, and its answers."""

    order: wire.Order
    calls: int
    slot: int | None = None
    """Which slot it must run in, or did run in; None before it ran if any will do."""
    pinned: bool = False
    """Whether it must run there."""
    profile: Profile = Profile.lean
    lane: Lane = Lane.fork
    attempts: int = 0
    answers: dict[int, Call] = field(default_factory=dict)
    whole: bool = False
    """Whether the fast lane answered it; what it does not answer is for the fork lane."""
    ending: tuple[Status, str] | None = None
    cpu_s: float = 0.0
    sent_at: float = 0.0
    """Seconds of the monotonic clock; both are of the last attempt."""
    latency_s: float = 0.0
    """From the moment a slot took it to its result."""
    identity: int = 0
    """Drawn for each attempt, so that late answers of a lost one are strangers."""

    def pack(self) -> bytes:
        """The message for its lane, under a new number, with nothing left of an earlier attempt."""
        self.identity = _draw(64)
        self.answers.clear()
        self.ending, self.whole = None, False
        fast = self.lane is Lane.fast
        cpu_s = min(self.order.cpu_s / 2, FAST_CPU_S) if fast else self.order.cpu_s
        return self.order._replace(identity=self.identity, cpu_s=cpu_s, fast=fast).pack()

    def lose(self, reason: str) -> None:
        """Ends it by our own fault, whatever came back of it."""
        self.answers.clear()
        self.ending = (Status.infra, reason)

    def accept(self, call: int, kind: int, payload: bytes) -> None:
        """Takes one answer from the child. The first of each call wins, and a call that does not exist is no answer."""
        exists = call < self.calls or (call == 0 and kind == wire.SYNTAX)
        if exists and call not in self.answers:
            self.answers[call] = _read_answer(kind, payload)

    def open_bundle(self, payload: bytes) -> None:
        """Takes all answers at once."""
        self.whole = True
        for message in wire.unpack_bundle(payload):
            answer = wire.unpack_answer(message)
            if answer is not None and answer[0] == self.identity:
                self.accept(*answer[1:])

    def end(self, status: int, cpu_s: float) -> None:
        """Takes what the kernel said of its child."""
        self.ending, self.cpu_s = _read_ending(status), cpu_s

    def settle(self) -> tuple[Call, ...]:
        """One outcome per call, once the child is gone. A call without an answer came to what the child came to."""
        syntax = self.answers.get(0)
        if syntax is not None and syntax.status is Status.syntax_error:
            return (syntax,) * max(1, self.calls)
        status, reason = self.ending or (Status.crash, "exited")
        return tuple(self.answers.get(index) or Call(status, None, reason) for index in range(self.calls))


_STATUSES = tuple(map(Status, wire.KINDS))


def _read_answer(kind: int, payload: bytes) -> Call:
    if kind >= len(_STATUSES):
        return Call(Status.bad_result, None, "kind")
    status = _STATUSES[kind]
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
    return Status.crash, f"exit {code}"
