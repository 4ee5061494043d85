"""Held-out benchmarks: tasks of the families that no training may use. `python -m azr_plugins_math.benchmarks` makes the files."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import azr_core as azr
from azr_plugins_math import demonstrations
from azr_plugins_math.environments import ABDUCTION, DEDUCTION, INDUCTION, make_environments
from azr_plugins_math.options import Options

FOLDER = Path(__file__).with_name("heldout")
# By file name: the benchmark's name and whether its tasks are harder than those of the demonstrations.
SHIPPED = {"heldout": ("math/heldout", False), "harder": ("math/harder", True)}
TASKS = 300
SEED = 20_250_505
_SOURCES = {DEDUCTION: demonstrations.DEDUCTION, ABDUCTION: demonstrations.ABDUCTION, INDUCTION: demonstrations.INDUCTION}


def load_benchmarks(environments: Sequence[azr.Environment], folder: Path = FOLDER) -> list[azr.Benchmark]:
    """The benchmarks whose files are there."""
    named = {environment.name: environment for environment in environments}
    return [
        azr.Benchmark(name, _read(folder / f"{stem}.jsonl", named), named)
        for stem, (name, _) in SHIPPED.items()
        if (folder / f"{stem}.jsonl").exists()
    ]


def make_tasks(environment: azr.Environment, amount: int, *, hard: bool) -> list[azr.Task]:
    """Different held-out tasks, each through the environment's own gate, and each solved by the answer of its generator."""
    rng = azr.chance(SEED, int(hard), environment.name)
    examples = _SOURCES[environment.name].examples(rng, hard=hard, held_out=True)
    found: dict[str, azr.Task] = {}
    while len(found) < amount:
        batch = list(islice(examples, amount - len(found)))
        admitted = environment.verifier.admit_many([environment.proposer.parse(example.proposal, ()) for example in batch])
        pairs = [(task, example) for task, example in zip(admitted, batch, strict=True) if isinstance(task, azr.Task)]
        scores = environment.verifier.grade_many([(task, example.answer) for task, example in pairs])
        found |= {task.key(): task for (task, _), score in zip(pairs, scores, strict=True) if score == 1.0}
    return list(found.values())


def _read(path: Path, environments: dict[str, azr.Environment]) -> dict[str, list[azr.Task]]:
    tasks: dict[str, list[azr.Task]] = {}
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        task = environments[row["environment"]].task_type.model_validate(row["task"])
        tasks.setdefault(row["environment"], []).append(task)
    return tasks


def main(arguments: Sequence[str]) -> None:
    """Make the files; the same arguments make the same files."""
    parser = argparse.ArgumentParser(description="make the held-out benchmarks")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--tasks", type=int, default=TASKS, help="tasks a type")
    asked = parser.parse_args(arguments)
    asked.folder.mkdir(exist_ok=True)
    environments = make_environments(Options())
    for stem, (_, hard) in SHIPPED.items():
        rows = [
            json.dumps({"environment": environment.name, "task": task.model_dump(mode="json")})
            for environment in environments
            for task in make_tasks(environment, asked.tasks, hard=hard)
        ]
        (asked.folder / f"{stem}.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
        print(f"{stem}: {len(rows)} tasks")
    for environment in environments:
        environment.verifier.close()


if __name__ == "__main__":
    main(sys.argv[1:])
