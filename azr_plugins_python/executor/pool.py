"""Several slots at work: feeding, waiting, and replacing those that die."""

from __future__ import annotations

import selectors
from collections import deque
from collections.abc import Sequence

from azr_plugins_python.executor.limits import Limits, Status
from azr_plugins_python.executor.profiles import Profile
from azr_plugins_python.executor.slot import PIPELINE, Greeting, Slot, SlotLost, Ticket

_TICK_S = 0.02
"""How long a child may wait for room in its channel before we look; only large results ever wait."""
_ATTEMPTS = 2
_STARTS = 3
_LOST = (Status.infra, "slot lost")


class Pool:
    """Slots of one profile by number, one event loop, no threads. Between two plays every slot is idle."""

    def __init__(self, limits: Limits, locked: bool, profile: Profile = Profile.lean) -> None:
        self.limits = limits
        self.locked = locked
        self.profile = profile
        self.slots: list[Slot] = []
        self.greeting: Greeting | None = None
        self._selector = selectors.DefaultSelector()

    def grow(self, count: int) -> None:
        """Has at least this many slots, started side by side. Raises SlotLost."""
        fresh = [Slot(number, self.limits, self.locked, self.profile) for number in range(len(self.slots), count)]
        self.slots.extend(fresh)
        for slot in fresh:
            self._admit(slot)

    def _admit(self, slot: Slot) -> None:
        self.greeting = slot.greet()
        self._selector.register(slot.control, selectors.EVENT_READ, slot.number)

    def play(self, tickets: Sequence[Ticket], width: int) -> None:
        """Runs every ticket to its end; those without a slot of their own share the first `width` slots."""
        shared = deque(ticket for ticket in tickets if ticket.slot is None)
        for ticket in tickets:
            if ticket.slot is not None:
                self.slots[ticket.slot].pinned.append(ticket)
        try:
            self._loop(len(tickets), shared, width)
        except BaseException:
            self.close()  # half-played slots would answer the next play with this one's results
            raise

    def _loop(self, left: int, shared: deque[Ticket], width: int) -> None:
        for depth in range(1, PIPELINE + 1):
            for slot in self.slots:
                self._feed(slot, shared if slot.number < width else None, depth)
        while left:
            events = self._selector.select(_TICK_S)
            ready = [self.slots[key.data] for key, _ in events] or list(self.slots)
            for slot in ready:
                left -= self._turn(slot)
                depth = PIPELINE if len(shared) > width else 1
                slot = self.slots[slot.number]
                self._feed(slot, shared if slot.number < width else None, depth)

    def _turn(self, slot: Slot) -> int:
        """Takes what one slot has; returns how many tickets are through."""
        try:
            slot.drain()
            if slot.flooded():
                return self._replace(slot, (Status.denied, "flood"))
            ticket = slot.finish()
            if ticket is None:
                return self._replace(slot, _LOST) if slot.silent() else 0
        except SlotLost:
            return self._replace(slot, _LOST)
        return self._through(ticket)

    def _feed(self, slot: Slot, shared: deque[Ticket] | None, depth: int) -> None:
        while len(slot.pending) < depth:
            source = slot.pinned or shared
            if not source:
                return
            try:
                sent = slot.send(source[0])
            except SlotLost:
                return  # its control socket says the same, and the loop replaces it
            if not sent:
                return
            source.popleft()

    def _through(self, ticket: Ticket) -> int:
        """1 for a ticket at its end. A job that our own machinery lost is run once more in its slot, then given up as infra."""
        if ticket.ending is None or ticket.ending[0] is not Status.infra:
            return 1
        ticket.attempts += 1
        if ticket.attempts >= _ATTEMPTS or ticket.slot is None:
            return 1
        self.slots[ticket.slot].pinned.appendleft(ticket)
        return 0

    def _replace(self, slot: Slot, ending: tuple[Status, str]) -> int:
        """Kills a slot and starts another in its place. Only the job at its head comes to that end; those behind it start afresh."""
        lost = list(slot.pending)
        self._selector.unregister(slot.control)
        slot.close()
        fresh = self._restart(slot.number)
        fresh.pinned = slot.pinned
        fresh.pinned.extendleft(reversed(lost[1:]))
        if not lost:
            return 0
        lost[0].answers.clear()
        lost[0].ending = ending
        return self._through(lost[0])

    def _restart(self, number: int) -> Slot:
        for start in range(_STARTS):
            fresh = Slot(number, self.limits, self.locked, self.profile)
            self.slots[number] = fresh
            try:
                self._admit(fresh)
                return fresh
            except SlotLost:
                fresh.close()
                if start == _STARTS - 1:
                    raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Ends every slot."""
        for slot in self.slots:
            slot.close()
        self.slots.clear()
        self._selector.close()
        self._selector = selectors.DefaultSelector()
