"""The picture of a run's health: one small panel a signal, with the steps of its alarms shaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azr_core.figures import COLOURS, COLUMNS, INK, blank, draw_series, dress, legend
from azr_core.health import Alarm
from azr_core.history import History
from azr_core.series import environments

ALARM = "#b2182b"
ROLES = {"solve": "-", "propose": ":"}


@dataclass(frozen=True)
class Panel:
    """One small picture. metrics: a line, then dots. scale: what the numbers are multiplied by. top: the axis reaches at least so far."""

    title: str
    metrics: tuple[str, ...]
    scale: float = 1.0
    top: float = 0.0


WHOLE, PART = (100.0, 104.0), (100.0, 10.0)
PANELS = (
    Panel("valid proposals, %", ("valid",), *WHOLE),
    Panel("proposals known already, %", ("duplicate_share",), *PART),
    Panel("unique skeletons, % (dots: last tasks)", ("skeletons/unique", "skeletons/unique_recent"), *WHOLE),
    Panel("evenness of the last tasks' skeletons, %", ("skeletons/evenness",), *WHOLE),
    Panel("solved, %", ("solve_rate",), *WHOLE),
    Panel("groups without signal, %", ("flat_groups",), *WHOLE),
    Panel("proposals that earn, %", ("earning",), *WHOLE),
    Panel("malformed replies, %", ("malformed", "malformed_proposals"), *PART),
    Panel("entropy in the update, nats a token", ("train/entropy",)),
    Panel("entropy of replies, nats a token", ("entropy/solve", "entropy/propose")),
    Panel("length of replies, tokens", ("reply_tokens/solve", "reply_tokens/propose")),
    Panel("replies cut at the limit, %", ("truncated/solve", "truncated/propose"), *PART),
    Panel("reflection, words in 1000", ("reflection_words/solve", "reflection_words/propose"), top=1.0),
    Panel("held-out accuracy lost since its best, %", ("held_out_lost",), *PART),
    Panel("replies that could not be judged, %", ("failed_share",), *PART),
)


def draw_health(history: History, path: Path) -> None:
    """The signals that the run has, then the measures of its tasks; a PNG."""
    known = sorted({name for metrics in history.metrics for name in metrics})
    measures = dict.fromkeys(name.split("/")[1] for name in known if name.startswith("measure/"))
    wanted = (*PANELS, *(Panel(f"tasks: {name.replace('_', ' ')}", (f"measure/{name}",)) for name in measures))
    panels = [panel for panel in wanted if any(_named(metric, known) for metric in panel.metrics)]
    names = environments(history.metrics)
    colours = {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}
    rows = max(1, -(-len(panels) // COLUMNS))
    figure = blank(2.7 * rows + 0.9, f"{history.name}: health ({_counted(history.alarms)})")
    for index, axes in enumerate(figure.subplots(rows, COLUMNS, squeeze=False).flat):
        if index < len(panels):
            _draw(axes, panels[index], history, colours)
        else:
            axes.set_axis_off()
    legend(figure, colours, ROLES)
    figure.savefig(path, dpi=110, facecolor="white")


def _counted(alarms: Sequence[Alarm]) -> str:
    lasting = sum(alarm.end is None for alarm in alarms)
    return f"{len(alarms)} alarm{'s' if len(alarms) > 1 else ''}, shaded; {lasting} to the end" if alarms else "no alarm"


def _named(metric: str, known: Iterable[str]) -> list[str]:
    """The metric itself, or one an environment."""
    return [name for name in known if name == metric or name.startswith(f"{metric}/")]


def _draw(axes: Any, panel: Panel, history: History, colours: Mapping[str, str]) -> None:
    known = sorted({name for metrics in history.metrics for name in metrics})
    least = 0.0
    for metric, style in zip(panel.metrics, ("-", ":"), strict=False):
        for name in _named(metric, known):
            series = [(step, panel.scale * metrics[name]) for step, metrics in history.steps if name in metrics]
            least = min(least, *(value for _, value in series))
            draw_series(axes, series, colours.get(name.removeprefix(f"{metric}/"), INK), style)
    axes.set_xlim(0, max(1, history.last_step))
    low, high = axes.get_ylim()
    dress(axes, panel.title, (min(0.0, low) if least < 0 else 0.0, max(high, panel.top)))
    axes.set_xlabel("")
    for alarm in (alarm for alarm in history.alarms if alarm.rule.metric in panel.metrics):
        axes.axvspan(alarm.start, alarm.end or history.last_step, color=ALARM, alpha=0.12, linewidth=0)
        axes.axvline(alarm.start, color=ALARM, linewidth=1.0)
        if not alarm.rule.relative:
            axes.axhline(panel.scale * alarm.rule.threshold, color=ALARM, linewidth=0.8, linestyle="--")
