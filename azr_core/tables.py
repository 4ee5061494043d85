"""Tables that the commands print."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from azr_core.cases import Judged
from azr_core.curves import ALL, Curve
from azr_core.examination import Found
from azr_core.history import History
from azr_core.report import change, lasted, percent, points
from azr_core.series import short_names
from azr_core.statistics import Estimate, estimate
from azr_core.types import Check


def accuracy(history: History) -> RenderableType:
    """Held-out accuracy of a run: benchmark, kind, decoding, start, end, and the gain with its interval."""
    if not history.curves:
        return Text("held-out accuracy was not measured", style="dim")
    table = _table("benchmark", "kind", "decoding")
    _numbers(table, "tasks", "start", "end", "gain, points")
    kinds = short_names(sorted({curve.kind for curve in history.curves}))
    for curve in history.shown:
        style = "bold" if curve.kind == ALL else ""
        end, gain = change(curve)
        cells = (curve.benchmark, kinds[curve.kind], curve.decoding, str(curve.n), percent(curve.start.mean), end)
        table.add_row(*cells, Text(gain, style=_colour(curve)), style=style, end_section=curve.kind == ALL)
    return Group(table, Text("gains are paired by task, ± half the 95 % interval; grey ones cannot be told from chance", style="dim"))


def health(history: History) -> RenderableType:
    """The alarms of a run: when, what was seen, what to try."""
    if not history.alarms:
        return Text("health: no alarm was raised" if history.steps else "health: nothing was played", style="dim")
    table = _table("steps", "health", "what to try in the next run")
    for alarm in history.alarms:
        finding = Text.assemble((alarm.finding, "red" if alarm.end is None else "yellow"), f": {alarm.rule.meaning}")
        table.add_row(lasted(alarm), finding, Text(alarm.rule.advice))
    return table


def seeds(histories: Sequence[History]) -> RenderableType:
    """Several runs beside each other: mean accuracy at the start and the end, mean, least and greatest gain."""
    curves: defaultdict[tuple[str, str, str], list[Curve]] = defaultdict(list)
    for history in histories:
        for curve in (curve for curve in history.shown if not curve.once):
            curves[curve.benchmark, curve.kind, curve.decoding].append(curve)
    table = _table("benchmark", "kind", "decoding")
    _numbers(table, "runs", "start", "end", "mean gain", "least", "greatest")
    kinds = short_names(sorted({kind for _, kind, _ in curves}))
    for (benchmark, kind, decoding), group in curves.items():
        gains = [curve.gain.mean for curve in group]
        start, end = (sum(values) / len(group) for values in ([c.start.mean for c in group], [c.end.mean for c in group]))
        ends = (f"{100 * min(gains):+.1f}", f"{100 * max(gains):+.1f}")
        style = "bold" if kind == ALL else ""
        table.add_row(
            benchmark, kinds[kind], decoding, str(len(group)), percent(start), percent(end), points(estimate(gains)), *ends, style=style
        )
    return Group(table, Text("points; mean over the runs ± half its 95 % interval (few runs: take it as rough)", style="dim"))


def levels(rows: Iterable[tuple[str, str, str, Estimate, int]]) -> RenderableType:
    """Accuracy of one model: (benchmark, kind, decoding, accuracy, tasks)."""
    table = _table("benchmark", "kind", "decoding")
    _numbers(table, "tasks", "accuracy", "±")
    for benchmark, kind, decoding, level, count in rows:
        half = "-" if level.half_width is None else f"{100 * level.half_width:.1f}"
        table.add_row(benchmark, kind, decoding, str(count), percent(level.mean), half, style="bold" if kind == ALL else "")
    return table


def plain(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> RenderableType:
    """Any rows of text."""
    table = _table(*heads)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def cases(judged: Iterable[Judged]) -> RenderableType:
    """Recorded cases, those that differ first."""
    table = _table("case", "environment", "expected", "found", "agrees", "why")
    marks = {False: Text("differs", style="red"), None: Text("skipped", style="yellow"), True: Text("agrees", style="green")}
    order = list(marks)
    for one in sorted(judged, key=lambda one: order.index(one.agrees)):
        record, verdict = one.case.record, one.verdict
        name = f"line {one.case.line}" if record.id is None else str(record.id)
        asked = {True: "admit", False: "refuse", None: ""}[record.admit]
        found = Text(str(verdict.outcome) + _score(", ", one.score))
        why = "; recorded: ".join(text for text in (verdict.reason, record.why) if text)
        expected = Text(asked + _score(", " if asked else "", record.score))
        table.add_row(Text(visible(name)), record.environment, expected, found, marks[one.agrees], Text(visible(why)))
    return table


def checks(sections: Iterable[tuple[str, Sequence[str], Sequence[Check]]]) -> RenderableType:
    """What was found on this machine: (title, environments it is about, checks); then what to do, each once."""
    parts: list[RenderableType] = []
    mends: dict[tuple[bool, str], list[str]] = {}
    broken = 0
    for title, about, found in sections:
        parts.append(Text.assemble((title, "bold cyan"), (f"  of {', '.join(about)}" if about else "", "dim")))
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, min_width=6)
        table.add_column(min_width=21)
        table.add_column(overflow="fold")
        for check in found:
            broken += not check.held
            table.add_row(_mark(check), Text(visible(check.name)), Text(visible(check.observed)))
            if check.mend:
                mends.setdefault((check.held, check.mend), []).append(check.name)
        parts += [table, Text("")]
    for held, title in ((False, "what to do"), (True, "what could be added")):
        lines = [Text.assemble((", ".join(names), "bold"), ": ", visible(mend)) for (kept, mend), names in mends.items() if kept is held]
        parts += [Text(title, style="bold cyan"), *lines, Text("")] if lines else []
    parts.append(Text(f"{broken} broken", style="bold red") if broken else Text("all that is needed works", style="bold green"))
    return Group(*parts)


def episode(row: Mapping[str, Any]) -> RenderableType:
    """One episode as text: what was asked, what came back, what was decided and why."""
    head = f"step {row['step']}  {row['environment']}  {row['kind']}  {row['outcome']}"
    parts: list[RenderableType] = [Text(head, style="bold cyan")]
    for label in ("prompt", "reply"):
        parts += [Text(f"{label} ({row[f'{label}_tokens']} tokens)", style="dim"), Text(visible(row[label]))]
    verdict = f"{row['outcome']}, score {row['score'] or 0.0:g}" + (f": {visible(row['reason'])}" if row["reason"] else "")
    numbers = [f"{name.replace('_', ' ')} {row[name]:.3g}" for name in ("solve_rate", "reward", "advantage") if row[name] is not None]
    numbers += ["" if row["trained"] else "not trained on", f"task {row['task'][:12]}" if row["task"] else ""]
    parts += [Text("verdict", style="dim"), Text(verdict), Text("  ".join(number for number in numbers if number), style="dim"), Text("")]
    return Group(*parts)


def visible(text: str) -> str:
    """Text of a model with control characters written out, so that it cannot move the cursor or retitle the terminal."""
    return "".join(char if char in "\n\t" or char.isprintable() else repr(char)[1:-1] for char in text)


def _score(before: str, score: float | None) -> str:
    return "" if score is None else f"{before}score {score:g}"


def _mark(check: Check) -> Text:
    if not check.held:
        return Text("broken", style="bold red")
    return Text("-", style="yellow") if check.mend else Text("ok", style="green")


def _colour(curve: Curve) -> str:
    gain = curve.gain
    if gain.low is None or gain.high is None or gain.low <= 0.0 <= gain.high:
        return "bright_black"
    return "green" if gain.mean > 0 else "red"


def public(results: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Accuracies on public benchmarks, with standard errors, in per cent."""
    table = _table("benchmark", "decoding", "measure")
    _numbers(table, "n", "samples", "%", "standard error", "truncated", "no answer")
    for result in results:
        start = (result["benchmark"], result["decoding"]["name"])
        counts = (str(result["n"]), str(result["samples"]))
        rates = [percent(result[name]) for name in ("truncation_rate", "extraction_failure_rate")]
        for measure in (name for name in result if f"{name} standard error" in result):
            error = result[f"{measure} standard error"]
            table.add_row(*start, measure, *counts, percent(result[measure]), "" if error is None else percent(error), *rates)
    return table


def self_test(lines: Sequence[Found]) -> RenderableType:
    """Golds that passed, beside how many must."""
    table = _table("benchmark", "measure")
    _numbers(table, "found", "expected", "", "seconds")
    for line in lines:
        mark = Text("ok", style="green") if line.held else Text("differs", style="red")
        table.add_row(line.benchmark, line.measure, f"{line.passed} of {line.total}", line.expected, mark, f"{line.seconds:.1f}")
    return table


def _table(*heads: str) -> Table:
    table = Table(box=SIMPLE_HEAD, header_style="dim", pad_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


def _numbers(table: Table, *heads: str) -> None:
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
