"""The messages between host and jail: an order to a child, and one answer for each call, or a bundle of them.

Used on both sides; imports nothing of the project. Values inside the messages are `codec`'s.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

JOB_BYTES = 120_000
"""Largest encoded order; the child reads it with one read of this size."""
KINDS = ("ok", "error", "memory", "unsupported_output", "output_too_large", "syntax_error", "no_entry")
"""What a child may claim of a call; every other status is the host's own observation."""

SYNTAX = KINDS.index("syntax_error")
BUNDLE = 0xFFFF
"""In place of a call's number: all answers of a job of the fast lane, in one message, once nothing of the job is left."""
REFUSED = 0xFF
"""In place of a bundle's kind: the gate does not admit the program; nothing of it ran."""

_ANSWER = struct.Struct("<QHB")
_ORDER = struct.Struct("<QdBBI")
_SIZE = struct.Struct("<I")
_GUARDED, _FAST = 1, 2
_pack_answer, _pack_size, _join = _ANSWER.pack, _SIZE.pack, b"".join


class Order(NamedTuple):
    """What a child is told to do.

    `calls` is JSON, [entry, [[arguments, keywords], ..]] in tagged form; each call is made `repeats` times. `fast`: the child stays for
    more such orders, and ends at the first that is not.
    """

    identity: int
    cpu_s: float
    guarded: bool
    repeats: int
    program: bytes
    calls: str
    fast: bool = False

    def fits(self) -> bool:
        """Whether it can be sent."""
        return _ORDER.size + len(self.program) + len(self.calls) <= JOB_BYTES

    def pack(self) -> bytes:
        flags = (_GUARDED if self.guarded else 0) | (_FAST if self.fast else 0)
        return _join(
            (_ORDER.pack(self.identity, self.cpu_s, flags, self.repeats, len(self.program)), self.program, self.calls.encode("ascii"))
        )


RETIRE = Order(0, 0.0, False, 0, b"", "").pack()
"""Ends a child of the fast lane, with the exit status RETIRED."""
RETIRED = 76


def unpack_order(message: bytes) -> Order:
    """The order in a message from the host, which the child trusts."""
    identity, cpu_s, flags, repeats, size = _ORDER.unpack_from(message)
    start = _ORDER.size
    program, calls = message[start : start + size], message[start + size :]
    return Order(identity, cpu_s, flags & _GUARDED != 0, repeats, program, calls.decode("ascii"), flags & _FAST != 0)


def pack_answer(identity: int, call: int, kind: int, payload: bytes) -> bytes:
    """One call's answer as one message."""
    return _pack_answer(identity, call, kind) + payload


def unpack_answer(message: bytes) -> tuple[int, int, int, bytes] | None:
    """(identity, call, kind, payload) from a message, or None if it is too short to be one."""
    if len(message) < _ANSWER.size:
        return None
    identity, call, kind = _ANSWER.unpack_from(message)
    return identity, call, kind, message[_ANSWER.size :]


def pack_bundle(identity: int, answers: list[bytes] | None) -> bytes:
    """All answers of a job, or None where the gate refused it."""
    parts = [_pack_answer(identity, BUNDLE, REFUSED if answers is None else 0)]
    for answer in answers or ():
        parts += (_pack_size(len(answer)), answer)
    return _join(parts)


def unpack_bundle(payload: bytes) -> Iterator[bytes]:
    """The answers in a bundle's payload, as they would have come one by one; what is cut off is left out."""
    start = 0
    while start + _SIZE.size <= len(payload):
        (size,) = _SIZE.unpack_from(payload, start)
        start += _SIZE.size
        yield payload[start : start + size]
        start += size
