"""Two domains with three environments, one of them of long replies, and a seeded trainer: for tests of mixtures, without torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import resumed_plugin
from resumed_plugin import Proposer, SeededPolicy, Squaring, SquaringTask

import azr_core as azr
from azr_core.testing import ScriptedTrainer

NAMES = ("long/squaring", "short/squaring", "short/squares")


class Asking(Proposer):
    """Says in the prompt how long the reply is to be."""

    def __init__(self, word: str) -> None:
        self.word = word

    def prompt(self, references: Sequence[azr.Task]) -> str:
        return f"{self.word} {super().prompt(references)}"


class Verifier(resumed_plugin.Verifier):
    def __init__(self, word: str) -> None:
        self.word = word

    def admit(self, proposal: Squaring) -> SquaringTask:
        task = super().admit(proposal)
        return task.model_copy(update={"question": f"{self.word} {task.question}"})


class WordyPolicy(SeededPolicy):
    def reply(self, prompt: str) -> str:
        return ("well " * 20 if "LONG" in prompt else "") + super().reply(prompt)


class Trainer(ScriptedTrainer):
    def __init__(self) -> None:
        updates: Callable[[], int] = lambda: self.updates  # noqa: E731
        super().__init__(WordyPolicy(updates))


@azr.hookimpl
def azr_environments() -> list[azr.Environment]:
    words = ["LONG" if name.startswith("long") else "SHORT" for name in NAMES]
    seeds = [Squaring(number=1), Squaring(number=2)]
    return [azr.Environment(name, Asking(word), Verifier(word), seeds, SquaringTask) for name, word in zip(NAMES, words, strict=True)]


@azr.hookimpl
def azr_trainer(part: azr.Part) -> azr.Trainer | None:
    return Trainer() if part.name == "seeded" else None
