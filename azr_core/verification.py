"""The gate: proposals become tasks and answers become verdicts, wherever the verifier runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from azr_core.cluster import Cluster
from azr_core.config import RunConfig
from azr_core.desk import Address, decode, encode, judge
from azr_core.errors import FormatError, InvalidTask, PluginError, UsageError, VerifierUnavailable
from azr_core.identity import Identity, identify
from azr_core.interfaces import Environment
from azr_core.ranks import Ranked, shares
from azr_core.types import Outcome, Proposal, Task, Verdict, task_id
from azr_core.workers import Workers


class Origins(Protocol):
    """What verification asks of the loaded plugins."""

    names: tuple[str, ...]

    def origin(self, environment: Environment) -> str | None:
        """Where a worker finds the environment's verifier; None where it cannot."""

    def listing(self) -> Sequence[Mapping[str, str]]:
        """Name, version and hash of the sources of every plugin."""


class Verification:
    """Calls verifiers. Isolated ones run in this process, others in workers, which are started when first needed; with `verify_on`,
    all of them run on the nodes of a Ray cluster, and `note` hears of nodes that are refused or lost. Without Ray, the other ranks of
    a run judge their share of every batch (`share`).

    Without plugins (tests, scripts) there are no workers and every verifier runs here. Bad replies are data: in `admit` and `grade`,
    and nowhere else, FormatError, InvalidTask and VerifierUnavailable become verdicts. Anything else a verifier raises stops the run.
    """

    def __init__(
        self,
        config: RunConfig | None = None,
        plugins: Origins | None = None,
        log: Path | None = None,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._config = config
        self._plugins = plugins
        self._log = log
        self._note = note
        self._workers: Workers | Cluster | None = None
        self._others = Ranked()

    def start(self, environments: Collection[Environment]) -> None:
        """Start the workers if one of these environments needs them, so that they load while other things do."""
        if not (self._config and self._plugins) or self._workers:
            return
        if self._config.verify_on:
            own = self._identity(self._plugins, environments)
            self._workers = Cluster(self._config, self._plugins.names, own, log=self._log, note=self._note)
        elif any(not environment.verifier.isolated for environment in environments):
            self._workers = Workers(self._config, self._plugins.names, self._log)

    def share(self, others: Ranked, environments: Collection[Environment]) -> None:
        """Let the other ranks judge too. Raises UsageError where one of them would judge otherwise than this one."""
        if others.ranks == 1 or not self._plugins or isinstance(self._workers, Cluster):
            return
        own = self._identity(self._plugins, environments)
        with others.judging([{}] * (others.ranks - 1)) as answers:
            reports = answers() if answers else []
        for rank, report in enumerate(reports, 1):
            difference = report.get("error") or own.difference(Identity.model_validate(report))
            if difference:
                raise UsageError(f"rank {rank} cannot judge with rank 0: {difference}")
        self._others = others

    def describe(self, environments: Collection[Environment]) -> dict[str, str]:
        """What the plan says of it: what contains hostile work, and where. Raises UsageError where nothing does and something must."""
        cluster = self._workers if isinstance(self._workers, Cluster) else None
        lines = cluster.protection if cluster else {environment.verifier.protection() for environment in environments}
        protection = {"protection": "; ".join(sorted(lines - {""})) or "none needed"}
        return {"verified on": str(cluster), **protection} if cluster else protection

    def admit(self, environment: Environment, proposals: Sequence[Proposal]) -> list[Task | Verdict]:
        """The task or the refusal of each proposal, in order. A task whose own answer does not score 1.0 is refused."""
        judged: list[Task | Verdict] = []
        for result in self._call(environment, "admit", proposals):
            verdict = result if isinstance(result, Task) else _refusal(result, Outcome.INVALID)
            if verdict is None:
                raise PluginError(f"{environment.name}: its verifier admitted {type(result).__name__}, not a Task")
            judged.append(verdict)
        return self._hold_to_the_law(environment, judged)

    def grade(self, environment: Environment, pairs: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """The verdict of each (task, answer), in order."""
        judged: list[Verdict] = []
        for (task, _), result in zip(pairs, self._call(environment, "grade", pairs), strict=True):
            verdict = _scored(result) or _refusal(result, Outcome.TIMEOUT)
            if verdict is None:
                where = f"{environment.name}, task {task_id(environment.name, task)}"
                raise PluginError(f"{where}: its verifier scored {result!r}; return a number from 0 to 1 or a Verdict")
            judged.append(verdict)
        return judged

    def close(self) -> None:
        """End the workers."""
        if self._workers:
            self._workers.close()
            self._workers = None

    def _hold_to_the_law(self, environment: Environment, judged: list[Task | Verdict]) -> list[Task | Verdict]:
        tasks = [task for task in judged if isinstance(task, Task)]
        verdicts = iter(self.grade(environment, [(task, task.answer) for task in tasks]))
        return [_lawful(item, next(verdicts)) if isinstance(item, Task) else item for item in judged]

    def _call(self, environment: Environment, method: str, items: Sequence[Any]) -> list[Any]:
        if not items:
            return []
        self.start([environment])
        origin = self._plugins.origin(environment) if self._plugins else None
        if origin is None:
            return self._alone(environment, method, items, origin)
        first, *rest = shares(items, self._others.ranks)
        with self._others.judging([encode(Address(origin, environment.name), method, share) for share in rest]) as answers:
            if not answers:
                return self._alone(environment, method, items, origin)
            own = self._alone(environment, method, first, origin)
            return [*own, *(result for answer in answers() for result in self._heard(environment, answer))]

    def _alone(self, environment: Environment, method: str, items: Sequence[Any], origin: str | None) -> list[Any]:
        """Results of this rank: of a verifier in this process, of its workers, or of the cluster."""
        isolated = environment.verifier.isolated
        if self._workers is None or (isolated and (origin is None or isinstance(self._workers, Workers))):
            return self._here(environment, method, items)
        if origin is None:
            raise PluginError(f"{environment.name}: its verifier is not isolated, and no loaded plugin brings it for a worker to find")
        return decode(environment, self._workers.answer(encode(Address(origin, environment.name), method, items)))

    def _heard(self, environment: Environment, answer: dict[str, Any]) -> list[Any]:
        """Results of another rank, whose log goes into this one's."""
        logged = answer.pop("logged", "")
        if logged and self._log:
            with self._log.open("a") as stream:
                stream.write(logged)
        return decode(environment, answer)

    def _identity(self, plugins: Origins, environments: Collection[Environment]) -> Identity:
        try:
            return identify(plugins.listing(), environments)
        except UsageError:
            return identify(plugins.listing(), ())  # nothing contains hostile work here: the first node sets the measure

    def _here(self, environment: Environment, method: str, items: Sequence[Any]) -> list[Any]:
        from azr_core.loading import write_traceback  # upward on purpose: tracebacks of plugins go where the loader's do

        try:
            return judge(environment, method, items)
        except PluginError as error:
            if error.__cause__:
                write_traceback(error.__cause__, self._log)
            raise


def _refusal(result: object, overtime: Outcome) -> Verdict | None:
    """The verdict a refusal stands for; overtime: what it is to take too long. None for anything else."""
    outcomes = {FormatError: Outcome.MALFORMED, InvalidTask: Outcome.INVALID, VerifierUnavailable: Outcome.FAILED, TimeoutError: overtime}
    for kind, outcome in outcomes.items():
        if isinstance(result, kind):
            return Verdict(outcome, reason=f"timeout: {result}" if kind is TimeoutError else str(result))
    return None


def _scored(result: object) -> Verdict | None:
    if isinstance(result, int | float) and math.isfinite(result) and 0.0 <= result <= 1.0:
        return Verdict(Outcome.SOLVED if result >= 1.0 else Outcome.WRONG, float(result))
    return result if isinstance(result, Verdict) else None


def _lawful(task: Task, verdict: Verdict) -> Task | Verdict:
    if verdict.outcome is Outcome.FAILED:
        return verdict
    return task if verdict.outcome is Outcome.SOLVED else Verdict(Outcome.INVALID, reason="its own answer does not score 1.0")
