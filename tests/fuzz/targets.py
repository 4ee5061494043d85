"""What may come of hostile text and bytes: a value, or the one error that the reader promises. Each target takes raw bytes."""

from __future__ import annotations

from collections.abc import Callable

import azr_core as azr
from azr_plugins_python import measures, shape
from azr_plugins_python.executor import LiteralError, Status, display, equal, parse_arguments, parse_literal, unwrap_call, wire
from azr_plugins_python.executor.codec import TooLarge, WireError, decode, encode
from azr_plugins_python.executor.literals import MAX_TEXT
from azr_plugins_python.executor.tickets import Ticket
from azr_plugins_python.screen import Screen, leaks


def read_value(payload: bytes) -> None:
    """An answer's payload decodes to a value that survives wire and text, or is a WireError."""
    try:
        value = decode(payload)
    except WireError:
        return
    _check_value(value)


def read_answer(message: bytes) -> None:
    """Whatever message a child sends, every call of its ticket comes to one typed outcome."""
    ticket = Ticket(wire.Order(0, 1.0, True, 1, b"", "[]"), calls=3)
    for part in message.split(b"\xff\x00\xff"):
        answer = wire.unpack_answer(part)
        if answer is not None:
            _, call, kind, payload = answer
            ticket.accept(call % 5, kind % 9, payload)
    calls = ticket.settle()
    assert len(calls) == 3
    assert all(isinstance(call.status, Status) and len(call.reason) <= 200 for call in calls)


def read_literals(raw: bytes) -> None:
    """Text of a model is a literal that shows as itself, an argument list, or a LiteralError."""
    text = raw.decode("utf-8", "surrogatepass" if b"\xed" in raw else "replace") if _decodes(raw) else raw.decode("latin-1")
    for read in (parse_literal, parse_arguments):
        try:
            _check_value(read(text))
        except LiteralError:
            continue
    try:
        assert unwrap_call(text) in text
    except LiteralError:
        return


def read_program(raw: bytes) -> None:
    """Text of a model is a program that can be described, or an InvalidTask."""
    program = raw.decode("utf-8", "replace")
    try:
        Screen.PAPER.check(program)
    except azr.InvalidTask:
        return
    assert shape.program_key(program) and shape.skeleton(program)
    assert measures.describe(program)["lines"] >= 1 and measures.edit_distance(program, [program]) == 0.0
    assert leaks("def", program) and not leaks("", program)


def _decodes(raw: bytes) -> bool:
    try:
        raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def _check_value(value: object) -> None:
    text = display(value)
    if len(text.encode("utf-8", "surrogatepass")) <= MAX_TEXT // 2:  # well inside the reader's caps
        try:
            again = parse_literal(text)
        except LiteralError:  # deeper, or with longer numbers, than text may be
            pass
        else:
            assert equal(again, value), text
    try:
        sent = encode(value)
    except TooLarge:
        return
    assert equal(decode(sent.encode()), value, "strict"), text


TARGETS: dict[str, Callable[[bytes], None]] = {
    "value": read_value,
    "answer": read_answer,
    "literals": read_literals,
    "program": read_program,
}
