"""Deduction with the reference's own text: `[1,2]` no longer passes for `[1, 2]`. Benchmarks keep the shipped rule.

azr run --plugin python --plugin plugins/exact_text.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import azr_core as azr


class ExactText(azr.Verifier[Any, Any]):
    """Asks another verifier first, and then for a line of the answer that is the reference's text."""

    def __init__(self, wrapped: azr.Verifier[Any, Any]) -> None:
        self.wrapped = wrapped
        self.isolated = wrapped.isolated  # the wrapped one does the work, so it says where that may run

    def admit(self, proposal: Any) -> Any:
        return self.wrapped.admit(proposal)

    def admit_many(self, proposals: Sequence[Any]) -> list[Any]:
        return self.wrapped.admit_many(proposals)

    def grade(self, task: azr.Task, answer: str) -> Any:
        return _exact(task, answer, self.wrapped.grade(task, answer))

    def grade_many(self, pairs: Sequence[tuple[azr.Task, str]]) -> list[Any]:
        grades = self.wrapped.grade_many(pairs)
        return [_exact(task, answer, grade) for (task, answer), grade in zip(pairs, grades, strict=True)]

    def measures(self, task: azr.Task, references: Sequence[azr.Task]) -> dict[str, float]:
        return self.wrapped.measures(task, references)

    def skeleton(self, task: azr.Task) -> str:
        return self.wrapped.skeleton(task)

    def protection(self) -> str:
        return self.wrapped.protection()

    def checks(self) -> Sequence[azr.Check]:
        return self.wrapped.checks()


def _exact(task: azr.Task, answer: str, grade: Any) -> Any:
    """The grade, unless it praises another text than the reference's. A line of it is enough: answers may stand in a block."""
    solved = grade.outcome is azr.Outcome.SOLVED if isinstance(grade, azr.Verdict) else grade == 1.0
    if solved and task.answer not in map(str.strip, answer.splitlines()):
        return azr.Verdict(azr.Outcome.WRONG, reason="the value, but not the reference's text")
    return grade


@azr.hookimpl
def azr_verifier(environment: azr.Environment) -> azr.Verifier[Any, Any] | None:
    """For deduction only."""
    return ExactText(environment.verifier) if environment.name == "python/deduction" else None
