"""An environment whose answers decide how its verifier misbehaves."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import azr_core as azr


class Word(azr.Proposal):
    word: str


class Echo(azr.Task):
    pass


class HostileProposer(azr.Proposer[Word]):
    def prompt(self, references: Sequence[azr.Task]) -> str:
        return "A word?"

    def parse(self, answer: str, references: Sequence[azr.Task]) -> Word:
        return Word(word=answer)


class HostileVerifier(azr.Verifier[Word, Echo]):
    def admit(self, proposal: Word) -> Echo:
        misbehave(proposal.word)
        return Echo(question=proposal.word, answer="other" if proposal.word == "unlawful" else proposal.word)

    def grade(self, task: Echo, answer: str) -> float | azr.Verdict:
        misbehave(answer)
        if answer == "process":
            return azr.Verdict(azr.Outcome.WRONG, 0.25, str(os.getpid()))
        return 2.0 if answer == "excess" else float(answer == task.question)


def misbehave(word: str) -> None:
    print("judging", word)
    match word:
        case "hang":
            time.sleep(600)
        case "die":
            os._exit(9)
        case "bug":
            raise ZeroDivisionError("a bug")
        case "form":
            raise azr.FormatError("no form")
        case "refuse":
            raise azr.InvalidTask("no task")
        case "away":
            raise azr.VerifierUnavailable("node left")


def environment() -> azr.Environment:
    return azr.Environment("toy/echo", HostileProposer(), HostileVerifier(), [Word(word="hello")], Echo)


@azr.hookimpl
def azr_environments() -> list[azr.Environment]:
    return [environment()]


@azr.hookimpl
def azr_benchmarks() -> list[azr.Benchmark]:
    return [azr.Benchmark("held", {"toy/echo": [Echo(question="a", answer="a")]}, {"toy/echo": environment()})]
