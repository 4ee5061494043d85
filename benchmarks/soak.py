"""Whether the executor stays as it is: real programs by the hundred thousand, one in a hundred hostile, and what it costs over time.

python benchmarks/soak.py [--programs 200000] [--batch 1000] [--data TRIPLETS.JSONL] [--slots 2] [--isolation auto] [--json]

Every real program must come to the value that it came to at the start, every hostile one to some end, and memory, files and processes
must not grow. Real programs that take long at the start are left out: they could end otherwise on a busier machine. The first and the
last tenth's throughput is compared by CPU time, which other work on the machine hardly moves.
Exit status 1 says that something grew or came out wrong; throughput alone fails nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from statistics import mean, median

from processes import Programs, cpu_s, family, memory_mb, real_programs, resident_mb, zombies, zygotes
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from azr_plugins_python.executor import Executor, Isolation, Job, Limits, Result, Status, canonical

LIMITS = Limits(cpu_s=0.2, wall_s=3.0, memory_mb=256)
"""Small, so that what is hostile is cheap; real programs need a thousandth of it."""
HOSTILE = {
    "memory": "def f(x):\n    return len(bytearray(10**9))",
    "growth": "def f(x):\n    s = 'ab'\n    while True:\n        s += s",
    "exit": "import os\ndef f(x):\n    os._exit(0)",
    "abort": "import os\ndef f(x):\n    os.abort()",
    "fork": "import os\ndef f(x):\n    return os.fork()",
    "read": "import os\ndef f(x):\n    return os.read(os.open('/etc/passwd', 0), 9)",
    "kill": "import os\ndef f(x):\n    return os.kill(os.getppid(), 9)",
    "flood": "import os\ndef f(x):\n    for fd in range(3, 16):\n        for i in range(300):\n            os.write(fd, b'x' * 16)",
    "poison": "import math, json\ndef f(x):\n    vars(len.__self__)['len'] = json.loads = lambda *_: 0\n    math.pi = 3\n    return 0",
    "forget": "import sys\ndef f(x):\n    sys.modules.clear()\n    sys.setrecursionlimit(10**6)\n    return 0",
    "recursion": "def f(x):\n    return f(x) + 1",
    "loop": "def f(x):\n    while True:\n        pass",
    "slow loop": "def f(x):\n    return sum(range(10**9))",
    "deep": "def f(x):\n    for _ in range(10**5):\n        x = [x]\n    return x",
}
SHARE = 100
"""One program in so many is hostile."""
MEMORY_ROOM_MB = 16.0
"""What the host's or a slot's memory may grow by and not count as growth."""


@dataclass(frozen=True)
class Sample:
    """What the executor holds after a batch, and what the batch took."""

    host_mb: float
    slots_mb: float
    files: int
    processes: int
    zombies: int
    programs: int
    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Verdict:
    """One thing that must not happen over time."""

    name: str
    held: bool
    said: str


class Soak:
    """One executor, its programs, and what has been seen of it."""

    def __init__(self, executor: Executor, programs: Programs) -> None:
        self.executor = executor
        jobs = [Job(program, (text,)) for program, text in programs]
        first = [(job, result) for job, result in zip(jobs, executor.run(jobs), strict=True) if result.latency_s < LIMITS.cpu_s / 2]
        self.jobs = [job for job, _ in first]
        self.values = [_shown(result) for _, result in first]
        self.names = cycle(HOSTILE)  # in turn, so that every tenth has as many of each
        self.rng = random.Random(0)
        self.hostile_ends: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.samples: list[Sample] = []

    def play(self, count: int) -> None:
        """Runs one batch and takes a sample after it."""
        hostile = {place: next(self.names) for place in range(SHARE // 2, count, SHARE)}
        real = {place: self.rng.randrange(len(self.jobs)) for place in range(count) if place not in hostile}
        jobs = [Job(HOSTILE[hostile[place]], ("0",)) if place in hostile else self.jobs[real[place]] for place in range(count)]
        wall, cpu = time.perf_counter(), self._cpu_s()
        results = self.executor.run(jobs)
        wall, cpu = time.perf_counter() - wall, self._cpu_s() - cpu
        for place, name in hostile.items():
            self.hostile_ends[f"{name}: {results[place].status}"] += 1
        for place, index in real.items():
            if (shown := _shown(results[place])) != self.values[index]:
                self.wrong[f"{self.values[index][:40]} became {shown[:40]}"] += 1
        self.samples.append(self._sample(count, wall, cpu))

    def _cpu_s(self) -> float:
        reaped = resource.getrusage(resource.RUSAGE_CHILDREN)  # slots that were replaced, with their children
        return time.process_time() + reaped.ru_utime + reaped.ru_stime + cpu_s(zygotes(self.executor))

    def _sample(self, programs: int, wall_s: float, cpu: float) -> Sample:
        slots, mine = zygotes(self.executor), os.getpid()
        files, below = len(os.listdir("/proc/self/fd")), family([mine])
        return Sample(resident_mb(mine), memory_mb(family(slots)), files, len(below), zombies([mine]), programs, wall_s, cpu)

    def verdicts(self) -> list[Verdict]:
        tenth = max(1, len(self.samples) // 10)
        first, last = self.samples[:tenth], self.samples[-tenth:]
        host, slots = (_growth(first, last, name) for name in ("host_mb", "slots_mb"))
        files, processes = (_growth(first, last, name) for name in ("files", "processes"))
        dead, ratio = last[-1].zombies, _speed(last) / _speed(first)
        short = sum(sample.programs for sample in last) < SHARE * len(HOSTILE)
        said = "too short a run to say: a tenth must hold each kind of hostile program" if short else f"end / start {ratio:.2f} by CPU time"
        return [
            Verdict("values", not self.wrong, f"{sum(self.wrong.values())} real programs came to something else"),
            Verdict("host memory", host <= MEMORY_ROOM_MB, f"grew by {host:+.1f} MiB to {last[-1].host_mb:.1f}"),
            Verdict("slots' memory", slots <= MEMORY_ROOM_MB, f"grew by {slots:+.1f} MiB to {last[-1].slots_mb:.1f}"),
            Verdict("files", files <= 0, f"grew by {files:+g} to {last[-1].files}"),
            Verdict("processes", processes <= len(zygotes(self.executor)), f"grew by {processes:+g} to {last[-1].processes}"),
            Verdict("zombies", dead == 0, f"{dead} at the end"),
            Verdict("throughput", short or ratio >= 0.9, said),
        ]

    def figures(self) -> dict[str, object]:
        tenth = max(1, len(self.samples) // 10)
        first, last = self.samples[:tenth], self.samples[-tenth:]
        return {
            "programs": sum(sample.programs for sample in self.samples),
            "hostile_ends": dict(sorted(self.hostile_ends.items())),
            "wrong": dict(self.wrong),
            "first": _rounded(self.samples[0]),
            "last": _rounded(self.samples[-1]),
            "peak_slots_mb": round(max(sample.slots_mb for sample in self.samples), 1),
            "programs_per_s": [round(sum(s.programs for s in part) / sum(s.wall_s for s in part), 1) for part in (first, last)],
            "programs_per_cpu_s": [round(_speed(part), 1) for part in (first, last)],
            "alarm": self.executor.alarm,
            "verdicts": {verdict.name: {"held": verdict.held, "said": verdict.said} for verdict in self.verdicts()},
        }


def _rounded(sample: Sample) -> dict[str, float]:
    return {name: round(value, 3) for name, value in asdict(sample).items()}


def _shown(result: Result) -> str:
    return canonical(result.calls[0].value) if result.status is Status.ok else f"{result.status} {result.reason}"


def _growth(first: Sequence[Sample], last: Sequence[Sample], name: str) -> float:
    """Of the medians, so that a batch that ends beside a dying child says nothing."""
    before, after = (median(float(getattr(sample, name)) for sample in part) for part in (first, last))
    return after - before


def _speed(samples: Sequence[Sample]) -> float:
    """Programs per CPU second."""
    return mean(sample.programs for sample in samples) / mean(max(sample.cpu_s, 1e-3) for sample in samples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a file of triplets; else that of the folder AZR_TEST_DATA; else our own programs")
    parser.add_argument("--isolation", type=Isolation, choices=list(Isolation), default=Isolation.auto)
    for name, default in (("programs", 200_000), ("batch", 1_000), ("real", 2_000), ("slots", os.cpu_count() or 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Executor(LIMITS, arguments.slots, isolation=arguments.isolation) as executor, Progress(*columns, console=console) as progress:
        soak = Soak(executor, real_programs(arguments.data, arguments.real))
        bar = progress.add_task("starting", total=arguments.programs)
        for done in range(0, arguments.programs, arguments.batch):
            soak.play(min(arguments.batch, arguments.programs - done))
            now = soak.samples[-1]
            said = (
                f"host {now.host_mb:.0f} MiB, slots {now.slots_mb:.0f} MiB, {now.files} files, {now.programs / now.wall_s:.0f} programs/s"
            )
            progress.update(bar, completed=min(done + arguments.batch, arguments.programs), description=said)
        figures, verdicts = soak.figures(), soak.verdicts()
    if arguments.json:
        print(json.dumps(figures))
    else:
        for key, value in figures.items():
            if key != "verdicts":
                print(f"{key}: {value}")
        for verdict in verdicts:
            print(f"{'held  ' if verdict.held else 'FAILED'} {verdict.name}: {verdict.said}")
    sys.exit(any(not verdict.held for verdict in verdicts if verdict.name != "throughput"))


if __name__ == "__main__":
    main()
