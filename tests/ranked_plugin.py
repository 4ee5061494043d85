"""Words to repeat: enough seeds to be shared among ranks, and a verifier that fails on the rank it is told to."""

from __future__ import annotations

import os
from collections.abc import Sequence

import azr_core as azr


class Word(azr.Proposal):
    word: str


class Proposer(azr.Proposer[Word]):
    def prompt(self, references: Sequence[azr.Task]) -> str:
        return "A word?"

    def parse(self, answer: str, references: Sequence[azr.Task]) -> Word:
        return Word(word=answer)


class Verifier(azr.Verifier[Word, azr.Task]):
    isolated = True

    def admit(self, proposal: Word) -> azr.Task:
        return azr.Task(question=f"Say {proposal.word}", answer=proposal.word)

    def grade(self, task: azr.Task, answer: str) -> float:
        if os.environ.get("RANKED_FAULT") == "verifier" and azr.place().rank == 1:
            raise ZeroDivisionError("a bug of the verifier")
        return float(answer == task.answer)


@azr.hookimpl
def azr_environments() -> list[azr.Environment]:
    return [azr.Environment("toy/words", Proposer(), Verifier(), [Word(word=f"w{number}") for number in range(24)])]
