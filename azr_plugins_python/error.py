"""Error: which error does a program raise, if any? The task type of the paper's appendix, off by default."""

from __future__ import annotations

import ast
from collections.abc import Sequence

import azr_core as azr
from azr_plugins_python.blocks import Name, bare_or_block
from azr_plugins_python.composite import bindings
from azr_plugins_python.executor import Job, parse_literal
from azr_plugins_python.executor.child import WITHHELD
from azr_plugins_python.options import Handling
from azr_plugins_python.screen import called_builtins
from azr_plugins_python.shape import ENTRY, parse
from azr_plugins_python.tasks import NO_ERROR, ErrorTask, ProgramProposal
from azr_plugins_python.verdicts import Graded, wrong
from azr_plugins_python.verifiers import ProgramVerifier

UNSTABLE = frozenset({"MemoryError", "RecursionError", "ImportError", "ModuleNotFoundError"})
"""Errors that come of the machine or the sandbox, not of the program alone."""
_WATCHED = "azr_error"
_WATCH = f"""

def {_WATCHED}(*arguments, **named):
    try:
        {ENTRY}(*arguments, **named)
    except BaseException as error:
        return error.__class__.__name__
    return {NO_ERROR!r}
"""
"""Turns the error into a value, so that the executor holds errors to the determinism that it demands of values."""
_RESERVED = frozenset({_WATCHED, "BaseException", NO_ERROR})
_STATEMENTS: dict[Handling, tuple[type[ast.AST], ...]] = {
    Handling.ASSERT: (ast.Assert,),
    Handling.EXCEPT: (ast.ExceptHandler,),
    Handling.RAISE: (ast.Raise,),
    Handling.TRY: (ast.Try, ast.TryStar),
}


class ErrorVerifier(ProgramVerifier[ErrorTask]):
    """An answer is the name of the error's class, or `NoError`, to the letter; nothing runs to grade it.

    The released code (`check_all` with `check_error`) reads the name from a traceback, takes whatever a timeout says for an error, and
    compares without case. Here a program that runs out of time, memory or stack is no task, nor is one that fails before `f` is called.
    """

    kind = ErrorTask

    def job(self, proposal: ProgramProposal) -> Job:
        plain = super().job(proposal)
        self._check(parse(plain.program))
        return Job(plain.program + _WATCH, plain.arguments, _WATCHED)

    def task(self, proposal: ProgramProposal, outputs: tuple[str, ...]) -> ErrorTask:
        name = parse_literal(outputs[0])
        if not isinstance(name, str) or not name.isidentifier():
            raise azr.InvalidTask("the error has no proper name")
        if name in UNSTABLE:
            raise azr.InvalidTask(f"raises {name}, which depends on the machine")
        return super().task(proposal, (name,))

    def grade_many(self, pairs: Sequence[tuple[ErrorTask, str]]) -> list[Graded]:
        return [azr.caught(self._compare, task, answer) for task, answer in pairs]

    def _check(self, tree: ast.Module) -> None:
        for handling in self.options.error_banned:
            if any(isinstance(node, _STATEMENTS[handling]) for node in ast.walk(tree)):
                raise azr.InvalidTask(f"holds {handling}, which is banned in error tasks")
        withheld = called_builtins(tree) & WITHHELD
        if withheld:
            raise azr.InvalidTask(f"calls {min(withheld)}(), which programs do not have")
        reserved = _RESERVED.intersection(bindings(tree))
        if reserved:
            raise azr.InvalidTask(f"defines {min(reserved)}, a reserved name in error tasks")

    def _compare(self, task: ErrorTask, answer: str) -> float | azr.Verdict:
        name = bare_or_block(answer, Name.OUTPUT).strip()
        if not name.isidentifier():
            raise azr.FormatError("not the name of an error")
        return 1.0 if name == task.output else wrong("another error")
