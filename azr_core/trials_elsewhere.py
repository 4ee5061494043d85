"""The trial of portability: another process, another hash seed, another place and day."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from azr_core.desk import Address, decode, encode
from azr_core.errors import FormatError, PluginError
from azr_core.subject import Finding, Subject, score, shortened
from azr_core.trials_law import identity, law, named, questions, told
from azr_core.types import Outcome, Task, Verdict
from azr_core.workers import Workers

LATER = Path(__file__).with_name("later.py")  # a plugin that moves the clock
ELSEWHERE = {"PYTHONHASHSEED": "4242", "TZ": "Pacific/Kiritimati"}


def elsewhere(subject: Subject) -> Iterator[Finding]:
    """Another process, with another hash seed, time zone and date, gives the same tasks, ids and scores."""
    if not subject.names:
        return
    subject.tell("in another process")
    pairs = questions(subject)
    try:
        with _moved(), _worker(subject) as ask:
            admitted = ask("admit", [seed for seed, _ in subject.seeds])
            graded = ask("grade", pairs)
    except PluginError as error:
        yield law(subject, "semantic.verifier_portability", "another process", str(error)[:300], "let nothing depend on the process")
        return
    for (seed, made), remade in zip(subject.seeds, admitted, strict=True):
        if isinstance(made, Task) and identity(subject, made) != identity(subject, remade):
            seen = f"another process makes {told(subject, remade)} of it, this one {told(subject, made)}"
            mend = "let admit depend on no hash order, time, environment variable or memory address"
            yield law(subject, "semantic.verifier_portability", f"seed {shortened(str(seed))}", seen, mend)
    for (task, answer), here, there in zip(pairs, subject.grade(pairs), graded, strict=True):
        if isinstance(there, int | float) and not math.isclose(score(here), min(float(there), 1.0), abs_tol=0.01):
            mend = "let grade depend on no hash order, time, environment variable or memory address"
            seen = f"the reply {shortened(answer)} scores {score(here):g} here and {there:g} in another process"
            yield law(subject, "semantic.verifier_portability", named(task), seen, mend)


@contextmanager
def _moved() -> Iterator[None]:
    """An environment like that of another machine, for processes started meanwhile."""
    before: Mapping[str, str | None] = {name: os.environ.get(name) for name in ELSEWHERE}
    os.environ.update(ELSEWHERE)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _worker(subject: Subject) -> Iterator[Any]:
    """A process that loads the plugins on a later day; ask it to admit or grade."""
    config = subject.config.model_copy(update={"workers": 1})
    workers = Workers(config, (str(LATER), *subject.names), None)

    def ask(method: str, items: Sequence[Any]) -> list[Any]:
        answer = workers.answer(encode(Address("", subject.name), method, items))
        found = decode(subject.environment, answer)
        return [_number(result) for result in found] if method == "grade" else found

    try:
        yield ask
    finally:
        workers.close()


def _number(result: object) -> float | None:
    """The score of a verdict as it comes from a worker; None for what was lost."""
    if isinstance(result, Verdict):
        return 1.0 if result.outcome is Outcome.SOLVED else min(result.score, 0.99)
    if isinstance(result, FormatError):
        return 0.0
    return float(result) if isinstance(result, int | float) else None
