"""A whole run in one file, with a trainer that learns by itself: for tests of the commands, without torch."""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import azr_core as azr
from azr_core.testing import ScriptedPolicy, ScriptedTrainer


class Doubling(azr.Proposal):
    number: int


class DoublingTask(azr.Task):
    number: int


class Proposer(azr.Proposer[Doubling]):
    def prompt(self, references: Sequence[azr.Task]) -> str:
        return "PROPOSE a number to double."

    def parse(self, answer: str, references: Sequence[azr.Task]) -> Doubling:
        if not answer.isdecimal():
            raise azr.FormatError("not a number")
        return Doubling(number=int(answer))


class Verifier(azr.Verifier[Doubling, DoublingTask]):
    isolated = True

    def admit(self, proposal: Doubling) -> DoublingTask:
        return DoublingTask(question=f"Double {proposal.number}", answer=str(2 * proposal.number), number=proposal.number)

    def grade(self, task: DoublingTask, answer: str) -> float:
        return float(answer == task.answer)


class Learner(ScriptedTrainer):
    """Right once in four replies at first, and once more in forty after every update. upset: what happens in step 2."""

    def __init__(self, upset: Callable[[], None] = lambda: None) -> None:
        super().__init__(ScriptedPolicy(self.reply))
        self.upset = upset
        self.numbers: Iterator[int] = itertools.count(10)

    def reply(self, prompt: str) -> str:
        if "PROPOSE" in prompt:
            return f"</think> <answer>{next(self.numbers)}</answer>"
        number = int(prompt.rpartition("Double ")[2].partition("\n")[0])
        right = next(self.numbers) * 7 % 40 < 10 + self.updates
        return f"simple</think> <answer>{2 * number + (not right)}</answer>"

    def fit(self, play: azr.Play, after: azr.After, first: int, last: int) -> None:
        def upset_play(policy: azr.Policy, step: int) -> list[azr.Episode]:
            if step == 2:
                self.upset()
            return play(policy, step)

        super().fit(upset_play, after, first, last)

    def load(self, directory: Path) -> None:
        super().load(directory)
        self.numbers = itertools.count(10**6 + json.loads((directory / "scripted.json").read_text())["updates"])


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def terminate_parent() -> None:
    os.kill(os.getppid(), signal.SIGTERM)


def fail() -> None:
    raise ZeroDivisionError("a bug in a trainer")


UPSETS: dict[str, Callable[[], None]] = {
    "scripted": lambda: None,
    "interrupted": interrupt,
    "failing": fail,
    "patricidal": terminate_parent,
}


def environment() -> azr.Environment:
    return azr.Environment("toys/doubling", Proposer(), Verifier(), [Doubling(number=1), Doubling(number=2)], DoublingTask)


@azr.hookimpl
def azr_environments() -> list[azr.Environment]:
    return [environment()]


@azr.hookimpl
def azr_benchmarks() -> list[azr.Benchmark]:
    shipped = environment()
    tasks = [shipped.verifier.admit(Doubling(number=10**9 + number)) for number in range(40)]
    return [azr.Benchmark("toys/heldout", {shipped.name: tasks}, {shipped.name: shipped})]


@azr.hookimpl
def azr_trainer(part: azr.Part) -> azr.Trainer | None:
    return Learner(UPSETS[part.name]) if part.name in UPSETS else None
