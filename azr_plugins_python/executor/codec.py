"""Values as tagged JSON text: `[1,{"t":[null,{"f":"0.5"}]}]` is `[1, (None, 0.5)]`.

Used on both sides of the jail; imports nothing of the project. The host reads hostile bytes with it, so decoding never evaluates, has
caps, and raises nothing but `WireError`. In the jail it runs beside a program that may have replaced any builtin, so encoding uses only
names captured here and the methods of exact builtin types.
"""

from __future__ import annotations

import json
import re
from _json import encode_basestring_ascii as _quote
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from itertools import accumulate
from typing import Any

MAX_DEPTH = 64
MAX_NODES = 20_000
MAX_CHARS = 65_536
MAX_DIGITS = 4_300
_MAX_BITS = 14_290

_type, _len, _items, _none, _ValueError = type, len, dict.items, type(None), ValueError
_int_text, _float_text, _bits = int.__repr__, float.__repr__, int.bit_length
_mapping_types = (dict, Counter, OrderedDict, defaultdict)
_plain = frozenset((int, str, bool, _none))
_FLOAT = re.compile(r"-?(?:nan|inf|\d{1,400}(?:\.\d{1,400})?(?:e[+-]?\d{1,4})?)", re.ASCII)
_INT = re.compile(rf"-?\d{{1,{MAX_DIGITS}}}", re.ASCII)
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]')


class WireError(ValueError):
    """The other side sent what no honest side sends."""


class TooLarge(Exception):
    """The value is beyond the caps."""


class Unsupported(Exception):
    """The value, or a part of it, is of a type that is not a value; holds that type's object."""


class _Encoder:
    """One value's text, with what it has cost so far."""

    __slots__ = ("chars", "nodes", "parts")

    def __init__(self) -> None:
        self.nodes, self.chars = 0, 0
        self.parts: list[str] = []

    def put(self, text: str) -> None:
        self.chars += _len(text)
        if self.chars > MAX_CHARS:
            raise TooLarge
        self.parts.append(text)

    def value(self, value: Any, depth: int, before: str = "") -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            raise TooLarge
        kind = _type(value)
        if kind in _scalars:
            self.put(before + _scalars[kind](value))
        elif kind in _sequences:
            opening, closing = _sequences[kind]
            self.put(before + opening)
            self.sequence(value, depth + 1)
            self.put(closing)
        elif kind in _mapping_types:
            self.put(before + '{"d":[')
            self.mapping(value, depth + 1)
            self.put("]}")
        elif kind in converters:
            self.value(converters[kind](value), depth + 1, before)
        else:
            raise Unsupported(kind)

    def sequence(self, value: Any, depth: int) -> None:
        before = ""
        for item in value:
            self.value(item, depth, before)
            before = ","

    def mapping(self, value: Any, depth: int) -> None:
        before = "["
        for key, item in _items(value):
            self.value(key, depth, before)
            self.value(item, depth, ",")
            self.put("]")
            before = ",["


def _encode_int(value: int) -> str:
    if _bits(value) > _MAX_BITS:
        raise TooLarge
    try:
        text = _int_text(value)
    except _ValueError as error:  # the interpreter's own limit on digits
        raise TooLarge from error
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


_scalars: dict[type, Callable[[Any], str]] = {
    _none: lambda _: "null",
    bool: lambda value: "true" if value else "false",
    int: _encode_int,
    float: lambda value: '{"f":"' + _float_text(value) + '"}',
    complex: lambda value: '{"c":["' + _float_text(value.real) + '","' + _float_text(value.imag) + '"]}',
    str: _encode_str,
    bytes: _encode_bytes,
}
_sequences: dict[type, tuple[str, str]] = {
    list: ("[", "]"),
    deque: ("[", "]"),
    tuple: ('{"t":[', "]}"),
    set: ('{"s":[', "]}"),
    type({}.keys()): ('{"s":[', "]}"),  # a view of keys equals the set of them, whatever their order
    type(OrderedDict().keys()): ('{"s":[', "]}"),
    frozenset: ('{"z":[', "]}"),
}
converters: dict[type, Callable[[Any], object]] = {}
"""Builtin values for further exact types; empty but in a wide zygote."""


def encode(value: object) -> str:
    """The value as tagged JSON. Raises TooLarge or Unsupported; calls no method that the value's author wrote."""
    encoder = _Encoder()
    encoder.value(value, 0)
    return "".join(encoder.parts)


def decode(payload: bytes) -> object:
    """The value in a child's answer. Raises WireError, whatever the bytes."""
    if _len(payload) > MAX_CHARS:
        raise WireError("too long")
    try:
        return build(_read_json(payload.decode("ascii")))
    except UnicodeDecodeError as error:
        raise WireError("not ASCII") from error


def _read_json(text: str) -> object:
    """JSON without floats or constants, depth-checked before it is parsed."""
    if text.count("[") + text.count("{") > 4 * MAX_DEPTH:  # else it cannot be too deep
        steps = ((part in "[{") - (part in "]}") for part in _BRACKETS.findall(text))
        if max(accumulate(steps), default=0) > 4 * MAX_DEPTH:
            raise WireError("too deep")
    try:
        return (_short_decoder if _len(text) <= MAX_DIGITS else _decoder).decode(text)
    except WireError:
        raise
    except (ValueError, RecursionError, MemoryError) as error:
        raise WireError("not JSON") from error


def _parse_int(text: str) -> int:
    if not _INT.fullmatch(text):
        raise WireError("too many digits")
    return int(text)


def _refuse(text: str) -> object:
    raise WireError("bare float")


_decoder = json.JSONDecoder(parse_int=_parse_int, parse_float=_refuse, parse_constant=_refuse)
_short_decoder = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse)  # no room for too many digits: integers are read in C


def build(tree: Any, depth: int = 0) -> object:
    """A fresh value from parsed tagged JSON. Raises WireError."""
    if depth > MAX_DEPTH:
        raise WireError("too deep")
    kind = _type(tree)
    if kind in _plain:
        return tree
    if kind is list:
        return [build(item, depth + 1) for item in tree]
    if kind is not dict or _len(tree) != 1:
        raise WireError("not a value")
    ((tag, content),) = tree.items()
    try:
        return _builders[tag](content, depth + 1)
    except WireError:
        raise
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise WireError("not a value") from error


def _list(content: Any) -> list[Any]:
    if _type(content) is not list:
        raise WireError("not a list")
    return content  # type: ignore[no-any-return]


def _build_float(content: Any, depth: int = 0) -> float:
    if _type(content) is not str or not _FLOAT.fullmatch(content):
        raise WireError("not a float")
    return float(content)


def _build_complex(content: Any, depth: int) -> complex:
    real, imag = _list(content)
    return complex(_build_float(real), _build_float(imag))


def _build_set(content: Any, depth: int) -> set[object]:
    items = _list(content)
    built = {build(item, depth) for item in items}
    if _len(built) != _len(items):
        raise WireError("repeated item")
    return built


def _build_dict(content: Any, depth: int) -> dict[object, object]:
    built: dict[object, object] = {}
    for pair in _list(content):
        key, item = _list(pair)
        built[build(key, depth)] = build(item, depth)
    if _len(built) != _len(content):
        raise WireError("repeated key")
    return built


_builders: dict[str, Callable[[Any, int], object]] = {
    "f": _build_float,
    "c": _build_complex,
    "t": lambda content, depth: tuple([build(item, depth) for item in _list(content)]),
    "s": _build_set,
    "z": lambda content, depth: frozenset(_build_set(content, depth)),
    "d": _build_dict,
    "b": lambda content, depth: bytes.fromhex(content),
}
