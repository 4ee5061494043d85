"""Trials of the gate: proposals that no honest proposer makes are refused, or do no harm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from azr_core import mutations
from azr_core.mutations import Mutation
from azr_core.subject import BOUNDED, Fault, Finding, Subject, score, shortened
from azr_core.types import Proposal, Task, Verdict, task_id

Findings = Iterator[Finding]

SEEDS = 2  # of an environment that are changed in every way
LARGEST = 100_000  # characters of a question and its answer that anybody can be asked
LONG = 4  # characters of an answer, from which on it is no accident that a question holds it
TOLD = 3


def hostile(subject: Subject) -> Findings:
    """Changed proposals are refused, or make tasks that keep the law, twice the same, and are not solved by nothing."""
    changed = _read(mutation for seed, _ in _honest(subject) for mutation in mutations.hostile(seed))
    made = _admitted(subject, changed)
    again = subject.admit([mutation.proposal for mutation, _ in made if mutation.proposal])
    for (mutation, task), other in zip(made, again, strict=True):
        identity = task_id(subject.name, other) if isinstance(other, Task) else f"no task ({_reason(other)})"
        if identity != task_id(subject.name, task) and not isinstance(other, Fault):
            seen = "admitting it twice does not give the same task"
            yield _law(subject, "semantic.verifier_determinism", mutation, seen, "make admit deterministic")
    yield from _trivial(subject, made)


def oversized(subject: Subject) -> Findings:
    """A proposal too large to be asked is refused."""
    changed = _read(mutation for seed, _ in _honest(subject)[:1] for mutation in mutations.oversized(seed))
    for mutation, task in _admitted(subject, changed):
        size = len(task.question) + len(task.answer)
        if size > LARGEST:
            seen = f"it makes a task of {size:,} characters"
            yield _law(subject, "oversize-proposals", mutation, seen, "bound the size of each field in admit, or in the proposal's type")


def smuggled(subject: Subject) -> Findings:
    """The answer of a task is the verifier's own, whatever the proposal says that it is."""
    for seed, task in _honest(subject):
        for mutation, other in _admitted(subject, _read(mutations.smuggling(seed, task))):
            alike = other.question == task.question and other.answer != task.answer
            if alike and _exclude(subject, task, other):
                seen = f"the same question now has the answer {shortened(other.answer)}, before {shortened(task.answer)}"
                yield _law(subject, "smuggled-gold", mutation, seen, "compute the answer in admit, and never take it from the proposal")
                return


def telling(subject: Subject) -> Findings:
    """A question that says its own answer is refused."""
    for seed, task in _honest(subject):
        answer = task.answer.strip()
        if len(answer) < LONG or answer in task.question:
            continue
        for mutation, other in _admitted(subject, _read(mutations.telling(seed, task))):
            if other.answer.strip() == answer and answer in other.question:
                seen = f"it makes the question {shortened(other.question)}, whose answer is {shortened(other.answer)}"
                yield replace(
                    _law(subject, "answer-in-question", mutation, seen, "refuse in admit a text that holds the answer"),
                    grave=mutations.COMMENT not in mutation.how,  # a program may say anything in a comment, and in its names too
                )
                return


def duplicates(subject: Subject) -> Findings:
    """White space around a text does not make another task."""
    for seed, task in _honest(subject):
        for mutation, other in _admitted(subject, _read(mutations.spaced(seed))):
            alike = (other.question.split(), other.answer.split()) == (task.question.split(), task.answer.split())
            if alike and task_id(subject.name, other) != task_id(subject.name, task):
                mend = "normalise texts in admit, or override key()"
                yield _law(subject, "duplicates", mutation, "it makes a task with another id", mend)
                return


def slow(subject: Subject) -> Findings:
    """No proposal keeps the gate busy until it is killed; what was killed in these trials is told here."""
    for fault in [fault for fault in subject.faults if fault.trial == BOUNDED and fault.input.startswith("proposal")]:
        subject.faults.remove(fault)
        yield subject.finding("slow-proposals", fault.input, fault.seen, "bound the work that a proposal can ask for before it is done")


def _trivial(subject: Subject, made: Sequence[tuple[Mutation, Task]]) -> Findings:
    """Tasks solved by nothing; a grader that also takes it for honest tasks is another trial's finding."""
    honest = [task for _, task in _honest(subject)]
    if any(score(result) == 1.0 for result in subject.grade([(task, text) for task in honest for text in ("", task.question)])):
        return
    pairs = [(mutation, task, text) for mutation, task in made for text in ("", task.question)]
    told = 0
    for (mutation, _, text), result in zip(pairs, subject.grade([(task, text) for _, task, text in pairs]), strict=True):
        if score(result) == 1.0 and told < TOLD:
            told += 1
            seen = f"it is admitted, and the reply {shortened(text)} solves it"
            yield _law(subject, "trivial-proposals", mutation, seen, "refuse in admit what needs no work, such as empty inputs")


def _honest(subject: Subject) -> list[tuple[Proposal, Task]]:
    return [(seed, task) for seed, task in subject.seeds if isinstance(task, Task)][:SEEDS]


def _read(changed: Iterator[Mutation]) -> list[Mutation]:
    """Those that the proposal's own type lets through."""
    return [mutation for mutation in changed if mutation.proposal is not None]


def _admitted(subject: Subject, changed: Sequence[Mutation]) -> list[tuple[Mutation, Task]]:
    results = subject.admit([mutation.proposal for mutation in changed if mutation.proposal], singly=True)
    return [(mutation, result) for mutation, result in zip(changed, results, strict=True) if isinstance(result, Task)]


def _exclude(subject: Subject, one: Task, other: Task) -> bool:
    """Whether each of two tasks refuses the other's answer."""
    return all(score(result) < 1.0 for result in subject.grade([(one, other.answer), (other, one.answer)]))


def _law(subject: Subject, trial: str, mutation: Mutation, seen: str, mend: str) -> Finding:
    return subject.finding(trial, f"proposal with {mutation.how} ({shortened(str(mutation.proposal))})", seen, mend)


def _reason(admitted: object) -> str:
    return admitted.reason if isinstance(admitted, Verdict) else str(admitted)[:80]
