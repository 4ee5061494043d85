"""Hostile programs and what must become of them: how they are run, judged, and what the host must look like afterwards.

Imports neither pytest nor anything outside the executor, so that another user's bare interpreter can run the same corpus.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redteam_sentinels import ANY_WORDS, PLAIN_WORDS

from azr_plugins_python.executor import (
    Call,
    Executor,
    Job,
    Limits,
    LiteralError,
    Result,
    Status,
    display,
    equal,
    parse_literal,
    unwrap_call,
)
from azr_plugins_python.executor.profiles import Profile

HELD = ("error", "denied")
"""How an attempt at the outside may end: a program that gets through returns, which is `ok`."""
SPENT = ("timeout", "memory", "error", "crash")
"""How a program may end that never would by itself."""
ANYTHING = ("ok", "unsupported_output", *SPENT, "denied", "syntax_error", "output_too_large")
"""For programs whose own end says nothing: what counts is the job after it."""
CANARY_ENV = "AZR_CANARY_ENV"
CANARY_TEXT = "canary-in-the-environment"

SENTINEL = Job(ANY_WORDS, ("[3, 1, 2]",))
"""An honest program that leans on everything an attacker may have bent; its answer never changes."""
PLAIN_SENTINEL = Job(PLAIN_WORDS, ("[3, 1, 2]",))
"""The same in such plain words that it may share a process with others."""
SENTINELS = (SENTINEL, PLAIN_SENTINEL)


@dataclass(frozen=True)
class Attack:
    """A hostile program. The part of its id before the first hyphen is its class.

    task: run, validate, deduct, abduct or induct. output: the literal it must give where it is ok. answer, reward: what a solver says
    and must earn. tests: (input, gold) pairs of an induction. @CANARY@ stands for a folder that must not change.
    """

    id: str
    program: str
    accept: tuple[str, ...] = HELD
    input: str = ""
    output: str | None = None
    task: str = "run"
    answer: str = ""
    reward: float = 0.0
    tests: tuple[tuple[str, str], ...] = ()

    def job(self, canary: Path) -> Job:
        inputs = tuple(text for text, _ in self.tests) or (self.input,)
        return Job(self.program.replace("@CANARY@", str(canary)), inputs)


@dataclass(frozen=True)
class Variant:
    """An executor to be attacked. loaded: whether sockets, subprocesses and the like lie ready in its jail."""

    profile: Profile
    guarded: bool
    loaded: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        words = [self.profile, "guarded" if self.guarded else "unguarded", *(["loaded"] if self.loaded else [])]
        return "-".join([*words, *map(str, self.settings.values())])

    def build(self, cpu_s: float = 0.15, wall_s: float = 4.0) -> Executor:
        limits = Limits(cpu_s=cpu_s, wall_s=wall_s)
        return Executor(limits, slots=2, import_guard=self.guarded, profile=self.profile, **self.settings)


VARIANTS = (
    Variant(Profile.lean, guarded=True, settings={"isolation": "auto"}),
    Variant(Profile.lean, guarded=False, settings={"isolation": "auto"}),
    Variant(Profile.lean, guarded=False, loaded=True, settings={"isolation": "strict"}),
    Variant(Profile.wide, guarded=False, settings={"isolation": "strict"}),
)
"""Every attack meets all of these. The wide jail has what numpy loaded; the loaded one has what no jail should need to miss."""


def lay_canary(folder: Path) -> Path:
    """A world-writable folder with a world-writable secret."""
    folder.chmod(0o777)
    (folder / "secret.txt").write_text("untouched")
    (folder / "secret.txt").chmod(0o666)
    return folder


def canary_faults(folder: Path) -> list[str]:
    """What was done to the canary."""
    names = sorted(item.name for item in folder.iterdir())
    if names != ["secret.txt"] or (folder / "secret.txt").read_text() != "untouched":
        return [f"the canary folder holds {names}"]
    return []


def descendants(root: int) -> dict[int, list[int]]:
    """Processes below one, as {process: its children}; Linux."""
    found: dict[int, list[int]] = {}
    pending = [root]
    while pending:
        process = pending.pop()
        try:
            texts = [path.read_text() for path in Path(f"/proc/{process}/task").glob("*/children")]
        except (FileNotFoundError, ProcessLookupError):
            continue
        found[process] = [int(word) for text in texts for word in text.split()]
        pending += found[process]
    return found


@dataclass(frozen=True)
class Host:
    """What of this process a hostile program could have changed."""

    fds: int
    children: int

    @classmethod
    def now(cls) -> Host:
        gc.collect()  # what earlier tests left to be closed is not theirs to count
        return cls(len(os.listdir("/proc/self/fd")), len(descendants(os.getpid())[os.getpid()]))


def survivors(executor: Executor) -> dict[int, list[int]]:
    """Zygotes with more below them than the one child that waits for a job, or with grandchildren."""
    zygotes = [slot.process.pid for pool in executor._pools.values() for slot in pool.slots]
    trees = {zygote: descendants(zygote) for zygote in zygotes}
    return {zygote: list(tree) for zygote, tree in trees.items() if sum(map(len, tree.values())) > 1}


def hold(executor: Executor, attacks: Sequence[Attack], canary: Path) -> dict[str, list[str]]:
    """Runs every attack with the sentinels after it. Returns what is wrong, by the attack's id."""
    jobs = [attack.job(canary) for attack in attacks]
    golds = executor.run(SENTINELS)
    results = executor.run([job for attack in jobs for job in (attack, *SENTINELS)])
    pairs = zip(attacks, results[1::3], results[2::3], strict=True)
    wrong = {attack.id: [*sentinel_faults(one, golds[0]), *sentinel_faults(two, golds[1])] for attack, one, two in pairs}
    found = dict(zip((attack.id for attack in attacks), results[::3], strict=True))
    gated = [index for index, attack in enumerate(attacks) if attack.task == "validate"]
    for index, result in zip(gated, executor.validate([jobs[index] for index in gated]), strict=True):
        found[attacks[index].id] = result
    for attack in attacks:
        wrong[attack.id] += judge(executor, attack, found[attack.id])
    if CANARY_TEXT in repr(found):
        wrong["environment"] = ["it reached a program"]
    wrong["canary"] = canary_faults(canary)
    wrong["survivors"] = [f"{zygote}: {tree}" for zygote, tree in survivors(executor).items()]
    wrong["fast lane"] = [executor.alarm] if executor.alarm else []
    return {name: faults for name, faults in wrong.items() if faults}


def sentinel_faults(after: Result, gold: Result) -> list[str]:
    """What is wrong with an honest job's result."""
    if gold.status is not Status.ok:
        return [f"the sentinel itself fails: {gold.reason}"]
    if after.status is Status.ok and equal(after.calls[0].value, gold.calls[0].value, "strict"):
        return []
    return [f"the next job came to {after.status} {after.reason} {after.calls[0].value!r}"]


def judge(executor: Executor, attack: Attack, result: Result) -> list[str]:
    """What is wrong with the outcome of one attack."""
    wrong = [] if result.status in attack.accept else [f"{result.status} ({result.reason}) {_shown(result.calls[0])}, not {attack.accept}"]
    if result.status is Status.ok and attack.output is not None:
        shown = display(result.calls[0].value)
        if not equal(parse_literal(shown), parse_literal(attack.output), "strict"):
            wrong.append(f"gave {shown}, not {attack.output}")
    if attack.task in ("deduct", "abduct") and (earned := _score(executor, attack, result)) != attack.reward:
        wrong.append(f"{attack.answer!r} earned {earned}, not {attack.reward}")
    if attack.task == "induct":
        hits = [_matches(call, gold) for call, (_, gold) in zip(result.calls, attack.tests, strict=True)]
        wrong += [f"hit {sum(hits)} of {len(hits)}"] if sum(hits) != attack.reward * len(hits) else []
    return wrong


def _shown(call: Call) -> str:
    return display(call.value)[:200] if call.status is Status.ok else ""


def _matches(call: Call, gold: str) -> bool:
    return call.status is Status.ok and equal(call.value, parse_literal(gold))


def _score(executor: Executor, attack: Attack, gold: Result) -> float:
    """What a solver's answer is worth."""
    try:
        if attack.task == "deduct":
            return float(equal(parse_literal(attack.answer), gold.calls[0].value))
        (result,) = executor.run([Job(attack.program, (unwrap_call(attack.answer),))])
    except LiteralError:
        return 0.0
    return float(result.status is Status.ok and equal(result.calls[0].value, gold.calls[0].value))
