"""Values that programs return, as the host sees them: equality, a stable key, and the text shown to people and models."""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterable

from azr_plugins_python.executor.limits import Value


def equal(a: Value, b: Value, match: str = "equal") -> bool:
    """Python's `==` with NaN equal to NaN and sets and dicts order-free; `strict` compares exact types too."""
    if match not in ("equal", "strict"):
        raise ValueError(f"match must be 'equal' or 'strict', not {match!r}")
    strict = match == "strict"
    return _key(a, strict) == _key(b, strict)


def canonical(value: Value) -> str:
    """A stable key: two values have the same key if and only if they are `equal`."""
    return _key(value, False)


def display(value: Value) -> str:
    """The value as a Python literal, sets sorted. `parse_literal` of it, within its caps, equals the value."""
    if isinstance(value, (set, frozenset)):
        return _display_set(value)
    if isinstance(value, list):
        return f"[{', '.join(map(display, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(display, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{display(key)}: {display(item)}" for key, item in value.items()) + "}"
    if isinstance(value, complex) and not cmath.isfinite(value):
        return f"complex({value.real!r}, {value.imag!r})"
    return repr(value)


def _display_set(value: set[Value] | frozenset[Value]) -> str:
    items = ", ".join(display(item) for item in _ordered(value))
    body = f"{{{items}}}" if items else ""
    if isinstance(value, frozenset):
        return f"frozenset({body})"
    return body or "set()"


def _ordered(items: Iterable[Value]) -> list[Value]:
    """Items of a set in an order that hash seeds cannot change: numbers and strings naturally, others by key."""
    found = list(items)
    kinds = {type(item) for item in found}
    numbers = kinds <= {int, float, bool} and not any(isinstance(item, float) and math.isnan(item) for item in found)
    if numbers or kinds == {str}:
        return sorted(found)  # type: ignore[type-var]
    return sorted(found, key=canonical)


def _key(value: Value, strict: bool) -> str:
    tag = f"{type(value).__name__}:" if strict else ""
    if value is None:
        return "N"
    if isinstance(value, (int, float)):
        return tag + _number_key(value)
    if isinstance(value, complex):
        real = _number_key(value.real)
        return tag + (real if value.imag == 0 else f"c({real},{_number_key(value.imag)})")
    if isinstance(value, str):
        return "s" + ascii(value)
    if isinstance(value, bytes):
        return "b" + value.hex()
    if isinstance(value, dict):
        return "<" + ",".join(sorted(f"{_key(key, strict)}:{_key(item, strict)}" for key, item in value.items())) + ">"
    if isinstance(value, (set, frozenset)):
        return tag + "{" + ",".join(sorted(_key(item, strict) for item in value)) + "}"
    if isinstance(value, (list, tuple)):
        inner = ",".join(_key(item, strict) for item in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    raise TypeError(f"{type(value).__name__} is not a value")


def _number_key(number: int | float) -> str:
    """One text for all spellings of a number: 1, 1.0 and True are one key, as they are one number to `==`."""
    if isinstance(number, float) and not number.is_integer():
        return "nan" if math.isnan(number) else repr(number)
    return f"i{int(number):x}"
