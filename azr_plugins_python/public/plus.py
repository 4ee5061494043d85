"""HumanEval+ and MBPP+ (EvalPlus, Liu et al. 2023): many inputs a function, with outputs that must equal the published solution's.

Only the function and its inputs enter the sandbox. Its outputs come back and are compared here, by `oracles`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, takewhile
from operator import itemgetter
from typing import Any

import azr_core as azr
from azr_plugins_python.executor import Job, Result, Status
from azr_plugins_python.public.inputs import restored
from azr_plugins_python.public.oracles import TRUTHS, Oracle
from azr_plugins_python.public.programs import ASK, ENDS, HumanEval, Written, fenced
from azr_plugins_python.public.sandbox import verdict, whole

ASSERTIONS = "base assertions"
_ENTRY = "azr_outputs"
_CHARS = 30_000
_CALLS, _FEWER_CALLS = 250, 30
_DIGEST = """
import marshal, zlib
def azr_digest(value):
    content = marshal.dumps(value, 2)
    if len(content) < 1000:
        return value
    return "azr digest", len(content), zlib.crc32(content), zlib.crc32(content[::-1])
"""
Inputs = tuple[Sequence[Any], ...]
Program = tuple[azr.Item, str]


@dataclass(frozen=True)
class Outputs:
    """What a program gave for its inputs, up to the first that it gave nothing for. broken: our machinery, not the program."""

    values: tuple[Any, ...]
    reason: str = ""
    broken: bool = False


class Plus(Written):
    """Scores as EvalPlus does: `base` on the original inputs, the verdict on these and the many more."""

    cpu_s = 30.0
    """Of up to 250 inputs; EvalPlus allows four seconds of wall time for one and sixty for all."""
    memory_mb = 4096

    def fetch(self) -> Sequence[azr.Row]:
        raise AssertionError("EvalPlus' rows with their inputs are on no hub")

    def entry(self, item: azr.Item) -> str:
        return str(item.row["entry_point"])

    @abstractmethod
    def inputs(self, item: azr.Item, plus: bool) -> Inputs:
        """The original argument lists, or those that EvalPlus added."""

    @abstractmethod
    def published(self, item: azr.Item) -> str:
        """The solution whose outputs are right."""

    def score(self, pairs: Sequence[tuple[azr.Item, str]], form: azr.Form) -> list[azr.Scored]:
        tried = [(item, self.solution(item, reply, form)) for item, reply in pairs]
        base = self._judged(tried, plus=False)
        rest = iter(self._judged([one for one, score in zip(tried, base, strict=True) if _held(score)], plus=True))
        both = [(score, next(rest) if _held(score) else score) for score in base]
        return [self._score(*one, *scores) for one, scores in zip(tried, both, strict=True)]

    def _score(self, item: azr.Item, solution: str, base: azr.Scored, plus: azr.Scored) -> azr.Scored:
        if isinstance(plus, azr.VerifierUnavailable):
            return plus
        return azr.Score(plus.passed, self.extracted(item, solution), plus.reason, {"base": _held(base)})

    def _judged(self, tried: Sequence[Program], *, plus: bool) -> list[azr.Scored]:
        work = {(item.id, text): (item, text) for item, text in [(item, self.published(item)) for item, _ in tried] + list(tried)}
        outputs = dict(zip(work, self._outputs(list(work.values()), plus), strict=True))
        return [
            self._compared(item, outputs[item.id, text], outputs[item.id, self.published(item)], self.inputs(item, plus))
            for item, text in tried
        ]

    def _compared(self, item: azr.Item, outputs: Outputs, expected: Outputs, inputs: Inputs) -> azr.Scored:
        if outputs.broken or expected.reason:
            return azr.VerifierUnavailable(outputs.reason if outputs.broken else f"the published solution: {expected.reason}")
        oracle = Oracle(self.entry(item), item.row["atol"])
        for arguments, output, wanted in zip(inputs, outputs.values, expected.values, strict=False):
            if not oracle.accepts(arguments, output, wanted):
                return azr.Score(False, reason=f"another output for {tuple(arguments)!r}"[:200])
        return azr.Score(not outputs.reason, reason=outputs.reason)

    def _outputs(self, programs: Sequence[Program], plus: bool) -> list[Outputs]:
        """Every program's outputs on all its inputs."""
        parts = [(place, part) for place, (item, _) in enumerate(programs) for part in _parts(self.inputs(item, plus), _CALLS)]
        found = self._tried([(programs[place], part) for place, part in parts], 0)
        joined: list[list[Outputs]] = [[] for _ in programs]
        for (place, _), outputs in zip(parts, found, strict=True):
            joined[place].append(outputs)
        return list(map(_joined, joined))

    def _tried(self, work: Sequence[tuple[Program, Inputs]], level: int) -> list[Outputs]:
        """Outputs of programs on parts of inputs. What is too large for one message comes in smaller parts, then as digests."""
        found = [_read(result) for result in self.sandbox.run([self._job(*one, digest=level > 1) for one in work])]
        large = [place for place, outputs in enumerate(found) if outputs.reason == Status.output_too_large and level < 2]
        parts = [(place, part) for place in large for part in _parts(work[place][1], _FEWER_CALLS)]
        smaller = iter(self._tried([(work[place][0], part) for place, part in parts], level + 1) if parts else ())
        for place, group in groupby(parts, key=itemgetter(0)):
            found[place] = _joined([next(smaller) for _ in group])
        return found

    def _job(self, program: Program, part: Inputs, *, digest: bool) -> Job:
        item, solution = program
        call = f"{self.entry(item)}(*one)"
        if self.entry(item) in TRUTHS:
            call = f"(lambda value: value if value is True or value is False else value is not None)({call})"
        if digest:
            call = f"azr_digest({call})"
        body = f"    inf = 1e999\n    nan = inf - inf\n    return [{call} for one in {list(map(list, part))!r}]"
        return Job(f"{solution}\n{_DIGEST if digest else ''}\ndef {_ENTRY}():\n{body}\n", ("",), _ENTRY)


class HumanEvalPlus(Plus, HumanEval):
    """HumanEval's prompts with EvalPlus' inputs, version 0.1.10."""

    name = "humaneval+"
    source = azr.Source(
        "humaneval/HumanEvalPlus.jsonl.gz",
        "https://github.com/evalplus/humanevalplus_release/releases/download/v0.1.10/HumanEvalPlus.jsonl.gz",
    )
    scorer = "evalplus HumanEval+ 0.1.10, azr 1"
    ceilings = (azr.Ceiling((163, 164), 164), azr.Ceiling((164,), 164, "base"))

    def inputs(self, item: azr.Item, plus: bool) -> Inputs:
        return tuple(item.row["plus_input" if plus else "base_input"])

    def published(self, item: azr.Item) -> str:
        return f"{item.row['prompt']}{item.row['canonical_solution']}"


class MbppPlus(Plus):
    """MBPP's sentences with EvalPlus' inputs, version 0.2.0."""

    name = "mbpp+"
    source = azr.Source("mbpp/MbppPlus.jsonl", "https://github.com/evalplus/mbppplus_release/releases/download/v0.2.0/MbppPlus.jsonl.gz")
    scorer = "evalplus MBPP+ 0.2.0, azr 1"
    ceilings = (azr.Ceiling((378,), 378), azr.Ceiling((378,), 378, "base"), azr.Ceiling((377,), 378, ASSERTIONS))

    def items(self, rows: Sequence[azr.Row]) -> list[azr.Item]:
        return [
            azr.Item(row["task_id"], row["prompt"], f"{ASK}\n```\n{row['prompt'].strip()}\n```\n", row["canonical_solution"], row)
            for row in rows
        ]

    def stop(self, form: azr.Form) -> tuple[str, ...]:
        return ('\n"""', "\nassert", *ENDS[-2:]) if form is azr.Form.COMPLETION else ()

    def inputs(self, item: azr.Item, plus: bool) -> Inputs:
        return tuple(restored(item.id, list(item.row["plus_input" if plus else "base_input"])))

    def published(self, item: azr.Item) -> str:
        return str(item.row["canonical_solution"])

    def solution(self, item: azr.Item, reply: str, form: azr.Form) -> str:
        return fenced(reply, self.entry(item))

    def score(self, pairs: Sequence[tuple[azr.Item, str]], form: azr.Form) -> list[azr.Scored]:
        """The assertions of the file beside EvalPlus' inputs; those of Mbpp/120 name what nobody defines."""
        programs = [f"{self.solution(item, reply, form)}\n{item.row['assertion']}" for item, reply in pairs]
        asserted = [verdict(result) for result in self.sandbox.run(list(map(whole, programs)))]
        return [
            replace(score, also={**score.also, ASSERTIONS: _held(one)}) if isinstance(score, azr.Score) else score
            for score, one in zip(super().score(pairs, form), asserted, strict=True)
        ]


def _held(score: azr.Scored) -> bool:
    return isinstance(score, azr.Score) and score.passed


def _read(result: Result) -> Outputs:
    if result.status is Status.ok:
        values = result.calls[0].value
        return Outputs(tuple(values)) if isinstance(values, list) else Outputs((), "no list of outputs")
    return Outputs((), f"{result.status} {result.reason}".strip(), result.status is Status.infra)


def _joined(parts: Sequence[Outputs]) -> Outputs:
    """Outputs of parts one after another, up to the first part that has none."""
    whole_ones = list(takewhile(lambda part: not part.reason, parts))
    failed = parts[len(whole_ones)] if len(whole_ones) < len(parts) else Outputs(())
    return Outputs(tuple(value for part in whole_ones for value in part.values), failed.reason, failed.broken)


def _parts(inputs: Inputs, calls: int) -> Iterator[Inputs]:
    """Inputs in parts of so many calls at most, each of a size that fits a program."""
    part: list[Sequence[Any]] = []
    chars = 0
    for arguments in inputs:
        size = len(repr(arguments))
        if part and (chars + size > _CHARS or len(part) == calls):
            yield tuple(part)
            part, chars = [], 0
        part.append(arguments)
        chars += size
    if part:
        yield tuple(part)
