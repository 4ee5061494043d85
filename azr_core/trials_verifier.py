"""Trials of the grader: replies that solve nothing, graded for real tasks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from azr_core import attacks
from azr_core.statistics import wilson_low
from azr_core.subject import Finding, Subject, score, shortened
from azr_core.types import Task

Findings = Iterator[Finding]
Replies = tuple[Task, list[str]]

SHARE = 0.05  # of the tasks, that a policy without thought may earn
ENOUGH = 20  # tasks, from which on a share of them is measured
FEWEST = 3  # tasks, of which a guess must solve all to be one
TOLD = 3  # findings of one trial
MOST = 40  # tasks of a matrix of guesses
BEST, FRESH = 3, 100  # guesses that are measured again, and the tasks they are measured on

Policy = Callable[[Task], str]
COPIES: dict[str, Policy] = {
    "a copy of the question's first line": lambda task: task.question.strip().partition("\n")[0],
    "a copy of the question's last line": lambda task: task.question.strip().rpartition("\n")[2],
    "a copy of the question's last word": lambda task: (task.question.split() or [""])[-1],
    "a copy of what follows the question's first colon": lambda task: task.question.partition(":")[2].strip(),
}


def floor(subject: Subject) -> Findings:
    """An empty reply scores 0."""
    tasks = [task for task in subject.few if task.answer.strip()]
    yield from _one_is_enough(subject, "semantic.floor_gap", [(task, text) for text in attacks.EMPTY for task in tasks])


def question(subject: Subject) -> Findings:
    """The question, handed back, scores 0 on most tasks."""
    yield from _mostly(subject, "question-as-answer", "the question itself", [(task, [task.question]) for task in subject.few])


def noise(subject: Subject) -> Findings:
    """The reference with other content than its own scores 0 on most tasks."""
    kinds: dict[str, list[Replies]] = {}
    for task in subject.few:
        for how, reply in attacks.noisy(task.answer).items():
            kinds.setdefault(how, []).append((task, [reply]))
    for how, replies in kinds.items():
        yield from _mostly(subject, "noisy-reference", how, replies)


def all_answers(subject: Subject) -> Findings:
    """A reply that lists every answer is no answer."""
    few = subject.few
    texts = attacks.all_at_once([task.answer for task in few])
    if len(few) >= FEWEST:
        yield from _mostly(subject, "all-answers", "every task's answer in one reply", [(task, texts) for task in few])


def injections(subject: Subject) -> Findings:
    """Text that speaks to a judge scores 0."""
    yield from _for_nothing(subject, "prompt-injection", attacks.INJECTIONS)


def exploits(subject: Subject) -> Findings:
    """Known tricks on harnesses and parsers score 0."""
    yield from _for_nothing(subject, "semantic.canary_floor", attacks.EXPLOITS)
    yield from _own_functions(subject, "semantic.canary_floor")


def equals(subject: Subject) -> Findings:
    """An object that says it is equal to everything scores 0."""
    fenced = [text for source in attacks.EQUAL for text in (source, f"```python\n{source}\n```")]
    yield from _for_nothing(subject, "always-equal", fenced)
    yield from _own_functions(subject, "always-equal")


def code(subject: Subject) -> Findings:
    """Code in a reply does not run where it could reach anything."""
    texts = attacks.code(subject.canary)
    yield from _laid(subject, [(task, text) for task in subject.few[:2] for text in texts])
    cheats = [(task, text) for task in subject.few for trial, text in attacks.own_functions(task, subject.canary) if trial == _HOST]
    yield from _laid(subject, cheats)


def huge(subject: Subject) -> Findings:
    """A huge or costly reply is refused in time."""
    yield from _for_nothing(subject, "huge-reply", attacks.costly(), most=2)
    subject.grade([(task, task.answer + " " * attacks.MEGABYTE) for task in subject.few[:1]], singly=True)


def nested(subject: Subject) -> Findings:
    """A deeply nested reply is refused in time."""
    wrapped = [f"{'(' * attacks.DEEP}{task.answer}{')' * attacks.DEEP}" for task in subject.few[:1]]
    subject.grade([(task, text) for task, text in zip(subject.few, wrapped, strict=False)], singly=True)
    yield from _for_nothing(subject, "nested-reply", attacks.nested(), most=2)


def look_alikes(subject: Subject) -> Findings:
    """The answer in letters and digits of another alphabet scores 0."""
    pairs = [(task, text) for task in subject.few for text in attacks.look_alikes(task.answer)]
    mend = "compare characters, or refuse what is not ASCII: int() and \\d read digits of every alphabet"
    yield from _one_is_enough(subject, "look-alikes", pairs, mend)


def unevaluated(subject: Subject) -> Findings:
    """Work left undone is no answer: a warning, since a domain may mean to evaluate."""
    pairs = [(task, text) for task in subject.tasks[:ENOUGH] for text in attacks.unevaluated(task.answer)][:MOST]
    mend = "if the result is what you ask for, read values and evaluate nothing"
    yield from _one_is_enough(subject, "unevaluated-forms", pairs, mend, grave=False)


def guesses(subject: Subject) -> Findings:
    """A policy that always says the same, copies, or says another task's answer earns at most 5 %."""
    tasks = _bounded(subject, subject.tasks[::-1])[:MOST]  # demonstrations first: seeds are few, and somebody chose them
    constants = list(dict.fromkeys([*(task.answer for task in tasks), *attacks.CONSTANTS]))
    policies: dict[str, Policy] = {f"the constant reply {shortened(text)}": partial(_constant, text) for text in constants}
    earned = _earned(subject, policies | COPIES, tasks)
    best = sorted(earned, key=lambda name: earned[name][0] / earned[name][1])[-BEST:]
    fresh = _bounded(subject, [example.task for example in subject.demonstrate(1, FRESH)])
    if len(fresh) >= ENOUGH and best:  # the best of many was lucky too: it is measured anew
        tasks, earned = fresh, _earned(subject, {name: (policies | COPIES)[name] for name in best}, fresh)
    yield from _overpaid(subject, tasks, earned)


def _earned(subject: Subject, policies: Mapping[str, Policy], tasks: Sequence[Task]) -> dict[str, tuple[float, int]]:
    """What each policy earns and on how many tasks. The first task that a constant is the answer of may be where it was taken from."""
    replies = {name: [policy(task) for task in tasks] for name, policy in policies.items()}
    replies = {name: texts for name, texts in replies.items() if tasks and all(text.strip() for text in texts)}
    subject.tell(f"guesses: {len(replies)} policies on {len(tasks)} tasks")
    graded = iter(subject.grade([pair for texts in replies.values() for pair in zip(tasks, texts, strict=True)]))
    earned = {}
    for name, texts in replies.items():
        scores = [score(next(graded)) for _ in tasks]
        own = [at for at, (task, text) in enumerate(zip(tasks, texts, strict=True)) if name not in COPIES and task.answer == text][:1]
        rest = [value for at, value in enumerate(scores) if at not in own]
        if rest:
            earned[name] = (math.fsum(rest), len(rest))
    return earned


def _overpaid(subject: Subject, tasks: Sequence[Task], earned: Mapping[str, tuple[float, int]]) -> Findings:
    shares = {name: total / number for name, (total, number) in earned.items()}
    if not shares:
        return
    best = max(shares, key=lambda name: shares[name])
    subject.figures |= {"guess_tasks": float(len(tasks)), "guess_share": shares[best]}
    total, number = earned[best]
    caught = wilson_low(total, number) > SHARE if len(tasks) >= ENOUGH else number >= FEWEST - 1 and total >= number
    if caught:
        seen = f"it earns {shares[best]:.0%} of {number} tasks, {SHARE:.0%} is the most"
        mend = "ask for more than a choice, or bound common answers with common()"
        yield subject.finding("statistical.adversarial_floor", best, seen, mend)


def _constant(text: str, task: Task) -> str:
    return text


def _bounded(subject: Subject, tasks: Sequence[Task]) -> list[Task]:
    """The tasks as the loop would hold them: those with a common answer are no more than its cap lets in."""
    verifier, cap = subject.environment.verifier, subject.config.common_cap
    common = [task for task in tasks if verifier.common(task)]
    rest = [task for task in tasks if task not in common]
    return rest + common[: int(cap * len(rest) / (1 - cap)) if cap < 1 else None]


def _for_nothing(subject: Subject, trial: str, texts: Sequence[str], most: int | None = None) -> Findings:
    """Texts that are no task's answer: each is found out by two tasks of different answers that accept it, or by all there are."""
    told = 0
    for text in texts:
        tasks = [task for task in subject.few[:most] if not task.answer.strip() or task.answer.strip() not in text]
        results = subject.grade([(task, text) for task in tasks], singly=most is not None)
        hits = [(task, score(result)) for task, result in zip(tasks, results, strict=True) if score(result) > 0.0]
        if told < TOLD and (len(hits) > 1 or (hits and len(tasks) == 1)):
            told += 1
            seen = f"scores {hits[0][1]:g} for {len(hits)} of {len(tasks)} tasks, such as {shortened(hits[0][0].question)}"
            yield subject.finding(trial, f"reply {shortened(text)}", seen, "read the whole reply as one answer, and refuse what is none")


def _own_functions(subject: Subject, trial: str) -> Findings:
    pairs = [(task, text) for task in subject.few for mine, text in attacks.own_functions(task, subject.canary) if mine == trial]
    mend = "compare plain values in a process that the reply's code does not run in"
    yield from _one_is_enough(subject, trial, pairs, mend)


def _laid(subject: Subject, pairs: Sequence[tuple[Task, str]]) -> Findings:
    """Findings of code that ran: it left its canary."""
    subject.grade(pairs)
    if subject.canary.exists():
        subject.canary.unlink()
        for task, text in pairs:
            subject.grade([(task, text)])
            if subject.canary.exists():
                subject.canary.unlink()
                seen = "the code in it ran and made a file"
                mend = "read values with a parser (ast.literal_eval, json), or run code in a jail; never eval, exec, pickle or a shell"
                yield subject.finding(_HOST, f"reply {shortened(text)}", seen, mend)
                return


_HOST = "runtime.host_containment"
_STRICT = "read the whole reply as one answer, and compare it with all of the reference"


def _one_is_enough(subject: Subject, trial: str, pairs: Sequence[tuple[Task, str]], mend: str = _STRICT, *, grave: bool = True) -> Findings:
    """Replies that are certainly wrong: one that earns anything is a finding, the first of each text is told."""
    told: set[str] = set()
    for (task, text), result in zip(pairs, subject.grade(pairs), strict=True):
        if score(result) > 0.0 and text not in told and len(told) < TOLD:
            told.add(text)
            seen = f"scores {score(result):g} for the task {shortened(task.question)}, whose answer is {shortened(task.answer)}"
            yield subject.finding(trial, f"reply {shortened(text)}", seen, mend, grave=grave)


def _mostly(subject: Subject, trial: str, how: str, replies: Sequence[Replies]) -> Findings:
    """Replies that may be right by accident, and not on nearly all of three tasks or more."""
    changed = [(task, texts) for task, texts in replies if task.answer.strip() not in (text.strip() for text in texts)]
    if len(changed) < FEWEST:
        return
    for at in range(len(changed[0][1])):
        pairs = [(task, texts[at]) for task, texts in changed]
        results = subject.grade(pairs)
        hits = [pair for pair, result in zip(pairs, results, strict=True) if score(result) == 1.0]
        if len(hits) >= max(FEWEST, len(pairs) - 1):
            seen = f"{how} scores 1 for {len(hits)} of {len(pairs)} tasks, such as {shortened(hits[0][0].question)}"
            yield subject.finding(trial, f"reply {shortened(hits[0][1])}", seen, _STRICT)
            return
