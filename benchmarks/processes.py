"""What the executor's benchmarks share: real programs, and what the kernel knows of processes. No benchmark itself."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from azr_plugins_python.benchmarks import FOLDER
from azr_plugins_python.executor import Executor, LiteralError, Profile, parse_arguments
from azr_plugins_python.executor.profiles import profile_of

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20
ACCEPTED = ("repr_text_equal", "value_equal_only")

Programs = list[tuple[str, str]]
"""Program texts, each with one argument list."""


def real_programs(path: str | None, count: int, seed: int = 0) -> Programs:
    """A fixed sample of programs with literal arguments that import neither numpy nor sympy.

    Of the released seeds that are accepted, from a file or the folder that AZR_TEST_DATA names; without either, shorter ones of our own.
    """
    folder = os.environ.get("AZR_TEST_DATA")
    if path or folder:
        file = Path(path) if path else Path(str(folder)) / "azr_seeds" / "triplets.jsonl"
        rows = [(row["code"], row["input"]) for row in _rows(file) if row["verdict"] in ACCEPTED]
    else:
        print(
            "no --data and no AZR_TEST_DATA: measured on the shipped held-out programs, which are shorter than real ones", file=sys.stderr
        )
        rows = [(row["program"], row["inputs"][0]) for row in _rows(FOLDER / "heldout.jsonl")]
    random.Random(seed).shuffle(rows)
    return [(code, text) for code, text in rows if profile_of(code) is Profile.lean and _literal(text)][:count]


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def _literal(text: str) -> bool:
    try:
        parse_arguments(text)
    except LiteralError:
        return False
    return True


def zygotes(executor: Executor) -> list[int]:
    """The processes that an executor's slots own. Nobody but a benchmark should want to know."""
    return [slot.process.pid for pool in executor._pools.values() for slot in pool.slots]


def family(roots: Iterable[int]) -> list[int]:
    """Processes and all below them that are alive, or dead and not yet reaped."""
    found: list[int] = []
    for root in roots:
        try:
            children = Path(f"/proc/{root}/task/{root}/children").read_text().split()
        except OSError:
            continue
        found += [root, *family(map(int, children))]
    return found


def cpu_s(roots: Iterable[int]) -> float:
    """CPU seconds of processes, of all below them, and of those that they have reaped. A clock of 10 ms: ask after long work only."""
    return sum(sum(map(int, fields[11:15])) for fields in map(_stat, family(roots)) if fields) / _TICKS


def zombies(roots: Iterable[int]) -> int:
    """How many processes below are dead and not reaped."""
    return sum(fields[:1] == ["Z"] for fields in map(_stat, family(roots)))


def memory_mb(processes: Iterable[int]) -> float:
    """MiB of processes, shared pages divided among their sharers where the kernel tells us."""
    return sum(map(_memory_mb, processes))


def _memory_mb(process: int) -> float:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    except OSError:  # another user's
        return resident_mb(process)


def resident_mb(process: int) -> float:
    """MiB resident, 0 for a process that is gone."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE_MB
    except OSError:
        return 0.0


def _stat(process: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on; none for a process that is gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
