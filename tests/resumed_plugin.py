"""A run whose every reply is a function of the sampling seed and the updates so far: for tests of resuming, without torch."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import azr_core as azr
from azr_core.testing import ScriptedPolicy, ScriptedTrainer

BALLAST = 40_000  # bytes of a checkpoint, so that a kill may fall into its writing


class Squaring(azr.Proposal):
    number: int


class SquaringTask(azr.Task):
    number: int


class Proposer(azr.Proposer[Squaring]):
    def prompt(self, references: Sequence[azr.Task]) -> str:
        return "\n".join([*(reference.question for reference in references), "PROPOSE a number to square."])

    def parse(self, answer: str, references: Sequence[azr.Task]) -> Squaring:
        if not answer.isdecimal():
            raise azr.FormatError("not a number")
        return Squaring(number=int(answer))


class Verifier(azr.Verifier[Squaring, SquaringTask]):
    isolated = True

    def admit(self, proposal: Squaring) -> SquaringTask:
        if proposal.number % 10 == 0:
            raise azr.InvalidTask("too easy")
        return SquaringTask(question=f"Square {proposal.number}", answer=str(proposal.number**2), number=proposal.number)

    def grade(self, task: SquaringTask, answer: str) -> float:
        return float(answer == task.answer)

    def skeleton(self, task: SquaringTask) -> str:
        return str(len(str(task.number)))


class SeededPolicy(ScriptedPolicy):
    """Draws its replies from the seed it is given; what it was shown and has learned counts too."""

    def __init__(self, updates: Callable[[], int]) -> None:
        super().__init__(self.reply)
        self.rng = random.Random()
        self.updates = updates

    def sample(self, prompts: Sequence[str], sampling: azr.Sampling, n: int = 1) -> list[list[azr.Reply]]:
        self.rng = random.Random(f"{sampling.seed} {self.updates()} {prompts}")
        return super().sample(prompts, sampling, n)

    def reply(self, prompt: str) -> str:
        if "PROPOSE" in prompt:
            return self.rng.choice(["no", "</think> <answer>none</answer>", *[f"</think> <answer>{self.rng.randrange(200)}</answer>"] * 6])
        number = int(prompt.rpartition("Square ")[2].partition("\n")[0])
        right = self.rng.random() < 0.3 + 0.05 * self.updates()
        return f"so</think> <answer>{number**2 + (not right)}</answer>"


class Trainer(ScriptedTrainer):
    def __init__(self) -> None:
        super().__init__(SeededPolicy(lambda: self.updates))

    def save(self, directory: Path) -> None:
        super().save(directory)
        (directory / "ballast").write_bytes(random.Random(self.updates).randbytes(BALLAST))


def environment() -> azr.Environment:
    return azr.Environment("toys/squaring", Proposer(), Verifier(), [Squaring(number=1), Squaring(number=2)], SquaringTask)


@azr.hookimpl
def azr_environments() -> list[azr.Environment]:
    return [environment()]


@azr.hookimpl
def azr_benchmarks() -> list[azr.Benchmark]:
    shipped = environment()
    tasks = [shipped.verifier.admit(Squaring(number=1001 + 10 * number)) for number in range(20)]
    return [azr.Benchmark("toys/heldout", {shipped.name: tasks}, {shipped.name: shipped})]


@azr.hookimpl
def azr_trainer(part: azr.Part) -> azr.Trainer | None:
    return Trainer() if part.name == "seeded" else None
