"""A plugin in an afternoon: an environment from a model of the proposal and two functions, with worked examples and a benchmark."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic

from azr_core.errors import InvalidTask, PluginError
from azr_core.forms import FormProposer, JsonProposer, PosedTask, written_and_read
from azr_core.interfaces import Environment, P, Verifier
from azr_core.types import Benchmark, Demonstration, Task, Verdict, chance

HELD_OUT_ONE_IN = 8  # tasks of a generator, by the hash of their content
PATIENCE = 5_000  # draws in a row that bring nothing new, after which there is nothing more

Admit = Callable[[P], tuple[str, str]]
Grade = Callable[[PosedTask[P], str], float | Verdict]


class FunctionVerifier(Verifier[P, PosedTask[P]], Generic[P]):
    """A verifier of two functions. admit: question and answer of a proposal. grade: score of an answer, 0..1."""

    def __init__(self, proposal: type[P], admit: Admit[P], grade: Grade[P]) -> None:
        self.task_type: type[PosedTask[P]] = PosedTask[proposal]  # type: ignore[valid-type]
        self._admit = admit
        self._grade = grade

    def admit(self, proposal: P) -> PosedTask[P]:
        made = self._admit(proposal)
        if not (isinstance(made, tuple) and len(made) == 2 and all(isinstance(text, str) for text in made)):
            raise PluginError(
                f"{self._admit.__name__} returned {made!r:.80}; return (question, answer), two texts, or raise azr.InvalidTask"
            )
        return self.task_type(question=made[0], answer=made[1], proposal=proposal)

    def grade(self, task: PosedTask[P], answer: str) -> float | Verdict:
        return self._grade(task, answer)


@dataclass(frozen=True)
class Demonstrations:
    """The demonstrations of an environment, from a generator; what is kept for `held_out` is never among them."""

    generator: Callable[[random.Random], Iterator[Demonstration]]

    def __call__(self, rng: random.Random) -> Iterator[Demonstration]:
        """Those to learn from, without end."""
        return (example for example in self.generator(rng) if not reserved(example.task))


def reserved(task: Task) -> bool:
    """Whether a task is kept for measuring, by its content alone: the same in every run and process."""
    return hashlib.sha256(b"held out " + task.key().encode()).digest()[0] % HELD_OUT_ONE_IN == 0


def environment(
    name: str,
    proposal: type[P] | FormProposer[P],
    *,
    admit: Admit[P],
    grade: Grade[P],
    seeds: Sequence[P],
    propose: str,
    solve: str,
    draw: Callable[[random.Random], P] | None = None,
    think: Callable[[PosedTask[P]], str] = lambda task: "",
) -> Environment:
    """An environment from the model of its proposals (written as JSON, or as the given form has it) and plain functions.

    propose, solve: what a large model is told; the form of the proposal, the known tasks and the question follow. draw: a random
    proposal, for demonstrations and `held_out`. think: the reasoning that leads to a task's answer, for demonstrations.
    """
    if not seeds:
        raise PluginError(f"{name}: it has no seeds; a run starts from at least one proposal")
    proposer = proposal if isinstance(proposal, FormProposer) else JsonProposer(proposal, seeds[0])
    verifier = FunctionVerifier(proposer.proposal, admit, grade)
    worked = _Worked(name, proposer, verifier, draw, think) if draw else None
    return Environment(
        name=name,
        proposer=proposer,
        verifier=verifier,
        seeds=tuple(written_and_read(proposer, seed) for seed in seeds),
        task_type=verifier.task_type,
        templates=_templates(name, f"{propose}\n\n{proposer.describe()}", solve),
        demonstrations=Demonstrations(worked) if worked else None,
    )


def held_out(*environments: Environment, count: int = 200) -> Benchmark:
    """The benchmark `DOMAIN/heldout` of environments with `Demonstrations`: tasks of their generators that no training meets."""
    tasks = {environment.name: _held_out(environment, count) for environment in environments}
    return Benchmark(f"{environments[0].domain}/heldout", tasks, {environment.name: environment for environment in environments})


@dataclass(frozen=True)
class _Worked(Generic[P]):
    """A generator of worked examples from random proposals."""

    name: str
    proposer: FormProposer[P]
    verifier: FunctionVerifier[P]
    draw: Callable[[random.Random], P]
    think: Callable[[PosedTask[P]], str]

    def __call__(self, rng: random.Random) -> Iterator[Demonstration]:
        refused = 0
        while refused < PATIENCE:
            proposal = self.draw(rng)
            try:
                task = self.verifier.admit(proposal)
            except InvalidTask:
                refused += 1
                continue
            refused = 0
            yield Demonstration(self.proposer.write(proposal), task, self.think(task), task.answer)
        raise PluginError(f"{self.name}: none of {PATIENCE} random proposals was admitted; draw others")


def _held_out(environment: Environment, count: int) -> list[Task]:
    if not isinstance(environment.demonstrations, Demonstrations):
        raise PluginError(f"{environment.name}: nothing of it is held out; give it `draw`, or put its generator into azr.Demonstrations")
    found: dict[str, Task] = {}
    waited = 0
    for example in environment.demonstrations.generator(chance(0, 0, f"held out {environment.name}")):
        if reserved(example.task) and example.task.key() not in found:
            found[example.task.key()] = example.task
            waited = 0
        if len(found) == count:
            break
        waited += 1
        if waited > PATIENCE:
            raise PluginError(f"{environment.name}: it has {len(found)} held-out tasks, not {count}; draw from more, or ask for fewer")
    return list(found.values())


def _templates(name: str, propose: str, solve: str) -> dict[str, str]:
    """What stands around the text, by style and role. A small model is told the name alone: it has learned what that asks for."""
    if "{text}" in propose + solve:
        raise PluginError(f"{name}: its words hold '{{text}}', which stands for the tasks and the question; say it otherwise")
    return {
        "paper/propose": f"{propose}\n\nThese are known already (there may be none), so write another:\n\n{{text}}",
        "paper/solve": f"{solve}\n\n{{text}}",
        "compact/propose": f"{name}\n{{text}}",
        "compact/solve": f"{name}\n{{text}}",
    }
