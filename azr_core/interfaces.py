"""The verbs: what a plugin implements. Each is as small as it can be; the defaults do the rest."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from azr_core.errors import FormatError, InvalidTask, UsageError, VerifierUnavailable, caught
from azr_core.progress import Listener
from azr_core.ranks import Ranked
from azr_core.types import Check, Demonstration, Document, Episode, Proposal, Reply, Sampling, Task, TaskRecord, TaskSolves, Verdict

P = TypeVar("P", bound=Proposal)
T = TypeVar("T", bound=Task)

Play = Callable[["Policy", int], list[Episode]]
Documents = Callable[[int], Iterator[Document]]
After = Callable[[int, Mapping[str, float]], bool]


class Proposer(ABC, Generic[P]):
    """Asks for a task and reads what comes back."""

    @abstractmethod
    def prompt(self, references: Sequence[Task]) -> str:
        """Plain text that shows the references and asks for a task unlike them."""

    @abstractmethod
    def parse(self, answer: str, references: Sequence[Task]) -> P:
        """The proposal in an answer. Raises FormatError."""

    def begin(self, step: int) -> None:
        """A step begins: what is asked may follow a schedule. It is all that a proposer may keep, so that a resumed run asks the same."""


class Verifier(ABC, Generic[P, T]):
    """Decides what is a task and what is an answer. The law: a task is admitted only if its own answer scores 1.0 here.

    isolated: it contains hostile work in processes of its own; the engine then calls it in its own process, others run in workers."""

    isolated: bool = False

    @abstractmethod
    def admit(self, proposal: P) -> T:
        """The task a proposal makes. Raises InvalidTask with the reason."""

    @abstractmethod
    def grade(self, task: T, answer: str) -> float | Verdict:
        """Score of an answer, 0..1, or a whole verdict. Raises FormatError where the answer cannot be read."""

    def admit_many(self, proposals: Sequence[P]) -> list[T | InvalidTask | VerifierUnavailable]:
        """Admit a batch, in order; a refusal is returned in its place. Override it to share work."""
        return [caught(self.admit, proposal) for proposal in proposals]

    def grade_many(self, pairs: Sequence[tuple[T, str]]) -> list[float | Verdict | FormatError | VerifierUnavailable]:
        """Grade a batch of (task, answer), in order. Override it to share work."""
        return [caught(self.grade, task, answer) for task, answer in pairs]

    def measures(self, task: T, references: Sequence[Task]) -> dict[str, float]:
        """Numbers that describe a task (complexity, distance to its references), stored with it."""
        return {}

    def skeleton(self, task: T) -> str:
        """The task's shape without its details, for counting novelty; empty means that it has none."""
        return ""

    def common(self, task: T) -> bool:
        """Whether the task's answer is so common that guessing it pays; the loop bounds the share of such tasks (`common_cap`)."""
        return False

    def protection(self) -> str:
        """One line on what contains hostile work, for the plan; empty where nothing needs containing. May raise UsageError."""
        return ""

    def fingerprint(self) -> str:
        """What verdicts depend on besides task and answer (interpreter, libraries, limits); machines with one fingerprint may share
        them. May raise UsageError."""
        return ""

    def checks(self) -> Sequence[Check]:
        """What contains hostile work, tried one by one, for `azr doctor`. Where it does not hold a check says so; nothing is raised."""
        return ()

    def close(self) -> None:
        """Release processes and files."""


class SeedFormat(ABC, Generic[P]):
    """How seeds stand in a file, one JSON object a line. Environments that hold the same format object share their seeds: a line is a
    seed of each of them."""

    @abstractmethod
    def write(self, proposal: P, task: Task) -> Mapping[str, Any]:
        """The line of a proposal and the task it made."""

    @abstractmethod
    def read(self, lines: Sequence[Mapping[str, Any]]) -> list[P | InvalidTask | None]:
        """The proposal of each line, or why it makes none; None for a line of another format. Lines are written by anybody."""

    def strip(self, proposal: P) -> P:
        """What is kept of a proposal that `azr seed` grew; it goes through the gate again."""
        return proposal


@dataclass(frozen=True)
class Environment:
    """One kind of task: a proposer plus a verifier. Everything else has a default.

    name: `domain/kind`. seeds: proposals that start the buffer, through the same gate as any other.
    references: names of the environments whose tasks a proposer is shown (its own by default).
    reference_count: how many, where it is not the run's. templates: text by `style/role` around `{text}`.
    demonstrations: worked examples of a procedural generator, endless. seed_format: how seed files hold its proposals; none: in
    azr's own form, {"environment": name, "proposal": {...}}.
    """

    name: str
    proposer: Proposer[Any]
    verifier: Verifier[Any, Any]
    seeds: Sequence[Proposal]
    task_type: type[Task] = Task
    references: Sequence[str] = ()
    reference_count: int | None = None
    templates: Mapping[str, str] = field(default_factory=dict)
    demonstrations: Callable[[random.Random], Iterator[Demonstration]] | None = None
    seed_format: SeedFormat[Any] | None = None

    @property
    def domain(self) -> str:
        """The part of the name before the slash."""
        return self.name.partition("/")[0]


class Buffer(ABC):
    """Remembers admitted tasks and hands out references."""

    @abstractmethod
    def add(self, environment: str, task: Task) -> bool:
        """Remember a task; False if it is not kept."""

    @abstractmethod
    def sample(self, environments: Sequence[str], k: int, rng: random.Random) -> list[Task]:
        """Up to k different tasks of these environments."""

    @abstractmethod
    def count(self, environment: str) -> int:
        """How many tasks of an environment are held."""

    def remember(self, record: TaskRecord) -> bool:
        """Remember a task with its history (step, solves so far); False if it is not kept. The engine calls this, by default it adds."""
        return self.add(record.environment, record.task)

    def recount(self, solves: TaskSolves) -> None:  # noqa: B027 - a buffer that does not look at solves has nothing to count
        """Hear of solves of a task, held or not. A resumed run tells all of them again, in the order in which they came."""


class RewardShaper(ABC):
    """Turns verdicts into rewards and rewards into advantages. Three functions, one class per rule."""

    @abstractmethod
    def reward(self, episode: Episode) -> float:
        """Reward of one judged episode."""

    @abstractmethod
    def advantages(self, episodes: Sequence[Episode]) -> list[float]:
        """Advantage of each rewarded episode of a step, in order."""

    def shape(self, episodes: list[Episode]) -> list[Episode]:
        """Fill in reward and advantage of a step's episodes and return them."""
        for episode in episodes:
            episode.reward = self.reward(episode)
        for episode, advantage in zip(episodes, self.advantages(episodes), strict=True):
            episode.advantage = advantage
        return episodes

    def recall(self, episodes: Sequence[Episode]) -> None:  # noqa: B027 - a shaper without memory has nothing to recall
        """See a rewarded step again when a run resumes, so that running statistics continue."""

    def metrics(self) -> Mapping[str, float]:
        """Numbers of the last step that are worth keeping beside its own, by name."""
        return {}


class Policy(ABC):
    """The model as the engine sees it: prompts in, replies out. learns: whether its episodes may be trained on; a frozen one's are not."""

    learns: bool = True

    @abstractmethod
    def sample(self, prompts: Sequence[str], sampling: Sampling, n: int = 1) -> list[list[Reply]]:
        """n replies for each prompt, in order: [prompts][n]."""

    def stream(self, prompts: Sequence[str], sampling: Sampling, n: int = 1) -> Iterator[tuple[int, list[Reply]]]:
        """Groups of replies as they finish, each with the index of its prompt."""
        yield from enumerate(self.sample(prompts, sampling, n))

    def fits(self, prompt: str, sampling: Sampling) -> bool:
        """Whether the prompt and a whole reply fit the model's context and the prompt limit."""
        return True

    def chat(self, message: str) -> str | None:
        """The prompt that a user's message makes in the model's own chat template; None where it has none."""
        return None

    def forged(self, text: str) -> bool:
        """Whether a text holds what the model takes for more than letters (the mark of a turn's end), which would break out of a prompt."""
        return False


class Trainer(Ranked, ABC):
    """Owns the weights and the optimisation loop."""

    policy: Policy

    @abstractmethod
    def fit(self, play: Play, after: After, first: int, last: int) -> None:
        """For each step first..last: episodes = play(policy, step); learn; stop if after(step, metrics) is true."""

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write everything a resumed run needs into an empty folder.

        If that is also a model as Hugging Face has them (`config.json`, safetensors), `azr export` can give it away.
        """

    @abstractmethod
    def load(self, directory: Path) -> None:
        """Read back what `save` wrote."""

    def describe(self) -> Mapping[str, str]:
        """What the plan shows: model, parameters, device, precision."""
        return {}

    def warmup(self, documents: Documents, out: Path, minutes: float, listener: Listener) -> None:
        """Make a model from worked examples, from nothing or from the one it has, and write it to a folder. Resumes."""
        raise UsageError(f"the trainer {type(self).__name__} cannot warm up a model; choose one that can, such as trl")
