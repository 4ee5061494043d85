"""Workers of one kind, as many as asked for; each has its own hash seed. A worker that dies is replaced and its job done again once."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Job = Mapping[str, Any]
Result = Mapping[str, str]  # status: ok refused timeout stalled memory crash lost; text
GRACE_S = 5.0
"""Wall seconds that a worker has beyond its child's limit before it is replaced."""
_ROOT = str(Path(__file__).parents[1])


@dataclass(frozen=True)
class Limits:
    """Of one job: CPU seconds, wall seconds, MiB of address space."""

    cpu_s: float
    wall_s: float
    memory_mb: int


@dataclass
class _Slot:
    """One worker with the job it does now. heard: the beginning of a line. ready: it has said that it can work."""

    hash_seed: int
    process: subprocess.Popen[bytes] | None = None
    job: int | None = None
    deadline: float = 0.0
    heard: bytes = b""
    ready: bool = False


class Pool:
    """Does jobs at once, each in a fork of a warm worker. Starts at the first job."""

    def __init__(self, kind: str, limits: Limits, hash_seeds: Sequence[int]) -> None:
        self.kind, self.limits = kind, limits
        self._slots = [_Slot(seed) for seed in hash_seeds]
        self._lock = threading.Lock()

    def do(self, jobs: Sequence[Job]) -> list[Result]:
        """Results of the jobs, in order; a job that two workers lost is `lost`."""
        with self._lock:
            return _Round(self, jobs, self._slots).results()

    def close(self) -> None:
        """End the workers."""
        with self._lock:
            for slot in self._slots:
                stop(slot)


class _Round:
    """One batch of jobs on the slots of a pool."""

    def __init__(self, pool: Pool, jobs: Sequence[Job], slots: Sequence[_Slot]) -> None:
        self.pool, self.jobs, self.slots = pool, jobs, slots
        self.waiting = deque(range(len(jobs)))
        self.tries = [0] * len(jobs)
        self.found: dict[int, Result] = {}

    def results(self) -> list[Result]:
        try:
            while len(self.found) < len(self.jobs):
                self.assign()
                self.listen()
        except BaseException:
            for slot in self.slots:  # an interrupted worker may still answer: what it says belongs to no later job
                if slot.job is not None:
                    stop(slot)
            raise
        return [self.found[index] for index in range(len(self.jobs))]

    def assign(self) -> None:
        for slot in self.slots:
            if slot.job is None and self.waiting:
                start(slot, self.pool)
                slot.job = self.waiting.popleft()
                slot.deadline = time.monotonic() + self.pool.limits.wall_s + GRACE_S + (0 if slot.ready else 60)
                self.send(slot)

    def send(self, slot: _Slot) -> None:
        assert slot.process is not None and slot.process.stdin is not None and slot.job is not None
        try:
            slot.process.stdin.write(json.dumps(self.jobs[slot.job]).encode() + b"\n")
            slot.process.stdin.flush()
        except BrokenPipeError:
            self.lose(slot)

    def listen(self) -> None:
        """Hear every worker that has something to say, and lose those that are over their time."""
        busy = [slot for slot in self.slots if slot.job is not None]
        if not busy:
            return
        with selectors.DefaultSelector() as selector:
            for slot in busy:
                assert slot.process is not None and slot.process.stdout is not None
                selector.register(slot.process.stdout, selectors.EVENT_READ, slot)
            first = min(slot.deadline for slot in busy)
            spoken = [key.data for key, _ in selector.select(max(0.0, first - time.monotonic()))]
        for slot in spoken:
            self.hear(slot)
        for slot in busy:
            if slot.job is not None and time.monotonic() > slot.deadline:
                self.lose(slot)

    def hear(self, slot: _Slot) -> None:
        assert slot.process is not None and slot.process.stdout is not None and slot.job is not None
        told = os.read(slot.process.stdout.fileno(), 1 << 16)
        *lines, slot.heard = (slot.heard + told).split(b"\n")
        for line in lines:
            if slot.ready and slot.job is not None:
                self.found[slot.job] = json.loads(line)
                slot.job = None
            slot.ready = True
        if not told:
            self.lose(slot)

    def lose(self, slot: _Slot) -> None:
        """Replace a worker; its job is done once more, then given up."""
        assert slot.job is not None
        job, slot.job = slot.job, None
        stop(slot)
        self.tries[job] += 1
        if self.tries[job] < 2:
            self.waiting.append(job)
        else:
            self.found[job] = {"status": "lost", "text": "the worker died twice"}


def start(slot: _Slot, pool: Pool) -> None:
    """A worker in the slot, if there is none."""
    if slot.process is not None:
        return
    limits = pool.limits
    arguments = [pool.kind, str(limits.cpu_s), str(limits.wall_s), str(limits.memory_mb)]
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    slot.process = subprocess.Popen(
        [sys.executable, "-P", "-m", "azr_plugins_math.worker", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=kept | {"PYTHONHASHSEED": str(slot.hash_seed), "PYTHONPATH": _ROOT, "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1"},
        start_new_session=True,  # Ctrl-C is the parent's to hear
    )


def stop(slot: _Slot) -> None:
    """End the slot's worker. Its child, if one runs, ends by its own timers."""
    if slot.process is not None:
        process, slot.process = slot.process, None
        process.kill()
        with suppress(BrokenPipeError), process:
            pass
        process.wait()
    slot.job, slot.heard, slot.ready = None, b"", False
