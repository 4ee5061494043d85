"""Another verifier or proposer with one thing changed: for replacing a part of somebody else's environment with a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from azr_core.errors import caught
from azr_core.interfaces import Proposer, Verifier
from azr_core.types import Check, Outcome, Task, Verdict


class WrappedVerifier(Verifier[Any, Any]):
    """Asks another verifier and then the functions; all else is the other's own.

    admit: what becomes of a task that it admitted; raises InvalidTask to refuse it. grade: the verdict on (task, answer), after its own;
    an answer that it could not read stays unread.
    """

    def __init__(
        self,
        wrapped: Verifier[Any, Any],
        *,
        admit: Callable[[Any], Any] | None = None,
        grade: Callable[[Any, str, Verdict], float | Verdict] | None = None,
    ) -> None:
        self.wrapped = wrapped
        self.isolated = wrapped.isolated  # the wrapped one does the work, so it says where that may run
        self._admit = admit
        self._grade = grade

    def admit(self, proposal: Any) -> Any:
        task = self.wrapped.admit(proposal)
        return self._admit(task) if self._admit else task

    def grade(self, task: Any, answer: str) -> float | Verdict:
        grade: float | Verdict = self._regraded(task, answer, self.wrapped.grade(task, answer))
        return grade

    def admit_many(self, proposals: Sequence[Any]) -> list[Any]:
        made = self.wrapped.admit_many(proposals)
        return [caught(self._admit, task) if self._admit and isinstance(task, Task) else task for task in made]

    def grade_many(self, pairs: Sequence[tuple[Any, str]]) -> list[Any]:
        grades = self.wrapped.grade_many(pairs)
        return [
            grade if isinstance(grade, Exception) else caught(self._regraded, task, answer, grade)
            for (task, answer), grade in zip(pairs, grades, strict=True)
        ]

    def measures(self, task: Any, references: Sequence[Task]) -> dict[str, float]:
        return self.wrapped.measures(task, references)

    def skeleton(self, task: Any) -> str:
        return self.wrapped.skeleton(task)

    def common(self, task: Any) -> bool:
        return self.wrapped.common(task)

    def protection(self) -> str:
        return self.wrapped.protection()

    def fingerprint(self) -> str:
        return self.wrapped.fingerprint()

    def checks(self) -> Sequence[Check]:
        return self.wrapped.checks()

    def close(self) -> None:
        self.wrapped.close()

    def _regraded(self, task: Any, answer: str, grade: Any) -> Any:
        if self._grade is None or not isinstance(grade, int | float | Verdict):
            return grade
        return self._grade(task, answer, grade if isinstance(grade, Verdict) else _verdict(grade))


class WrappedProposer(Proposer[Any]):
    """Another proposer, shown the references that the function makes of those it would be shown. For other changes: a child of this."""

    def __init__(self, wrapped: Proposer[Any], *, show: Callable[[Sequence[Task]], Sequence[Task]] = lambda references: references) -> None:
        self.wrapped = wrapped
        self._show = show

    def begin(self, step: int) -> None:
        self.wrapped.begin(step)

    def prompt(self, references: Sequence[Task]) -> str:
        return self.wrapped.prompt(self._show(references))

    def parse(self, answer: str, references: Sequence[Task]) -> Any:
        return self.wrapped.parse(answer, self._show(references))  # an answer may mean the first of those that were shown


def _verdict(score: float) -> Verdict:
    return Verdict(Outcome.SOLVED if score >= 1.0 else Outcome.WRONG, float(score))
