"""An environment on trial: its tasks, and its verifier behind a gate where whatever it does becomes something to look at."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from azr_core.config import RunConfig
from azr_core.errors import PluginError
from azr_core.interfaces import Environment
from azr_core.types import Demonstration, Outcome, Proposal, Task, Verdict, task_id
from azr_core.verification import Verification

SEEDS, DEMONSTRATIONS = 16, 40  # looked at, of each environment
FEW = 5  # tasks that every attack is tried on
PATIENCE = 6  # verdicts that may be killed, after which nothing more is asked of an environment
FIRST = 8  # items of a first batch
SHOWN = 90  # characters of an input that a finding shows
KILLED = "timeout: no verdict within"

WELL_FORMED, BOUNDED = "runtime.reward_well_formed", "runtime.resource_bounds"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. input: what shows it, shortened. mend: what to change. grave: not only a warning."""

    environment: str
    trial: str
    input: str
    seen: str
    mend: str
    grave: bool = True

    def __str__(self) -> str:
        return f"{self.trial}{'' if self.grave else ' (warning)'}: {self.input}: {self.seen}; {self.mend}"


@dataclass(frozen=True)
class Fault:
    """What a verifier did instead of judging. killed: it took too long, or took its process with it."""

    what: str
    killed: bool = False


Graded = Verdict | Fault
Admitted = Task | Verdict | Fault


def shortened(text: str) -> str:
    """A text as findings show it."""
    return repr(text) if len(text) <= SHOWN else f"{text[: SHOWN // 2]!r}... ({len(text):,} characters)"


@dataclass
class Subject:
    """One environment and all that trials need of it. canary: a path that hostile code tries to make. tell: hears what is being tried.

    names: the plugins, for another process to load; empty where the environment came from nowhere.
    """

    environment: Environment
    verification: Verification
    canary: Path
    config: RunConfig = field(default_factory=lambda: RunConfig(plugins=("checked",)))
    names: tuple[str, ...] = ()
    held_out: frozenset[str] = frozenset()
    shown: Sequence[Task] = ()
    tell: Callable[[str], None] = lambda text: None
    figures: dict[str, float] = field(default_factory=dict)
    faults: list[Finding] = field(default_factory=list)
    killed: int = 0

    @property
    def name(self) -> str:
        """The environment's name."""
        return self.environment.name

    @cached_property
    def seeds(self) -> list[tuple[Proposal, Admitted]]:
        """Some of the seeds, with what the gate made of them."""
        chosen = list(self.environment.seeds[:SEEDS])
        return list(zip(chosen, self.admit(chosen), strict=True))

    @cached_property
    def demonstrations(self) -> list[Demonstration]:
        """Some worked examples, where there are any."""
        return self.demonstrate(0)

    def demonstrate(self, seed: int, count: int = DEMONSTRATIONS) -> list[Demonstration]:
        """The first worked examples of a random stream."""
        self.tell("demonstrations")
        make = self.environment.demonstrations
        return list(islice(make(random.Random(seed)), count)) if make else []

    @cached_property
    def tasks(self) -> list[Task]:
        """Tasks of the seeds and demonstrations, each once."""
        found = [task for _, task in self.seeds if isinstance(task, Task)] + [example.task for example in self.demonstrations]
        return list({task_id(self.name, task): task for task in found}.values())

    @cached_property
    def few(self) -> list[Task]:
        """A few tasks of different answers."""
        return list({task.answer: task for task in reversed(self.tasks)}.values())[::-1][:FEW]

    def finding(self, trial: str, input: str, seen: str, mend: str, *, grave: bool = True) -> Finding:
        """A finding of this environment."""
        return Finding(self.name, trial, input, seen, mend, grave)

    def grade(self, pairs: Sequence[tuple[Task, str]], *, singly: bool = False) -> list[Graded]:
        """What became of each (task, answer), in order. singly: each by itself, since it may be killed."""
        return self._asked(pairs, self.verification.grade, "reply", 1 if singly else None)

    def admit(self, proposals: Sequence[Proposal], *, singly: bool = False) -> list[Admitted]:
        """What became of each proposal, in order. singly: each by itself, since it may be killed."""
        return self._asked(proposals, self.verification.admit, "proposal", 1 if singly else None)

    def timed(self, pairs: Sequence[tuple[Task, str]]) -> list[float]:
        """Seconds of each verdict, asked for one by one."""
        taken = []
        for pair in pairs:
            start = time.perf_counter()
            self.grade([pair])
            taken.append(time.perf_counter() - start)
        return taken

    def drain(self) -> list[Finding]:
        """What the verifier did instead of judging since last asked, the first few of each sort."""
        found = {(one.trial, one.seen[:60]): one for one in reversed(self.faults)}
        self.faults = []
        return list(found.values())[::-1]

    def _asked(self, items: Sequence[Any], call: Callable[..., list[Any]], what: str, size: int | None) -> list[Any]:
        """Results in order, asked for in batches that grow while nothing is killed; after too many kills nothing more is asked."""
        results: list[Any] = []
        while len(results) < len(items):
            batch = items[len(results) :][: size or max(FIRST, len(results))]
            if self.killed >= PATIENCE:
                return results + [Verdict(Outcome.WRONG, reason="not asked: too much was killed before")] * (len(items) - len(results))
            texts = [str(item[1] if what == "reply" else item) for item in batch]
            self.tell(f"{what} {shortened(texts[0])}")
            judged = self._judged(batch, call)
            self._note(judged, texts, what)
            results += judged
        return results

    def _judged(self, items: Sequence[Any], call: Callable[..., list[Any]]) -> list[Any]:
        """Results in order; where a batch fails as a whole its halves are asked, down to the culprit."""
        try:
            return [_looked_at(result) for result in call(self.environment, items)]
        except PluginError as error:
            if len(items) == 1:
                return [Fault(str(error).removeprefix(f"{self.name}: "))]
        middle = len(items) // 2
        return self._judged(items[:middle], call) + self._judged(items[middle:], call)

    def _note(self, results: Sequence[Graded | Admitted], texts: Sequence[str], what: str) -> None:
        for result, text in zip(results, texts, strict=True):
            if isinstance(result, Fault):
                self.killed += result.killed
                mend = "bound its size, depth and time before it is read" if result.killed else MENDS[what]
                self.faults.append(
                    self.finding(BOUNDED if result.killed else WELL_FORMED, f"{what} {shortened(text)}", result.what[:300], mend)
                )


MENDS = {
    "reply": "grade returns a number from 0 to 1 or a Verdict, or raises FormatError, and nothing else",
    "proposal": "admit returns a Task or raises InvalidTask, and nothing else",
}


def score(result: Graded) -> float:
    """The score of what was graded, 0..1; what broke or cannot be read has none."""
    if isinstance(result, Fault):
        return 0.0
    return 1.0 if result.outcome is Outcome.SOLVED else min(result.score, 0.99)


def _looked_at(result: Any) -> Any:
    """A verdict on the machinery is a fault: it was killed over its time, or its process died."""
    if isinstance(result, Verdict) and (result.outcome is Outcome.FAILED or result.reason.startswith(KILLED)):
        return Fault(result.reason or "the verifier was not available", killed=True)
    return result
