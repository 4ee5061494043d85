"""A run as figures, as a page to read, and as a folder with both and a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from azr_core.curves import ALL, Curve
from azr_core.errors import RunError
from azr_core.health import Alarm
from azr_core.history import History, read
from azr_core.series import duration, environments, mean
from azr_core.statistics import Estimate


def summary(history: History) -> dict[str, Any]:
    """The figures of a run for machines. Accuracies, rates and gains are fractions; `gain_ci95` is [low, high]."""
    return {
        "run": history.name,
        "seed": history.config.get("seed", 0),
        "steps": history.last_step,
        "wall_s": round(history.wall_s, 1),
        "evaluation_s": round(history.seconds["evaluation_s"], 1),
        "tokens_generated": int(history.total("tokens/generated")),
        "tokens_trained": int(history.total("tokens/trained")),
        "time_share": {name: round(share, 4) for name, share in history.time_share.items()},
        "environments": {name: _environment(history, name) for name in environments(history.metrics)},
        "benchmarks": [_benchmark(curve) for curve in history.curves],
        "alarms": [alarm.record() for alarm in history.alarms],
    }


def _environment(history: History, name: str) -> dict[str, Any]:
    attempts = history.total(f"attempts/{name}")
    rewards = {
        role: mean(metrics[key] for metrics in history.metrics if key in metrics)
        for role, key in (("propose", f"reward/propose/{name}"), ("solve", f"reward/solve/{name}"))
    }
    return {
        "proposed": int(history.total(f"proposed/{name}")),
        "admitted": int(history.total(f"admitted/{name}")),
        "duplicates": int(history.total(f"duplicates/{name}")),
        "solve_rate": _rounded(history.total(f"solved/{name}") / attempts if attempts else None),
        "reward": {role: _rounded(reward) for role, reward in rewards.items()},
    }


def _benchmark(curve: Curve) -> dict[str, Any]:
    gain = curve.gain
    return {
        "name": curve.benchmark,
        "kind": curve.kind,
        "decoding": curve.decoding,
        "n": curve.n,
        "start": _rounded(curve.start.mean),
        "end": None if curve.once else _rounded(curve.end.mean),
        "gain": None if curve.once else _rounded(gain.mean),
        "gain_ci95": None if curve.once or gain.low is None else [_rounded(gain.low), _rounded(gain.high)],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)


def percent(share: float | None) -> str:
    """A fraction for people: `41.2 %`."""
    return "-" if share is None else f"{100 * share:.1f} %"


def points(gain: Estimate) -> str:
    """A gain for people, in percentage points with half its 95 % interval: `+7.5 ± 1.8`."""
    half = "" if gain.half_width is None else f" ± {100 * gain.half_width:.1f}"
    return f"{100 * gain.mean:+.1f}{half}"


def change(curve: Curve) -> tuple[str, str]:
    """Accuracy at the end and the gain, for people; dashes where there is one measurement only."""
    return ("-", "-") if curve.once else (percent(curve.end.mean), points(curve.gain))


def sentence(curve: Curve) -> str:
    """What one curve says, in words that claim no more than its interval."""
    gain = curve.gain
    head = f"{curve.benchmark}, {curve.decoding}: {percent(curve.start.mean)} → {percent(curve.end.mean)}"
    if curve.once:
        return f"{curve.benchmark}, {curve.decoding}: {percent(curve.start.mean)}, measured once"
    if gain.low is None or gain.high is None or gain.low <= 0.0 <= gain.high:
        return f"{head}; the change of {points(gain)} points cannot be told from chance"
    return f"{head}; {'gained' if gain.mean > 0 else 'lost'} {points(gain)} points"


def markdown(history: History) -> str:
    """The page `report.md`."""
    figures = summary(history)
    shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in figures["time_share"].items())
    plugins = ", ".join(history.config["plugins"])
    lines = [
        f"# {history.name}",
        "",
        f"{figures['steps']} self-play steps in {duration(history.wall_s)} (seed {figures['seed']}; plugins {plugins}).",
        f"{figures['tokens_generated']:,} tokens generated, {figures['tokens_trained']:,} trained on. Time: {shares}; "
        f"evaluation took {duration(figures['evaluation_s'])} of it.",
        "",
        *(f"- {sentence(curve)}" for curve in history.curves if curve.kind == ALL),
        "",
        "![curves](curves.png)",
        "",
        "## Held-out accuracy",
        "",
        "Gains are percentage points with 95 % intervals, paired task by task.",
        "",
        *accuracy(history),
        "",
        "## Self-play",
        "",
        *table(
            ("environment", "proposed", "admitted", "duplicates", "solve rate", "reward, propose", "reward, solve"),
            [_played(name, played) for name, played in figures["environments"].items()],
        ),
        "",
        *_health(history),
        "",
        f"Settings: `config.json`. Read episodes with `azr show {history.name}`.",
    ]
    return "\n".join(lines) + "\n"


def _health(history: History) -> list[str]:
    rows = [(lasted(alarm), alarm.finding, alarm.rule.meaning, alarm.rule.advice) for alarm in history.alarms]
    told = table(("steps", "seen", "meaning", "what to try in the next run"), rows) if rows else ["No alarm was raised."]
    return ["## Health", "", *told, "", "![health](health.png)"]


def lasted(alarm: Alarm) -> str:
    """The steps of an alarm, for people: `118 to 130`, `from 118`."""
    return f"from {alarm.start}" if alarm.end is None else f"{alarm.start} to {alarm.end}"


def _played(name: str, played: dict[str, Any]) -> tuple[str, ...]:
    rewards = ("-" if reward is None else f"{reward:+.2f}" for reward in played["reward"].values())
    return (name, str(played["proposed"]), str(played["admitted"]), str(played["duplicates"]), percent(played["solve_rate"]), *rewards)


def accuracy(history: History) -> list[str]:
    """Held-out accuracy at the start and the end, as the lines of a table."""
    head = ("benchmark", "kind", "decoding", "tasks", "start", "end", "gain")
    rows = [(one.benchmark, one.kind, one.decoding, str(one.n), percent(one.start.mean), *change(one)) for one in history.shown]
    return table(head, rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def write(directory: Path) -> Path:
    """Write report.json, report.md, curves.png and health.png into the run's `report/`; returns that folder. Raises RunError."""
    from azr_core.figures import draw_run
    from azr_core.health_figure import draw_health

    history = read(directory)
    folder = directory / "report"
    try:
        folder.mkdir(exist_ok=True)
        (folder / "report.json").write_text(json.dumps(summary(history), indent=1) + "\n")
        (folder / "report.md").write_text(markdown(history))
        draw_run(history, folder / "curves.png")
        draw_health(history, folder / "health.png")
    except OSError as error:
        raise RunError(f"cannot write {folder}: {error.strerror or error}; free some space and use `azr report`") from error
    return folder


def write_comparison(histories: Sequence[History], folder: Path) -> Path:
    """Draw several runs into one picture, comparison.png; returns its path. Raises RunError."""
    from azr_core.figures import draw_comparison

    path = folder / "comparison.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draw_comparison(histories, path)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}; free some space") from error
    return path
