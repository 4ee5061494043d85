"""Deduction: what is a task of working something out, and what answer is right.

Text is screened and read here, in linear time; everything else happens in workers that can be killed. Golds are worked out twice, in fresh
processes with different hash seeds, which must agree; then the gold goes through the gate of answers in half the time that an answer has.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any, Self

import azr_core as azr
from azr_plugins_math import shapes
from azr_plugins_math.admission import screen
from azr_plugins_math.errors import MathError
from azr_plugins_math.grading import is_literal, objection
from azr_plugins_math.nodes import Call, Name, Node
from azr_plugins_math.options import Options
from azr_plugins_math.pool import Limits, Pool, Result
from azr_plugins_math.questions import Op, Question, read_answer
from azr_plugins_math.syntax import size
from azr_plugins_math.tasks import DeductionProposal, MathTask

GRADE = Limits(cpu_s=0.4, wall_s=10.0, memory_mb=1024)
GOLD = Limits(cpu_s=4.0, wall_s=60.0, memory_mb=2048)
MOST_SLOTS = 8
"""A worker for golds holds about 100 MiB."""
OWN_SHARE = 0.5
"""Of an answer's time, what a task's own gold has."""
_FIELDS = ("op", "expr", "var", "domain", "lower", "upper", "point")
_OURS = ("stalled", "lost")  # a machine too slow or a worker that died: not the policy's doing

Graded = float | azr.Verdict | azr.FormatError | azr.VerifierUnavailable
Admitted = Any  # DeductionTask | azr.InvalidTask | azr.VerifierUnavailable


class DeductionTask(MathTask):
    """Work out an expression. answer: the gold."""

    op: str
    expr: str
    var: str
    domain: dict[str, str]
    lower: str
    upper: str
    point: str

    @classmethod
    def of(cls, proposal: DeductionProposal, gold: str) -> Self:
        """The task in its plain text."""
        question = Question.of(proposal.model_dump())
        return cls(question=proposal.text(), answer=gold, identity=_identity(question), **proposal.model_dump())


def _identity(question: Question) -> str:
    """The content of a task, whatever its symbols are called."""
    bounds = [question.bound(text) for text in (question.lower, question.upper, question.point) if text]
    kinds: list[Node] = [Call(f"is {kind}", (Name(name),)) for name, kind in sorted(question.domain.items())]
    variable: list[Node] = [Name(question.var)] if question.var else []
    return shapes.content(Call(question.op, (question.tree, *variable, *bounds, *kinds)))


class DeductionVerifier(azr.Verifier[DeductionProposal, DeductionTask]):
    """Golds by SymPy and a second route; answers by our own interpreter."""

    isolated = True

    def __init__(self, options: Options, seed: int = 0) -> None:
        self._key = f"{seed} {options.secret}"
        slots = min(_cores(), MOST_SLOTS)
        self._grades = Pool("grade", GRADE, range(1, slots + 1))
        self._golds = [Pool("gold", GOLD, range(first, first + slots)) for first in (1_001, 2_001)]

    def admit(self, proposal: DeductionProposal) -> DeductionTask:
        task: DeductionTask = azr.only(self.admit_many([proposal]))
        return task

    def admit_many(self, proposals: Sequence[DeductionProposal]) -> list[Admitted]:
        questions = [azr.caught(self._screened, proposal) for proposal in proposals]
        asked = [question for question in questions if isinstance(question, Question)]
        golds = dict(zip(map(id, asked), self._work_out(asked), strict=True))
        tasks = [
            azr.caught(_settled, proposal, *golds[id(question)]) if isinstance(question, Question) else question
            for proposal, question in zip(proposals, questions, strict=True)
        ]
        made = [task for task in tasks if isinstance(task, DeductionTask)]
        own = dict(zip(map(id, made), self._play([(task, task.answer) for task in made], OWN_SHARE), strict=True))
        return [_checked(task, own[id(task)]) if isinstance(task, DeductionTask) else task for task in tasks]

    def grade(self, task: DeductionTask, answer: str) -> float | azr.Verdict:
        graded: float | azr.Verdict = azr.only(self.grade_many([(task, answer)]))
        return graded

    def grade_many(self, pairs: Sequence[tuple[DeductionTask, str]]) -> list[Graded]:
        return self._play(pairs, 1.0)

    def measures(self, task: DeductionTask, references: Sequence[azr.Task]) -> dict[str, float]:
        question = self._question(task)
        return shapes.describe([question.tree]) | {
            "answer_size": float(sum(map(size, question.golds))),
            "common_answer": float(shapes.common(task.answer)),
        }

    def skeleton(self, task: DeductionTask) -> str:
        return shapes.skeleton(Call(task.op, (self._question(task).tree,)))

    def common(self, task: DeductionTask) -> bool:
        return shapes.common(task.answer)

    def protection(self) -> str:
        return f"answers are never run: own parser, workers of {GRADE.cpu_s} s and {GRADE.memory_mb} MiB"

    def fingerprint(self) -> str:
        return f"math {GRADE} {GOLD} {hashlib.sha256(self._key.encode()).hexdigest()[:8]}"

    def checks(self) -> Sequence[azr.Check]:
        asked = {"op": "simplify", "expr": "x + x + 0*x", "var": "x"}
        mend = "see whether python -m azr_plugins_math.worker starts"
        work = {"question": {**asked, "gold": "2*x"}, "answer": "x*2", "share": 1.0}
        pools = {"answers": self._grades, "golds": self._golds[0], "golds again": self._golds[1]}
        found = {name: pool.do([work])[0] for name, pool in pools.items()}
        return [azr.Check(name, one["status"] == "ok", f"{one['status']} {one['text']}".strip(), mend) for name, one in found.items()]

    def close(self) -> None:
        for pool in (self._grades, *self._golds):
            pool.close()

    def _screened(self, proposal: DeductionProposal) -> Question:
        """The question of a proposal that is well formed. Raises InvalidTask."""
        if proposal.op not in set(Op):
            raise azr.InvalidTask(f"{proposal.op[:40]!r} is no operation; known: {', '.join(Op)}")
        question = Question.of(proposal.model_dump() | {"seed": self._key + proposal.text()})
        try:
            screen(question)
        except MathError as refusal:
            raise azr.InvalidTask(str(refusal)) from None
        return question

    def _work_out(self, questions: Sequence[Question]) -> list[tuple[Result, Result]]:
        """What either pool of gold workers says. The second does not see what the first refused, nor checks what the first has checked."""
        jobs = [{"question": question.fields()} for question in questions]
        first = self._golds[0].do(jobs)
        good = [place for place, result in enumerate(first) if result["status"] == "ok"]
        second = dict(zip(good, self._golds[1].do([{**jobs[place], "checked": False} for place in good]), strict=True))
        return [(result, second.get(place, result)) for place, result in enumerate(first)]

    def _question(self, task: DeductionTask) -> Question:
        fields = {name: getattr(task, name) for name in _FIELDS}
        return Question.of({**fields, "gold": task.answer, "seed": f"{self._key} {azr.task_id('', task)}"})

    def _play(self, pairs: Sequence[tuple[DeductionTask, str]], share: float) -> list[Graded]:
        jobs = [azr.caught(self._job, task, answer, share) for task, answer in pairs]
        texts = [json.dumps(job) if isinstance(job, dict) else "" for job in jobs]
        work = {text: job for text, job in zip(texts, jobs, strict=True) if isinstance(job, dict)}  # what is asked twice is judged once
        results = dict(zip(work, self._grades.do(list(work.values())), strict=True))
        return [azr.caught(_judged, results[text]) if text else job for text, job in zip(texts, jobs, strict=True)]

    def _job(self, task: DeductionTask, answer: str, share: float) -> dict[str, Any] | float | azr.Verdict:
        """The work that an answer needs, or at once the verdict on a literal. Raises FormatError."""
        question = self._question(task)
        try:
            trees = read_answer(question, answer)
        except MathError as refusal:
            raise azr.FormatError(str(refusal)) from None
        if is_literal(question):
            return _verdict(objection(question, trees))
        return {"question": question.fields(), "answer": answer, "share": share}


def _settled(proposal: DeductionProposal, first: Result, second: Result) -> DeductionTask:
    """The task of two equal golds. Raises InvalidTask."""
    for result in (first, second):
        if result["status"] in _OURS:
            raise azr.VerifierUnavailable(f"gold {result['status']}: {result['text']}")
        if result["status"] != "ok":
            raise azr.InvalidTask(result["text"] if result["status"] == "refused" else f"gold {result['status']}: {result['text']}")
    if first["text"] != second["text"]:
        raise azr.InvalidTask("two processes worked out different golds")
    return DeductionTask.of(proposal, first["text"])


def _checked(task: DeductionTask, own: Graded) -> Admitted:
    """The task, if its own gold is right and is found so soon enough."""
    if own == 1.0 or isinstance(own, azr.VerifierUnavailable):
        return task if own == 1.0 else own
    return azr.InvalidTask(f"its own gold is not verified: {own.reason if isinstance(own, azr.Verdict) else own}")


def _judged(result: Result) -> float | azr.Verdict:
    if result["status"] in _OURS:
        raise azr.VerifierUnavailable(f"verdict {result['status']}: {result['text']}")
    if result["status"] == "ok":
        return _verdict(result["text"])
    outcome = azr.Outcome.TIMEOUT if result["status"] == "timeout" else azr.Outcome.WRONG
    return azr.Verdict(outcome, 0.0, f"{result['status']}: {result['text']}")


def _verdict(objection: str) -> float | azr.Verdict:
    return azr.Verdict(azr.Outcome.WRONG, 0.0, objection) if objection else 1.0


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
