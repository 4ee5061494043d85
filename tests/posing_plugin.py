"""A trainer whose policy answers whatever an environment of `azr.environment` asks, and the python plugin a little: without torch."""

from __future__ import annotations

import itertools
import json
import random
import re

import azr_core as azr
from azr_core.testing import ScriptedPolicy, ScriptedTrainer

PROGRAM = "```python\ndef f(x):\n    return x + {number}\n```\n```input\n1\n```"
SUCH_AS = re.compile(r"one JSON object such as\n\n(.*)\n")


class PosingPolicy(ScriptedPolicy):
    """Proposes the example with other numbers; sorts what looks like numbers, else gives a one."""

    def __init__(self) -> None:
        super().__init__(self.reply)
        self.numbers = itertools.count(100)

    def reply(self, prompt: str) -> str:
        form = SUCH_AS.search(prompt)
        if form:
            return said(json.dumps(varied(json.loads(form[1]), random.Random(next(self.numbers)))))
        if "write a new Python program" in prompt:
            return said(PROGRAM.format(number=next(self.numbers)))
        question = prompt.removesuffix("\nAssistant: <think>").rpartition("\n")[2]
        numbers = re.fullmatch(r"-?\d+( -?\d+)+", question)
        return said(" ".join(sorted(question.split(), key=int)) if numbers else "1")


def said(answer: str) -> str:
    return f"so</think> <answer>{answer}</answer>"


def varied(value: object, rng: random.Random) -> object:
    if isinstance(value, dict):
        return {name: varied(inner, rng) for name, inner in value.items()}
    return [varied(inner, rng) for inner in value] if isinstance(value, list) else rng.randint(1, 99)


@azr.hookimpl
def azr_trainer(part: azr.Part) -> azr.Trainer | None:
    return ScriptedTrainer(PosingPolicy()) if part.name == "posing" else None
