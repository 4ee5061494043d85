"""Thoughts for the generator's programs: the written-out run of a program, one changed value a line."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from types import CodeType, FrameType
from typing import Any

from azr_plugins_python.generator import SAFE_BUILTINS, compiled

MAX_LINES = 24
MAX_CHARACTERS = 240  # of one run; an abduction thought holds up to three


class _TooLong(Exception):
    """The run has more lines than a thought may have."""


class _Recorder:
    """A `sys.settrace` hook that notes each new value of a local, and the parts of a compound expression before its line runs."""

    def __init__(self, program: str, code: CodeType) -> None:
        self.lines: list[str] = []
        self._code = code
        self._parts = _compound_parts(program)
        self._known: dict[str, str] = {}

    def on_call(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event != "call" or frame.f_code is not self._code:
            return None
        self._known = {name: repr(value) for name, value in frame.f_locals.items()}
        return self.on_event

    def on_event(self, frame: FrameType, event: str, _argument: Any) -> Any:
        for name, value in frame.f_locals.items():
            if self._known.get(name) != repr(value):
                self._known[name] = repr(value)
                self._note(f"{name}={value!r}")
        for text, code in self._parts.get(frame.f_lineno, ()) if event == "line" else ():
            self._note(f"{text}={eval(code, {'__builtins__': SAFE_BUILTINS}, dict(frame.f_locals))!r}")
        return self.on_event

    def _note(self, line: str) -> None:
        self.lines.append(line)
        if len(self.lines) > MAX_LINES:
            raise _TooLong


def _compound_parts(program: str) -> dict[int, list[tuple[str, CodeType]]]:
    """Line number -> calls, operations and subscripts inside a larger expression of that line, innermost first. Loop bodies have none."""
    function = ast.parse(program).body[0]
    assert isinstance(function, ast.FunctionDef)
    found: dict[int, list[tuple[str, CodeType]]] = {}
    for statement in function.body:
        for expression in _top_expressions(statement):
            nodes = list(dict.fromkeys(ast.unparse(node) for node in _nested(expression)))
            found.setdefault(expression.lineno, []).extend((text, compile(text, "<part>", "eval")) for text in nodes)
    return found


def _top_expressions(statement: ast.stmt) -> list[ast.expr]:
    if isinstance(statement, ast.If):
        return [statement.test, *(expression for inner in [*statement.body, *statement.orelse] for expression in _top_expressions(inner))]
    value = statement.value if isinstance(statement, ast.Assign | ast.Return) else None
    return [] if value is None or isinstance(value, ast.ListComp) else [value]


def _nested(expression: ast.AST) -> list[ast.AST]:
    found: list[ast.AST] = []
    for child in ast.iter_child_nodes(expression):
        found += _nested(child)
        is_range = isinstance(child, ast.Call) and isinstance(child.func, ast.Name) and child.func.id == "range"
        if isinstance(child, ast.Call | ast.BinOp | ast.Subscript) and not is_range:
            found.append(child)
    return found


def _run(program: str, arguments: str) -> tuple[str, str] | None:
    """(lines joined by newlines, repr of the output), None if too long."""
    function = compiled(program)
    values = ast.literal_eval(f"({arguments},)")
    recorder = _Recorder(program, function.__code__)
    previous = sys.gettrace()
    sys.settrace(recorder.on_call)
    try:
        output = function(*values)
    except _TooLong:
        return None
    finally:
        sys.settrace(previous)
    text = "\n".join(recorder.lines)
    return (text, repr(output)) if len(text) <= MAX_CHARACTERS else None


def deduction_thought(program: str, arguments: str) -> str | None:
    """The run of a generated program on `arguments`; empty if it has no inner step, None if it is too long."""
    run = _run(program, arguments)
    return None if run is None else run[0]


def abduction_thought(program: str, attempts: Sequence[str]) -> str | None:
    """Each attempted argument text, its run and its output; the last attempt is the answer. None if one run is too long."""
    pieces: list[str] = []
    for arguments in attempts:
        run = _run(program, arguments)
        if run is None:
            return None
        pieces.append("\n".join(part for part in (arguments, run[0], f"=> {run[1]}") if part) + "\n")
    return "".join(pieces)
