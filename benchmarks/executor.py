"""What a jail costs: real programs in both lanes of the executor, as a ratio of CPU seconds to running them in a plain interpreter.

python benchmarks/executor.py [--data TRIPLETS.JSONL] [--programs 200] [--rounds 7] [--batches 3] [--slots 1] [--json]

A unit is one job: a program and two calls of it with the same arguments. In-process means one throw-away interpreter with limits and no
jail, which parses arguments, encodes and decodes values as the executor does and does no more; these programs are trusted to be harmless
because they were published. All ways are measured in turn, and ratios are medians over rounds: they stand on a busy machine
where seconds do not. CPU is that of host, zygotes and children. Latency runs from the moment a slot takes a job to its result.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

from processes import Programs, cpu_s, family, memory_mb, real_programs, zygotes
from rich.console import Console
from rich.table import Table

from azr_plugins_python.executor import Executor, Isolation, Job, Result, Status, codec, parse_arguments

AIMS = (
    ("routed CPU / in-process", "routed_cpu", 2.5, 2.6),
    ("fork CPU / in-process", "fork_cpu", 12.0, 12.2),
)
"""What is meant to hold, and what the first prototype had."""
AIM_P99_MS = 5.0
LOOP = Job("def f(x):\n    while True:\n        pass", ("0",))
NEIGHBOURS = 200


@dataclass(frozen=True)
class Batch:
    """One round of one way: seconds per program, and the latency of each job."""

    wall_s: float
    cpu_s: float
    latencies_s: list[float]
    memory_mb: float


@dataclass
class Way:
    """A way to run the programs, and its rounds so far."""

    play: Callable[[], Batch]
    rounds: list[Batch] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        latencies = [latency for batch in self.rounds for latency in batch.latencies_s]
        return {
            "programs_per_s": round(1 / median(batch.wall_s for batch in self.rounds), 1),
            "cpu_ms": round(1e3 * median(batch.cpu_s for batch in self.rounds), 4),
            "p50_ms": round(1e3 * percentile(latencies, 50), 3),
            "p99_ms": round(1e3 * percentile(latencies, 99), 3),
            "rss_mb": round(median(batch.memory_mb for batch in self.rounds), 1),
        }


def percentile(values: Sequence[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def ratio(ours: Way, theirs: Way) -> float:
    return round(median(one.cpu_s / two.cpu_s for one, two in zip(ours.rounds, theirs.rounds, strict=True)), 2)


def run_inside() -> None:
    """The in-process way: reads programs and how often to run them, then plays one round for each line that comes."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what programs print
    resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
    resource.setrlimit(resource.RLIMIT_CPU, (600, 600))
    programs, repeats = json.loads(sys.stdin.readline())
    for _ in sys.stdin:
        latencies: list[float] = []
        wall, cpu = time.perf_counter(), time.thread_time()  # RLIMIT_CPU makes the clock of the process a coarse one
        for program, text in programs * repeats:
            begun = time.perf_counter()
            call_twice(program, text)
            latencies.append(time.perf_counter() - begun)
        wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
        print(json.dumps([wall, cpu, latencies]), file=channel, flush=True)


def call_twice(program: str, text: str) -> list[object]:
    """What the executor does for a job of two calls, with nothing in between."""
    calls = [parse_arguments(text) for _ in range(2)]
    code = compile(program, "<program>", "exec", 0, True)
    values = []
    for positional, keywords in calls:
        namespace: dict[str, object] = {"__name__": "program"}
        exec(code, namespace)
        values.append(codec.decode(codec.encode(namespace["f"](*positional, **keywords)).encode()))  # type: ignore[operator]
    return values


class Inside:
    """The plain interpreter, in a process of its own."""

    def __init__(self, programs: Programs, batches: int) -> None:
        self.count = len(programs) * batches
        arguments = [sys.executable, __file__, "--inside"]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self._say(json.dumps([programs, batches]))

    def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def play(self) -> Batch:
        assert self.process.stdout is not None
        self._say("")
        wall, cpu, latencies = json.loads(self.process.stdout.readline())
        return Batch(wall / self.count, cpu / self.count, latencies, memory_mb([self.process.pid]))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def jailed(executor: Executor, run: Callable[[Sequence[Job]], list[Result]], jobs: Sequence[Job], batches: int) -> Way:
    """A way through the executor. Raises where a program does not come to a value: what fails is not worth timing."""

    def play() -> Batch:
        results: list[Result] = []
        cpu, wall = time.process_time() + cpu_s(zygotes(executor)), time.perf_counter()
        for _ in range(batches):
            results += run(jobs)
        wall, cpu = time.perf_counter() - wall, time.process_time() + cpu_s(zygotes(executor)) - cpu
        if failed := [result for result in results if result.status is not Status.ok]:
            raise SystemExit(f"{len(failed)} of {len(results)} jobs came to no value: {failed[0].status} {failed[0].reason}")
        used = memory_mb(family(zygotes(executor)))
        return Batch(wall / len(results), cpu / len(results), [result.latency_s for result in results], used)

    return Way(play)


def neighbours(jobs: Sequence[Job], slots: int, rounds: int) -> tuple[float, float]:
    """p99 latency in ms of 200 jobs, without and with an endless loop among them."""
    alone: list[float] = []
    beside: list[float] = []
    some = [jobs[index % len(jobs)] for index in range(NEIGHBOURS)]
    with Executor(slots=max(2, slots)) as executor:
        executor.run(some)
        for _ in range(rounds):
            alone += [result.latency_s for result in executor.run(some)]
            beside += [result.latency_s for result in executor.run([*some[:20], LOOP, *some[20:]]) if result.status is Status.ok]
    return 1e3 * percentile(alone, 99), 1e3 * percentile(beside, 99)


def measure(arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    programs = real_programs(arguments.data, arguments.programs)
    once, twice, tenfold = ([Job(program, (text,) * calls) for program, text in programs] for calls in (1, 2, 10))
    inside = Inside(programs, arguments.batches)
    slots = arguments.slots
    with Executor(slots=slots, isolation=Isolation.strict) as strict, Executor(slots=slots) as auto, Executor(slots=slots) as gate:
        ways = {
            "in_process": Way(inside.play),
            "fork": jailed(strict, strict.run, twice, arguments.batches),
            "routed": jailed(auto, auto.run, twice, arguments.batches),
            "fork_10_calls": jailed(strict, strict.run, tenfold, arguments.batches),
            "validate": jailed(gate, gate.validate, once, arguments.batches),
        }
        for way in ways.values():
            way.play()  # starts what it needs
        for _ in range(arguments.rounds):
            for way in ways.values():
                way.rounds.append(way.play())
    inside.close()
    alone, beside = neighbours(twice, slots, min(3, arguments.rounds))
    figures = {name: way.figures() for name, way in ways.items()}
    for name in ("p50_ms", "p99_ms"):  # of several runs of one job there is no one latency
        del figures["validate"][name]
    ratios = {f"{name}_cpu": ratio(way, ways["in_process"]) for name, way in ways.items() if name != "in_process"}
    neighbour_figures = {"neighbours_p99_ms": round(alone, 3), "neighbours_p99_ms_beside_a_loop": round(beside, 3)}
    return {**figures, "ratios": {**ratios, **neighbour_figures}}


def show(figures: dict[str, dict[str, float]]) -> None:
    console = Console()
    ratios = figures["ratios"]
    table = Table("way", "programs/s", "CPU ms", "p50 ms", "p99 ms", "MiB", "CPU / in-process")
    for name, row in figures.items():
        if name != "ratios":
            cells = [f"{row[key]:g}" if key in row else "" for key in ("programs_per_s", "cpu_ms", "p50_ms", "p99_ms", "rss_mb")]
            table.add_row(name, *cells, f"{ratios.get(f'{name}_cpu', 1.0):g}")
    console.print(table)
    for title, key, aim, prototype in AIMS:
        console.print(f"{title}: {ratios[key]:g}, aim {aim:g} or less: {said(ratios[key] <= aim)} (the prototype had {prototype:g})")
    p99 = figures["routed"]["p99_ms"]
    console.print(f"routed p99: {p99:g} ms, aim below {AIM_P99_MS:g}: {said(p99 < AIM_P99_MS)}")
    alone, beside = ratios["neighbours_p99_ms"], ratios["neighbours_p99_ms_beside_a_loop"]
    console.print(f"p99 of {NEIGHBOURS} neighbours: {alone:g} ms, beside an endless loop of 1 s CPU {beside:g} ms")


def said(holds: bool) -> str:
    return "held" if holds else "MISSED"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a file of triplets; else that of the folder AZR_TEST_DATA; else our own programs")
    for name, default in (("programs", 200), ("rounds", 7), ("batches", 3), ("slots", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        run_inside()
        return
    figures = measure(arguments)
    if arguments.json:
        print(json.dumps(figures))
    else:
        show(figures)


if __name__ == "__main__":
    main()
