"""A whole plugin in one file: sort a few numbers."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import azr_core as azr


class Numbers(azr.Proposal):
    numbers: tuple[int, ...]


class Sorting(azr.Task):
    numbers: tuple[int, ...]


def read(text: str) -> tuple[int, ...]:
    if not all(map(str.isascii, text.split())):
        raise azr.FormatError("write digits from 0 to 9")
    try:
        return tuple(int(word) for word in text.split())
    except ValueError:
        raise azr.FormatError("write whole numbers with spaces between them") from None


class ToyProposer(azr.Proposer[Numbers]):
    def prompt(self, references: Sequence[azr.Task]) -> str:
        return "\n".join([*(task.question for task in references), "Write other numbers to sort."])

    def parse(self, answer: str, references: Sequence[azr.Task]) -> Numbers:
        return Numbers(numbers=read(answer))


class ToyVerifier(azr.Verifier[Numbers, Sorting]):
    def admit(self, proposal: Numbers) -> Sorting:
        if len(proposal.numbers) < 2:
            raise azr.InvalidTask("fewer than two numbers")
        if len(proposal.numbers) > 1000:
            raise azr.InvalidTask("more than a thousand numbers")
        ordered = " ".join(map(str, sorted(proposal.numbers)))
        return Sorting(question=f"Sort {' '.join(map(str, proposal.numbers))}", answer=ordered, numbers=proposal.numbers)

    def grade(self, task: Sorting, answer: str) -> float:
        return float(read(answer) == tuple(sorted(task.numbers)))


def demonstrations(rng: random.Random) -> Iterator[azr.Demonstration]:
    while True:
        numbers = tuple(rng.randrange(100) for _ in range(rng.randint(2, 5)))
        task = ToyVerifier().admit(Numbers(numbers=numbers))
        yield azr.Demonstration(" ".join(map(str, numbers)), task, "", task.answer)


@azr.hookimpl
def azr_environments() -> list[azr.Environment]:
    seeds = [Numbers(numbers=(2, 1)), Numbers(numbers=(3, 1, 2))]
    return [azr.Environment("toy/sorting", ToyProposer(), ToyVerifier(), seeds, Sorting, demonstrations=demonstrations)]
