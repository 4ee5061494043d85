"""Whether a run is well: rules over the metrics of its steps, and the alarms that they raise.

The rules are data (`signs.py`); `[health]` of a run's settings changes a threshold or switches a rule off.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from azr_core.errors import ConfigError, nearest
from azr_core.signs import RULES, Rule, Side


@dataclass(frozen=True)
class Alarm:
    """A rule's alarm. place: the environment (or benchmark) it is worst in, empty where there is one number only.

    start, end: the steps that it was raised and was over with; no end while it lasts. value: at its start.
    """

    rule: Rule
    place: str
    start: int
    value: float
    end: int | None = None

    @property
    def finding(self) -> str:
        """What was seen."""
        rule = self.rule
        over = f"mean of {rule.steps} steps, " if rule.steps > 1 else ""
        of = " of what it was at the start" if rule.relative else ""
        return f"{f'{self.place}: ' if self.place else ''}{rule.what} {share(self.value)}{of} ({over}{rule.side} {share(rule.threshold)})"

    @property
    def sentence(self) -> str:
        """One line: what was seen, what it means and what to try, or that it is over."""
        if self.end is not None:
            return f"over since step {self.end}: {self.rule.what}, {self.rule.side} {share(self.rule.threshold)} since step {self.start}"
        return f"{self.finding}: {self.rule.meaning}; {self.rule.advice}"

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        told = {"rule": self.rule.name, "metric": self.rule.metric, "meaning": self.rule.meaning, "advice": self.rule.advice}
        own = {key: value for key, value in asdict(self).items() if key != "rule"}
        return told | own | {"finding": self.finding}


class Watch:
    """Sees a run's steps one after the other, and says what begins and what is over. alarms: all so far, in their order.

    thresholds: by rule; false switches a rule off, true leaves it as it is. Raises ConfigError for a rule that does not exist.
    """

    def __init__(self, thresholds: Mapping[str, float | bool] | None = None) -> None:
        self.gauges: dict[str, dict[str, _Gauge]] = {}
        self.rules = _chosen(thresholds or {})
        self.alarms: list[Alarm] = []

    @property
    def lasting(self) -> list[Alarm]:
        """The alarms that are not over."""
        return [alarm for alarm in self.alarms if alarm.end is None]

    def see(self, step: int, metrics: Mapping[str, float]) -> list[Alarm]:
        """Take in a step; returns the alarms that start or end with it."""
        changes = [change for rule in self.rules if (change := self._judge(rule, step, metrics))]
        over = {alarm.rule.name: alarm for alarm in changes if alarm.end is not None}
        self.alarms = [over.get(alarm.rule.name, alarm) if alarm.end is None else alarm for alarm in self.alarms]
        self.alarms += [alarm for alarm in changes if alarm.end is None]
        return changes

    def _judge(self, rule: Rule, step: int, metrics: Mapping[str, float]) -> Alarm | None:
        gauges = self.gauges.setdefault(rule.name, {})
        for name, value in metrics.items():
            if name == rule.metric or name.startswith(f"{rule.metric}/"):
                gauges.setdefault(name, _Gauge(rule, step)).see(step, value)
        values = {name: level for name, gauge in gauges.items() if (level := gauge.read(step)) is not None}
        if not values:
            return None
        worst = (min if rule.side is Side.BELOW else max)(values, key=values.__getitem__)
        lasting = next((alarm for alarm in self.lasting if alarm.rule is rule), None)
        if lasting:
            return replace(lasting, end=step) if rule.releases(values[worst]) else None
        place = worst.removeprefix(rule.metric).removeprefix("/")
        return Alarm(rule, place, step, values[worst]) if rule.raises(values[worst]) else None


class _Gauge:
    """The value of one metric for one rule. began: the first step that had it."""

    def __init__(self, rule: Rule, began: int) -> None:
        self.rule = rule
        self.began = began
        self.first: list[float] = []
        self.last: deque[tuple[int, float]] = deque(maxlen=rule.steps)

    def see(self, step: int, value: float) -> None:
        self.last.append((step, value))
        if len(self.first) < self.rule.steps:
            self.first.append(value)

    def read(self, step: int) -> float | None:
        """None before there are enough steps, and where half of the last ones lack the metric."""
        recent = [value for at, value in self.last if at > step - self.rule.steps]
        if step - self.began + 1 < self.rule.steps or 2 * len(recent) < self.rule.steps:
            return None
        level = sum(recent) / len(recent)
        if not self.rule.relative:
            return level
        start = sum(self.first) / len(self.first)
        return level / start if len(self.first) == self.rule.steps and start > 0 else None


def alarms(steps: Iterable[tuple[int, Mapping[str, float]]], thresholds: Mapping[str, float | bool] | None = None) -> list[Alarm]:
    """The alarms of a run's (step, metrics), in their order."""
    watch = Watch(thresholds)
    for step, metrics in steps:
        watch.see(step, metrics)
    return watch.alarms


def share(value: float) -> str:
    """A fraction in words: `35 %`, `2.5 %`."""
    return f"{100 * value:.1f}".removesuffix(".0") + " %"


def _chosen(thresholds: Mapping[str, float | bool]) -> list[Rule]:
    known = {rule.name: rule for rule in RULES}
    for name in thresholds:
        if name not in known:
            raise ConfigError(f"[health]: no rule {name!r}; {nearest(name, known)}")
    asked = [(rule, thresholds.get(rule.name, True)) for rule in RULES]
    return [rule if threshold is True else replace(rule, threshold=float(threshold)) for rule, threshold in asked if threshold is not False]
