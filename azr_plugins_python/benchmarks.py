"""Held-out benchmarks: programs of the generator that no training may use. `python -m azr_plugins_python.benchmarks` makes the files."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import azr_core as azr
from azr_plugins_python import demonstrations
from azr_plugins_python.environments import ABDUCTION, DEDUCTION, INDUCTION, make_environments, make_executor
from azr_plugins_python.generator import HARDER_STATEMENT_COUNTS, STATEMENT_COUNTS
from azr_plugins_python.options import Options
from azr_plugins_python.tasks import AbductionTask, DeductionTask, InductionProposal, InductionTask, ProgramTask

FOLDER = Path(__file__).with_name("heldout")
# By file name: the benchmark's name and its programs' statements.
SHIPPED = {"heldout": ("python/heldout", STATEMENT_COUNTS), "harder": ("python/harder", HARDER_STATEMENT_COUNTS)}
TASKS = 300
SEED = 20_250_505
_MAKERS = {DEDUCTION: demonstrations.deduction, ABDUCTION: demonstrations.abduction, INDUCTION: demonstrations.induction}


def load_benchmarks(environments: Sequence[azr.Environment], folder: Path = FOLDER) -> list[azr.Benchmark]:
    """The benchmarks whose files are there."""
    return [
        azr.Benchmark(name, _read(folder / f"{stem}.jsonl"), {environment.name: environment for environment in environments})
        for stem, (name, _) in SHIPPED.items()
        if (folder / f"{stem}.jsonl").exists()
    ]


def make_tasks(
    environment: azr.Environment, counts: Sequence[int], amount: int, excluded: frozenset[int], seed: int = SEED
) -> list[azr.Task]:
    """Tasks from different held-out programs, each through the environment's own gate."""
    found: list[azr.Task] = []
    examples = _examples(environment.name, counts, excluded, seed)
    while len(found) < amount:
        batch = [next(examples) for _ in range(amount - len(found))]
        admissions = environment.verifier.admit_many([proposal_of(environment, example) for example in batch])
        found += [admission for admission, example in zip(admissions, batch, strict=True) if admission == example.task]
    return found


def proposal_of(environment: azr.Environment, example: azr.Demonstration) -> azr.Proposal:
    """The proposal in a demonstration's text, as the environment's proposer reads it."""
    task = example.task
    program = task.program if isinstance(task, (ProgramTask, InductionTask)) else ""
    reference = DeductionTask.of(program, "0", "0")
    proposal: azr.Proposal = environment.proposer.parse(example.proposal, [reference])
    return proposal


def _examples(name: str, counts: Sequence[int], excluded: frozenset[int], seed: int) -> Iterator[azr.Demonstration]:
    rng = azr.chance(seed, sum(counts), name)
    used: set[str] = set()
    for index, sample in enumerate(demonstrations.samples(rng, counts, held_out=True)):
        if sample.program not in used and fingerprint(sample.program) not in excluded:
            used.add(sample.program)
            yield _MAKERS[name](azr.chance(seed, sum(counts), f"{name} task", index), sample)


def fingerprint(program: str) -> int:
    """How a list of pretraining programs names a program: the first 8 bytes of its sha256, big-endian."""
    return int.from_bytes(hashlib.sha256(program.encode()).digest()[:8], "big")


def _row(name: str, task: azr.Task) -> str:
    if isinstance(task, InductionTask):
        fields = {"program": task.program, "inputs": task.inputs, "outputs": task.outputs, "message": task.message}
    elif isinstance(task, ProgramTask):
        fields = {"program": task.program, "inputs": (task.input,), "outputs": (task.output,)}
    else:
        raise TypeError(f"{type(task).__name__} is not a task of this plugin")
    return json.dumps({"environment": name} | fields)


def _read(path: Path) -> dict[str, list[azr.Task]]:
    tasks: dict[str, list[azr.Task]] = {}
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        tasks.setdefault(row["environment"], []).append(_task(**row))
    return tasks


def _task(environment: str, program: str, inputs: Sequence[str], outputs: Sequence[str], message: str = "") -> azr.Task:
    if environment == INDUCTION:
        return InductionTask.of(InductionProposal(program=program, inputs=tuple(inputs), message=message), tuple(outputs))
    kind = DeductionTask if environment == DEDUCTION else AbductionTask
    return kind.of(program, inputs[0], outputs[0])


def main(arguments: Sequence[str]) -> None:
    """Make the files; the same arguments make the same files."""
    parser = argparse.ArgumentParser(description="make the held-out benchmarks")
    parser.add_argument("--exclude", type=Path, help="file of native 64-bit fingerprints of programs that were trained on")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--tasks", type=int, default=TASKS, help="tasks a type")
    asked = parser.parse_args(arguments)
    trained = array("Q", asked.exclude.read_bytes() if asked.exclude else b"")
    asked.folder.mkdir(exist_ok=True)
    options = Options()
    with make_executor(options) as executor:
        for stem, (_, counts) in SHIPPED.items():
            made = [
                _row(environment.name, task)
                for environment in make_environments(options, executor)
                for task in make_tasks(environment, counts, asked.tasks, frozenset(trained))
            ]
            (asked.folder / f"{stem}.jsonl").write_text("\n".join(made) + "\n", "utf-8")
            print(f"{stem}: {len(made)} tasks")


if __name__ == "__main__":
    main(sys.argv[1:])
