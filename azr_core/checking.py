"""Commands that check a plugin: its recorded cases, or its environments as they are."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from rich.status import Status

from azr_core import tables
from azr_core.cases import SKIPPED_ONE_IN, Judged, Tally, judge, read
from azr_core.display import terminal
from azr_core.errors import PluginError
from azr_core.interfaces import Environment
from azr_core.proctor import Proctor, Report
from azr_core.run import Request, resolve
from azr_core.verification import Verification


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


def check_plugins(requests: Sequence[Request], beside: Sequence[str], *, as_json: bool) -> int:
    """Try everything with each plugin and print what is wrong; the exit code: 0 nothing, 1 something, 2 a plugin is broken.

    beside: plugins that are loaded with each of them, such as those whose verifiers it replaces.
    """
    console = terminal(stderr=True)
    reports = []
    for request in requests:
        with console.status(request.plugins[0]) if console.is_terminal else nullcontext() as status:
            tell = partial(_tell, status) if status else _silent
            report = Proctor(request.plugins[0], (*beside, *request.plugins), request.settings, tell).check()
        reports.append(report)
        if not as_json:
            _print(report)
    if as_json:
        rows = [report.as_json() for report in reports]
        print(json.dumps(rows[0] if len(rows) == 1 else rows, indent=1))
    return max(report.code for report in reports)


def _tell(status: Status, text: str) -> None:
    status.update(tables.visible(text))


def _silent(text: str) -> None:
    pass


def _print(report: Report) -> None:
    console = terminal()
    lines = [f"{report.plugin}: {finding}" for finding in report.of(report.plugin)]
    for name in dict.fromkeys(name for name, _ in report.tried):
        found = report.of(name)
        lines += [f"{name}: {finding}" for finding in found] or [f"{name}: nothing found"]
        lines.append(f"{name}: {_figures_told(report, name)}")
    if not report.environments and not report.error:
        lines.append(f"{report.plugin}: it brings no environments, so only its loading was checked")
    if lines:
        console.print(tables.visible("\n".join(lines)), markup=False, highlight=False, soft_wrap=True)
    if report.error:
        print(f"azr: {report.error}", file=sys.stderr)


def _figures_told(report: Report, name: str) -> str:
    figures = report.figures.get(name, {})
    trials = f"{sum(environment == name for environment, _ in report.tried)} trials"
    if "verdict_p50_s" in figures:
        trials += f", verdict {1e3 * figures['verdict_p50_s']:.2g} ms (p99 {1e3 * figures['verdict_p99_s']:.2g})"
    if "guess_share" in figures:
        trials += f", the best guess earns {figures['guess_share']:.1%} of {figures['guess_tasks']:.0f} tasks"
    return trials


@contextmanager
def _opened(request: Request) -> Iterator[tuple[Mapping[str, Environment], Verification]]:
    """The plugin's environments and the gate in front of them, until the end."""
    config, plugins = resolve(request)
    with closing(plugins), closing(Verification(config, plugins)) as verification:
        environments = plugins.environments(config)
        if not environments:
            raise PluginError(f"plugin {_plugin(request)!r} brings no environments, so there is nothing to grade")
        yield environments, verification


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
