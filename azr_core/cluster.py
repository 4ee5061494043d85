"""Verification on the nodes of a Ray cluster: one actor a node, in batches that may be sent twice."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azr_core.config import RunConfig
from azr_core.connection import connect, one_line
from azr_core.desk import Lost, answer_in_batches
from azr_core.errors import PluginError, UsageError, VerifierUnavailable
from azr_core.identity import Identity
from azr_core.node import Node
from azr_core.workers import BATCH, START_S

LARGEST = 256  # items a batch: what a lost node costs
SHARES = 4  # batches a node, so that the slowest does not keep the others waiting for long
IN_FLIGHT = 2  # batches at a node: one at work, one that waits there
LIVES = 5  # actors a node may lose in a row before it is given up
CLOSE_S = 5.0


@dataclass
class _Member:
    """A node that takes part. batches: Ray's reference to the answer -> number of the job, oldest first."""

    identity: str
    name: str
    actor: Any
    batches: dict[Any, int] = field(default_factory=dict)
    deadline: float = math.inf
    losses: int = 0


class Cluster:
    """The nodes of the Ray cluster that `config.verify_on` names. `names` are the plugins they load; `own` is what is loaded here.

    A node that would judge otherwise than this machine is refused. `slack_s`: what a node may take beyond its verdicts' time limits.
    """

    def __init__(
        self,
        config: RunConfig,
        names: Sequence[str],
        own: Identity,
        *,
        log: Path | None = None,
        note: Callable[[str], None] = lambda text: None,
        slack_s: float = START_S,
    ) -> None:
        self._timeout = config.verify_timeout
        self._slack_s = slack_s
        self._limit_s = math.inf
        self._log = log
        self._note = note
        self._address = config.verify_on
        self._arguments = (config.model_dump_json(), tuple(names))
        self._members: list[_Member] = []
        self._ray, self._ours = connect(config.verify_on)
        self._kind = self._ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0)(Node)
        try:
            self.protection = self._gather(own)
        except BaseException:
            self.close()
            raise

    def __str__(self) -> str:
        return f"{_counted(len(self._members))} of Ray ({self._address})"

    def answer(self, job: dict[str, Any]) -> dict[str, Any]:
        """The verifier's results as JSON, or the unexpected error in one line."""
        items = len(job["items"])
        batches = max(1, math.ceil(items / LARGEST), min(items // BATCH, SHARES * len(self._members)))
        return answer_in_batches(self.call, job, math.ceil(items / batches))

    def call(self, jobs: Sequence[dict[str, Any]]) -> list[dict[str, Any] | Lost]:
        """Run each job on some node; results in the order of the jobs. A job that is lost twice gives an error in its place."""
        answers: dict[int, dict[str, Any] | Lost] = {}
        lost: set[int] = set()
        waiting = deque(range(len(jobs)))
        self._limit_s = self._timeout * (1 + max(len(job["items"]) for job in jobs)) + self._slack_s
        try:
            while len(answers) < len(jobs):
                self._hand_out(jobs, waiting)
                heard = dict(self._hear())
                again = {number for number, answer in heard.items() if isinstance(answer, Exception)} - lost
                lost |= again
                waiting.extend(sorted(again))
                answers |= {number: answer for number, answer in heard.items() if number not in again}
        except BaseException:
            self.close()  # nodes that are still busy would answer the wrong question next time
            raise
        return [answers[number] for number in range(len(jobs))]

    def close(self) -> None:
        """End the actors, and Ray where it is ours."""
        members, self._members = self._members, []
        with suppress(Exception):  # on the way out, whatever is left of the cluster
            idle = [member.actor.close.remote() for member in members if not member.batches]
            self._ray.wait(idle, num_returns=len(idle), timeout=CLOSE_S) if idle else None
            for member in members:
                self._ray.kill(member.actor)
        if self._ours:
            self._ours = False
            self._ray.shutdown()

    def _gather(self, own: Identity) -> frozenset[str]:
        """Start an actor on every node that is alive, keep those that would judge as this machine does; what protects them."""
        self._members = [
            _Member(node["NodeID"], f"{node['NodeManagerAddress']} ({node['NodeManagerHostname']})", self._actor(node["NodeID"]))
            for node in self._ray.nodes()
            if node["Alive"]
        ]
        reports = {member.identity: member.actor.report.remote() for member in self._members}
        self._ray.wait(list(reports.values()), num_returns=len(reports), timeout=START_S)
        protection: frozenset[str] = frozenset()
        for member in tuple(self._members):
            try:
                theirs = self._reported(reports[member.identity], own)
            except UsageError as error:
                self._drop(member, f"is refused: {error}")
            else:
                own = own.model_copy(update={"fingerprints": theirs.fingerprints | own.fingerprints})
                protection |= theirs.protection
        return protection

    def _reported(self, report: Any, own: Identity) -> Identity:
        """What a node says of itself. Raises UsageError with what speaks against it."""
        try:
            answer = self._ray.get(report, timeout=0)
        except self._ray.exceptions.GetTimeoutError:
            raise UsageError(f"it did not load azr within {START_S:g} s") from None
        except self._ray.exceptions.RayError as error:
            raise UsageError(f"azr does not start there; install it, with its plugins ({one_line(error)})") from None
        if "error" in answer:
            raise UsageError(answer["error"])
        theirs = Identity.model_validate(answer)
        if difference := own.difference(theirs):
            raise UsageError(difference)
        return theirs

    def _actor(self, node: str) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return self._kind.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(*self._arguments)

    def _hand_out(self, jobs: Sequence[dict[str, Any]], waiting: deque[int]) -> None:
        while waiting:
            member = min(self._members, key=lambda member: len(member.batches))
            if len(member.batches) == IN_FLIGHT:
                return
            if not member.batches:
                member.deadline = time.monotonic() + self._limit_s
            number = waiting.popleft()
            member.batches[member.actor.answer.remote(jobs[number])] = number

    def _hear(self) -> Iterator[tuple[int, dict[str, Any] | Lost]]:
        """Wait for an answer or a loss; the numbers of the jobs with what came of them."""
        busy = [member for member in self._members if member.batches]
        rest = min(member.deadline for member in busy) - time.monotonic()
        sent = [ref for member in busy for ref in member.batches]
        ready, _ = self._ray.wait(sent, num_returns=1, timeout=max(0.0, rest))
        for member in busy:
            yield from self._collect(member, set(ready))

    def _collect(self, member: _Member, ready: set[Any]) -> Iterator[tuple[int, dict[str, Any] | Lost]]:
        loss = ""
        for ref in [ref for ref in member.batches if ref in ready]:
            try:
                answer = self._ray.get(ref)
            except self._ray.exceptions.RayTaskError as error:
                raise PluginError(f"node {member.name}: {one_line(error)}") from error
            except self._ray.exceptions.RayError as error:
                loss = one_line(error)
                break
            self._write(answer.pop("logged"))
            member.losses, member.deadline = 0, time.monotonic() + self._limit_s
            yield member.batches.pop(ref), answer
        if not loss and member.batches and time.monotonic() >= member.deadline:
            loss = f"no answer within {self._limit_s:g} s"
        if loss:
            numbers = list(member.batches.values())
            self._replace(member, loss)
            yield from ((number, VerifierUnavailable(f"node {member.name}: {loss}")) for number in numbers)

    def _replace(self, member: _Member, loss: str) -> None:
        """Give a node another actor, unless it is gone or loses one after the other."""
        self._ray.kill(member.actor)
        member.batches.clear()
        member.losses += 1
        alive = any(node["Alive"] and node["NodeID"] == member.identity for node in self._ray.nodes())
        if not alive or member.losses == LIVES:
            return self._drop(member, f"is lost: {loss}")
        self._note(f"node {member.name} begins anew: {loss}")
        member.actor = self._actor(member.identity)

    def _drop(self, member: _Member, why: str) -> None:
        """Go on without a node. Raises UsageError where it was the last."""
        self._members.remove(member)
        self._ray.kill(member.actor)
        if not self._members:
            raise UsageError(f"node {member.name} {why}; no node of {self._address} is left to verify on")
        self._note(f"node {member.name} {why}; {_counted(len(self._members))} left")

    def _write(self, logged: str) -> None:
        if logged and self._log:
            with self._log.open("a") as stream:
                stream.write(logged)


def _counted(nodes: int) -> str:
    return f"{nodes} node{'s' * (nodes != 1)}"
