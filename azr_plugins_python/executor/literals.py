"""Reads literals written by people and models: argument lists, answers. Parses; never evaluates."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable
from typing import TypeVar

from azr_plugins_python.executor.limits import Value

MAX_TEXT = 8_192
"""Bytes of one argument list or answer."""
MAX_DEPTH = 64
_MAX_INT = 10**4_300

_TOKENS = re.compile(
    r"""(?P<comment>\#[^\n]*)
    |(?P<string>\"\"\"(?:[^\\]|\\.)*?\"\"\"|'''(?:[^\\]|\\.)*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')""",
    re.VERBOSE | re.DOTALL,
)
_BRACKETS = re.compile(r"[()\[\]{}]")
_WARNED = re.compile(r"\\|[\d.][^\W\d]")
"""What every text has that the parser can warn of: an escape, or a number that runs into a name."""
_SIGNS = re.compile(rf"[-+~](?:[\s\\]*[-+~]){{{MAX_DEPTH}}}")
_FLOAT_NAMES = re.compile(r"\s*[+-]?(?:nan|inf|infinity)\s*", re.IGNORECASE)


T = TypeVar("T")


class LiteralError(ValueError):
    """The text is not the literal it should be."""


def parse_arguments(text: str) -> tuple[tuple[Value, ...], dict[str, Value]]:
    """One call's argument list, `3, 'a', k=[1]`, as positional and keyword values. Raises LiteralError."""
    _check(text)
    tree = _tree(f"_({text}\n)")
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.func.id != "_":
        raise LiteralError("not one argument list")
    return _guarded(lambda: (tuple(_value(item, 0) for item in tree.args), _keywords(tree, 0)))


def parse_literal(text: str) -> Value:
    """One literal, with outer space and a trailing comment ignored; `5, 6` and `1,` are tuples. Raises LiteralError."""
    shape = _check(text).strip()
    if not shape or shape.endswith("\\"):
        raise LiteralError("empty or unfinished")
    tree = _tree(f"({text}\n)")
    return _guarded(lambda: _value(tree, 0))


def unwrap_call(text: str, entry: str = "f") -> str:
    """The argument list in `f(1, 2)`; text that is not such a call is returned as it is. Raises LiteralError on a `*`."""
    mask = _mask(text)
    match = re.fullmatch(rf"\s*{re.escape(entry)}\s*\((.*)\)\s*", mask, re.DOTALL)
    if match is None or not _balanced(match.group(1)):
        return text
    if "*" in match.group(1):
        raise LiteralError("'*' in the call")
    return text[match.start(1) : match.end(1)]


def _mask(text: str) -> str:
    """The text, of equal length, with comments blanked and strings replaced, so that only structure is left."""
    if not ("'" in text or '"' in text or "#" in text):
        return text

    def cover(match: re.Match[str]) -> str:
        return (" " if match.lastgroup == "comment" else "s") * len(match.group())

    return _TOKENS.sub(cover, text)


def _balanced(mask: str) -> bool:
    depth = 0
    for char in _BRACKETS.findall(mask):
        depth += (char in "([{") - (char in ")]}")
        if depth < 0:
            return False
        if depth > MAX_DEPTH:
            raise LiteralError("too deep")
    return depth == 0


def _check(text: str) -> str:
    """Bounds the work of the parser before it starts; returns the masked text."""
    if len(text) > MAX_TEXT or (not text.isascii() and len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT):
        raise LiteralError("too long")
    mask = _mask(text)
    if not _balanced(mask):
        raise LiteralError("brackets do not match")
    if _SIGNS.search(mask):
        raise LiteralError("too many signs")
    return mask


def _tree(source: str) -> ast.expr:
    try:
        if not _WARNED.search(source):
            return _parse(source)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError, SystemError) as error:
        raise LiteralError("not a literal") from error


def _parse(source: str) -> ast.expr:
    return ast.parse(source.strip(), mode="eval").body


def _guarded(read: Callable[[], T]) -> T:
    try:
        return read()
    except LiteralError:
        raise
    except (TypeError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise LiteralError("not a literal") from error


def _value(node: ast.expr, depth: int) -> Value:
    if depth > MAX_DEPTH:
        raise LiteralError("too deep")
    reader = _READERS.get(type(node))
    if reader is None:
        raise LiteralError(f"{type(node).__name__} is not a literal")
    return reader(node, depth + 1)


def _constant(node: ast.Constant, depth: int) -> Value:
    value = node.value
    if value is ...:
        raise LiteralError("Ellipsis is not a literal")
    if type(value) is int and value >= _MAX_INT:
        raise LiteralError("too many digits")
    return value


def _name(node: ast.Name, depth: int) -> Value:
    if node.id not in ("nan", "inf"):
        raise LiteralError(f"name {node.id[:40]!r} is not a literal")
    return float(node.id)


def _dict(node: ast.Dict, depth: int) -> Value:
    found: dict[Value, Value] = {}
    for key, item in zip(node.keys, node.values, strict=True):
        if key is None:
            raise LiteralError("'**' is not a literal")
        found[_value(key, depth)] = _value(item, depth)
    return found


def _signed(node: ast.UnaryOp, depth: int) -> Value:
    value = _value(node.operand, depth)
    if not isinstance(value, (int, float, complex)) or isinstance(value, bool) or not isinstance(node.op, (ast.USub, ast.UAdd)):
        raise LiteralError("sign without a number")
    return -value if isinstance(node.op, ast.USub) else value


def _complex_sum(node: ast.BinOp, depth: int) -> Value:
    left, right = _value(node.left, depth), _value(node.right, depth)
    if type(left) not in (int, float) or not isinstance(right, complex) or not isinstance(node.op, (ast.Add, ast.Sub)):
        raise LiteralError("arithmetic is not a literal")
    assert isinstance(left, (int, float))
    return left + right if isinstance(node.op, ast.Add) else left - right


def _keywords(node: ast.Call, depth: int) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg in found:
            raise LiteralError("'**' or a repeated keyword")
        found[keyword.arg] = _value(keyword.value, depth)
    return found


def _call(node: ast.Call, depth: int) -> Value:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    keywords = _keywords(node, depth)
    positional = [_value(item, depth) for item in node.args]
    if name == "dict" and not positional:
        return keywords
    if keywords or name not in _CONSTRUCTORS:
        raise LiteralError("a call is not a literal")
    return _CONSTRUCTORS[name](positional)


def _collection(make: Callable[[list[Value]], Value]) -> Callable[[list[Value]], Value]:
    def read(positional: list[Value]) -> Value:
        if not positional:
            return make([])
        (items,) = positional
        if type(items) not in (list, tuple, set, frozenset):
            raise LiteralError("not a collection of literals")
        return make(list(items))  # type: ignore[call-overload]

    return read


def _float(positional: list[Value]) -> Value:
    (text,) = positional
    if not isinstance(text, str) or not _FLOAT_NAMES.fullmatch(text):
        raise LiteralError("float() of anything but nan and inf is not a literal")
    return float(text)


def _complex(positional: list[Value]) -> Value:
    real, imag = positional
    if not isinstance(real, (int, float)) or not isinstance(imag, (int, float)):
        raise LiteralError("complex() takes two numbers")
    return complex(real, imag)


_CONSTRUCTORS: dict[str, Callable[[list[Value]], Value]] = {
    "set": _collection(set),
    "frozenset": _collection(frozenset),
    "float": _float,
    "complex": _complex,
}
_READERS: dict[type[ast.expr], Callable[..., Value]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.List: lambda node, depth: [_value(item, depth) for item in node.elts],
    ast.Tuple: lambda node, depth: tuple([_value(item, depth) for item in node.elts]),
    ast.Set: lambda node, depth: {_value(item, depth) for item in node.elts},
    ast.Dict: _dict,
    ast.UnaryOp: _signed,
    ast.BinOp: _complex_sum,
    ast.Call: _call,
}
