"""The wire between host and jail: values as tagged JSON text, jobs and answers as framed messages.

Used on both sides and by itself: it imports nothing of the project. The host reads hostile bytes with it, so decoding never evaluates,
has caps, and raises nothing but `WireError`. In the jail it runs beside a program that may have replaced any builtin, so encoding uses only
names captured here and the methods of exact builtin types.
"""

from __future__ import annotations

import json
import re
import struct
from _json import encode_basestring_ascii as _quote
from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass

MAX_DEPTH = 64
MAX_NODES = 20_000
MAX_CHARS = 65_536
MAX_DIGITS = 4_300
JOB_BYTES = 120_000
"""Largest encoded job; the child reads a job with one read of this size."""
FRAME_BYTES = MAX_CHARS + 64
KINDS = ("ok", "error", "memory", "unsupported_output", "output_too_large", "syntax_error", "no_entry")
"""What a child may claim of a call; every other status is the host's own observation."""

_ANSWER = struct.Struct("<QHB")
_JOB = struct.Struct("<QdBBI")
_GUARDED = 1

_type, _len, _items, _none = type, len, dict.items, type(None)
_int_text, _float_text, _bits = int.__repr__, float.__repr__, int.bit_length
_mapping_types = (dict, Counter, OrderedDict, defaultdict)
_FLOAT = re.compile(r"-?(?:nan|inf|\d{1,400}(?:\.\d{1,400})?(?:e[+-]?\d{1,4})?)", re.ASCII)
_INT = re.compile(r"-?\d{1,%d}" % MAX_DIGITS, re.ASCII)
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]')


class WireError(ValueError):
    """The other side sent what no honest side sends."""


class TooLarge(Exception):
    """The value is beyond the caps."""


class Unsupported(Exception):
    """The value, or a part of it, is of a type that is not a value; holds that type's object."""


class _Encoder:
    """One value's text, with what it has cost so far."""

    __slots__ = ("nodes", "chars", "parts")

    def __init__(self) -> None:
        self.nodes, self.chars = 0, 0
        self.parts: list[str] = []

    def put(self, text: str) -> None:
        self.chars += _len(text)
        if self.chars > MAX_CHARS:
            raise TooLarge
        self.parts.append(text)

    def value(self, value: object, depth: int) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            raise TooLarge
        kind = _type(value)
        if kind in _scalars:
            self.put(_scalars[kind](value))
        elif kind in _sequences:
            opening, closing = _sequences[kind]
            self.sequence(value, opening, closing, depth + 1)
        elif kind in _mapping_types:
            self.mapping(value, depth + 1)
        else:
            raise Unsupported(kind)

    def sequence(self, value: object, opening: str, closing: str, depth: int) -> None:
        self.put(opening)
        comma = False
        for item in value:  # type: ignore[attr-defined]  # exact builtin container, checked by the caller
            if comma:
                self.put(",")
            comma = True
            self.value(item, depth)
        self.put(closing)

    def mapping(self, value: object, depth: int) -> None:
        self.put('{"d":[')
        comma = False
        for key, item in _items(value):  # type: ignore[arg-type]
            self.put(",[" if comma else "[")
            comma = True
            self.value(key, depth)
            self.put(",")
            self.value(item, depth)
            self.put("]")
        self.put("]}")


def _encode_int(value: int) -> str:
    if _bits(value) > 14_290:
        raise TooLarge
    text = _int_text(value)
    if _len(text) > MAX_DIGITS + (value < 0):
        raise TooLarge
    return text


def _encode_str(value: str) -> str:
    if _len(value) > MAX_CHARS:
        raise TooLarge
    return _quote(value)


def _encode_bytes(value: bytes) -> str:
    if _len(value) > MAX_CHARS:
        raise TooLarge
    return '{"b":"' + value.hex() + '"}'


_scalars = {
    _none: lambda _: "null",
    bool: lambda value: "true" if value else "false",
    int: _encode_int,
    float: lambda value: '{"f":"' + _float_text(value) + '"}',
    complex: lambda value: '{"c":["' + _float_text(value.real) + '","' + _float_text(value.imag) + '"]}',
    str: _encode_str,
    bytes: _encode_bytes,
}
_sequences = {list: ("[", "]"), tuple: ('{"t":[', "]}"), set: ('{"s":[', "]}"), frozenset: ('{"z":[', "]}")}


def encode(value: object) -> str:
    """The value as tagged JSON. Raises TooLarge or Unsupported; calls no method that the value's author wrote."""
    encoder = _Encoder()
    encoder.value(value, 0)
    return "".join(encoder.parts)


def read_json(text: str) -> object:
    """JSON without floats or constants, depth-checked before it is parsed. Raises WireError."""
    if _len(text) > JOB_BYTES:
        raise WireError("too long")
    depth = 0
    for match in _BRACKETS.finditer(text):
        token = match.group()
        depth += (token in "[{") - (token in "]}")
        if depth > 4 * MAX_DEPTH:
            raise WireError("too deep")
    try:
        return json.loads(text, parse_int=_parse_int, parse_float=_refuse, parse_constant=_refuse)
    except (ValueError, RecursionError, MemoryError) as error:
        raise WireError("not JSON") from error


def _parse_int(text: str) -> int:
    if not _INT.fullmatch(text):
        raise WireError("too many digits")
    return int(text)


def _refuse(text: str) -> object:
    raise WireError("bare float")


def build(tree: object, depth: int = 0) -> object:
    """A fresh value from parsed tagged JSON. Raises WireError."""
    if depth > MAX_DEPTH:
        raise WireError("too deep")
    kind = _type(tree)
    if kind in (int, str, bool, _none):
        return tree
    if kind is list:
        return [build(item, depth + 1) for item in tree]  # type: ignore[attr-defined]
    if kind is not dict or _len(tree) != 1:  # type: ignore[arg-type]
        raise WireError("not a value")
    ((tag, content),) = tree.items()  # type: ignore[attr-defined]
    try:
        return _builders[tag](content, depth + 1)
    except WireError:
        raise
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise WireError(f"bad {str(tag)[:8]}") from error


def _items_of(content: object) -> list[object]:
    if _type(content) is not list:
        raise WireError("not a list")
    return content  # type: ignore[return-value]


def _build_float(content: object, depth: int = 0) -> float:
    if _type(content) is not str or not _FLOAT.fullmatch(content):  # type: ignore[call-overload]
        raise WireError("not a float")
    return float(content)  # type: ignore[arg-type]


def _build_complex(content: object, depth: int) -> complex:
    real, imag = _items_of(content)
    return complex(_build_float(real), _build_float(imag))


def _build_set(content: object, depth: int) -> set[object]:
    items = _items_of(content)
    built = {build(item, depth) for item in items}
    if _len(built) != _len(items):
        raise WireError("repeated item")
    return built


def _build_dict(content: object, depth: int) -> dict[object, object]:
    pairs = [(build(key, depth), build(item, depth)) for key, item in _items_of(content)]  # type: ignore[misc]
    built = dict(pairs)
    if _len(built) != _len(pairs):
        raise WireError("repeated key")
    return built


_builders = {
    "f": _build_float,
    "c": _build_complex,
    "t": lambda content, depth: tuple([build(item, depth) for item in _items_of(content)]),
    "s": _build_set,
    "z": lambda content, depth: frozenset(_build_set(content, depth)),
    "d": _build_dict,
    "b": lambda content, depth: bytes.fromhex(content),
}


def decode(payload: bytes) -> object:
    """The value in a child's answer. Raises WireError, whatever the bytes."""
    if _len(payload) > MAX_CHARS:
        raise WireError("too long")
    try:
        return build(read_json(payload.decode("ascii")))
    except UnicodeDecodeError as error:
        raise WireError("not ASCII") from error


@dataclass(frozen=True)
class Order:
    """What a child is told to do. `calls` is JSON, [entry, [[arguments, keywords], ..]] in tagged form, made `repeats` times over."""

    identity: int
    cpu_s: float
    guarded: bool
    repeats: int
    program: bytes
    calls: str

    def pack(self) -> bytes:
        header = _JOB.pack(self.identity, self.cpu_s, _GUARDED if self.guarded else 0, self.repeats, _len(self.program))
        return header + self.program + self.calls.encode("ascii")


def unpack_order(message: bytes) -> Order:
    """The order in a message from the host, which the child trusts."""
    identity, cpu_s, flags, repeats, size = _JOB.unpack_from(message)
    start = _JOB.size
    program, calls = message[start : start + size], message[start + size :]
    return Order(identity, cpu_s, bool(flags & _GUARDED), repeats, program, calls.decode("ascii"))


def pack_answer(identity: int, call: int, kind: int, payload: bytes) -> bytes:
    """One call's answer as one message."""
    return _ANSWER.pack(identity, call, kind) + payload


def unpack_answer(message: bytes) -> tuple[int, int, int, bytes] | None:
    """(identity, call, kind, payload) from a message, or None if it is too short to be one."""
    if _len(message) < _ANSWER.size:
        return None
    identity, call, kind = _ANSWER.unpack_from(message)
    return identity, call, kind, message[_ANSWER.size :]
