"""Commands that check a plugin: its recorded cases, or its environments as they are."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from azr_core import tables
from azr_core.cases import SKIPPED_ONE_IN, Judged, Tally, judge, read
from azr_core.display import terminal
from azr_core.errors import PluginError
from azr_core.interfaces import Environment
from azr_core.run import Request, resolve
from azr_core.testing import check_environment
from azr_core.types import Task
from azr_core.verification import Verification

SHOWN = 2  # tasks of other environments that a proposer is shown


def check_cases(request: Request, file: Path, *, as_json: bool) -> bool:
    """Whether the plugin decides as the file records; prints every case. Raises UsageError where the file or the plugin is broken."""
    with _opened(request) as (environments, verification):
        judged = judge(read(file, environments), environments, verification)
    tally = Tally.of(judged)
    if as_json:
        figures = {"plugin": _plugin(request), "cases": [_figures(one) for one in judged]}
        print(json.dumps(figures | {"agree": tally.agree, "differ": tally.differ, "skipped": tally.skipped}, indent=1))
    else:
        console = terminal()
        console.print(tables.cases(judged))
        console.print(str(tally))
    if tally.too_many_skipped:
        told = f"{tally.skipped} of {tally.total} cases are skipped, at most one in {SKIPPED_ONE_IN} may be: their proposals are refused"
        print(f"azr: {told}, so their answers decide nothing", file=sys.stderr)
    return tally.differ == 0 and not tally.too_many_skipped


def check_environments(request: Request, *, as_json: bool) -> bool:
    """Whether nothing is wrong with the plugin's environments; prints what is."""
    with _opened(request) as (environments, verification):
        found = {
            name: check_environment(environment, references=_references(environment, environments, verification))
            for name, environment in environments.items()
        }
    if as_json:
        rows = [{"name": name, "findings": findings} for name, findings in found.items()]
        print(json.dumps({"plugin": _plugin(request), "environments": rows}, indent=1))
    else:
        console = terminal()
        for name, findings in found.items():
            lines = [f"{name}: {finding}" for finding in findings] or [f"{name}: nothing found"]
            console.print(tables.visible("\n".join(lines)), markup=False, soft_wrap=True)
    return not any(found.values())


@contextmanager
def _opened(request: Request) -> Iterator[tuple[Mapping[str, Environment], Verification]]:
    """The plugin's environments and the gate in front of them, until the end."""
    config, plugins = resolve(request)
    with closing(plugins), closing(Verification(config, plugins)) as verification:
        environments = plugins.environments(config)
        if not environments:
            raise PluginError(f"plugin {_plugin(request)!r} brings no environments, so there is nothing to check")
        yield environments, verification


def _references(environment: Environment, environments: Mapping[str, Environment], verification: Verification) -> list[Task]:
    """A few tasks of the environments whose tasks its proposer is shown, made from their seeds."""
    others = [environments[name] for name in environment.references if name in environments]
    admitted = [task for other in others for task in verification.admit(other, other.seeds[:SHOWN])]
    return [task for task in admitted if isinstance(task, Task)][:SHOWN]


def _plugin(request: Request) -> str:
    return ", ".join(request.plugins)


def _figures(one: Judged) -> dict[str, Any]:
    record, verdict = one.case.record, one.verdict
    return {
        "id": record.id,
        "line": one.case.line,
        "environment": record.environment,
        "expected": {"admit": record.admit, "score": record.score},
        "found": {"admit": one.admitted, "score": one.score, "outcome": verdict.outcome, "reason": verdict.reason},
        "agrees": one.agrees,
    }
