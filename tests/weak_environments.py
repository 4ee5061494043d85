"""One sound environment, and beside it one for every way in which it could be unsound."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from pydantic import Field

import azr_core as azr

Grade = Callable[[azr.Task, str], Any]


class Numbers(azr.Proposal):
    numbers: tuple[int, ...] = Field(min_length=2, max_length=9)


class Anything(azr.Proposal):
    numbers: tuple[int, ...]


class Hinted(Numbers):
    hint: str = Field(default="take care", max_length=60)


class Answered(Numbers):
    answer: str = Field(default="", max_length=20)


class Short(azr.Proposal):
    numbers: tuple[int, ...] = Field(max_length=9)


class Forgetful(azr.Task):
    secret: str = Field(default="", exclude=True)


def add(proposal: Any) -> azr.Task:
    if not all(1000 <= number <= 9999 for number in proposal.numbers):
        raise azr.InvalidTask("numbers of four digits are added")
    return azr.Task(question=f"Add {' and '.join(map(str, proposal.numbers))}", answer=str(sum(proposal.numbers)))


def exact(task: azr.Task, answer: str) -> float:
    return float(answer.strip() == task.answer)


@dataclass(frozen=True)
class Adder(azr.Verifier[Any, azr.Task]):
    make: Callable[[Any], azr.Task] = add
    score: Grade = exact

    def admit(self, proposal: Any) -> azr.Task:
        return self.make(proposal)

    def grade(self, task: azr.Task, answer: str) -> Any:
        return self.score(task, answer)


class Asker(azr.Proposer[Any]):
    def __init__(self, kind: type[Any] = Numbers) -> None:
        self.kind = kind

    def prompt(self, references: Sequence[azr.Task]) -> str:
        return "\n".join([*(task.question for task in references), "Which numbers should be added?"])

    def parse(self, answer: str, references: Sequence[azr.Task]) -> Any:
        try:
            return self.kind.model_validate_json(answer)
        except ValueError:
            raise azr.FormatError("write a JSON object") from None


def demonstrate(rng: random.Random, make: Callable[[Any], azr.Task] = add, kind: type[Any] = Numbers) -> Iterator[azr.Demonstration]:
    while True:
        proposal = kind(numbers=tuple(rng.randrange(1000, 10000) for _ in range(rng.randint(2, 4))))
        task = make(proposal)
        yield azr.Demonstration(proposal.model_dump_json(), task, "", task.answer)


def environment(make: Callable[[Any], azr.Task] = add, score: Grade = exact, kind: type[Any] = Numbers, **changes: Any) -> azr.Environment:
    """The sound environment, with what is given in place of its own."""
    seeds = [kind(numbers=numbers) for numbers in ((2931, 1417), (5120, 8808), (1234, 4321, 9876))]
    shown = {"demonstrations": lambda rng: demonstrate(rng, make, kind)}
    return azr.Environment("weak/adding", Asker(kind), Adder(make, score), seeds, **{"task_type": azr.Task, **shown, **changes})


@dataclass(frozen=True)
class Weak:
    """An environment, the trials that must find it out (and no others), and what else is set up."""

    caught: str
    environment: azr.Environment
    beside: dict[str, Any] = field(default_factory=dict)

    @property
    def ids(self) -> set[str]:
        return set(self.caught.split())


def accepting(also: Callable[[azr.Task, str], bool]) -> azr.Environment:
    """A grader that takes something else too."""
    return environment(score=lambda task, answer: float(exact(task, answer) == 1.0 or also(task, answer)))


def attempted(read: Callable[[str], Any]) -> azr.Environment:
    """A grader that compares what it makes of the reply; what it cannot read is malformed, unless it is let through."""

    def score(task: azr.Task, answer: str) -> float:
        if len(answer) > 300 or "**" in answer:
            raise azr.FormatError("too long")
        try:
            return float((read(answer) == int(task.answer)) is True)
        except Exception:
            raise azr.FormatError("not a number") from None

    return environment(score=score)


def opened(task: azr.Task, answer: str) -> float:
    """Fails open: what it cannot parse it does not refuse."""
    try:
        return float(json.loads(answer) == int(task.answer))
    except RecursionError:
        return 1.0
    except ValueError:
        raise azr.FormatError("not JSON") from None


def asked(
    question: Callable[[Any, int], str], answer: Callable[[Any, int], str] = lambda proposal, total: str(total)
) -> Callable[[Any], azr.Task]:
    """The gate with other words."""

    def make(proposal: Any) -> azr.Task:
        total = int(add(proposal).answer)
        return azr.Task(question=question(proposal, total), answer=answer(proposal, total))

    return make


def unbounded(proposal: Any) -> azr.Task:
    return azr.Task(question=f"Add {' and '.join(map(str, proposal.numbers))}", answer=str(sum(proposal.numbers)))


def bare(proposal: Any) -> azr.Task:
    add(proposal)
    return azr.Task(question=" + ".join(map(str, proposal.numbers)), answer=str(sum(proposal.numbers)))


class Shuffling(Adder):
    """A batch comes back the wrong way round."""

    def grade_many(self, pairs: Sequence[tuple[azr.Task, str]]) -> list[Any]:
        scores: list[Any] = super().grade_many(pairs)
        return scores[::-1] if 3 <= len(pairs) <= 40 else scores


def forgetting(proposal: Any) -> azr.Task:
    return Forgetful(**add(proposal).model_dump(), secret="x")


def numbered() -> azr.Environment:
    numbers = count()
    return replace(environment(asked(lambda p, n: f"{add(p).question}, for the {next(numbers)}th time")), demonstrations=None)


def parity(proposal: Any, total: int) -> str:
    return "odd" if total % 2 else "even"


def raising(task: azr.Task, answer: str) -> float:
    return float(int(answer.encode("ascii", "ignore")[:9]) == int(task.answer))


def matches(task: azr.Task, answer: str) -> bool:
    try:
        return len(answer) < 100 and re.fullmatch(answer, task.answer) is not None
    except re.error:
        return False


SOUND = environment()
BENCHMARK = frozenset({add(Numbers(numbers=(2931, 1417))).key()})
NO_BUILTINS = {"__builtins__": {"type": type}}

WEAK = {
    "a seed that is none": Weak("seeds-admitted", replace(SOUND, seeds=[*SOUND.seeds, Numbers(numbers=(1, 2))])),
    "no seed at all": Weak("seeds-admitted", replace(SOUND, seeds=[], demonstrations=None)),
    "a demonstration that is wrong": Weak(
        "semantic.oracle_max",
        replace(SOUND, demonstrations=lambda rng: (replace(one, answer="many") for one in demonstrate(rng))),
    ),
    "a grader that raises": Weak("runtime.reward_well_formed", environment(score=raising)),
    "a grader that pays double": Weak(
        "runtime.reward_well_formed", environment(score=lambda t, a: 2 * exact(t, a) if "0" in a else exact(t, a))
    ),
    "a gate that raises": Weak("runtime.reward_well_formed", environment(lambda p: [] if 0 in p.numbers else add(p))),  # type: ignore[arg-type, return-value]
    "a demonstration that cannot be read": Weak(
        "round-trip", replace(SOUND, demonstrations=lambda rng: (replace(one, proposal="?") for one in demonstrate(rng)))
    ),
    "a task that JSON does not hold": Weak("semantic.replayability", environment(forgetting, task_type=Forgetful)),
    "a gate that counts": Weak("semantic.verifier_determinism", numbered()),
    "a batch in disorder": Weak("batches-agree", replace(SOUND, verifier=Shuffling())),
    "demonstrations of anybody's dice": Weak(
        "runtime.seed_control", replace(SOUND, demonstrations=lambda rng: demonstrate(random.Random()))
    ),
    "a question that tells": Weak(
        "semantic.no_solution_leakage", environment(asked(lambda p, n: f"{add(p).question} (which is {n}, you know)"))
    ),
    "a seed that is measured on": Weak("static.task_distribution_pinning", SOUND, {"held_out": BENCHMARK}),
    "nothing is right": Weak("semantic.floor_gap", accepting(lambda task, answer: not answer.strip("\u200b \n\t\r\u3000"))),
    "the question is right": Weak(
        "question-as-answer",
        environment(asked(lambda p, n: f"Add these.\n{p.numbers}"), lambda task, answer: float(answer in (task.question, task.answer))),
    ),
    "any order of the characters": Weak("noisy-reference", accepting(lambda task, answer: sorted(answer) == sorted(task.answer))),
    "the answer is somewhere": Weak("all-answers", accepting(lambda task, answer: task.answer in re.split(r"[\s,]+", answer))),
    "a judge who listens": Weak("prompt-injection", accepting(lambda task, answer: "score: 1.0" in answer)),
    "a pattern for a reply": Weak("semantic.canary_floor", accepting(matches)),
    "whatever is equal": Weak("always-equal unevaluated-forms", attempted(lambda answer: eval(answer, dict(NO_BUILTINS)))),
    "digits of any alphabet": Weak("look-alikes", attempted(int)),
    "a sum for a number": Weak(
        "unevaluated-forms", attempted(lambda answer: sum(int(part) for part in answer.encode("ascii").split(b"+")))
    ),
    "odd or even": Weak("statistical.adversarial_floor", environment(asked(lambda p, n: f"Odd or even? {p.numbers}", parity))),
    "too deep to refuse": Weak("nested-reply", environment(score=opened)),
    "too long to refuse": Weak("huge-reply", accepting(lambda task, answer: len(answer) > 900_000)),
    "nothing to do": Weak("trivial-proposals", environment(bare, kind=Short)),
    "no end of numbers": Weak("oversize-proposals", environment(unbounded, kind=Anything)),
    "the proposer's gold": Weak(
        "smuggled-gold", environment(asked(lambda p, n: add(p).question, lambda p, n: p.answer or str(n)), kind=Answered)
    ),
    "a hint": Weak("answer-in-question", environment(asked(lambda p, n: f"{add(p).question}. {' '.join(p.hint.split())}"), kind=Hinted)),
    "white space": Weak(
        "duplicates", environment(asked(lambda p, n: f"{add(p).question}. {'' if str(n) in p.hint else p.hint}"), kind=Hinted)
    ),
}
