"""Putting whole numbers in order: the smallest environment, and the one of docs/writing-a-plugin.md.

azr run --plugin plugins/sorting.py
"""

from __future__ import annotations

import random
from typing import Annotated

from pydantic import Field

import azr_core as azr


class Numbers(azr.Proposal):
    """What a proposer writes."""

    numbers: tuple[Annotated[int, Field(ge=-99, le=99)], ...] = Field(min_length=2, max_length=8, description="not in order yet")


def admit(proposal: Numbers) -> tuple[str, str]:
    """Question and answer."""
    if list(proposal.numbers) == sorted(proposal.numbers):
        raise azr.InvalidTask("the numbers are in order already")
    return " ".join(map(str, proposal.numbers)), " ".join(map(str, sorted(proposal.numbers)))


def grade(task: azr.PosedTask[Numbers], answer: str) -> float:
    """1.0 for the numbers in order, however they are spaced."""
    return float(answer.split() == task.answer.split())


def draw(rng: random.Random) -> Numbers:
    """A random proposal, of which demonstrations and the benchmark are made."""
    return Numbers(numbers=tuple(rng.randint(-99, 99) for _ in range(rng.randint(2, 8))))


SORTING = azr.environment(
    "order/sorting",
    Numbers,
    admit=admit,
    grade=grade,
    seeds=[Numbers(numbers=(2, 1)), Numbers(numbers=(30, -4, 7))],
    propose="Task: write whole numbers that somebody else must sort without running anything. Make it neither trivial nor hopeless.",
    solve="Task: sort these numbers from the smallest to the largest. The answer is the numbers alone, with spaces between them.",
    draw=draw,
)


@azr.hookimpl
def azr_environments() -> list[azr.Environment]:
    return [SORTING]


@azr.hookimpl
def azr_benchmarks() -> list[azr.Benchmark]:
    return [azr.held_out(SORTING)]
