"""Verifiers: what is a task and what is an answer. Programs run in the executor only; gold values never enter it."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeVar

import azr_core as azr
from azr_plugins_python import composite, measures, shape
from azr_plugins_python.blocks import Name, bare_or_block, fenced
from azr_plugins_python.executor import (
    Call,
    Executor,
    Job,
    LiteralError,
    Protection,
    Result,
    SandboxUnavailable,
    Status,
    Value,
    display,
    equal,
    parse_arguments,
    parse_literal,
    unwrap_call,
)
from azr_plugins_python.options import Options
from azr_plugins_python.tasks import AbductionTask, DeductionTask, InductionProposal, ProgramProposal, ProgramTask
from azr_plugins_python.verdicts import Graded, failed, read, reason_of, wrong

P = TypeVar("P", ProgramProposal, InductionProposal)
T = TypeVar("T", bound=azr.Task)
R = TypeVar("R", bound=ProgramTask)

# A call that ends its process takes the calls behind it along; those are made again alone.
_SHARED_FATE = frozenset(
    {Status.timeout, Status.memory, Status.denied, Status.crash, Status.bad_result, Status.program_too_large, Status.infra}
)


class ExecutedVerifier(azr.Verifier[P, T]):
    """What the verifiers share: one executor call for a batch of proposals, one for a batch of answers."""

    isolated = True

    def __init__(self, options: Options, executor: Executor) -> None:
        self.options = options
        self._executor = executor

    @abstractmethod
    def job(self, proposal: P) -> Job:
        """The run that shows whether a proposal is a task. Raises InvalidTask."""

    @abstractmethod
    def task(self, proposal: P, outputs: tuple[str, ...]) -> T:
        """The task of a proposal whose program gave these outputs. Raises InvalidTask."""

    def admit(self, proposal: P) -> T:
        task: T = azr.only(self.admit_many([proposal]))
        return task

    def admit_many(self, proposals: Sequence[P]) -> list[T | azr.InvalidTask | azr.VerifierUnavailable]:
        jobs = [azr.caught(self.job, proposal) for proposal in proposals]
        results = self.play(self._executor.validate, [job for job in jobs if isinstance(job, Job)])
        return [
            azr.caught(self._settle, proposal, results[job]) if isinstance(job, Job) else job
            for proposal, job in zip(proposals, jobs, strict=True)
        ]

    def grade(self, task: T, answer: str) -> float | azr.Verdict:
        graded: float | azr.Verdict = azr.only(self.grade_many([(task, answer)]))
        return graded

    def protection(self) -> str:
        try:
            return str(self._executor.protection())
        except SandboxUnavailable as error:
            raise azr.UsageError(str(error)) from None

    def fingerprint(self) -> str:
        try:
            return self._executor.fingerprint()
        except SandboxUnavailable as error:
            raise azr.UsageError(str(error)) from None

    def checks(self) -> Sequence[azr.Check]:
        found: Protection = self._executor.examine()
        level = azr.Check("level", found.level != "L0", str(found), found.mend)
        return [level, *(azr.Check(one.name, one.held, one.observed, "" if one.held else found.mend) for one in found.attempts)]

    def close(self) -> None:
        self._executor.close()

    def _settle(self, proposal: P, result: Result) -> T:
        if result.status is Status.infra:
            raise azr.VerifierUnavailable(result.reason)
        if result.status is not Status.ok:
            raise azr.InvalidTask(reason_of(result.status, result.reason))
        task = self.task(proposal, tuple(self._shown(call.value) for call in result.calls))
        if len(task.question) > self.options.max_question_chars:
            raise azr.InvalidTask(f"too large: the question has {len(task.question)} characters, at most {self.options.max_question_chars}")
        return task

    def _shown(self, value: Value) -> str:
        """The text of an output, from which the value can be read back."""
        text = display(value)
        if len(text) > self.options.max_value_chars:
            raise azr.InvalidTask(f"too large: an output has {len(text)} characters, at most {self.options.max_value_chars}")
        try:
            same = self.match(parse_literal(text), value)
        except LiteralError:
            same = False
        if not same:
            raise azr.InvalidTask("an output cannot be read back from its text")
        return text

    def match(self, one: Value, two: Value) -> bool:
        return equal(one, two, self.options.match)

    def checked(self, program: str, inputs: Sequence[str]) -> Job:
        """The job of a proposal whose parts pass the screen. Raises InvalidTask."""
        if any(fenced(text) for text in (program, *inputs)):
            raise azr.InvalidTask("a program or an input holds a fence line")
        self.options.screen.check(program)
        for text in inputs:
            if not text.strip():
                raise azr.InvalidTask("an input is empty")
            if len(text) > self.options.max_value_chars:
                raise azr.InvalidTask(f"too large: an input has {len(text)} characters, at most {self.options.max_value_chars}")
            try:
                parse_arguments(text)
            except LiteralError as error:
                raise azr.InvalidTask(f"an input is not a list of literals: {error}") from None
        return Job(program, tuple(inputs))

    def play(self, play: Callable[[Sequence[Job]], list[Result]], jobs: Sequence[Job]) -> dict[Job, Result]:
        """Results of different jobs; equal ones share a run."""
        unique = list(dict.fromkeys(jobs))
        try:
            return dict(zip(unique, play(unique), strict=True)) if unique else {}
        except SandboxUnavailable as error:
            raise azr.UsageError(str(error)) from None


class ProgramVerifier(ExecutedVerifier[ProgramProposal, R]):
    """Admits a program and an input, for deduction, abduction and error alike."""

    kind: type[R]

    def job(self, proposal: ProgramProposal) -> Job:
        job = self.checked(proposal.whole, (proposal.input,))
        if proposal.functions:
            composite.check(proposal.program, proposal.functions)
        return job

    def task(self, proposal: ProgramProposal, outputs: tuple[str, ...]) -> R:
        given = len(proposal.whole) - len(proposal.program)
        return self.kind.of(proposal.whole, proposal.input, outputs[0], given)

    def measures(self, task: R, references: Sequence[azr.Task]) -> dict[str, float]:
        others = [reference for reference in references if isinstance(reference, ProgramTask)]
        return measures.describe(task.own) | {
            "edit_distance": measures.edit_distance(task.own, [other.own for other in others]),
            "diversity": measures.surprise(self.asked(task), list(map(self.asked, others))),
        }

    def skeleton(self, task: R) -> str:
        return shape.skeleton(task.program)

    def asked(self, task: ProgramTask) -> str:
        """The part of a task that solvers are asked for, as text that is equal for equal answers."""
        return task.output


class DeductionVerifier(ProgramVerifier[DeductionTask]):
    """An answer is a literal that equals the output; nothing runs to grade it."""

    kind = DeductionTask

    def grade_many(self, pairs: Sequence[tuple[DeductionTask, str]]) -> list[Graded]:
        return [azr.caught(self._compare, task, answer) for task, answer in pairs]

    def _compare(self, task: DeductionTask, answer: str) -> float | azr.Verdict:
        value = read(parse_literal, bare_or_block(answer, Name.OUTPUT))
        return 1.0 if self.match(value, parse_literal(task.output)) else wrong("another value")


class AbductionVerifier(ProgramVerifier[AbductionTask]):
    """An answer is an argument list on which the program gives an output equal to the task's."""

    kind = AbductionTask

    def asked(self, task: ProgramTask) -> str:
        return shape.arguments_key(task.input)

    def grade_many(self, pairs: Sequence[tuple[AbductionTask, str]]) -> list[Graded]:
        jobs = [azr.caught(self._attempt, task, answer) for task, answer in pairs]
        calls = self._calls([job for job in jobs if isinstance(job, Job)])
        return [
            azr.caught(self._compare, task, calls[job]) if isinstance(job, Job) else job for (task, _), job in zip(pairs, jobs, strict=True)
        ]

    def _attempt(self, task: AbductionTask, answer: str) -> Job:
        text = read(unwrap_call, bare_or_block(answer, Name.INPUT))
        read(parse_arguments, text)
        return Job(task.program, (text,))

    def _calls(self, jobs: Sequence[Job]) -> dict[Job, Call]:
        """What each one-call job came to. All answers to one program run in one job; those it took along run again alone."""
        answers: defaultdict[str, list[str]] = defaultdict(list)
        for job in dict.fromkeys(jobs):
            answers[job.program] += job.arguments
        results = self.play(self._executor.run, [Job(program, tuple(texts)) for program, texts in answers.items()])
        calls = {
            Job(job.program, (text,)): call
            for job, result in results.items()
            for text, call in zip(job.arguments, result.calls, strict=True)
        }
        again = [job for job, call in calls.items() if call.status in _SHARED_FATE and len(answers[job.program]) > 1]
        return calls | {job: result.calls[0] for job, result in self.play(self._executor.run, again).items()}

    def _compare(self, task: AbductionTask, call: Call) -> float | azr.Verdict:
        if call.status is not Status.ok:
            return failed(call.status, call.reason)
        return 1.0 if self.match(call.value, parse_literal(task.output)) else wrong("another output")
