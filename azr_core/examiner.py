"""The process in which a plugin is checked: it loads the plugin, tries its environments, and says what it does as it does it.

`python -m azr_core.examiner FD` reads a job from its input and writes events to the file descriptor, a JSON object a line.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from azr_core.config import RunConfig
from azr_core.errors import UsageError
from azr_core.footprint import Footprint
from azr_core.interfaces import Environment
from azr_core.loading import first_line
from azr_core.plugins import Plugins
from azr_core.run import Request, resolve
from azr_core.subject import Subject
from azr_core.trials import TRIALS, Trial, examine
from azr_core.types import Task
from azr_core.verification import Verification

SHOWN = 2  # tasks of other environments that a proposer is shown
VERDICT_S = 10.0  # seconds of one verdict, at most
MEMORY = 6 << 30  # bytes of writable memory a process

_dumps = json.dumps  # as it is before a plugin is loaded


class Say(Protocol):
    """Writes an event."""

    def __call__(self, event: str, text: str = "", **content: Any) -> None:
        """Write it."""


def serve(descriptor: int) -> None:
    """Do the job that stands in the standard input."""
    stream = os.fdopen(descriptor, "w", buffering=1)

    def say(event: str, text: str = "", **content: Any) -> None:
        stream.write(_dumps({"event": event, "text": text, **content}) + "\n")

    job = json.loads(sys.stdin.readline())
    _bound_memory()
    try:
        _examine(job, say)
    except UsageError as error:
        say("broken", str(error))
    except Exception as error:
        say("broken", f"{type(error).__name__}: {first_line(error)}")
    say("done")


def _examine(job: Mapping[str, Any], say: Say) -> None:
    """Load the plugin and try what is asked for. only: (environment, trial) pairs, none for all of them; skip: pairs that were tried."""
    before = Footprint.take()
    say("loading")
    config, plugins = resolve(Request(tuple(job["names"]), job["settings"]))
    config = config.model_copy(update={"verify_timeout": min(config.verify_timeout, VERDICT_S)})
    with closing(plugins), closing(Verification(config, plugins)) as verification:
        environments = plugins.environments(config)
        held_out = _held_out(plugins, config)
        _tell_changes(before, "loading it", say)
        say("loaded", environments=list(environments))
        for name, environment in environments.items():
            only, skip = job["only"], job["skip"]
            chosen = [trial for trial in TRIALS if (only is None or [name, trial.id] in only) and [name, trial.id] not in skip]
            shown = _shown(environment, environments, verification) if chosen else ()
            subject = Subject(environment, verification, Path(job["canary"]), config, plugins.names, held_out, shown, partial(say, "tell"))
            _try(subject, chosen, say)
        _tell_changes(before, "trying its environments", say)


def _try(subject: Subject, chosen: Sequence[Trial], say: Say) -> None:
    for trial in chosen:
        say("begin", environment=subject.name, trial=trial.id)
        for _, found in examine(subject, [trial]):
            say("end", environment=subject.name, trial=trial.id, findings=[asdict(finding) for finding in found])
    say("figures", environment=subject.name, figures=subject.figures)


def _held_out(plugins: Plugins, config: RunConfig) -> frozenset[str]:
    benchmarks = plugins.benchmarks(config)
    return frozenset(task.key() for benchmark in benchmarks for tasks in benchmark.tasks.values() for task in tasks)


def _shown(environment: Environment, environments: Mapping[str, Environment], verification: Verification) -> list[Task]:
    """A few tasks of the environments whose tasks a proposer is shown, made from their seeds."""
    others = [environments[name] for name in environment.references if name in environments]
    admitted = [task for other in others for task in verification.admit(other, other.seeds[:SHOWN])]
    return [task for task in admitted if isinstance(task, Task)][:SHOWN]


def _tell_changes(before: Footprint, when: str, say: Say) -> None:
    changes = before.changes()
    before.restore()
    for what, mend in changes:
        say("changed", what=what, when=when, mend=mend)


def _bound_memory() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    except (ImportError, ValueError, OSError):
        pass  # not every system has it; what takes too much is then slow, and killed for that


if __name__ == "__main__":
    serve(int(sys.argv[1]))
