"""Trials of the law and of hygiene: tasks solve themselves, and judging is always the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from azr_core.config import Style
from azr_core.errors import FormatError
from azr_core.prompts import Prompts
from azr_core.subject import WELL_FORMED, Fault, Finding, Graded, Subject, score, shortened
from azr_core.types import Task, Verdict, task_id

Findings = Iterator[Finding]

TIMED = 40  # verdicts
FEWEST = 3  # different answers, from which on the prompts that show one give it away
LONG = 4  # characters, from which on an answer in its question is no accident
GARBAGE = ("", " ", "\x00", "[" * 300, "None", "()", "é\u2028🂡", "9" * 400, "0/0", "answer\n" * 50, "{", '{"a": 1}', "null")


def seeds_admitted(subject: Subject) -> Findings:
    """Every seed passes its own gate."""
    for seed, admitted in subject.seeds:
        if isinstance(admitted, Verdict):
            yield law(subject, "seeds-admitted", f"seed {shortened(str(seed))}", f"refused: {admitted.reason}", "mend the seed or admit")
    if not subject.tasks:
        count = f"{len(subject.environment.seeds)} seeds"
        yield law(subject, "seeds-admitted", count, "no task was admitted", "give seeds that are tasks")


def own_answers(subject: Subject) -> Findings:
    """The law: a task's own answer scores 1.0, and so does the answer of a demonstration."""
    pairs = [(task, task.answer) for task in subject.tasks]
    pairs += [(example.task, example.answer) for example in subject.demonstrations if example.answer != example.task.answer]
    for (task, answer), result in zip(pairs, subject.grade(pairs), strict=True):
        if score(result) != 1.0 and not isinstance(result, Fault):
            seen = f"its answer {shortened(answer)} scores {score(result):g} ({result.reason or result.outcome})"
            yield law(subject, "semantic.oracle_max", named(task), seen, "mend the grader, or the answer that admit writes")


def well_formed(subject: Subject) -> Findings:
    """Whatever is asked: prompt gives text, parse gives a proposal or FormatError; admit and grade keep to their contracts."""
    proposer = subject.environment.proposer
    for shown in [list(subject.shown)] if subject.environment.references else [[], subject.tasks[:2]]:
        try:
            prompt: Any = proposer.prompt(shown)
            if not isinstance(prompt, str):
                yield law(subject, WELL_FORMED, f"prompt with {len(shown)} references", f"{prompt!r:.80}, not text", "return a str")
        except Exception as error:
            yield law(subject, WELL_FORMED, f"prompt with {len(shown)} references", f"{error!r:.200}", "let prompt never raise")
        for text in GARBAGE:
            try:
                proposer.parse(text, shown)
            except FormatError:
                pass
            except Exception as error:
                yield law(subject, WELL_FORMED, f"parse of {shortened(text)}", f"{error!r:.200}", "raise FormatError, and nothing else")
    for task in subject.tasks:
        if not isinstance(task, subject.environment.task_type):
            kinds = f"a {type(task).__name__}, not the environment's task_type {subject.environment.task_type.__name__}"
            yield law(subject, WELL_FORMED, named(task), f"it is {kinds}", "name the class of your tasks as task_type")
    subject.grade([(task, text) for task in subject.few for text in GARBAGE])


def round_trip(subject: Subject) -> Findings:
    """A demonstration's proposal is read and admitted as the task that it is said to make."""
    if subject.environment.references:  # they are read beside references that are not known here
        return
    claims: list[tuple[Task, Any]] = []
    for example in subject.demonstrations[:TIMED]:
        try:
            claims.append((example.task, subject.environment.proposer.parse(example.proposal, ())))
        except FormatError as error:
            seen = f"it does not parse: {error}"
            yield law(subject, "round-trip", f"demonstration {shortened(example.proposal)}", seen, "write it as parse reads it")
    for (task, _), admitted in zip(claims, subject.admit([proposal for _, proposal in claims]), strict=True):
        if isinstance(admitted, Verdict):
            seen = f"its proposal is refused: {admitted.reason}"
            yield law(subject, "round-trip", named(task), seen, "demonstrate what admit takes")
        elif isinstance(admitted, Task) and admitted.key() != task.key():
            seen = f"its proposal is admitted as another task, {shortened(admitted.question)}"
            yield law(subject, "round-trip", named(task), seen, "make the demonstration's task with admit")


def replay(subject: Subject) -> Findings:
    """A task that went through the store's JSON is the same task, with the same id, and is solved by the same answer."""
    copies: list[tuple[Task, Task]] = []
    for task in subject.tasks:
        try:
            copy: Task | None = subject.environment.task_type.model_validate_json(task.model_dump_json())
        except ValueError:
            copy = None
        if copy is None or copy != task or task_id(subject.name, copy) != task_id(subject.name, task):
            seen = "does not survive the round trip through JSON"
            yield law(subject, "semantic.replayability", named(task), seen, "give task_type only fields that JSON holds")
        else:
            copies.append((task, copy))
    graded = subject.grade([(copy, task.answer) for task, copy in copies])
    for (task, _), result in zip(copies, graded, strict=True):
        if score(result) != 1.0 and not isinstance(result, Fault):
            mend = "grade by the fields of the task alone"
            yield law(subject, "semantic.replayability", named(task), "its copy refuses its answer", mend)


def steady(subject: Subject) -> Findings:
    """Asked again, the verifier says the same; a batch says what single questions do, in order."""
    pairs = questions(subject)
    first, again, single = subject.grade(pairs), subject.grade(pairs[::-1])[::-1], [subject.grade([pair])[0] for pair in pairs]
    for (task, answer), one, other, alone in zip(pairs, first, again, single, strict=True):
        if score(one) != score(other):
            trial = "batches-agree" if score(alone) == score(subject.grade([(task, answer)])[0]) else "semantic.verifier_determinism"
            yield _differs(subject, trial, task, answer, (one, other))
        elif score(one) != score(alone):
            yield _differs(subject, "batches-agree", task, answer, (one, alone))
    proposals = [seed for seed, _ in subject.seeds]
    for (seed, made), remade in zip(subject.seeds, subject.admit(proposals[::-1])[::-1], strict=True):
        if identity(subject, made) != identity(subject, remade):
            seen = f"admitting it twice gives {told(subject, made)} and {told(subject, remade)}"
            mend = "make admit deterministic, in any order"
            yield law(subject, "semantic.verifier_determinism", f"seed {shortened(str(seed))}", seen, mend)


def seed_control(subject: Subject) -> Findings:
    """Demonstrations follow from their random stream alone."""
    again = subject.demonstrate(0)
    if [example.task.key() for example in again] != [example.task.key() for example in subject.demonstrations]:
        seen = "two streams of one seed give different tasks"
        yield law(subject, "runtime.seed_control", "demonstrations(random.Random(0))", seen, "draw only from the rng that is given")


def in_time(subject: Subject) -> Findings:
    """How long a verdict takes; that none has to be killed is seen in every trial."""
    pairs = questions(subject)[:TIMED]
    taken = sorted(subject.timed(pairs))
    if taken:
        subject.figures |= {"verdict_p50_s": taken[len(taken) // 2], "verdict_p99_s": taken[-1 - len(taken) // 100]}
    yield from ()


def no_leak(subject: Subject) -> Findings:
    """Prompts do not show the answer of the task that is asked."""
    prompts = Prompts(Style.COMPACT)
    long = [task for task in subject.tasks if len(task.answer.strip()) >= LONG]
    leaked = [task for task in long if task.answer.strip() in prompts.solve(subject.environment, task)]
    several = len({task.answer for task in long}) >= FEWEST  # a choice names what there is to choose from
    if several and 2 * len(leaked) > len(long):
        seen = f"the answer {shortened(leaked[0].answer)} stands in the prompt, as in {len(leaked)} of {len(long)} tasks"
        yield law(subject, "semantic.no_solution_leakage", named(leaked[0]), seen, "leave the answer out of question and templates")


def held_out(subject: Subject) -> Findings:
    """No benchmark task is a seed or comes from the demonstrations' generator as it stands."""
    for task in subject.tasks:
        if task.key() in subject.held_out:
            mend = "take it out of the seeds, or out of the benchmark; let demonstrations skip what is held out"
            yield law(subject, "static.task_distribution_pinning", named(task), "it is in a held-out benchmark too", mend)


def law(subject: Subject, trial: str, input: str, seen: str, mend: str) -> Finding:
    return subject.finding(trial, input, seen, mend)


def _differs(subject: Subject, trial: str, task: Task, answer: str, seen: tuple[Graded, Graded]) -> Finding:
    told = f"the reply {shortened(answer)} scores {score(seen[0]):g}, and then {score(seen[1]):g}"
    mends = {"batches-agree": "let grade_many give each pair what grade gives it, in order"}
    return law(subject, trial, named(task), told, mends.get(trial, "grade by task and answer alone"))


def questions(subject: Subject) -> list[tuple[Task, str]]:
    """Right answers, wrong ones, and one that cannot be read."""
    few = subject.few
    return [(task, other.answer) for task in few for other in few] + [(task, "?") for task in few]


def named(task: Task) -> str:
    return f"task {shortened(task.question)}"


def identity(subject: Subject, admitted: object) -> str:
    return task_id(subject.name, admitted) if isinstance(admitted, Task) else "none"


def told(subject: Subject, admitted: object) -> str:
    if not isinstance(admitted, Task):
        return "no task"
    return f"task {task_id(subject.name, admitted)[:8]} ({shortened(admitted.question)} -> {shortened(admitted.answer)})"
