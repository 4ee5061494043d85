"""Sums of two numbers: a whole plugin to begin with. Replace the model, the three functions and the words by those of your domain."""

from __future__ import annotations

import random
from typing import Annotated

from pydantic import Field

import azr_core as azr

Number = Annotated[int, Field(ge=0, le=999)]


class Sum(azr.Proposal):
    """What a proposer writes. Names, bounds and descriptions of the fields become its prompt."""

    left: Number = Field(description="what is added to")
    right: Number = Field(description="what is added")


def admit(proposal: Sum) -> tuple[str, str]:
    """Question and answer of a proposal. Raise azr.InvalidTask, with the reason, for whatever is not worth solving."""
    if 0 in (proposal.left, proposal.right):
        raise azr.InvalidTask("nothing is added")
    return f"{proposal.left} + {proposal.right}", str(proposal.left + proposal.right)


def grade(task: azr.PosedTask[Sum], answer: str) -> float:
    """Score of an answer, 0 to 1; the task's own answer must score 1. `task.proposal` has all that the grader may need."""
    return float(answer.strip() == task.answer)


def draw(rng: random.Random) -> Sum:
    """A random proposal: `azr warmup` teaches a small model with them, and the held-out benchmark is made of them."""
    return Sum(left=rng.randint(0, 999), right=rng.randint(0, 999))


SUMS = azr.environment(
    "my_plugin/sums",
    Sum,
    admit=admit,
    grade=grade,
    seeds=[Sum(left=2, right=3), Sum(left=48, right=95)],
    propose="Task: write two numbers that somebody else must add without running anything. Make it neither trivial nor hopeless.",
    solve="Task: add the two numbers. The answer is the sum alone, in digits.",
    draw=draw,
)


@azr.hookimpl
def azr_environments() -> list[azr.Environment]:
    """The environments of this plugin."""
    return [SUMS]


@azr.hookimpl
def azr_benchmarks() -> list[azr.Benchmark]:
    """Their held-out tasks: every run measures them, and no training meets them."""
    return [azr.held_out(SUMS)]
