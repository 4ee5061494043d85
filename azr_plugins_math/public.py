"""Public benchmarks of mathematics: GSM8K, MATH-500, AIME 2024 and 2025. Their scorers serve measurements only, never a reward."""

from __future__ import annotations

import json
import re
import select
import subprocess
import sys
from abc import abstractmethod
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any, ClassVar

import azr_core as azr

MATH_VERIFY = "math-verify"
_START_S = 120.0
_REPLY_S = 20.0
_STEP_S = 5
"""Seconds that Math-Verify gives each of its own steps; the worker that takes longer than _REPLY_S in all is killed."""
_MEMORY_BYTES = 4 << 30
_REPLY_CHARS = 20_000
_BOXED = "Please reason step by step, and put your final answer within \\boxed{}."

_STRICT = re.compile(r"#### (-?[0-9.,]+)")
_NUMBER = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
_IGNORED = (re.compile(","), re.compile(r"\$"), re.compile(r"(?s).*#### "), re.compile(r"\.$"))


class Answered(azr.PublicBenchmark):
    """A benchmark whose replies end in an answer."""

    def fetch(self) -> Sequence[azr.Row]:
        from datasets import load_dataset

        return [dict(row) for row in load_dataset(self.source.hub, self.source.subset, split=self.source.split)]


class Gsm8k(Answered):
    """Scored as lm-evaluation-harness does: `flexible-extract` is the verdict, `strict-match` stands beside it."""

    name = "gsm8k"
    source = azr.Source(
        "gsm8k/test.jsonl",
        "https://raw.githubusercontent.com/openai/grade-school-math/master/grade_school_math/data/test.jsonl",
        "openai/gsm8k",
        "main",
    )
    scorer = "lm-eval gsm8k 3 flexible-extract, azr 1"
    tokens = 1024
    ceilings = (azr.Ceiling((1319,), 1319), azr.Ceiling((1319,), 1319, "strict"))

    def items(self, rows: Sequence[azr.Row]) -> list[azr.Item]:
        return [self._item(f"gsm8k/{number}", row) for number, row in enumerate(rows)]

    def stop(self, form: azr.Form) -> tuple[str, ...]:
        return ("Question:",) if form is azr.Form.COMPLETION else ()

    def score(self, pairs: Sequence[tuple[azr.Item, str]], form: azr.Form) -> list[azr.Scored]:
        return [self._score(_bare(item.row["answer"]), reply) for item, reply in pairs]

    def _score(self, gold: str, reply: str) -> azr.Score:
        strict, found = _STRICT.search(reply), [first or second for first, second in _NUMBER.findall(reply)]
        flexible = found[-1].strip() if found else ""
        exact = strict is not None and _bare(strict[1].strip()) == gold
        return azr.Score(_bare(flexible) == gold, bool(found), f"found {flexible[:80]!r}", {"strict": exact})

    def _item(self, name: str, row: azr.Row) -> azr.Item:
        question = row["question"]
        message = f"{question}\nReason step by step, and end with a line of the form #### NUMBER."
        return azr.Item(name, f"Question: {question}\nAnswer:", message, row["answer"], row)


class Verified(Answered):
    """A benchmark whose answers Math-Verify compares, in a process of its own."""

    tokens = 4096
    tasks: ClassVar[str]

    def __init__(self) -> None:
        self._worker = Worker()

    @property
    def scorer(self) -> str:  # type: ignore[override]
        return f"Math-Verify {_installed()}, azr 1"

    @abstractmethod
    def answer(self, row: azr.Row) -> str:
        """The right answer, as LaTeX."""

    def items(self, rows: Sequence[azr.Row]) -> list[azr.Item]:
        return [self._item(str(row.get("unique_id", f"{self.name}/{number}")), row) for number, row in enumerate(rows)]

    def score(self, pairs: Sequence[tuple[azr.Item, str]], form: azr.Form) -> list[azr.Scored]:
        _installed()
        with self._worker as worker:
            return [worker.ask(self.answer(item.row), reply) for item, reply in pairs]

    def close(self) -> None:
        self._worker.stop()

    def _item(self, name: str, row: azr.Row) -> azr.Item:
        message = f"{row['problem']}\n{_BOXED}"
        return azr.Item(name, f"{message}\n\n", message, f"\\boxed{{{self.answer(row)}}}", row)


class Math500(Verified):
    """500 problems of MATH (Hendrycks et al. 2021), chosen by Lightman et al. 2023."""

    name = "math500"
    source = azr.Source(
        "math500/test.jsonl", "https://huggingface.co/datasets/HuggingFaceH4/MATH-500/resolve/main/test.jsonl", "HuggingFaceH4/MATH-500"
    )
    ceilings = (azr.Ceiling((500,), 500),)

    def answer(self, row: azr.Row) -> str:
        return str(row["answer"])


class Aime(Verified):
    """Answers are whole numbers from 0 to 999."""

    tokens = 16_384
    ceilings = (azr.Ceiling((30,), 30),)

    def answer(self, row: azr.Row) -> str:
        return str(int(row["answer"]))


class Aime24(Aime):
    """The thirty problems of 2024."""

    name = "aime24"
    source = azr.Source("aime24.jsonl", "https://huggingface.co/datasets/HuggingFaceH4/aime_2024", "HuggingFaceH4/aime_2024", None, "train")


class Aime25(Aime):
    """The thirty problems of 2025."""

    name = "aime25"
    source = azr.Source("aime25.jsonl", "https://huggingface.co/datasets/math-ai/aime25", "math-ai/aime25")


class Worker:
    """Math-Verify in a process that is killed when it takes too long. Starts at the first question, and again after a kill."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, gold: str, reply: str) -> azr.Scored:
        """Whether a reply gives the answer. What the worker does not survive is a wrong answer."""
        process = self._process or self._start()
        question = json.dumps([gold, reply[-_REPLY_CHARS:]])
        try:
            answer = _exchange(process, question.encode() + b"\n", _REPLY_S)
        except BrokenPipeError:
            answer = b""
        if not answer:
            self.stop()
            return azr.Score(False, reason="the reply took too long to read, or too much memory")
        extracted, passed = json.loads(answer)
        return azr.Score(passed, extracted, "" if passed else "another answer" if extracted else "no answer found")

    def stop(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", __file__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
        if not _exchange(self._process, b"", _START_S):
            self.stop()
            raise azr.UsageError(f"Math-Verify does not start; try {' '.join(command)} and see what it says")
        return self._process

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


PUBLIC: tuple[type[Answered], ...] = (Aime24, Aime25, Gsm8k, Math500)


@azr.hookimpl
def azr_public_benchmarks() -> Sequence[azr.PublicBenchmark]:
    """GSM8K, MATH-500 and AIME."""
    return [benchmark() for benchmark in PUBLIC]


def _bare(text: str) -> str:
    for ignored in _IGNORED:
        text = ignored.sub("", text)
    return text.lower()


def _installed() -> str:
    """Math-Verify's version. Raises UsageError where it is not installed."""
    try:
        return version(MATH_VERIFY)
    except PackageNotFoundError:
        raise azr.UsageError("this benchmark is scored by Math-Verify, which is not installed; pip install 'azr[math]'") from None


def _exchange(process: subprocess.Popen[bytes], question: bytes, seconds: float) -> bytes:
    """The line that answers; empty where none came in time."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(question)
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    return process.stdout.readline() if ready else b""


def _judge(gold: str, reply: str) -> tuple[bool, bool]:
    """(found, right) by Math-Verify's own rules. Runs in the worker only."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    wanted = parse(f"${gold}$", extraction_config=[LatexExtractionConfig()], parsing_timeout=_STEP_S)
    rules: list[Any] = [LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig()]
    found = parse(reply, extraction_config=rules, parsing_timeout=_STEP_S)
    return bool(found), bool(found) and bool(verify(wanted, found, timeout_seconds=_STEP_S))


def _serve() -> None:
    """The worker: a question a line, [gold, reply]; an answer a line, [found, right]. The first line says that it is ready."""
    import resource

    out, sys.stdout = sys.stdout, sys.stderr
    _judge("1", "$1$")
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    print("[]", file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(_judge(*json.loads(line))), file=out, flush=True)


if __name__ == "__main__":
    _serve()
