"""Runs one job inside the jail. Shares a process with the program, so it trusts no builtin that the program could replace.

Everything it uses is captured here before the program exists. A program that reaches in and breaks it breaks only its own job: gold values
are not here, the exit status is seen by the kernel, and the host believes nothing but well-formed answers to a number it drew itself.
"""

from __future__ import annotations

import builtins
import json
import sys
from collections.abc import Callable, Iterable
from types import CodeType
from typing import Any

from azr_plugins_python.executor import codec, wire
from azr_plugins_python.executor.gate import BUILTINS, Gate

Namespace = dict[str, object]
Send = Callable[[bytes], object]

# fmt: off
PRELOADED = (
    "__future__", "abc", "array", "base64", "binascii", "bisect", "cmath", "collections", "collections.abc", "contextlib", "copy",
    "dataclasses", "decimal", "difflib", "enum", "fractions", "functools", "graphlib", "heapq", "io", "itertools", "json", "keyword",
    "math", "numbers", "operator", "os", "pprint", "queue", "random", "re", "statistics", "string", "struct", "sys", "textwrap",
    "timeit", "types", "typing", "unicodedata", "zlib",
)
# fmt: on
"""Modules that the zygote imports before it is locked; nothing else can be imported from disk afterwards."""
WITHHELD = frozenset({"breakpoint", "copyright", "credits", "exit", "help", "input", "license", "open", "quit"})
"""Builtins that a guarded program does not have, so that calling one is another error than elsewhere."""
_importable = frozenset(name.partition(".")[0] for name in PRELOADED)
_hidden = ("ctypes", "_ctypes", "signal", "_signal", "resource", "posix", "subprocess", "socket", "_socket")

_compile, _exec, _type, _import = compile, exec, type, builtins.__import__
_BaseException, _MemoryError, _SyntaxError, _MISSING = BaseException, MemoryError, SyntaxError, object()
_parse, _range, _len, _enumerate = json.loads, range, len, enumerate
_pack, _encode, _build = wire.pack_answer, codec.encode, codec.build
_TooLarge, _Unsupported, _RecursionError, _ValueError = codec.TooLarge, codec.Unsupported, RecursionError, ValueError
_type_name = type.__dict__["__name__"].__get__
OK, ERROR, MEMORY, UNSUPPORTED, TOO_LARGE, SYNTAX, NO_ENTRY = range(len(wire.KINDS))


def allow_imports(names: Iterable[str]) -> None:
    """Adds modules that this zygote has loaded to the allow-list."""
    global _importable
    _importable |= frozenset(names)


def _guarded_import(name: str, *rest: Any) -> object:
    """The import allow-list. Policy, not security: it keeps tasks to modules that exist on every machine."""
    level = rest[3] if len(rest) > 3 else 0
    if level or name.partition(".")[0] not in _importable:
        raise ImportError(f"module {name[:100]!r} is not available to programs")
    return _import(name, *rest)


def _no_input(*_: object) -> str:
    raise EOFError("programs have no input")


_open_builtins: Namespace = dict(vars(builtins))
_guarded_builtins: Namespace = {name: item for name, item in _open_builtins.items() if name not in WITHHELD}
_guarded_builtins["__import__"] = _guarded_import
_guarded_builtins["input"] = _no_input
_shared_builtins: Namespace = {name: _open_builtins[name] for name in BUILTINS} | {"__import__": _guarded_import}
_open_shared_builtins: Namespace = _shared_builtins | {"__import__": _import}


def hide_modules() -> None:
    """Takes the modules that the jail itself needed out of a guarded program's sight."""
    for name in _hidden:
        sys.modules.pop(name, None)


class Unfit(Exception):
    """What happened in a shared process should happen in one of its own: memory or stack ran out."""


def run_job(order: wire.Order, send: Send, gate: Gate | None = None) -> bool:
    """Compiles the program and makes its calls, sending one answer for each. False: the gate refused it, and nothing ran.

    With a gate the process is shared; Unfit is raised where what happened may depend on that.
    """
    identity, names = order.identity, _guarded_builtins if order.guarded else _open_builtins
    try:
        code = _compile(order.program.decode("utf-8", "surrogatepass"), "<program>", "exec", 0, True)
    except _BaseException as error:  # SyntaxError, ValueError, RecursionError, MemoryError: all say the text does not compile
        if gate is not None and not isinstance(error, _SyntaxError):
            raise Unfit from None
        send(_pack(identity, 0, SYNTAX, _name_of(_type(error))))
        return True
    if gate is not None:
        if not gate(code):
            return False
        names = _shared_builtins if order.guarded else _open_shared_builtins
    entry, calls = _parse(order.calls)
    for index, call in _enumerate(calls):
        namespace: Namespace = {"__name__": "program", "__builtins__": names.copy()}
        for turn in _range(order.repeats):
            kind, payload = _answer(code if turn == 0 else None, namespace, entry, call)
            if gate is not None and (kind == MEMORY or payload == b"RecursionError"):
                raise Unfit
            send(_pack(identity, index + turn * _len(calls), kind, payload))
    return True


def _answer(code: CodeType | None, namespace: Namespace, entry: str, call: list[object]) -> tuple[int, bytes]:
    """One call with fresh arguments. A repeat has no code and finds the namespace as the last call left it, so that kept state shows."""
    positional, keywords = call
    try:
        arguments: Any = _build(positional)
        named: Any = _build(keywords)
        if code is not None:
            _exec(code, namespace)
        function: Any = namespace.get(entry, _MISSING)
        if function is _MISSING:
            return NO_ENTRY, b""
        value = function(*arguments, **named)
    except _MemoryError:
        return MEMORY, b"MemoryError"
    except _BaseException as error:  # the program's own, SystemExit and KeyboardInterrupt included
        return ERROR, _name_of(_type(error))
    return _represent(value)


def _represent(value: object) -> tuple[int, bytes]:
    try:
        return OK, _encode(value).encode()
    except (_TooLarge, _RecursionError, _ValueError):
        return TOO_LARGE, b""
    except _Unsupported as error:
        return UNSUPPORTED, _name_of(error.args[0])
    except _MemoryError:
        return MEMORY, b"MemoryError"
    except _BaseException as error:  # a container that finalisers change while it is read
        return UNSUPPORTED, _name_of(_type(error))


def _name_of(kind: type) -> bytes:
    try:
        return bytes(_type_name(kind)[:100], "utf-8", "replace")
    except _BaseException:
        return b""
