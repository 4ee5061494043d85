"""What runs share with held-out items: equal tasks, and tasks of the same normalised form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

from azr_core.admission import HELD_OUT
from azr_core.directory import RunDirectory
from azr_core.types import Benchmark, task_id


@dataclass(frozen=True)
class Overlap:
    """One benchmark against the buffers of several runs. items: held out. equal: tasks in a buffer that are an item, of `tasks` looked at.

    alike: items whose normalised form (`Verifier.skeleton`: names and constants left out) is that of a task in some buffer. forms: items
    that have such a form.
    """

    benchmark: str
    items: int
    tasks: int
    equal: int
    forms: int
    alike: int


def overlaps(runs: Iterable[RunDirectory], benchmarks: Sequence[Benchmark]) -> tuple[list[Overlap], int]:
    """One for each benchmark, over all runs; and how many proposals were turned down since they are held-out items."""
    remembered: list[tuple[str, str, str]] = []
    refused = 0
    for run in runs:
        with closing(run.open_store()) as store:
            remembered += store.remembered()
            refused += store.count(HELD_OUT)
    shapes = {skeleton for _, _, skeleton in remembered if skeleton}
    found = []
    for benchmark in benchmarks:
        items = [(name, task) for name, tasks in benchmark.tasks.items() for task in tasks]
        ids = {task_id(name, task) for name, task in items}
        bare = [(name, benchmark.environments[name].verifier.skeleton(task)) for name, task in items]
        forms = [f"{name}:{skeleton}" for name, skeleton in bare if skeleton]
        equal = sum(identity in ids for _, identity, _ in remembered)
        found.append(Overlap(benchmark.name, len(items), len(remembered), equal, len(forms), sum(form in shapes for form in forms)))
    return found, refused
