"""Composite proposals: now and then a program must build on programs of the buffer, which it finds under the names g_0, g_1, ...

Off by default, as in the paper's appendix. What is asked follows from the step and the references alone, so the prompt and its reading
agree and a resumed run asks the same. A composite program is self-contained: the functions stand before it, so nothing downstream knows of
them. Released code: `data_construction/constructor.py`, `utils/code_utils/checks.py`. There the functions come from the whole buffer, and
their helpers may collide; here they are one-function programs among the references, with their imports inside.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Collection, Iterator, Sequence

from pydantic import Field

import azr_core as azr
from azr_plugins_python.blocks import fenced
from azr_plugins_python.shape import ENTRY, parse, unparsed, without_docstrings

_GIVEN = re.compile(r"g_\d+")
_PLUMBING = (ast.Return, ast.Assign, ast.Expr, ast.Call, ast.Name, ast.Constant, ast.Starred, ast.Tuple, ast.keyword, ast.expr_context)
_NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)


class Composite(azr.Options):
    """When a proposal must call programs of the buffer. In brackets: the released code's names and values, where it is on."""

    start: int = Field(default=0, ge=0, description="first step with composite proposals; 0: never [composite_start_step]")
    chance: float = Field(default=0.5, ge=0, le=1, description="share of proposals that must be composite [composite_chance]")
    least: int = Field(default=1, ge=1, description="fewest functions to call [composite_function_n_min]")
    most: int = Field(default=1, ge=1, description="most functions to call, before the schedule [composite_function_n_max]")
    grow_from: int = Field(default=0, ge=0, description="step from which both grow; 0: they do not [update_num_programs_start, 101]")
    grow_every: int = Field(default=50, ge=1, description="steps between two growths [update_num_programs_interval, 50]")
    most_cap: int = Field(default=3, ge=1, description="where `most` stops growing, one at a time [num_programs_max, 3]")
    chance_step: float = Field(default=0.01, ge=0, le=1, description="how much `chance` grows each time [update_probability_increment]")
    chance_cap: float = Field(default=0.8, ge=0, le=1, description="where `chance` stops growing [update_probability_max]")

    def at(self, step: int) -> tuple[float, int]:
        """Share of composite proposals and the most functions at a step."""
        if not self.start or step < self.start:
            return 0.0, 0
        growths = (step - self.grow_from) // self.grow_every if 0 < self.grow_from <= step else 0
        chance = min(self.chance + growths * self.chance_step, max(self.chance, self.chance_cap))
        return chance, max(self.least, min(self.most + growths, max(self.most, self.most_cap)))

    def functions(self, step: int, programs: Sequence[str]) -> tuple[str, ...]:
        """Definitions of g_0, g_1, ... that a proposal shown these programs must call at this step; none for an ordinary proposal.

        Composite programs are not built on again, and as in the released code there must be more references than functions.
        """
        chance, most = self.at(step)
        if not most or len(programs) <= most:
            return ()
        shown = hashlib.sha256("\0".join(programs).encode("utf-8", "surrogatepass")).hexdigest()
        rng = azr.chance(0, step, f"composite {shown}")
        if rng.random() >= chance:
            return ()
        count, found = rng.randint(self.least, most), list[str]()
        different = list(dict.fromkeys(programs))
        for program in rng.sample(different, len(different)):
            text = as_function(program, f"g_{len(found)}")
            found += [text] if text else []
            if len(found) == count:
                return tuple(found)
        return ()


def as_function(program: str, name: str) -> str:
    """A program of imports and one plain function, as one function of another name; empty where that is not what it is."""
    *imports, function = without_docstrings(parse(program)).body
    if not isinstance(function, ast.FunctionDef) or function.name != ENTRY or not all(map(_is_local, imports)):
        return ""
    brought = {name for statement in imports for name in bindings(statement)}
    within = [name for part in (function.args, *function.body) for name in bindings(part)]
    if _needs_its_module(function) or any(name == ENTRY or name in brought or _GIVEN.fullmatch(name) for name in within):
        return ""
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.Name) and node.id == ENTRY:
            node.id = name
    function.name, function.returns, function.body = name, None, [*imports, *function.body]
    text = unparsed(function)
    return text if text.startswith("def ") and not fenced(text) else ""


def check(program: str, functions: Sequence[str]) -> None:
    """Refuses a program that does not build on all of its functions. Raises InvalidTask with the reason."""
    names = {f"g_{number}" for number in range(len(functions))}
    try:
        tree = parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise azr.InvalidTask("the program is not Python without the functions it was given") from None
    redefined = names.intersection(bindings(tree))
    if redefined:
        raise azr.InvalidTask(f"redefines {min(redefined)}, which it was given")
    entry = next((node for node in reversed(tree.body) if isinstance(node, ast.FunctionDef) and node.name == ENTRY), None)
    if entry is None:
        raise azr.InvalidTask(f"no function {ENTRY} at the top level that calls the functions it was given")
    missed = names - {node.func.id for node in ast.walk(entry) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    if missed:
        raise azr.InvalidTask(f"{ENTRY} does not call {min(missed)}, which it was given")
    without_docstrings(tree)
    if _only_passes_on(entry, names):
        raise azr.InvalidTask(f"{ENTRY} only wraps the functions it was given")


def bindings(tree: ast.AST) -> Iterator[str]:
    """Every name that some statement, parameter or pattern of a syntax tree binds, in whatever scope."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            yield from node.names
        elif isinstance(node, _NAMED) and node.name:
            yield node.name
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest


def _only_passes_on(function: ast.FunctionDef, names: Collection[str]) -> bool:
    nodes = [node for statement in function.body for node in ast.walk(statement)]
    calls = [node.func for node in nodes if isinstance(node, ast.Call)]
    own = all(isinstance(call, ast.Name) and call.id in names for call in calls)
    return own and all(isinstance(node, _PLUMBING) for node in nodes)


def _is_local(statement: ast.stmt) -> bool:
    """Whether it is an import that may stand inside a function."""
    if isinstance(statement, ast.ImportFrom):
        return statement.module != "__future__" and all(alias.name != "*" for alias in statement.names)
    return isinstance(statement, ast.Import)


def _needs_its_module(function: ast.FunctionDef) -> bool:
    """Whether it shares names with its module, or asks for some before it is called."""
    outside = [*function.decorator_list, *function.args.defaults, *(default for default in function.args.kw_defaults if default)]
    return any(isinstance(node, ast.Name) for part in outside for node in ast.walk(part)) or any(
        isinstance(node, ast.Global) for node in ast.walk(function)
    )
