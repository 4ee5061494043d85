"""Induction: what is a task of inputs and a hint, and what program solves it."""

from __future__ import annotations

from collections.abc import Sequence

import azr_core as azr
from azr_plugins_python import measures, shape
from azr_plugins_python.blocks import Name, bare_or_block, fenced
from azr_plugins_python.executor import Job, Result, Status, equal, parse_literal
from azr_plugins_python.options import InductionPairs
from azr_plugins_python.screen import leaks
from azr_plugins_python.tasks import InductionProposal, InductionTask
from azr_plugins_python.verdicts import Graded, failed, wrong
from azr_plugins_python.verifiers import ExecutedVerifier


class InductionVerifier(ExecutedVerifier[InductionProposal, InductionTask]):
    """An answer is a program that gives the task's outputs on all its inputs, or on the hidden half (an option)."""

    def job(self, proposal: InductionProposal) -> Job:
        needed = self.options.pairs
        if len(proposal.inputs) != needed:
            raise azr.InvalidTask(f"{len(proposal.inputs)} inputs, {needed} are needed")
        job = self.checked(proposal.program, proposal.inputs)
        if len(set(map(shape.arguments_key, proposal.inputs))) < needed:
            raise azr.InvalidTask("two inputs are the same")
        if fenced(proposal.message):
            raise azr.InvalidTask("the message holds a fence line")
        if leaks(proposal.message, proposal.program):
            raise azr.InvalidTask("the message contains the program")
        return job

    def task(self, proposal: InductionProposal, outputs: tuple[str, ...]) -> InductionTask:
        first, *others = map(parse_literal, outputs)
        if all(equal(first, other) for other in others):
            raise azr.InvalidTask("constant: all outputs are equal")
        return InductionTask.of(proposal, outputs)

    def grade_many(self, pairs: Sequence[tuple[InductionTask, str]]) -> list[Graded]:
        jobs = [azr.caught(self._attempt, task, answer) for task, answer in pairs]
        results = self.play(self._executor.run, [job for job in jobs if isinstance(job, Job)])
        return [
            azr.caught(self._compare, task, results[job]) if isinstance(job, Job) else job
            for (task, _), job in zip(pairs, jobs, strict=True)
        ]

    def measures(self, task: InductionTask, references: Sequence[azr.Task]) -> dict[str, float]:
        """Those of its program, which is not new; diversity: how unlike each other its outputs are."""
        own = {"diversity": measures.variety(task.outputs), "message_words": float(len(task.message.split()))}
        return measures.describe(task.program) | own

    def _attempt(self, task: InductionTask, answer: str) -> Job | azr.Verdict:
        program = bare_or_block(answer, Name.PYTHON)
        try:
            self.options.screen.check(program)
        except azr.InvalidTask as refusal:
            return wrong(str(refusal))
        return Job(program, task.inputs)

    def _compare(self, task: InductionTask, result: Result) -> float | azr.Verdict:
        start = task.shown if self.options.induction_pairs is InductionPairs.HIDDEN else 0
        for number, (call, output) in enumerate(zip(result.calls, task.outputs, strict=True)):
            if number < start:
                continue
            if call.status is not Status.ok:
                return failed(call.status, call.reason)
            if not self.match(call.value, parse_literal(output)):
                return wrong(f"another output for input {number + 1}")
        return 1.0
