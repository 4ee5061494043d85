"""The executor: runs untrusted programs in jailed processes and reports what each call came to.

The host never runs, unpickles or evaluates anything of a program's; it parses literals, sends them, and reads capped, tagged answers.
"""

from __future__ import annotations

import hashlib
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from types import TracebackType

from azr_plugins_python.executor import audit
from azr_plugins_python.executor.determinism import SEEDS, compare_passes, compare_runs, hints_at_order
from azr_plugins_python.executor.limits import Attempt, Job, Limits, Protection, Result, SandboxUnavailable, Status
from azr_plugins_python.executor.pool import Pool
from azr_plugins_python.executor.profiles import Profile, package_versions
from azr_plugins_python.executor.selftest import measure, unprotected
from azr_plugins_python.executor.sheets import Sheet, Terms, fill, settle
from azr_plugins_python.executor.slot import SlotLost
from azr_plugins_python.executor.tickets import Lane, Ticket

BACKEND = "jail-2"


class Isolation(StrEnum):
    """Who shares a process. auto: programs that a gate on their bytecode admits, one after another. strict: nobody."""

    auto = "auto"
    strict = "strict"


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
        isolation: Isolation | str = Isolation.auto,
    ) -> None:
        if slots is not None and slots < 1:
            raise ValueError(f"slots must be at least 1, not {slots}")
        self.limits = limits or Limits()
        self.slots = slots or (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE") or 1) + 1  # ranks share a machine's cores
        self.import_guard = import_guard
        self.allow_unsandboxed = allow_unsandboxed
        self.profile = profile
        self.fast = Isolation(isolation) is Isolation.auto
        self.alarm = ""
        """Why the fast lane was turned off."""
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
        results = [compare_passes(settle(sheet), len(job.arguments)) for sheet, job in zip(first, jobs, strict=True)]
        passed = [index for index, result in enumerate(results) if result.status is Status.ok and first[index].ticket]
        again = [(index, sheet) for index in passed for sheet in self._elsewhere(jobs[index], first[index])]
        self._play([sheet for _, sheet in again])
        for index, sheet in again:
            results[index] = compare_runs(results[index], settle(sheet))
        return results

    def _elsewhere(self, job: Job, first: Sheet) -> list[Sheet]:
        """The same job for slots with other hash seeds."""
        assert first.ticket is not None and first.ticket.slot is not None
        hinted = hints_at_order(job.program)
        count = max(self._width(first.ticket.profile), SEEDS if hinted else 2)
        others = [number for number in range(count) if number != first.ticket.slot]
        if not hinted:  # any other slot will do: spread them
            others = [others[first.ticket.identity % len(others)]]
        return [self._sheet(job, self.limits.cpu_s / 2, slot=number) for number in others]

    def _sheet(self, job: Job, cpu_s: float, repeats: int = 1, slot: int | None = None) -> Sheet:
        lane = Lane.fast if self.fast else Lane.fork
        return fill(job, self.limits, Terms(cpu_s, self.import_guard, repeats, slot, self.profile, lane))

    def protection(self) -> Protection:
        """What holds a hostile program here, found by attempt. Raises SandboxUnavailable where nothing does and that is not allowed."""
        found = self.examine()
        if found.level == "L0" and not (self.allow_unsandboxed and found.possible):
            self.close()
            raise SandboxUnavailable(found)
        return found

    def examine(self) -> Protection:
        """The same, where nothing holds as well."""
        if self._protection is None:
            self._protection = self._start()
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
        tickets = [sheet.ticket for sheet in sheets if sheet.ticket is not None]
        self._play_tickets(tickets)
        shared = [ticket for ticket in tickets if ticket.whole]
        if shared:
            self._audit(shared)

    def _play_tickets(self, tickets: Sequence[Ticket]) -> None:
        for profile in Profile:
            wanted = [ticket for ticket in tickets if ticket.profile is profile]
            if wanted:
                self._play_in(profile, wanted)

    def _audit(self, shared: Sequence[Ticket]) -> None:
        """Holds the fast lane to the fork lane. If it fails it is off for good, and all that it answered just now runs again."""
        found = self._pools[Profile.lean].escaped or audit.check(shared, self._play_tickets)
        if not found:
            return
        self.fast = False
        self.alarm = found
        for ticket in shared:
            ticket.lane = Lane.fork
        self._play_tickets(shared)
        audit.alarm(found)

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
        found = measure(pool, BACKEND) if pool.locked else None
        if found is not None and found.level == "L0":
            pool.close()
            raise SlotLost("the wide jail does not hold: " + ", ".join(attempt.name for attempt in found.broken))

    def _locked(self) -> bool:
        return self._protection is None or self._protection.level != "L0"

    def _start(self) -> Protection:
        if platform.system() != "Linux":
            return unprotected(Attempt("jail", False, f"none for {platform.system()}"), BACKEND, self.limits)
        pool = self._pools[Profile.lean] = Pool(self.limits, locked=True)
        try:
            pool.grow(self.slots)
            found = measure(pool, BACKEND)
        except SlotLost as error:
            found = unprotected(Attempt("jail", False, str(error)), BACKEND, self.limits)
        if found.level == "L0":
            self.close()
        return found


def _libm() -> str:
    """A short hash of results that differ between C math libraries."""
    points = [0.1 * step + 0.37 for step in range(1, 60)]
    values = [call(x).hex() for call in (math.sin, math.tan, math.exp, math.log, math.gamma, math.erf) for x in points]
    return hashlib.sha256(",".join(values).encode()).hexdigest()[:12]
