"""The nouns of the executor: what a job is, what bounds it, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Value = object
"""Any of None bool int float complex str bytes list tuple set frozenset dict, nested; by exact type."""


class Status(StrEnum):
    """What became of a call or of a job."""

    ok = "ok"
    error = "error"
    timeout = "timeout"
    memory = "memory"
    denied = "denied"
    crash = "crash"
    unsupported_output = "unsupported_output"
    output_too_large = "output_too_large"
    bad_result = "bad_result"
    bad_input = "bad_input"
    syntax_error = "syntax_error"
    no_entry = "no_entry"
    program_too_large = "program_too_large"
    nondeterministic = "nondeterministic"
    infra = "infra"


@dataclass(frozen=True)
class Limits:
    """Bounds of one job, which is one program with all its calls. CPU time is the limit, wall time a backstop."""

    cpu_s: float = 1.0
    """CPU seconds of one job; a proposal must finish one pass of its calls in half of it."""
    wall_s: float = 5.0
    """Wall-clock seconds of one job."""
    memory_mb: int = 512
    """Address space of the process that runs the job, in MiB."""
    program_bytes: int = 64_000
    """Size of a program in UTF-8 bytes."""


@dataclass(frozen=True)
class Job:
    """A program and the calls to make of it: each argument text holds one call's literals, `3, 'a', k=[1]`."""

    program: str
    arguments: tuple[str, ...]
    entry: str = "f"


@dataclass(frozen=True)
class Call:
    """What one call came to. `reason` is a short name for people, such as `ZeroDivisionError`, `cpu` or `wall`."""

    status: Status
    value: Value | None = None
    reason: str = ""


@dataclass(frozen=True)
class Result:
    """What one job came to: `ok` if every call is, else the status of the first call that is not."""

    status: Status
    calls: tuple[Call, ...]
    reason: str = ""
    cpu_s: float = 0.0
    """CPU seconds of its process; 0 where that was shared."""
    latency_s: float = 0.0
    """Seconds from the moment a slot took it."""


def summarize(calls: tuple[Call, ...], cpu_s: float = 0.0, latency_s: float = 0.0) -> Result:
    """The result of a job from its calls."""
    bad = next((call for call in calls if call.status is not Status.ok), None)
    status, reason = (Status.ok, "") if bad is None else (bad.status, bad.reason)
    return Result(status, calls, reason, cpu_s, latency_s)


@dataclass(frozen=True)
class Attempt:
    """One harm that the self-test attempted, whether it was held, and what the host saw, such as `denied: system call`."""

    name: str
    held: bool
    observed: str


@dataclass(frozen=True)
class Protection:
    """What holds a hostile program, as observed by attempt. L3: jail and namespaces, L2: jail, L0: nothing."""

    level: str
    backend: str
    uid: int
    landlock: int
    seccomp: bool
    namespaces: bool
    attempts: tuple[Attempt, ...]
    limits: Limits
    possible: bool = True
    """Whether programs can run here at all, with a jail or without."""

    @property
    def broken(self) -> tuple[Attempt, ...]:
        """The attempts that got through, or could not even be made."""
        return tuple(attempt for attempt in self.attempts if not attempt.held)

    @property
    def mend(self) -> str:
        """What to do where nothing holds."""
        if self.level != "L0":
            return ""
        if not self.possible:
            return "Without Linux programs cannot run here at all: run in the shipped Dockerfile"
        accept = "--i-accept-unsandboxed-execution (Executor(allow_unsandboxed=True))"
        return f"Two ways on: run in the shipped Dockerfile, or accept the risk with {accept}"

    def __str__(self) -> str:
        names = ", ".join(attempt.name for attempt in self.broken)
        held = f"self-test broken by {names}" if names else "self-test held"
        seccomp = "on" if self.seccomp else "off"
        bounds = f"cpu {self.limits.cpu_s:g} s, wall {self.limits.wall_s:g} s, memory {self.limits.memory_mb} MiB"
        landlock = f"Landlock ABI {self.landlock}" if self.landlock else "no Landlock"
        spaces = "namespaces" if self.namespaces else "no namespaces"
        return f"sandbox {self.level} ({self.backend}): uid {self.uid}, {landlock}, seccomp {seccomp}, {spaces}, rlimits {bounds}; {held}"


class SandboxUnavailable(RuntimeError):
    """No jail can be built here, and running without one was not allowed, or is not possible either."""

    def __init__(self, found: Protection) -> None:
        why = "; ".join(f"{attempt.name}: {attempt.observed}" for attempt in found.broken)
        super().__init__(f"untrusted programs cannot be contained on this machine ({why}). {found.mend}")
