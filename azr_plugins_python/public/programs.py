"""HumanEval (Chen et al. 2021) and MBPP (Austin et al. 2021): a function is written, and the published tests run behind it."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import azr_core as azr
from azr_plugins_python.public.sandbox import ProgramBenchmark, verdict, whole

ENDS = ("\ndef ", "\nclass ", "\nimport ", "\nfrom ", "\nassert ", "\nif __name__", "\nprint(")
"""What follows a function that is finished, as EvalPlus has it; a chat model ends by itself."""
ASK = "Please provide a self-contained Python script that solves the following problem in a markdown code block:"
_FENCED = re.compile(r"^[ \t]*```[ \t]*[\w+-]*[ \t]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
_TEST_SPLIT = range(11, 511)


class Written(ProgramBenchmark):
    """A benchmark whose replies are functions."""

    tokens = 1024

    @abstractmethod
    def entry(self, item: azr.Item) -> str:
        """The name of the function."""

    @abstractmethod
    def solution(self, item: azr.Item, reply: str, form: azr.Form) -> str:
        """The whole program in a reply."""

    def extracted(self, item: azr.Item, solution: str) -> bool:
        """Whether the program has the function at all."""
        return re.search(rf"^\s*def\s+{re.escape(self.entry(item))}\b", solution, re.MULTILINE) is not None

    def sample(self, item: azr.Item, reply: str, form: azr.Form) -> Mapping[str, Any]:
        return {"task_id": item.id, "solution": self.solution(item, reply, form)}


class HumanEval(Written):
    """The prompt is the head of a function; a completion goes on with it."""

    name = "humaneval"
    source = azr.Source(
        "humaneval/HumanEval.jsonl.gz", "https://github.com/openai/human-eval/raw/master/data/HumanEval.jsonl.gz", "openai/openai_humaneval"
    )
    scorer = "human-eval, azr 1"
    ceilings: ClassVar[tuple[azr.Ceiling, ...]] = (azr.Ceiling((164,), 164),)

    def items(self, rows: Sequence[azr.Row]) -> list[azr.Item]:
        return [
            azr.Item(row["task_id"], row["prompt"], f"{ASK}\n```\n{row['prompt'].strip()}\n```\n", row["canonical_solution"], row)
            for row in rows
        ]

    def entry(self, item: azr.Item) -> str:
        return str(item.row["entry_point"])

    def stop(self, form: azr.Form) -> tuple[str, ...]:
        return ENDS if form is azr.Form.COMPLETION else ()

    def solution(self, item: azr.Item, reply: str, form: azr.Form) -> str:
        """A completion behind its prompt; a chat model's function behind what stands above it there, imports and helpers."""
        prompt = item.row["prompt"]
        if form is azr.Form.COMPLETION:
            return f"{prompt}{reply}"
        code = fenced(reply, self.entry(item))
        return f"{prompt[: prompt.rindex(f'def {self.entry(item)}')]}\n{code}"

    def score(self, pairs: Sequence[tuple[azr.Item, str]], form: azr.Form) -> list[azr.Scored]:
        solutions = [self.solution(item, reply, form) for item, reply in pairs]
        jobs = [
            whole(f"{solution}\n{item.row['test']}\ncheck({self.entry(item)})")
            for (item, _), solution in zip(pairs, solutions, strict=True)
        ]
        found = [self.extracted(item, solution) for (item, _), solution in zip(pairs, solutions, strict=True)]
        return [verdict(result, one) for result, one in zip(self.sandbox.run(jobs), found, strict=True)]


class Mbpp(Written):
    """A sentence and its tests; the test split is measured, as published figures are, and the self-test takes all rows.

    As the common tools do, the setup code that two rows have for their tests is left out, so these two pass nobody.
    """

    name = "mbpp"
    source = azr.Source(
        "mbpp/mbpp.jsonl",
        "https://raw.githubusercontent.com/google-research/google-research/master/mbpp/mbpp.jsonl",
        "google-research-datasets/mbpp",
        "full",
        "train+test+validation+prompt",
    )
    scorer = "mbpp, azr 1"
    ceilings = (azr.Ceiling((972,), 974),)

    def items(self, rows: Sequence[azr.Row]) -> list[azr.Item]:
        return self.golds([row for row in rows if row["task_id"] in _TEST_SPLIT])

    def golds(self, rows: Sequence[azr.Row]) -> list[azr.Item]:
        return [self._item(row) for row in rows]

    def entry(self, item: azr.Item) -> str:
        """The function of the published solution that the first test names."""
        defined = re.findall(r"^\s*def\s+(\w+)", item.row["code"], re.MULTILINE)
        return next((name for name in defined if re.search(rf"\b{name}\b", item.row["test_list"][0])), "")

    def stop(self, form: azr.Form) -> tuple[str, ...]:
        return ("[DONE]",) if form is azr.Form.COMPLETION else ()

    def solution(self, item: azr.Item, reply: str, form: azr.Form) -> str:
        return fenced(reply, self.entry(item))

    def score(self, pairs: Sequence[tuple[azr.Item, str]], form: azr.Form) -> list[azr.Scored]:
        solutions = [self.solution(item, reply, form) for item, reply in pairs]
        jobs = [whole("\n".join((solution, *item.row["test_list"]))) for (item, _), solution in zip(pairs, solutions, strict=True)]
        found = [self.extracted(item, solution) for (item, _), solution in zip(pairs, solutions, strict=True)]
        return [verdict(result, one) for result, one in zip(self.sandbox.run(jobs), found, strict=True)]

    def _item(self, row: azr.Row) -> azr.Item:
        task = f"{row['text']} Your code should pass these tests:\n\n" + "\n".join(row["test_list"])
        prompt = f"You are an expert Python programmer, and here is your task: {task}\n[BEGIN]\n"
        return azr.Item(f"Mbpp/{row['task_id']}", prompt, f"{ASK}\n```\n{task}\n```\n", row["code"], row)


def fenced(reply: str, entry: str) -> str:
    """The code in a reply: the first fenced block that defines the function, else the first one, else all of it."""
    blocks: list[str] = _FENCED.findall(reply)
    wanted = [block for block in blocks if f"def {entry}" in block]
    return [*wanted, *blocks, reply][0]
