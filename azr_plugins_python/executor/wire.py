"""The messages between host and jail: an order to a child, and one answer for each call.

Used on both sides; imports nothing of the project. Values inside the messages are `codec`'s.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

JOB_BYTES = 120_000
"""Largest encoded order; the child reads it with one read of this size."""
KINDS = ("ok", "error", "memory", "unsupported_output", "output_too_large", "syntax_error", "no_entry")
"""What a child may claim of a call; every other status is the host's own observation."""

_ANSWER = struct.Struct("<QHB")
_ORDER = struct.Struct("<QdBBI")
_GUARDED = 1
_pack_answer = _ANSWER.pack


@dataclass(frozen=True)
class Order:
    """What a child is told to do.

    `calls` is JSON, [entry, [[arguments, keywords], ..]] in tagged form; each call is made `repeats` times.
    """

    identity: int
    cpu_s: float
    guarded: bool
    repeats: int
    program: bytes
    calls: str

    def pack(self) -> bytes:
        header = _ORDER.pack(self.identity, self.cpu_s, _GUARDED if self.guarded else 0, self.repeats, len(self.program))
        return header + self.program + self.calls.encode("ascii")


def unpack_order(message: bytes) -> Order:
    """The order in a message from the host, which the child trusts."""
    identity, cpu_s, flags, repeats, size = _ORDER.unpack_from(message)
    start = _ORDER.size
    program, calls = message[start : start + size], message[start + size :]
    return Order(identity, cpu_s, bool(flags & _GUARDED), repeats, program, calls.decode("ascii"))


def pack_answer(identity: int, call: int, kind: int, payload: bytes) -> bytes:
    """One call's answer as one message."""
    return _pack_answer(identity, call, kind) + payload


def unpack_answer(message: bytes) -> tuple[int, int, int, bytes] | None:
    """(identity, call, kind, payload) from a message, or None if it is too short to be one."""
    if len(message) < _ANSWER.size:
        return None
    identity, call, kind = _ANSWER.unpack_from(message)
    return identity, call, kind, message[_ANSWER.size :]
