"""CRUXEval (Gu et al. 2024): what a function returns, and what it must be given. Direct prompts and rules of facebookresearch/cruxeval."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import azr_core as azr
from azr_plugins_python.public.sandbox import ProgramBenchmark, verdict, whole

_PROMPTS = Path(__file__).parents[1] / "prompts" / "public"
_URL = "https://raw.githubusercontent.com/facebookresearch/cruxeval/main/data/cruxeval.jsonl"


class CruxEval(ProgramBenchmark):
    """Both directions. A reply is cut out of its assertion, then it stands in one of ours, which the sandbox runs."""

    source = azr.Source("cruxeval/cruxeval.jsonl", _URL, "cruxeval-org/cruxeval")
    scorer: ClassVar[str] = "cruxeval direct, azr 1"
    tokens = 1024
    ceilings = (azr.Ceiling((800,), 800),)

    @abstractmethod
    def answer(self, reply: str) -> str:
        """What the published tool takes from a reply."""

    @abstractmethod
    def gold(self, row: azr.Row) -> str:
        """The answer that is right."""

    @abstractmethod
    def barred(self, row: azr.Row, answer: str) -> bool:
        """Whether the published tool refuses an answer unseen."""

    def items(self, rows: Sequence[azr.Row]) -> list[azr.Item]:
        template = (_PROMPTS / f"{self.name}.txt").read_text("utf-8")
        return [azr.Item(row["id"], text := _filled(template, row), text, self.gold(row), row) for row in rows]

    def stop(self, form: azr.Form) -> tuple[str, ...]:
        return ("[/ANSWER]",)

    def score(self, pairs: Sequence[tuple[azr.Item, str]], form: azr.Form) -> list[azr.Scored]:
        answers = [self.answer(reply) for _, reply in pairs]
        jobs = [
            whole(f"{item.row['code']}\nassert {item.row['output']} == {'' if self.barred(item.row, answer) else answer}")
            for (item, _), answer in zip(pairs, answers, strict=True)
        ]
        return [verdict(result, bool(answer)) for result, answer in zip(self.sandbox.run(jobs), answers, strict=True)]


class CruxEvalOutput(CruxEval):
    """From input to output."""

    name = "cruxeval-o"

    def answer(self, reply: str) -> str:
        text = _tagged(reply)
        return text.split("==")[1].strip() if "==" in text else text

    def gold(self, row: azr.Row) -> str:
        return str(row["output"])

    def barred(self, row: azr.Row, answer: str) -> bool:
        return f"f({row['input']})" in answer


class CruxEvalInput(CruxEval):
    """From output to input."""

    name = "cruxeval-i"

    def answer(self, reply: str) -> str:
        text = _tagged(reply).split("==")[0].strip()
        return ("f" + text.split("assert f")[1]).strip() if "assert f" in text else text

    def gold(self, row: azr.Row) -> str:
        return f"f({row['input']})"

    def barred(self, row: azr.Row, answer: str) -> bool:
        return "f(" not in answer


def _tagged(reply: str) -> str:
    """What follows the opening tag, which a chat model repeats."""
    return reply.split("[ANSWER]")[1].strip() if "[ANSWER]" in reply else reply.strip()


def _filled(template: str, row: azr.Row) -> str:
    return re.sub(r"\{(code|input|output)\}", lambda place: str(row[place[1]]), template)
