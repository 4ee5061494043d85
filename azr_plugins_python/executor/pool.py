"""Several slots at work: feeding, waiting, and replacing those that die."""

from __future__ import annotations

import selectors
import time
from collections import deque
from collections.abc import Sequence

from azr_plugins_python.executor.limits import Limits, Status
from azr_plugins_python.executor.profiles import Profile
from azr_plugins_python.executor.slot import PIPELINE, Greeting, Slot, SlotLost
from azr_plugins_python.executor.tickets import Lane, Ticket

_TICK_S = 0.02
"""How often slots are looked at that say nothing; and how long a job may run before the one behind it is sent elsewhere."""
_ATTEMPTS = 2
_STARTS = 3
_CROWD = 8
"""Jobs of the fork lane that wait before a slot leaves the fast lane for them: each change costs a fork."""
_LOST = (Status.infra, "slot lost")

Queues = tuple[deque[Ticket], deque[Ticket]]
"""Waiting tickets by lane."""


class Pool:
    """Slots of one profile by number, one event loop, no threads. Between two plays every slot is idle."""

    def __init__(self, limits: Limits, locked: bool, profile: Profile = Profile.lean) -> None:
        self.limits = limits
        self.locked = locked
        self.profile = profile
        self.slots: list[Slot] = []
        self.greeting: Greeting | None = None
        self.escaped = ""
        """What a program did in the fast lane that its gate should have made impossible."""
        self._shared: Queues = (deque(), deque())
        self._width = 0
        self._left = 0
        self._looked = 0.0
        self._selector = selectors.DefaultSelector()

    def grow(self, count: int) -> None:
        """Has at least this many slots, started side by side. Raises SlotLost."""
        fresh = [Slot(number, self.limits, self.locked, self.profile) for number in range(len(self.slots), count)]
        self.slots.extend(fresh)
        for slot in fresh:
            self._admit(slot)

    def _admit(self, slot: Slot) -> None:
        self.greeting = slot.greet()
        self._selector.register(slot.control, selectors.EVENT_READ, (slot.number, True))
        self._selector.register(slot.jobs, selectors.EVENT_READ, (slot.number, False))

    def play(self, tickets: Sequence[Ticket], width: int) -> None:
        """Runs every ticket to its end; those without a slot of their own share the first `width` slots."""
        self._left, self._width = len(tickets), width
        for ticket in tickets:
            self._enqueue(ticket)
        try:
            self._loop()
        except BaseException:
            self.close()  # half-played slots would answer the next play with this one's results
            raise

    def _enqueue(self, ticket: Ticket) -> None:
        self._queues(ticket)[ticket.lane].append(ticket)

    def _again(self, ticket: Ticket) -> None:
        """Puts back what was sent and not run, before what was not sent yet."""
        self._queues(ticket)[ticket.lane].appendleft(ticket)

    def _queues(self, ticket: Ticket) -> Queues:
        return self._shared if ticket.slot is None or not ticket.pinned else self.slots[ticket.slot].pinned

    def _loop(self) -> None:
        for depth in range(1, PIPELINE + 1):
            for slot in self.slots:
                self._feed(slot, depth)
        while self._left:
            for key, _ in self._selector.select(_TICK_S):
                number, control = key.data
                if key.fileobj is (self.slots[number].control if control else self.slots[number].jobs):  # not of one just replaced
                    self._turn(self.slots[number], control)
            if time.monotonic() - self._looked > _TICK_S:
                self._look()

    def _look(self) -> None:
        """Finds slots that are stuck: frees what waits behind a long job, and replaces those that say nothing for too long."""
        self._looked = time.monotonic()
        for slot in list(self.slots):
            if slot.silent():
                self._replace(slot, _LOST)
            elif slot.waiting_s() > _TICK_S and len(self.slots) > 1:
                for ticket in reversed(slot.recall()):
                    self._again(ticket)
        for slot in self.slots:
            self._feed(slot, 1)

    def _turn(self, slot: Slot, control: bool) -> None:
        """Takes what one slot has to say, and gives it more to do."""
        try:
            if control:
                for ticket in slot.ended():
                    self._through(ticket)
            elif through := slot.heard():
                self._through(through)
            elif slot.flooded():
                self._replace(slot, (Status.denied, "flood"))
        except SlotLost:
            self._replace(slot, _LOST)
        self._feed(self.slots[slot.number], PIPELINE if sum(map(len, self._shared)) > self._width else 1)

    def _feed(self, slot: Slot, depth: int) -> None:
        while len(slot.pending) < depth and (source := self._source(slot)):
            try:
                sent = slot.send(source[0])
            except SlotLost:
                return  # its control socket says the same, and the loop replaces it
            if not sent:
                return
            source.popleft()

    def _source(self, slot: Slot) -> deque[Ticket] | None:
        """Where the slot's next ticket waits: its own before shared ones, and its present lane before the other, within reason."""
        shared: tuple[Queues, ...] = (self._shared,) if slot.number < self._width else ()
        forking = slot.number == 0 and (slot.lane is Lane.fork or len(self._shared[Lane.fork]) >= _CROWD)
        first = Lane.fork if forking else Lane.fast
        for lane in (first, Lane(1 - first)):
            for queues in (slot.pinned, *shared):
                if queues[lane]:
                    return queues[lane]
        return None

    def _through(self, ticket: Ticket) -> None:
        """Counts a ticket that is at its end. What the fast lane leaves goes to the fork lane; what we lost runs once more in its slot."""
        if ticket.lane is Lane.fast:
            if ticket.whole:
                self._left -= 1
                return
            if ticket.ending and ticket.ending[0] is Status.denied:
                self.escaped = "a program in the fast lane made a forbidden system call"
            ticket.lane = Lane.fork
            self._again(ticket)
            return
        if ticket.ending is None or ticket.ending[0] is not Status.infra:
            self._left -= 1
            return
        ticket.attempts += 1
        if ticket.attempts >= _ATTEMPTS:
            self._left -= 1
        else:
            self._again(ticket)

    def _replace(self, slot: Slot, ending: tuple[Status, str]) -> None:
        """Kills a slot and starts another in its place. Only the job at its head comes to that end; those behind it start afresh."""
        running = slot.pending[0] if slot.pending else None
        waiting = [ticket for ticket in slot.pending if ticket and ticket is not running]
        self._selector.unregister(slot.control)
        self._selector.unregister(slot.jobs)
        slot.close()
        fresh = self._restart(slot.number)
        fresh.pinned = slot.pinned
        for sent in reversed(waiting):
            self._again(sent)
        if running:
            running.answers.clear()
            running.ending = ending
            self._through(running)
        self._feed(fresh, 1)

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
        self._shared = (deque(), deque())
        self._selector.close()
        self._selector = selectors.DefaultSelector()
