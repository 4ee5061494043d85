"""What the public benchmarks of programs share: programs run in the sandbox, never in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import azr_core as azr
from azr_plugins_python.executor import Executor, Job, Limits, Profile, Result, SandboxUnavailable, Status

PASSED = "azr_passed"
_MISSING = frozenset({"ImportError", "ModuleNotFoundError"})
_PROGRAM_BYTES = 118_000  # as much as one message of the executor holds


@dataclass(frozen=True)
class Machine:
    """What the user allows. slots: programs that run at once, none: one per core, plus one."""

    slots: int | None = None
    allow_unsandboxed: bool = False


class Sandbox:
    """Two executors with every module that they have: the lean one, and the wide one for programs that need more than it has.

    The published tests were written for a whole Python; the list of modules that tasks may import is policy and does not hold here.
    """

    def __init__(self, machine: Machine, cpu_s: float, memory_mb: int) -> None:
        limits = Limits(cpu_s=cpu_s, wall_s=5 * cpu_s, memory_mb=memory_mb, program_bytes=_PROGRAM_BYTES)
        shared: dict[str, Any] = {"import_guard": False, "allow_unsandboxed": machine.allow_unsandboxed}
        self._lean = Executor(limits, machine.slots, **shared)
        self._wide = Executor(limits, machine.slots, profile=Profile.wide, **shared)

    def run(self, jobs: Sequence[Job]) -> list[Result]:
        """One result per job, in order. Raises UsageError where nothing contains programs."""
        try:
            results = self._lean.run(jobs)
            again = [index for index, result in enumerate(results) if result.status is Status.error and result.reason in _MISSING]
            for index, result in zip(again, self._wide.run([jobs[index] for index in again]), strict=True):
                results[index] = result
        except SandboxUnavailable as error:
            raise azr.UsageError(str(error)) from None
        return results

    def close(self) -> None:
        self._lean.close()
        self._wide.close()


class ProgramBenchmark(azr.PublicBenchmark):
    """A public benchmark whose replies are programs, or run in one."""

    cpu_s: ClassVar[float] = 3.0
    """CPU seconds of one program; the published tools allow as many of wall time."""
    memory_mb: ClassVar[int] = 1024

    def __init__(self, machine: Machine) -> None:
        self.sandbox = Sandbox(machine, self.cpu_s, self.memory_mb)

    def fetch(self) -> Sequence[azr.Row]:
        from datasets import load_dataset

        return [dict(row) for row in load_dataset(self.source.hub, self.source.subset, split=self.source.split)]

    def close(self) -> None:
        self.sandbox.close()


def whole(program: str) -> Job:
    """A job that comes to True if the program runs to its end: its tests are statements of it."""
    return Job(f"{program}\n\ndef {PASSED}():\n    return True\n", ("",), PASSED)


def verdict(result: Result, extracted: bool = True, also: Mapping[str, bool] | None = None) -> azr.Score | azr.VerifierUnavailable:
    """The score of a whole program."""
    if result.status is Status.infra:
        return azr.VerifierUnavailable(result.reason)
    passed = result.status is Status.ok and result.calls[0].value is True
    reason = "" if passed else f"{result.status} {result.reason}".strip()
    return azr.Score(passed, extracted, reason, also or {})
