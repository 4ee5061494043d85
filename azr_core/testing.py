"""Fakes and checks for plugin authors: a scripted policy, a scripted trainer, and `check_environment`."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from azr_core.errors import FormatError, InvalidTask
from azr_core.interfaces import After, Environment, Play, Policy, Trainer
from azr_core.types import Outcome, Proposal, Reply, Sampling, Task, Verdict, task_id

EMPTY = ("", " ", "\x00", "[" * 300)  # right for no task at all
GARBAGE = (*EMPTY, "None", "()", "é\u2028🂡", "9" * 400, "0/0", "answer\n" * 50)


class ScriptedPolicy(Policy):
    """A policy that replies from a queue, or with a function of the prompt. prompts: every prompt it was asked, in order.

    One token a word, so that counts are not zero; log-probabilities are 0 nats.
    """

    def __init__(self, replies: Sequence[str] | Callable[[str], str]) -> None:
        self._answer = replies if callable(replies) else self._next
        self._queue = [] if callable(replies) else list(replies)
        self.prompts: list[str] = []

    def sample(self, prompts: Sequence[str], sampling: Sampling, n: int = 1) -> list[list[Reply]]:
        """n replies for each prompt."""
        self.prompts += prompts
        return [[_reply(prompt, self._answer(prompt)) for _ in range(n)] for prompt in prompts]

    def _next(self, prompt: str) -> str:
        if not self._queue:
            raise AssertionError(f"the script has no reply left for {prompt[-80:]!r}")
        return self._queue.pop(0)


def _reply(prompt: str, text: str) -> Reply:
    count = max(1, len(text.split()))
    return Reply(text, range(len(prompt.split())), range(count), (0.0,) * count)


class ScriptedTrainer(Trainer):
    """A trainer that learns nothing and counts its updates."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.updates = 0

    def fit(self, play: Play, after: After, first: int, last: int) -> None:
        """Play each step, count it, report it."""
        for step in range(first, last + 1):
            episodes = play(self.policy, step)
            self.updates += 1
            tokens = sum(len(episode.reply.token_ids) for episode in episodes if episode.trained)
            if after(step, {"seconds/train": 0.0, "tokens/trained": float(tokens), "train/updates": float(self.updates)}):
                return

    def save(self, directory: Path) -> None:
        """Write the counter."""
        (directory / "scripted.json").write_text(json.dumps({"updates": self.updates}))

    def load(self, directory: Path) -> None:
        """Read the counter."""
        self.updates = json.loads((directory / "scripted.json").read_text())["updates"]


def check_environment(environment: Environment, seed: int = 0, count: int = 20, references: Sequence[Task] = ()) -> list[str]:
    """What is wrong with an environment, one sentence each; empty if nothing was found.

    Checks its seeds and `count` demonstrations: admitted, the law of the own answer, JSON, ids, grading, bad replies, prompts.
    references: tasks to show, where the environment is shown those of others; without them its prompts are not checked.
    """
    findings: list[str] = []
    tasks = _seed_tasks(environment, findings)
    tasks += _demonstrated(environment, random.Random(seed), count, findings)
    if not tasks:
        findings.append("no seed was admitted, so no task could be checked; mend the seeds or the verifier's admit")
    for task in tasks[: count + len(environment.seeds)]:
        findings += _check_task(environment, task)
    findings += _check_prompts(environment, tasks[:2], references)
    return findings


def _seed_tasks(environment: Environment, findings: list[str]) -> list[Task]:
    tasks = []
    for proposal in environment.seeds:
        task = _admitted(environment, proposal, f"seed {proposal!r}"[:200], findings)
        again = _admitted(environment, proposal, "a seed admitted twice", findings) if task else None
        if task and again and task_id(environment.name, task) != task_id(environment.name, again):
            findings.append(f"seed {task.question!r}: admitting it twice gives two ids; make admit deterministic")
        tasks += [task] if task else []
    return tasks


def _demonstrated(environment: Environment, rng: random.Random, count: int, findings: list[str]) -> list[Task]:
    tasks = []
    for example in islice(environment.demonstrations(rng), count) if environment.demonstrations else ():
        what = f"demonstration {example.task.question!r}"[:200]
        tasks.append(example.task)
        score = _score(environment, example.task, example.answer, what, findings)
        if score != 1.0:
            findings.append(f"{what}: its answer scores {score}, not 1.0")
        if environment.references:  # its proposals are read beside references that are not known here
            continue
        try:
            proposal = environment.proposer.parse(example.proposal, ())
        except FormatError as error:
            findings.append(f"{what}: its proposal does not parse: {error}")
            continue
        task = _admitted(environment, proposal, what, findings)
        if task and task.key() != example.task.key():
            findings.append(f"{what}: its proposal is admitted as another task, {task.question!r}")
    return tasks


def _admitted(environment: Environment, proposal: Proposal, what: str, findings: list[str]) -> Task | None:
    try:
        result: Any = environment.verifier.admit_many([proposal])[0]
    except Exception as error:
        result = error
    if isinstance(result, Task):
        return result
    findings.append(f"{what}: refused: {result}" if isinstance(result, InvalidTask) else f"{what}: admit gave {result!r}")
    return None


def _check_task(environment: Environment, task: Task) -> list[str]:
    what = f"task {task.question!r}"[:200]
    findings: list[str] = []
    score = _score(environment, task, task.answer, what, findings)
    if score != 1.0:
        findings.append(f"{what}: its own answer scores {score}, not 1.0")
    if _score(environment, task, task.answer, what, findings) != score:
        findings.append(f"{what}: grading its own answer twice gives two scores")
    if not isinstance(task, environment.task_type):
        return [*findings, f"{what}: is a {type(task).__name__}, not the environment's task_type {environment.task_type.__name__}"]
    copy = _copied(environment, task)
    if copy != task or task_id(environment.name, copy) != task_id(environment.name, task):
        findings.append(f"{what}: does not survive the round trip through JSON")
    for garbage in GARBAGE:
        if _score(environment, task, garbage, what, findings) == 1.0 and garbage in EMPTY:
            findings.append(f"{what}: the answer {garbage[:20]!r} scores 1.0")
    return findings


def _copied(environment: Environment, task: Task) -> Task | None:
    try:
        return environment.task_type.model_validate_json(task.model_dump_json())
    except ValueError:
        return None


def _score(environment: Environment, task: Task, answer: str, what: str, findings: list[str]) -> float:
    """Score of one answer; anything but a number from 0 to 1, a Verdict or a FormatError is a finding."""
    try:
        result: Any = environment.verifier.grade_many([(task, answer)])[0]
    except Exception as error:
        result = error
    if isinstance(result, FormatError):
        return 0.0
    if isinstance(result, Verdict):
        return 1.0 if result.outcome is Outcome.SOLVED else min(result.score, 0.99)
    if isinstance(result, int | float) and math.isfinite(result) and 0.0 <= result <= 1.0:
        return float(result)
    findings.append(f"{what}: grading {answer[:20]!r} gave {result!r}; return a number from 0 to 1, a Verdict, or raise FormatError")
    return 0.0


def _check_prompts(environment: Environment, own: Sequence[Task], references: Sequence[Task]) -> list[str]:
    findings = []
    for shown in [list(references)] if environment.references else [[], list(own)]:
        if environment.references and not shown:
            continue
        try:
            prompt = environment.proposer.prompt(shown)
            if not isinstance(prompt, str):
                findings.append(f"the prompt with {len(shown)} references is {prompt!r}, not text")
        except Exception as error:
            findings.append(f"the prompt with {len(shown)} references: {error!r}")
        for garbage in GARBAGE:
            finding = _parse(environment, garbage, shown)
            findings += [finding] if finding else []
    return findings


def _parse(environment: Environment, text: str, shown: Sequence[Task]) -> str | None:
    try:
        environment.proposer.parse(text, shown)
    except FormatError:
        return None
    except Exception as error:
        return f"parsing the proposal {text[:20]!r}: {error!r}; raise FormatError"
    return None
