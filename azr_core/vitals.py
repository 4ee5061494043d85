"""A run's health while it is played: what is known beside a step's own numbers, and the alarms as they come and go."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from azr_core.health import Watch
from azr_core.metrics import RECENT_TASKS, held_out, variety
from azr_core.progress import Listener
from azr_core.store import RunStore


class Vitals:
    """Keeps nothing that the store cannot give back. thresholds: of the alarms, `[health]`. Raises ConfigError for a rule that is none."""

    def __init__(self, thresholds: Mapping[str, float | bool], store: RunStore, listener: Listener) -> None:
        self.watch = Watch(thresholds)
        self.store = store
        self.listener = listener
        self.skeletons: deque[str] = deque(maxlen=RECENT_TASKS)
        self.held_out: dict[str, float] = {}

    def take_up(self) -> None:
        """See the stored steps again; whoever listens now has not heard of the alarms that last."""
        for step, metrics in self.store.steps():
            self.watch.see(step, metrics)
        self.skeletons.extend(self.store.skeletons(RECENT_TASKS))
        self.measured()
        for alarm in self.watch.lasting:
            self.listener.alarm(alarm)

    def measured(self) -> None:
        """Take in what was measured on held-out tasks."""
        self.held_out = held_out(self.store.evaluations())

    def signs(self, skeletons: Sequence[str]) -> dict[str, float]:
        """What a step's metrics hold beside its own. skeletons: of this step's tasks."""
        self.skeletons.extend(skeletons)
        return variety(self.skeletons) | self.held_out

    def see(self, step: int, metrics: Mapping[str, float]) -> None:
        """Look at a stored step, note the alarms in the database, and tell those that start or end with it."""
        changes = self.watch.see(step, metrics)
        if changes:
            self.store.set_note("alarms", [alarm.record() for alarm in self.watch.alarms])
        for alarm in changes:
            self.listener.alarm(alarm)
