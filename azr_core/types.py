"""The nouns: what the parts of azr hand to each other. Text and numbers only."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from azr_core.interfaces import Environment


class Role(StrEnum):
    """The two roles one model plays."""

    PROPOSE = "propose"
    SOLVE = "solve"


class Kind(StrEnum):
    """Why an episode was sampled. Probes are solves that estimate a task's solve rate."""

    PROPOSE = "propose"
    PROBE = "probe"
    SOLVE = "solve"


class Outcome(StrEnum):
    """What became of a reply. `failed` means that our machinery broke, not that the model was wrong."""

    SOLVED = "solved"
    WRONG = "wrong"
    ADMITTED = "admitted"
    INVALID = "invalid"
    DUPLICATE = "duplicate"
    MALFORMED = "malformed"
    TIMEOUT = "timeout"
    FAILED = "failed"


class Proposal(BaseModel):
    """What the policy claims to be a task. Subclass it with the fields of your domain."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Task(BaseModel):
    """A verified task. Subclass it with whatever the grader needs.

    question: plain text of the domain, without instructions or markers of a prompt style.
    answer: the reference answer; never shown to the solver.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str
    answer: str

    def key(self) -> str:
        """Normalised content: two tasks with the same key are the same task."""
        return json.dumps([self.question, self.answer])


def task_id(environment: str, task: Task) -> str:
    """Content id of a task, stable across processes: 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps([environment, task.key()]).encode()).hexdigest()[:32]


def chance(seed: int, step: int, purpose: str, index: int = 0) -> random.Random:
    """The random stream of one draw. Streams depend on nothing but their name, so a resumed run draws the same."""
    name = json.dumps([seed, step, purpose, index]).encode()
    return random.Random(int.from_bytes(hashlib.sha256(name).digest()[:8], "big"))


@dataclass(frozen=True)
class Sampling:
    """How to sample. Explicit in every call: there is no default temperature anywhere.

    temperature: 0 is greedy. max_tokens: tokens of the reply. stop: strings that end it. seed: of this call.
    """

    temperature: float
    max_tokens: int
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class Reply:
    """One sampled reply.

    text: decoded from the reply's own tokens only. prompt_ids: [P]. token_ids: [T]; -1 where only their number is known.
    logprobs: [T], nats, of the sampled tokens under the sampling distribution. truncated: the token limit cut it.
    """

    text: str
    prompt_ids: Sequence[int] = ()
    token_ids: Sequence[int] = ()
    logprobs: Sequence[float] = ()
    truncated: bool = False


@dataclass(frozen=True)
class Verdict:
    """The judgement of one reply. score: 0..1. reason: for people, never shown to the policy."""

    outcome: Outcome
    score: float = 0.0
    reason: str = ""


@dataclass
class Episode:
    """One reply and all that became of it, filled from left to right.

    group: episodes that answer the same prompt of a step share it. parents: ids of the references that were shown.
    solve_rate: 0..1, of the proposed task (propose) or of the task being solved. measures: numbers by name.
    trained: whether the trainer learns from it. proposal: what was read in the reply; not stored.
    """

    environment: str
    kind: Kind
    group: str
    prompt: str
    reply: Reply
    verdict: Verdict | None = None
    task: Task | None = None
    parents: tuple[str, ...] = ()
    solve_rate: float | None = None
    reward: float = 0.0
    advantage: float = 0.0
    trained: bool = True
    measures: dict[str, float] = field(default_factory=dict)
    proposal: Proposal | None = None

    @property
    def role(self) -> Role:
        """The role the policy played."""
        return Role.PROPOSE if self.kind is Kind.PROPOSE else Role.SOLVE

    @property
    def outcome(self) -> Outcome:
        """The verdict's outcome; an episode that was never judged counts as failed."""
        return self.verdict.outcome if self.verdict else Outcome.FAILED

    @property
    def task_id(self) -> str | None:
        """Content id of the episode's task."""
        return task_id(self.environment, self.task) if self.task else None


@dataclass(frozen=True)
class Demonstration:
    """One worked example of a procedural generator: what a proposer could have written, and how to solve it.

    proposal: a proposer's answer text. task: the task it makes. thought: reasoning that leads to the answer, or empty. answer: a solver's
    answer text. references: what the proposer is shown, where the proposal depends on it; None leaves the choice open.
    """

    proposal: str
    task: Task
    thought: str
    answer: str
    references: tuple[Task, ...] | None = None


@dataclass(frozen=True)
class Document:
    """One text to warm a model up on. prompt and reply are whole, in the run's style; environment and role say what it teaches."""

    environment: str
    role: Role
    prompt: str
    reply: str


@dataclass(frozen=True)
class TaskRecord:
    """A remembered task with its history. step: when it was admitted. attempts, solved: solves of it so far."""

    environment: str
    task: Task
    step: int
    parents: tuple[str, ...] = ()
    skeleton: str = ""
    measures: Mapping[str, float] = field(default_factory=dict)
    attempts: int = 0
    solved: int = 0


@dataclass(frozen=True)
class TaskSolves:
    """Judged solves of one task in one step. kind: probe or solve. task: content id. attempts: at least 1, failed ones left out."""

    step: int
    kind: Kind
    environment: str
    task: str
    attempts: int
    solved: int


@dataclass(frozen=True)
class Evaluation:
    """Accuracy of one measurement. scores: 0..1 a task, mean over samples, in the benchmark's order.

    kind: environment name. decoding: `sampled`, `greedy`, `sampled_t0.3`. reply_tokens: mean.
    """

    step: int
    benchmark: str
    kind: str
    decoding: str
    scores: tuple[float, ...]
    reply_tokens: float = 0.0


@dataclass(frozen=True)
class StepReport:
    """What listeners get after a step: read it, do not change it."""

    step: int
    episodes: Sequence[Episode]
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Check:
    """One thing that was tried or looked for on this machine, and what was seen. mend: what to do, or where it held what could be had."""

    name: str
    held: bool
    observed: str
    mend: str = ""


@dataclass(frozen=True)
class Benchmark:
    """Held-out tasks by environment name, with the environments (and so the graders) as shipped, never replaced."""

    name: str
    tasks: Mapping[str, Sequence[Task]]
    environments: Mapping[str, Environment]
