"""The check on the fast lane: one job in a hundred runs again in a process of its own, and must come to the same."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Sequence

from azr_plugins_python.executor.limits import Status
from azr_plugins_python.executor.tickets import Lane, Ticket
from azr_plugins_python.executor.values import display

SHARE = 0.01
WITNESSES = 6
"""Slots that must agree with one another before a mismatch is the lane's fault: a program may also depend on addresses by itself."""
_draw = random.SystemRandom().random

Play = Callable[[Sequence[Ticket]], None]


class FastLaneMismatch(RuntimeWarning):
    """A program came to something else in the fast lane than alone; the lane is off from then on."""


def check(tickets: Sequence[Ticket], play: Play) -> str:
    """What is wrong with the fast lane, as some of the tickets that it answered show when they run again; empty if nothing is."""
    drawn = [(ticket, _alone(ticket, ticket.slot or 0)) for ticket in tickets if _draw() < SHARE]
    play([alone for _, alone in drawn])
    suspects = [(ticket, alone) for ticket, alone in drawn if not _lost(alone) and not _same(ticket, alone)]
    for ticket, alone in suspects:
        witnesses = [_alone(ticket, slot) for slot in range(WITNESSES)]
        play(witnesses)
        if all(_same(alone, witness) for witness in witnesses if not _lost(witness)):
            return f"a program came to {_shown(ticket)} in the fast lane and to {_shown(alone)} alone"
    return ""


def alarm(reason: str) -> None:
    """Says that the lane is off."""
    warnings.warn(f"the executor's fast lane is off: {reason}; please report it", FastLaneMismatch, stacklevel=2)


def _alone(ticket: Ticket, slot: int) -> Ticket:
    return Ticket(ticket.order, ticket.calls, slot, pinned=True, profile=ticket.profile, lane=Lane.fork)


def _lost(ticket: Ticket) -> bool:
    return ticket.ending is not None and ticket.ending[0] is Status.infra


def _same(one: Ticket, two: Ticket) -> bool:
    return _outcomes(one) == _outcomes(two)


def _outcomes(ticket: Ticket) -> list[tuple[Status, str]]:
    return [(call.status, display(call.value) if call.status is Status.ok else call.reason) for call in ticket.settle()]


def _shown(ticket: Ticket) -> str:
    return ", ".join(f"{status} {text}"[:80] for status, text in _outcomes(ticket))
