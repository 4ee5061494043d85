"""The executor: runs untrusted programs in jailed processes and reports what each call came to.

The host never runs, unpickles or evaluates anything of a program's; it parses literals, sends them, and reads capped, tagged answers.
"""

from __future__ import annotations

import hashlib
import math
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import asdict
from types import TracebackType

from azr_plugins_python.executor.limits import Call, Job, Limits, Protection, Result, SandboxUnavailable, Status, summarize
from azr_plugins_python.executor.pool import Pool
from azr_plugins_python.executor.profiles import Profile, package_versions
from azr_plugins_python.executor.selftest import PROBES
from azr_plugins_python.executor.slot import Greeting, SlotLost, Ticket
from azr_plugins_python.executor.tickets import Sheet, fill, settle
from azr_plugins_python.executor.values import display

BACKEND = "fork-1"
_SEEDS = 6
"""Hash seeds that a program is tried under when its text hints at sets, hashes or addresses; two elements keep their order in 1 of 32."""
_PROBE_CPU_S = 0.05
_ORDER_HINT = re.compile(
    r"\b(?:set|frozenset|hash|id|intersection|difference|union|symmetric_difference)\b"
    r"|(?:keys|items)\(\)\s*[-&|^]|[-&|^]\s*[\w.]+\.(?:keys|items)\(\)|\{[^:{}]+\}"
)


class Executor:
    """A pool of jailed slots. Starts at the first use, runs batches, and ends with `close` or its `with` block.

    Programs that import numpy or sympy go to a pool of their own, one slot wide, that starts at the first such program; `profile` sends
    all to one pool instead. `import_guard=False` lets programs import whatever is loaded: the guard is policy, and the jail must hold
    without it.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        slots: int | None = None,
        *,
        import_guard: bool = True,
        allow_unsandboxed: bool = False,
        profile: Profile | None = None,
    ) -> None:
        if slots is not None and slots < 1:
            raise ValueError(f"slots must be at least 1, not {slots}")
        self.limits = limits or Limits()
        self.slots = slots or (os.cpu_count() or 1) + 1
        self.import_guard = import_guard
        self.allow_unsandboxed = allow_unsandboxed
        self.profile = profile
        self._pools: dict[Profile, Pool] = {}
        self._no_wide = ""
        self._protection: Protection | None = None

    def run(self, jobs: Sequence[Job]) -> list[Result]:
        """One result per job, in the order of the jobs."""
        sheets = [self._sheet(job, self.limits.cpu_s) for job in jobs]
        self._play(sheets)
        return [settle(sheet) for sheet in sheets]

    def validate(self, jobs: Sequence[Job]) -> list[Result]:
        """The gate for proposals: every call twice in one process and again under other hash seeds, each pass within half the CPU limit.

        A call whose outcomes differ, also only in the order of a dict, is `nondeterministic`.
        """
        first = [self._sheet(job, self.limits.cpu_s, repeats=2) for job in jobs]
        self._play(first)
        results = [_compare_passes(settle(sheet), len(job.arguments)) for sheet, job in zip(first, jobs, strict=True)]
        passed = [index for index, result in enumerate(results) if result.status is Status.ok and first[index].ticket]
        again = [(index, sheet) for index in passed for sheet in self._elsewhere(jobs[index], first[index])]
        self._play([sheet for _, sheet in again])
        for index, sheet in again:
            results[index] = _compare_runs(results[index], settle(sheet))
        return results

    def _elsewhere(self, job: Job, first: Sheet) -> list[Sheet]:
        """The same job for slots with other hash seeds."""
        assert first.ticket is not None and first.ticket.slot is not None
        hinted = _ORDER_HINT.search(job.program) is not None
        count = max(self._width(first.ticket.profile), _SEEDS if hinted else 2)
        others = [number for number in range(count) if number != first.ticket.slot]
        if not hinted:  # any other slot will do: spread them
            others = [others[first.ticket.order.identity % len(others)]]
        return [self._sheet(job, self.limits.cpu_s / 2, slot=number) for number in others]

    def _sheet(self, job: Job, cpu_s: float, repeats: int = 1, slot: int | None = None) -> Sheet:
        return fill(job, self.limits, cpu_s, self.import_guard, repeats=repeats, slot=slot, profile=self.profile)

    def protection(self) -> Protection:
        """What holds a hostile program here, found by attempt. Raises SandboxUnavailable where nothing does and that is not allowed."""
        if self._protection is None:
            self._protection = self._start()
        if self._protection.level == "L0" and not self.allow_unsandboxed:
            self.close()
            raise SandboxUnavailable(", ".join(self._protection.broken) or "no system-call filter")
        return self._protection

    def fingerprint(self) -> str:
        """What results depend on besides the program; two nodes with one fingerprint may share verdicts."""
        limits = ",".join(f"{name}={value:g}" for name, value in asdict(self.limits).items())
        python = f"{platform.python_implementation().lower()}-{platform.python_version()}"
        guard = "guarded" if self.import_guard else "unguarded"
        return f"{BACKEND} {self.protection().level} {python} {platform.machine()} libm:{_libm()} {package_versions()} {guard} {limits}"

    def close(self) -> None:
        """Ends every process of this executor; a later call starts afresh."""
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _play(self, sheets: Sequence[Sheet]) -> None:
        for profile in Profile:
            tickets = [sheet.ticket for sheet in sheets if sheet.ticket is not None and sheet.ticket.profile is profile]
            if tickets:
                self._play_in(profile, tickets)

    def _play_in(self, profile: Profile, tickets: Sequence[Ticket]) -> None:
        """Plays tickets of one profile. Where the wide pool cannot be had they are `infra`: what a program imports ends no run."""
        width = self._width(profile)
        count = max([width, *(ticket.slot + 1 for ticket in tickets if ticket.slot is not None)])
        try:
            self._grown(profile, count).play(tickets, width)
        except SlotLost as error:
            if profile is Profile.lean:
                raise
            self._no_wide = str(error)
            for ticket in tickets:
                ticket.lose(self._no_wide)

    def _width(self, profile: Profile) -> int:
        """Slots that share the jobs of a profile; its pool may have more, for other hash seeds."""
        return self.slots if profile is Profile.lean else 1

    def _grown(self, profile: Profile, count: int) -> Pool:
        self.protection()
        if profile not in self._pools:
            self._pools[profile] = Pool(self.limits, self._locked(), profile)
            if profile is Profile.wide:
                self._test_wide(self._pools[profile])
        if profile is Profile.wide and self._no_wide:
            raise SlotLost(self._no_wide)
        self._pools[profile].grow(count)
        return self._pools[profile]

    def _test_wide(self, pool: Pool) -> None:
        """Tests the wide pool by attempt, as the lean one was: what it does not hold, no program gets to try. Raises SlotLost."""
        pool.grow(1)
        found = self._measure(pool) if pool.locked else None
        if found is not None and found.level == "L0":
            pool.close()
            raise SlotLost("the wide jail does not hold: " + (", ".join(found.broken) or "no system-call filter"))

    def _locked(self) -> bool:
        return self._protection is None or self._protection.level != "L0"

    def _start(self) -> Protection:
        if platform.system() != "Linux":
            raise SandboxUnavailable(f"{platform.system()} has no backend yet", acceptable=False)
        pool = self._pools[Profile.lean] = Pool(self.limits, locked=True)
        try:
            pool.grow(self.slots)
            found = self._measure(pool)
            if found.level == "L0":
                self.close()
            return found
        except SlotLost as error:
            self.close()
            return Protection("L0", BACKEND, os.getuid(), 0, False, False, (str(error),), self.limits)

    def _measure(self, pool: Pool) -> Protection:
        """Runs the self-test in one slot and names the level that it shows."""
        greeting = pool.greeting or Greeting(-1, 0, False, False)
        texts = {"bytes": str(2 * self.limits.memory_mb << 20), "fd": str(pool.slots[0].jobs_fd)}
        sheets = [fill(Job(probe.text(texts), ("",)), self.limits, _PROBE_CPU_S, guarded=False, slot=0) for probe in PROBES]
        if greeting.seccomp:  # without a filter the probes would do what they try
            pool.play([sheet.ticket for sheet in sheets if sheet.ticket], self.slots)
        calls = [settle(sheet).calls[0] for sheet in sheets]
        broken = tuple(probe.name for probe, call in zip(PROBES, calls, strict=True) if not probe.held_by(call.status, call.value))
        jailed = greeting.seccomp and not broken
        level = "L0" if not jailed else "L3" if greeting.namespaces and greeting.landlock else "L2"
        return Protection(level, BACKEND, greeting.uid, greeting.landlock, greeting.seccomp, greeting.namespaces, broken, self.limits)


def _compare_passes(result: Result, count: int) -> Result:
    """Folds the two passes of one process into one result."""
    if result.status is not Status.ok:
        return summarize(result.calls[:count] if _first_bad(result.calls) < count else result.calls[count:], result.cpu_s)
    pairs = zip(result.calls[:count], result.calls[count:], strict=True)
    return summarize(tuple(_same(one, two) for one, two in pairs), result.cpu_s)


def _first_bad(calls: tuple[Call, ...]) -> int:
    return next((index for index, call in enumerate(calls) if call.status is not Status.ok), 0)


def _compare_runs(result: Result, other: Result) -> Result:
    if other.status is Status.infra or result.status is not Status.ok:
        return other if result.status is Status.ok else result
    return summarize(tuple(_same(one, two) for one, two in zip(result.calls, other.calls, strict=True)), result.cpu_s)


def _same(one: Call, two: Call) -> Call:
    """The call itself if it came to the same twice, to the letter that people and models will be shown."""
    if one.status is two.status is Status.ok and display(one.value) != display(two.value):
        return Call(Status.nondeterministic, None, "value")
    if two.status is not Status.ok:
        return Call(Status.nondeterministic, None, two.reason or two.status.value) if two.status is Status.error else two
    return one


def _libm() -> str:
    """A short hash of results that differ between C math libraries."""
    points = [0.1 * step + 0.37 for step in range(1, 60)]
    values = [call(x).hex() for call in (math.sin, math.tan, math.exp, math.log, math.gamma, math.erf) for x in points]
    return hashlib.sha256(",".join(values).encode()).hexdigest()[:12]
