"""An environment whose answers decide what befalls the process that judges them; its fingerprint is the machine's to choose."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import azr_core as azr


class Word(azr.Proposal):
    word: str


class Echo(azr.Task):
    pass


class Proposer(azr.Proposer[Word]):
    def prompt(self, references: Sequence[azr.Task]) -> str:
        return "A word?"

    def parse(self, answer: str, references: Sequence[azr.Task]) -> Word:
        return Word(word=answer)


class Verifier(azr.Verifier[Word, Echo]):
    """An answer `die` ends the process, `die PATH` does so once, `hang PATH` never returns once, `leave` takes the node along."""

    isolated = True

    def admit(self, proposal: Word) -> Echo:
        return Echo(question=proposal.word, answer=proposal.word)

    def grade(self, task: Echo, answer: str) -> float:
        misfortune, _, once = answer.partition(" ")
        if misfortune in MISFORTUNES and not (once and happened(Path(once))):
            MISFORTUNES[misfortune]()
        if answer == "bug":
            raise ZeroDivisionError("a bug")
        return float(answer == task.answer)

    def fingerprint(self) -> str:
        return os.environ.get("STUMBLING_FINGERPRINT", "alike")


def happened(mark: Path) -> bool:
    """Whether this happened before; now it has."""
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return True
    return False


def leave() -> None:
    if "STUMBLING_MAY_LEAVE" in os.environ:  # not the node of the run's own process, which would end with it
        os.kill(os.getppid(), signal.SIGKILL)  # Ray's own process of this node, which started us
        os._exit(9)


MISFORTUNES: dict[str, Callable[[], None]] = {"die": lambda: os._exit(9), "hang": lambda: time.sleep(600), "leave": leave}


@azr.hookimpl
def azr_environments() -> list[azr.Environment]:
    return [azr.Environment("toy/stumbling", Proposer(), Verifier(), [Word(word="hello")], Echo)]
