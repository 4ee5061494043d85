"""What a verifier makes of a batch, and the JSON in which a worker is asked and answers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from azr_core.config import RunConfig
from azr_core.errors import FormatError, InvalidTask, PluginError, UsageError, VerifierUnavailable
from azr_core.identity import Identity, identify
from azr_core.interfaces import Environment
from azr_core.types import Outcome, Proposal, Task, Verdict, task_id

Lost = VerifierUnavailable | TimeoutError
_REFUSALS = {kind.__name__: kind for kind in (FormatError, InvalidTask, VerifierUnavailable)}
_LOSSES = {kind.__name__: kind for kind in (VerifierUnavailable, TimeoutError)}


@dataclass(frozen=True)
class Address:
    """Where a worker finds a verifier. origin: a benchmark's name, or empty for the run's environments."""

    origin: str
    environment: str


class Desk:
    """The worker's side: the loaded plugins and what they answer to a job."""

    def __init__(self, config_json: str, names: tuple[str, ...], log: Path) -> None:
        from azr_core.plugins import load  # upward on purpose: the child is a small host of its own

        self._config = RunConfig.model_validate_json(config_json)
        self._log = log
        self._plugins = load(names, log)
        self._environments: dict[str, dict[str, Environment]] = {"": self._plugins.environments(self._config)}

    def answer(self, job: dict[str, Any]) -> dict[str, Any]:
        """The verifier's results as JSON, or the unexpected error in one line."""
        from azr_core.loading import write_traceback

        try:
            environment = self._find(job["origin"], job["environment"])
            if job["method"] == "admit":
                items: list[Any] = [_proposal(*item) for item in job["items"]]
            else:
                items = [(environment.task_type.model_validate_json(task), answer) for task, answer in job["items"]]
            found = judge(environment, job["method"], items)
            return {"results": [_to_json(result) for result in found]}
        except Exception as error:
            write_traceback(error, self._log)
            return {"error": str(error) if isinstance(error, UsageError) else f"{job['environment']}: {type(error).__name__}: {error}"}

    def isolated(self, job: dict[str, Any]) -> bool:
        """Whether the job's verifier contains its own hostile work."""
        return self._find(job["origin"], job["environment"]).verifier.isolated

    def identity(self) -> Identity:
        """What is loaded here."""
        return identify(self._plugins.listing(), self._environments[""].values())

    def close(self) -> None:
        """Close the plugins."""
        self._plugins.close()

    def _find(self, origin: str, name: str) -> Environment:
        if origin and len(self._environments) == 1:  # benchmarks may be large, and most runs never ask
            for benchmark in self._plugins.benchmarks(self._config):
                self._environments[benchmark.name] = {env.name: env for env in benchmark.environments.values()}
        return self._environments[origin][name]


def judge(environment: Environment, method: str, items: Sequence[Any]) -> list[Any]:
    """What the verifier makes of a batch, in order; refusals in their place.

    An unexpected error is traced to its item by calling one by one, and raised as PluginError.
    """
    call: Any = environment.verifier.admit_many if method == "admit" else environment.verifier.grade_many
    try:
        results = list(call(items))
    except UsageError:
        raise
    except Exception as error:
        refused = isinstance(error, tuple(_REFUSALS.values()))
        if refused and len(items) == 1:
            return [error]
        alone = [result for item in items for result in judge(environment, method, [item])] if len(items) > 1 else []
        if refused:
            return alone
        raise PluginError(f"{_place(environment, method, items)}: {type(error).__name__}: {error}") from error
    if len(results) != len(items):
        raise PluginError(f"{_place(environment, method, items)}: {method}_many gave {len(results)} results for {len(items)}")
    return results


def encode(address: Address, method: str, items: Sequence[Any]) -> dict[str, Any]:
    """A job: admit proposals, or grade (task, answer) pairs."""
    job: dict[str, Any] = {"origin": address.origin, "environment": address.environment, "method": method}
    if method == "admit":
        job["items"] = [[type(item).__module__, type(item).__qualname__, item.model_dump_json()] for item in items]
    else:
        job["items"] = [[task.model_dump_json(), answer] for task, answer in items]
    return job


def answer_in_batches(
    call: Callable[[list[dict[str, Any]]], Sequence[dict[str, Any] | Lost]], job: dict[str, Any], size: int
) -> dict[str, Any]:
    """The answer to a job that is asked in batches of `size` items.

    A batch that is lost with its process is asked once more, one by one, which finds the culprit.
    """
    results: list[Any] = []
    batches = _split(job, size)
    for batch, answer in zip(batches, call(batches), strict=True):
        for single in call(_split(batch, 1)) if isinstance(answer, Exception) else [answer]:
            if isinstance(single, Exception):
                results.append([type(single).__name__, str(single)])
            elif "error" in single:
                return single
            else:
                results += single["results"]
    return {"results": results}


def decode(environment: Environment, result: dict[str, Any]) -> list[Any]:
    """What `judge` returned in the worker, with what was lost in its place. Raises PluginError."""
    if "error" in result:
        raise PluginError(result["error"])
    try:
        return [_from_json(environment, kind, content) for kind, *content in result["results"]]
    except ValidationError as error:
        fault = error.errors()[0]
        raise PluginError(
            f"{environment.name}: a task does not survive JSON ({fault['loc']}: {fault['msg']}); mend its task_type"
        ) from error


def _split(job: dict[str, Any], size: int) -> list[dict[str, Any]]:
    items = job["items"]
    return [job | {"items": items[start : start + size]} for start in range(0, len(items), size)]


def _place(environment: Environment, method: str, items: Sequence[Any]) -> str:
    if len(items) != 1:
        return f"{environment.name}, {method} of a batch of {len(items)}"
    subject = repr(items[0])[:200] if method == "admit" else f"task {task_id(environment.name, items[0][0])}"
    return f"{environment.name}, {method} of {subject}"


def _from_json(environment: Environment, kind: str, content: list[Any]) -> Any:
    if kind == "task":
        return environment.task_type.model_validate_json(content[0])
    if kind == "verdict":
        return Verdict(Outcome(content[0]), content[1], content[2])
    return content[0] if kind == "score" else (_REFUSALS | _LOSSES)[kind](content[0])


def _to_json(result: Any) -> list[Any]:
    match result:
        case Task():
            return ["task", result.model_dump_json()]
        case Verdict():
            return ["verdict", result.outcome, result.score, result.reason]
        case FormatError() | InvalidTask() | VerifierUnavailable():
            kind = next(name for name, refusal in _REFUSALS.items() if isinstance(result, refusal))
            return [kind, str(result)]
        case int() | float():
            return ["score", result]
        case _:
            raise TypeError(f"the verifier returned {type(result).__name__}")


def _proposal(module: str, name: str, content: str) -> Proposal:
    found: Any = sys.modules[module]
    for part in name.split("."):
        found = getattr(found, part)
    if not (isinstance(found, type) and issubclass(found, Proposal)):
        raise TypeError(f"{module}.{name} is not a Proposal")
    return found.model_validate_json(content)
