"""Rounds of replies: the model answers a batch of prompts, and groups are judged as they finish, in a thread of their own.

The thread only calls verifiers, and nothing else calls them until it is waited for. What is judged does not depend on when.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from azr_core.clock import Clock
from azr_core.envelope import Envelope
from azr_core.errors import PluginError
from azr_core.interfaces import Environment, Policy
from azr_core.judging import judge_answers, judge_proposals
from azr_core.types import Episode, Reply, Sampling, Task
from azr_core.verification import Verification

BATCH = 32  # episodes that are worth a call of the verifiers while more are to come
PATIENCE_S = 5.0  # for the batch that is being judged when a run breaks off

Judge = Callable[[Sequence[Episode]], None]


class Round:
    """The replies of one call to the model. What has come since the last batch is the next one, so slow verifiers get large batches."""

    def __init__(self, judge: Judge, clock: Clock) -> None:
        self._judge = judge
        self._clock = clock
        self._groups: dict[int, list[Episode]] = {}
        self._waiting: list[Episode] = []
        self._change = threading.Condition()
        self._complete = False
        self._error: BaseException | None = None
        self._busy_s = 0.0
        self._thread = threading.Thread(target=self._work, name="azr-judging", daemon=True)

    def sample(self, policy: Policy, blanks: Sequence[Episode], sampling: Sampling, n: int) -> None:
        """Have the model answer; what is judged meanwhile may raise here."""
        if not blanks:
            return
        self._thread.start()
        try:
            with self._clock("generate"):
                for index, replies in policy.stream([blank.prompt for blank in blanks], sampling, n):
                    self._groups[index] = [_answered(policy, blanks[index], reply) for reply in replies]
                    self._add(self._groups[index])
            if len(self._groups) < len(blanks):
                raise PluginError(f"{type(policy).__name__}.stream answered {len(self._groups)} of {len(blanks)} prompts, not all")
        except BaseException:
            self.drop()
            raise
        self._end()

    def judged(self) -> list[Episode]:
        """Wait until all are judged; the episodes in the order of their prompts. Raises what a verifier raised."""
        if self._groups:
            start = time.perf_counter()
            with self._clock("verify"):
                self._join()
            self._clock.seconds["verify_hidden"] += max(0.0, self._busy_s - (time.perf_counter() - start))
        if self._error:
            raise self._error
        return [episode for index in sorted(self._groups) for episode in self._groups[index]]

    def drop(self) -> None:
        """Judge no more. What is being judged gets a moment, since its verifier is about to be closed."""
        with self._change:
            self._waiting.clear()
        self._end()
        if self._thread.is_alive():
            self._thread.join(PATIENCE_S)

    def _join(self) -> None:
        try:
            self._thread.join()
        except BaseException:  # a second Ctrl-C
            self.drop()
            raise

    def _add(self, episodes: Sequence[Episode]) -> None:
        with self._change:
            if self._error:
                raise self._error
            self._waiting += episodes
            self._change.notify()

    def _end(self) -> None:
        with self._change:
            self._complete = True
            self._change.notify()

    def _work(self) -> None:
        while batch := self._next():
            start = time.perf_counter()
            try:
                self._judge(batch)
            except BaseException as error:  # of whatever kind: the run must hear of it
                self._error = error
                return
            self._busy_s += time.perf_counter() - start

    def _next(self) -> list[Episode]:
        """What is to be judged now; nothing at the end."""
        with self._change:
            self._change.wait_for(lambda: self._complete or len(self._waiting) >= BATCH)
            batch, self._waiting = self._waiting, []
            return batch


class Rounds:
    """Rounds of a loop, with its verifiers and its form of replies."""

    def __init__(self, verification: Verification, environments: Mapping[str, Environment], envelope: Envelope) -> None:
        self.verification = verification
        self.environments = environments
        self.envelope = envelope
        self.clock = Clock()

    def proposals(self, policy: Policy, asked: Sequence[tuple[Episode, Sequence[Task]]], sampling: Sampling) -> Round:
        """One proposal for each blank episode; beside it stands what its prompt shows."""
        shown = {blank.group: references for blank, references in asked}

        def judge(batch: Sequence[Episode]) -> None:
            references = [shown[episode.group] for episode in batch]
            judge_proposals(self.verification, self.environments, self.envelope, batch, references)

        begun = Round(judge, self.clock)
        begun.sample(policy, [blank for blank, _ in asked], sampling, 1)
        return begun

    def answers(self, policy: Policy, blanks: Sequence[Episode], sampling: Sampling, n: int, *, formless: bool = False) -> Round:
        """n answers to the task of each blank episode; formless: an answer counts wherever it stands."""

        def judge(batch: Sequence[Episode]) -> None:
            judge_answers(self.verification, self.environments, self.envelope, batch, formless=formless)

        begun = Round(judge, self.clock)
        begun.sample(policy, blanks, sampling, n)
        return begun


def _answered(policy: Policy, blank: Episode, reply: Reply) -> Episode:
    return replace(blank, reply=reply, trained=blank.trained and policy.learns, measures={})
