"""The command `azr transfer` at a terminal: the plan, the runs, the matrix."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azr_core import matrix_report, overlap, pilot, study, transfer
from azr_core.config import parse
from azr_core.display import choose, plan_table, terminal
from azr_core.errors import ConfigError, RunError
from azr_core.matrix import Column, matrix
from azr_core.matrix_report import Findings
from azr_core.study import UNTRAINED, Study


@dataclass(frozen=True)
class Where:
    """Where and how it is run. cells: patterns of the runs that this machine plays; empty: all."""

    out: Path | None
    jobs: int
    cells: tuple[str, ...]
    dry_run: bool
    only_report: bool
    as_json: bool


def cross(plugins: tuple[str, ...], settings: Mapping[str, Any], asked: Mapping[str, Any], where: Where) -> None:
    """Run what is not finished, and show the matrix. Raises UsageError."""
    console = terminal(stderr=where.as_json)
    paths = tuple(str(Path(name).resolve()) if name.endswith(".py") else name for name in plugins)
    given = {key: value for key, value in asked.items() if value is not None}
    folder = where.out or Path("studies") / "-".join(["transfer", *(Path(name).stem for name in plugins)])
    if where.only_report:
        wanted = _recalled(folder)
    elif not plugins:
        raise ConfigError("no plugin named; say which domains to cross, for example --plugin python --plugin math")
    else:
        wanted = parse(transfer.Asked, {"plugins": paths, "settings": dict(settings), "jobs": where.jobs} | given, "azr transfer")
    plan = transfer.layout(wanted)
    with choose(console) as display:
        if where.dry_run:
            made = plan.study(folder, {"steps": wanted.steps} if wanted.steps else {"tokens": wanted.tokens or 1})
            shown = _plan(plan, made, folder)
            if wanted.hours:
                shown["budget"] = f"as many generated tokens a run as {wanted.hours:g} h in all allow, which a pilot finds out"
            display.plan(shown)
            return
        if not where.only_report:
            transfer.prepare(wanted, folder)
        made = plan.study(folder, pilot.budget(plan, folder, display))
        if not where.only_report:
            study.claim(made)
            display.plan(_plan(plan, made, folder))
            study.play(made, where.jobs, display, where.cells)
    _show(_findings(plan, made, folder), folder, as_json=where.as_json)


def _recalled(folder: Path) -> transfer.Asked:
    before = transfer.recall(folder)
    if before is None:
        raise RunError(f"{folder} holds no transfer study; start one with azr transfer --plugin NAME --plugin NAME, or mend --out")
    return before


def _plan(plan: transfer.Layout, made: Study, folder: Path) -> dict[str, str]:
    """What will be run and what it could find, label to text."""
    start = transfer.untrained(made)
    found = transfer.power(plan, start)
    what = "of the measured model" if start else "at worst; less once the untrained model is measured"
    rows = ", ".join(f"{name} ({kind})" for name, kind in plan.rows.items())
    return {
        "study": str(folder),
        "rows": rows,
        "runs": f"{len(plan.rows)} rows x {plan.asked.seeds} seeds, and the untrained model",
        "budget": transfer.budget_text(plan, made),
        "measured on": ", ".join(f"{column.title} ({count})" for column, count in plan.items().items() if column.measure == "pass@1"),
        "finds gains of": f"{_shortest(found)} points ({what}; four of five times; more where seeds differ)",
    }


def _shortest(found: Mapping[Column, float]) -> str:
    by_measure: dict[str, list[float]] = {}
    for column, gain in found.items():
        by_measure.setdefault(column.measure, []).append(100 * gain)
    return ", ".join(f"{measure} {min(gains):.1f} to {max(gains):.1f}" for measure, gains in by_measure.items())


def _findings(plan: transfer.Layout, made: Study, folder: Path) -> Findings:
    start = transfer.untrained(made)
    if start is None:
        raise RunError(f"{folder}: the untrained model was not measured yet; run the study without --report or --cells first")
    found = study.histories(made)
    rows = transfer.trained(plan, found)
    if not any(row.runs for row in rows):
        raise RunError(f"{folder}: no run has finished yet; the same command goes on")
    runs = [directory for name, directories in found.items() if name != UNTRAINED for directory in directories]
    text = transfer.budget_text(plan, made)
    missing = study.unfinished(found, made)
    return Findings(matrix(rows, start), text, transfer.power(plan, start), *overlap.overlaps(runs, plan.benchmarks), missing)


def _show(findings: Findings, folder: Path, *, as_json: bool) -> None:
    written = matrix_report.write(findings, folder)
    if as_json:
        print(json.dumps(matrix_report.as_json(findings), indent=1))
        return
    console = terminal()
    for table in matrix_report.tables(findings):
        console.print(table, soft_wrap=True)
    for sentence in matrix_report.closing(findings):
        console.print(sentence, style="dim", markup=False, highlight=False)
    console.print(plan_table({"written": str(written), "picture": str(folder / "matrix.png")}), soft_wrap=True)
